"""The gateways of a rehearsal: the real edge process's class, each with spool, line and clock.

Readings come in by ``capture``, the door that devices inside the gateway's process use; from there
on everything is the gateway's own: freezing, spool, publisher, paho, receipts.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from uuid import UUID

from deploy.rehearsal.clock import SkewedClock, VirtualClock
from deploy.rehearsal.errors import RehearsalError
from deploy.rehearsal.line import Line
from gateway.errors import Busy, BusyError, RefusedError
from gateway.runtime import Gateway
from gateway.settings import ClockTrust, GatewaySettings
from simulators.ledger import Ledger
from simulators.scenarios.happenings import GatewayStarted, Measured
from simulators.sites import Site

_LINGER_MS: Final = 1
_SETTLE_S_MAX: Final = 120.0
_POLL_S: Final = 0.001
_PENDING_MAX: Final = 4_000  # Captured and not yet on disk.


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and the password of each gateway."""

    host: str
    port: int
    password_of: Callable[[str], str]


@dataclass(slots=True)
class _Box:
    """One gateway that runs."""

    site: Site
    gateway: Gateway
    line: Line


class Gateways:
    """Starts gateways, hands them readings, waits for receipts. Use as an async context manager."""

    def __init__(
        self, broker: Broker, folder: Path, clock: VirtualClock, ledger: Ledger, *, live_s: int
    ) -> None:
        """Args: ``live_s``: what is younger when it is sent counts as live."""
        self._broker = broker
        self._folder = folder
        self._clock = clock
        self._ledger = ledger
        self._live_s = live_s
        self._boxes: dict[str, _Box] = {}
        self._stack = AsyncExitStack()
        self._pending: set[asyncio.Future[UUID]] = set()
        self.labelled: dict[str, list[UUID]] = {}
        self.captured = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def spools(self) -> list[Path]:
        """Of every gateway that was started; they can be read at any time."""
        return [box.gateway.spool_path for box in self._boxes.values()]

    async def start(self, started: GatewayStarted) -> None:
        """Switch one on and wait until it may send."""
        site = started.site
        line = await self._stack.enter_async_context(Line(self._broker.host, self._broker.port))
        settings = GatewaySettings(
            id=site.gateway_id,
            centre=site.centre_id,
            broker_host=self._broker.host,
            broker_port=line.port,
            broker_password=self._broker.password_of(site.gateway_id),
            spool=self._folder / f"{site.gateway_id}.spool",
            pseudonym_key_file=self._folder / "pseudonym.key",
            clock_synchronised=ClockTrust.YES if started.clock_trusted else ClockTrust.NO,
            linger_ms=_LINGER_MS,
            reconnect_s_max=1,
            backlog_age_s=self._live_s,
        )
        clock = SkewedClock(self._clock, started.clock_ahead)
        gateway = await self._stack.enter_async_context(Gateway(settings, clock))
        self._boxes[site.gateway_id] = _Box(site, gateway, line)

    async def send(self, measured: Measured) -> None:
        """Let a terminal send one reading now; what becomes of it is in the ledger."""
        reading = measured.reading
        box = self._boxes.get(reading.gateway_id)
        if box is None:
            msg = f"a reading for {reading.gateway_id}, which was not started"
            raise RehearsalError(msg)
        number = self._ledger.record_sent(reading, self._clock(), truth=measured.truth)
        self.captured += 1
        try:
            taking = box.gateway.capture(reading.line)
        except (RefusedError, BusyError) as error:
            self._ledger.record_refused(number, str(error.code), self._clock())
            return
        self._pending.add(taking)
        taking.add_done_callback(lambda done: self._note(number, measured.label, done))
        if len(self._pending) >= _PENDING_MAX:
            await self.keep()

    def _note(self, number: int, label: str | None, done: asyncio.Future[UUID]) -> None:
        self._pending.discard(done)
        if done.cancelled():
            return
        problem = done.exception()
        if isinstance(problem, BusyError):
            if problem.code is Busy.STOPPING:
                return  # It may be on its disk: an answer that is lost, as far as anybody knows.
            self._ledger.record_refused(number, str(problem.code), self._clock())
        elif problem is None:
            self._ledger.record_taken(number, done.result(), self._clock())
            if label is not None:
                self.labelled.setdefault(label, []).append(done.result())

    async def keep(self) -> None:
        """Wait until every reading that was sent is on its gateway's disk."""
        if self._pending:
            await asyncio.wait(set(self._pending))

    async def cut(self, names: Sequence[str]) -> None:
        """Take the network away."""
        for box in self._named(names):
            await box.line.cut()

    def mend(self, names: Sequence[str]) -> None:
        """Give it back; the gateway connects by itself."""
        for box in self._named(names):
            box.line.mend()

    def _named(self, names: Sequence[str]) -> list[_Box]:
        missing = [name for name in names if name not in self._boxes]
        if missing:
            msg = f"there is no gateway {missing[0]}: it was not started"
            raise RehearsalError(msg)
        return [self._boxes[name] for name in names]

    async def settle(self) -> None:
        """Wait until whoever has a network has a receipt for every reading."""
        await self.keep()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_S_MAX):
                while self._waiting():  # noqa: ASYNC110 - each has its own spool and no event
                    await asyncio.sleep(_POLL_S)
                return
        msg = (
            f"{self._waiting()} readings have no receipt after {_SETTLE_S_MAX:.0f} s: is the "
            "machine overloaded? The ledger, the spools and the database are kept: reconcile them"
        )
        raise RehearsalError(msg)

    def _waiting(self) -> int:
        return sum(box.gateway.waiting_rows for box in self._boxes.values() if not box.line.is_cut)
