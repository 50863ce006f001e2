"""What the gateway's tests build: settings, readings, a spool with its thread, a terminal."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.card_sessions import CardDesk
from gateway.clocks import Timekeeper, TimeSources
from gateway.devices.tcp import TcpListener
from gateway.intake import Intake
from gateway.kernel_time import KernelTime
from gateway.prompts import PromptRouter
from gateway.settings import ClockTrust, GatewaySettings
from gateway.spool_thread import SpoolThread, open_spool
from gateway.spooled import ClockMemory, SpooledReading
from gateway.wire.ids import new_id

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
KEY = b"k" * 32


def some_settings(folder: Path, **changes: Any) -> GatewaySettings:  # noqa: ANN401 - any setting
    """Settings of gateway ``g1`` whose spool lies in the folder."""
    given: dict[str, Any] = {
        "id": "g1",
        "centre": "c1",
        "broker_host": "127.0.0.1",
        "spool": folder / "spool.db",
        "clock_synchronised": ClockTrust.YES,
    }
    return GatewaySettings(**(given | changes))


def a_reading(*, at: datetime = NOON, raw_bytes: int = 200) -> SpooledReading:
    """A frozen reading of exactly so many bytes, captured at that time."""
    identifier = new_id(at)
    head = f'{{"id":"{identifier}","kind":"glucose","note":"'.encode()
    return SpooledReading(identifier, at, head + b"x" * (raw_bytes - len(head) - 2) + b'"}')


def a_measurement(**fields: object) -> bytes:
    """A terminal's line, without its end."""
    usual = {"kind": "glucose", "device_id": "meter-1", "glucose": 7, "unit": "mmol/L"}
    return json.dumps(usual | fields).encode()


class HandClock:
    """A clock that goes only when it is told to."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        """The present instant."""
        return self.at

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.at += timedelta(seconds=seconds)

    def monotonic_s(self) -> float:
        """The same clock as seconds."""
        return (self.at - NOON).total_seconds()


def a_timekeeper(
    settings: GatewaySettings, clock: HandClock, memory: ClockMemory | None = None
) -> Timekeeper:
    """One on the hand clock; the kernel follows a time server."""
    sources = TimeSources(
        wall=clock,
        boottime_ms=lambda: int((clock() - NOON).total_seconds() * 1_000),
        kernel=lambda: KernelTime(synchronised=True, error_s=0.01),
        boot=bytes(16),
    )
    return Timekeeper(sources, settings, memory or ClockMemory())


@dataclass
class Terminal:
    """A virtual terminal on a real socket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, *lines: bytes) -> list[dict[str, Any]]:
        """Send lines in one piece; return a reply for each."""
        self.writer.write(b"".join(line + b"\n" for line in lines))
        return [await self.hear() for _ in lines]

    async def hear(self) -> dict[str, Any]:
        """The next reply."""
        async with asyncio.timeout(20):
            reply: dict[str, Any] = json.loads(await self.reader.readline())
        return reply


@dataclass
class Door:
    """Listener, intake and spool, with no broker behind them."""

    listener: TcpListener
    intake: Intake
    spool: SpoolThread
    prompts: PromptRouter

    @asynccontextmanager
    async def terminal(self) -> AsyncIterator[Terminal]:
        """Connect a terminal."""
        host, port = self.listener.address.rsplit(":", 1)
        terminal = Terminal(*await asyncio.open_connection(host, int(port)))
        yield terminal
        terminal.writer.close()


@asynccontextmanager
async def open_door(
    settings: GatewaySettings, *, key: bytes | None = KEY, clock: HandClock | None = None
) -> AsyncIterator[Door]:
    """Open a door on a free port for the length of the block."""
    async with open_spool(settings) as spool, asyncio.TaskGroup() as tasks:
        clock = clock or HandClock()
        intake = Intake(
            spool,
            settings,
            a_timekeeper(settings, clock),
            key=key,
            connected=lambda: False,
            on_taken=lambda: None,
        )
        prompts = PromptRouter(age_s_max=settings.card_prompt_s_max, monotonic_s=clock.monotonic_s)
        desk = CardDesk(key, settings, clock, clock.monotonic_s, prompts)
        listener = TcpListener(settings, desk)
        await listener.open(intake.capture)
        storing = tasks.create_task(intake.run(), name="intake")
        try:
            yield Door(listener, intake, spool, prompts)
        finally:
            await listener.close()
            storing.cancel()
