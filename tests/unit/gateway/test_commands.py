"""A command is carried out at most once, is always answered, and never costs a reading."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel

from gateway.command_actions import Actions
from gateway.commands import Action, Commander, Outcome
from gateway.errors import CommandError
from gateway.fleet import DeviceSettings, Fleet
from gateway.logs import LogRotation, open_log
from gateway.session import Delivery
from gateway.spool_thread import SpoolThread, open_spool
from gateway.wire.commands import (
    ARGUMENTS,
    COMMAND_BYTES_MAX,
    Command,
    CommandName,
    CommandRefusal,
    NoArguments,
    ResendArguments,
    write_command,
)
from gateway.wire.ids import new_id
from gateway.wire.status import RESULTS_MAX, ClockStatus, CommandResult
from tests.unit.gateway.gateway_builders import NOON, HandClock, a_reading, some_settings


def a_command(name: str = "report_status", **changes: object) -> Command:
    given: dict[str, object] = {
        "id": uuid4(),
        "command": name,
        "issued_at": NOON,
        "expires_at": NOON + timedelta(hours=1),
    }
    return Command.model_validate(given | changes)


@dataclass
class Desk:
    """A commander, and everything that it did."""

    commander: Commander
    done: list[str] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    reports: int = 0
    packet: int = 0

    def acknowledge(self, delivery: Delivery) -> None:
        """After the report only."""
        assert self.reports > len(self.acknowledged)
        self.acknowledged.append(delivery.packet)

    async def report(self) -> None:
        """Count."""
        await asyncio.sleep(0)
        self.reports += 1

    async def tell(self, *payloads: bytes) -> list[CommandResult]:
        """Deliver these; return all results once they are acknowledged."""
        for payload in payloads:
            self.packet += 1
            self.commander.on_command(Delivery(payload, self.packet, 1))
        running = asyncio.create_task(self.commander.run(self, self.report))
        async with asyncio.timeout(20):
            while len(self.acknowledged) < self.packet:  # noqa: ASYNC110 - has no event
                await asyncio.sleep(0)
        running.cancel()
        return self.commander.results()


def a_desk(
    clock: HandClock | None = None,
    *,
    known: bool = True,
    waiting_max: int = 8,
    results: Collection[CommandResult] = (),
) -> Desk:
    done: list[str] = []

    def action(name: CommandName) -> Action:
        async def carry_out(_: BaseModel) -> Outcome:
            await asyncio.sleep(0)
            done.append(name)
            return Outcome("so it was", {"times": 1})

        return carry_out

    commander = Commander(
        {name: action(name) for name in CommandName},
        clock or HandClock(),
        waiting_max=waiting_max,
        time_known=lambda: known,
        results=list(results),
    )
    return Desk(commander, done)


async def test_a_command_delivered_again_is_answered_and_not_repeated() -> None:
    desk = a_desk()
    payload = write_command(a_command("rotate_log"))

    (first,) = await desk.tell(payload)
    (again,) = await desk.tell(payload, payload)

    assert first == again
    assert (first.outcome, first.figures) == ("done", {"times": 1})
    assert desk.done == ["rotate_log"]
    assert desk.acknowledged == [1, 2, 3]


async def test_a_command_delivered_again_after_a_restart_is_not_repeated() -> None:
    payload = write_command(a_command())
    before = a_desk()
    results = await before.tell(payload)

    after = a_desk(results=results)

    assert await after.tell(payload) == results
    assert after.done == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (a_command("open_door"), CommandRefusal.UNKNOWN_COMMAND),
        (a_command(schema=2), CommandRefusal.UNKNOWN_SCHEMA),
        (a_command(expires_at=NOON), CommandRefusal.EXPIRED),
        (a_command(arguments={"force": True}), CommandRefusal.WRONG_ARGUMENTS),
        (a_command("resend", arguments={"batches": ["x"]}), CommandRefusal.WRONG_ARGUMENTS),
        (
            a_command("resend", arguments={"captured_from": "2026-03-02T01:00:00"}),
            CommandRefusal.WRONG_ARGUMENTS,
        ),
        (
            a_command("resend", arguments={"readings": [str(UUID(int=0))] * 501}),
            CommandRefusal.WRONG_ARGUMENTS,
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, CommandRefusal) else "",
)
async def test_what_cannot_be_done_is_refused_with_a_reason(command: Command, code: str) -> None:
    desk = a_desk()

    (result,) = await desk.tell(write_command(command))

    assert (result.id, result.outcome, result.code) == (command.id, "refused", code)
    assert result.detail
    assert desk.done == []


async def test_a_clock_that_is_not_known_does_not_make_a_command_late() -> None:
    late = write_command(a_command("sync_time", expires_at=NOON - timedelta(days=1)))

    (result,) = await a_desk(known=False).tell(late)

    assert result.outcome == "done"


async def test_what_is_no_command_is_acknowledged_and_answered_by_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = a_desk()

    assert await desk.tell(b"", b"{}", b"\xff\x00", b"x" * (COMMAND_BYTES_MAX + 1)) == []
    assert len(caplog.records) == 4
    assert len(desk.acknowledged) == 4


async def test_a_flood_is_refused_as_busy_and_the_results_stay_bounded() -> None:
    desk = a_desk(waiting_max=20)
    commands = [a_command() for _ in range(40)]

    results = await desk.tell(*[write_command(command) for command in commands])

    assert len(results) == RESULTS_MAX
    assert len(desk.done) == 20
    assert [r.id for r in results] == [c.id for c in commands[:20]][-RESULTS_MAX:]


async def test_commands_of_an_older_connection_are_left_to_the_broker() -> None:
    desk = a_desk()
    old, new = write_command(a_command()), write_command(a_command())
    desk.commander.on_command(Delivery(old, 99, 0))

    (result,) = await desk.tell(new)

    assert result.id == json_id(new)


def json_id(payload: bytes) -> UUID:
    return UUID(json.loads(payload)["id"])


async def test_every_command_of_the_contract_has_arguments_and_an_action(tmp_path: Path) -> None:
    async with real_actions(tmp_path) as (actions, _, _sender):
        assert set(ARGUMENTS) == set(actions.by_name()) == set(CommandName)


@dataclass
class Sender:
    """Plays the publisher: of what it is asked, one batch is still between here and there."""

    asked: list[frozenset[UUID]] = field(default_factory=list)

    def __call__(self, batches: Collection[UUID]) -> tuple[int, int]:
        """How many are due, and in flight."""
        self.asked.append(frozenset(batches))
        return max(len(batches) - 1, 0), min(len(batches), 1)


@asynccontextmanager
async def real_actions(
    folder: Path, *, known: bool = True, log: LogRotation | None = None
) -> AsyncIterator[tuple[Actions, SpoolThread, Sender]]:
    settings = some_settings(folder)
    async with open_spool(settings) as spool:
        sender = Sender()
        yield (
            Actions(
                spool=spool,
                spool_path=settings.spool,
                resend_now=sender,
                measure_clock=lambda: ClockStatus(known=known, synchronised=known, error_ms=7),
                fleet=Fleet([DeviceSettings(id="cuff-1"), DeviceSettings(id="cuff-2")]),
                log=log or LogRotation(),
            ),
            spool,
            sender,
        )


async def test_a_range_means_the_batches_that_hold_any_of_it(tmp_path: Path) -> None:
    async with real_actions(tmp_path) as (actions, spool, sender):
        batches, readings = [], []
        for hour in range(3):
            at = NOON + timedelta(hours=hour)
            readings.append(a_reading(at=at))
            await spool.run(spool.spool.put, [readings[-1]])
            if hour < 2:
                batch = await spool.run(spool.spool.take_batch, new_id(at), at)
                assert batch is not None
                batches.append(batch.id)

        async def resend(**given: object) -> dict[str, int]:
            arguments = ResendArguments.model_validate(given)
            return dict((await actions.resend(arguments)).figures)

        assert (await resend())["batches"] == 1
        assert sender.asked[-1] == frozenset(batches)
        await resend(captured_from=NOON, captured_to=NOON)
        assert sender.asked[-1] == {batches[0]}
        found = await resend(captured_from=NOON + timedelta(minutes=1))
        assert sender.asked[-1] == {batches[1]}
        assert found["unbatched"] == 1
        stranger = uuid4()
        found = await resend(readings=[readings[0].id, stranger], batches=[batches[1], stranger])
        assert sender.asked[-1] == frozenset(batches)
        assert (found["not_in_spool"], found["in_flight"]) == (2, 1)
        with pytest.raises(CommandError, match=r"not_in_spool.*confirmed by ingest"):
            await resend(readings=[stranger])
        waiting = spool.waiting_rows
    assert waiting == 3


async def test_the_time_is_looked_at_again_and_how_far_devices_are_off_is_told(
    tmp_path: Path,
) -> None:
    async with real_actions(tmp_path) as (actions, _, _sender):
        assert (await actions.sync_time(NoArguments())).figures == {"known": 1, "error_ms": 7}
        actions.fleet.seen("cuff-1", NOON, clock_offset_s=-90)
        actions.fleet.seen("cuff-2", NOON, clock_offset_s=3)
        outcome = await actions.sync_time(NoArguments())
    assert outcome.figures == {"known": 1, "error_ms": 7, "device_offset_s_max": 90}
    async with real_actions(tmp_path, known=False) as (actions, _, _sender):
        outcome = await actions.sync_time(NoArguments())
    assert (outcome.figures["known"], "not known" in outcome.detail) == (0, True)


async def test_a_log_is_put_aside_and_without_one_the_journal_is_named(tmp_path: Path) -> None:
    settings = some_settings(tmp_path, log_file=tmp_path / "logs" / "gateway.log", log_files_max=3)
    with open_log(settings) as log:
        async with real_actions(tmp_path, log=log) as (actions, _, _sender):
            for _ in range(5):
                assert (await actions.rotate_log(NoArguments())).figures == {"kept": 2}
    assert sorted(p.name for p in (tmp_path / "logs").iterdir()) == [
        *("gateway.log", "gateway.log.1", "gateway.log.2")
    ]

    async with real_actions(tmp_path) as (actions, _, _sender):
        with pytest.raises(CommandError, match="journal"):
            await actions.rotate_log(NoArguments())
