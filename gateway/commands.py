"""Remote commands, one after the other: each carried out once, each answered.

    Session --on_command--> Commander --carry out--> result --> status (kept, published) --> ack

Invariants:
    A command is acknowledged to the broker after its result is on disk and published; an id
    with a result is answered, never repeated. Only a crash before its result is on disk has it
    carried out again, which is why every command must be safe to repeat.
    At most ``commands_waiting_max`` wait; one more is refused as busy at once.
    A command whose time is over is refused; while the time is not known, the broker's own
    message expiry is trusted instead.
    Nothing of a command's arguments is logged; a payload that is no command is counted away.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ValidationError

from gateway.errors import CommandError
from gateway.session import Delivery
from gateway.wire.commands import (
    ARGUMENTS,
    COMMAND_BYTES_MAX,
    Command,
    CommandName,
    CommandRefusal,
    parse_command,
)
from gateway.wire.status import RESULTS_MAX, CommandResult, as_instant
from gateway.wire.times import Clock

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did: a sentence, and its numbers."""

    detail: str
    figures: Mapping[str, int] = field(default_factory=dict)


Action: TypeAlias = Callable[[BaseModel], Awaitable[Outcome]]
"""Carries out one command with its checked arguments. Raises ``CommandError`` to refuse."""


class Link(Protocol):
    """What the commander needs of the session."""

    def acknowledge(self, delivery: Delivery) -> None:
        """The command was answered."""


class Commander:
    """Carries out the commands of one gateway."""

    def __init__(
        self,
        actions: Mapping[CommandName, Action],
        clock: Clock,
        *,
        waiting_max: int,
        time_known: Callable[[], bool],
        results: Sequence[CommandResult] = (),
    ) -> None:
        """Begin with the results that a former run has kept."""
        self._actions = actions
        self._clock = clock
        self._waiting_max = waiting_max
        self._time_known = time_known
        self._results: dict[UUID, CommandResult] = {r.id: r for r in results[-RESULTS_MAX:]}
        self._waiting: deque[Delivery] = deque()
        self._surplus: deque[Delivery] = deque(maxlen=waiting_max)  # The broker keeps the rest.
        self._wake = asyncio.Event()

    def results(self) -> list[CommandResult]:
        """The latest, oldest first."""
        return list(self._results.values())

    def on_command(self, delivery: Delivery) -> None:
        """Queue a command; those of an older connection come again on this one."""
        while self._waiting and self._waiting[0].connection < delivery.connection:
            self._waiting.popleft()
        if len(self._waiting) < self._waiting_max:
            self._waiting.append(delivery)
        else:
            self._surplus.append(delivery)
        self._wake.set()

    async def run(self, link: Link, report: Callable[[], Awaitable[None]]) -> None:
        """Answer for ever; ``report`` keeps and publishes the results.

        Cancelled, the command at hand is not acknowledged and comes again. Raises what
        ``report`` raises.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._surplus or self._waiting:
                busy = bool(self._surplus)
                delivery = self._surplus.popleft() if busy else self._waiting.popleft()
                await self._answer(delivery, busy=busy)
                await report()
                link.acknowledge(delivery)

    async def _answer(self, delivery: Delivery, *, busy: bool) -> None:
        try:
            if len(delivery.payload) > COMMAND_BYTES_MAX:
                _LOG.error("a message on the command topic is too large; left")
                return
            command = parse_command(delivery.payload)
        except ValidationError:
            _LOG.error("a message on the command topic is no command; left")
            return
        if command.id in self._results:
            _LOG.info("command %s again; answered as before", command.id)
            return
        try:
            outcome = await self._carry_out(command, busy=busy)
        except CommandError as error:
            failed = error.code == CommandRefusal.OUT_OF_ORDER
            result = self._result(command, "failed" if failed else "refused")
            result = result.model_copy(update={"code": error.code, "detail": error.detail[:200]})
        else:
            result = self._result(command, "done")
            told = {"detail": outcome.detail[:200], "figures": dict(outcome.figures)}
            result = result.model_copy(update=told)
        _LOG.info("command %s (%s): %s %s", command.id, result.command, result.outcome, result.code)
        self._results[command.id] = result
        while len(self._results) > RESULTS_MAX:
            self._results.pop(next(iter(self._results)))

    def _result(self, command: Command, outcome: str) -> CommandResult:
        known = command.command in set(CommandName)
        return CommandResult.model_validate(
            {
                "id": command.id,
                "command": command.command if known else "unknown",
                "outcome": outcome,
                "finished_at": as_instant(self._clock()),
            }
        )

    async def _carry_out(self, command: Command, *, busy: bool) -> Outcome:
        if busy:
            raise CommandError(CommandRefusal.BUSY, "too many commands at a time; send it again")
        if command.schema_version != 1:
            raise CommandError(
                CommandRefusal.UNKNOWN_SCHEMA, f"schema {command.schema_version}; this box knows 1"
            )
        try:
            name = CommandName(command.command)
            action = self._actions[name]
        except (ValueError, KeyError):
            known = ", ".join(sorted(self._actions))
            raise CommandError(
                CommandRefusal.UNKNOWN_COMMAND, f"this version knows {known}"
            ) from None
        if self._time_known() and self._clock() >= command.expires_at:
            raise CommandError(CommandRefusal.EXPIRED, "it arrived too late; send it again")
        try:
            arguments = ARGUMENTS[name].model_validate(command.arguments)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "arguments"
            raise CommandError(
                CommandRefusal.WRONG_ARGUMENTS, f"{where[:60]}: {first['msg'].lower()}"
            ) from None
        return await action(arguments)
