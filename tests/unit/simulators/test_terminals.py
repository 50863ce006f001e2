"""A terminal forgets no reading before its answer, and the ledger knows what was truly sent."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulators.errors import TerminalError
from simulators.ledger import Entry, Ledger, read_ledger
from simulators.planned import PlannedReading
from simulators.settings import TerminalLimits
from simulators.tally import Tally
from simulators.traffic import Traffic, run_terminals
from tests.unit.simulators.gateways import UnreliableGateway, planned_readings

LIMITS = TerminalLimits(
    window_max=16,
    busy_pause_s=0.01,
    backoff_s_min=0.001,
    backoff_s_max=0.01,
    answer_s_max=1.0,
    unreachable_s_max=1.0,
    drain_s_max=0.5,
)


def clock() -> datetime:
    return datetime(2026, 11, 23, tzinfo=UTC)


async def send(
    gateway: UnreliableGateway,
    ledger: Path,
    readings: Sequence[PlannedReading],
    *,
    stop_after_s: float | None = None,
    limits: TerminalLimits = LIMITS,
) -> Tally:
    devices = sorted({reading.device_id for reading in readings})
    with Ledger(ledger) as book:
        return await run_terminals(
            [
                Traffic(
                    device_id=device,
                    address=gateway.address,
                    readings=[r for r in readings if r.device_id == device],
                )
                for device in devices
            ],
            book,
            clock=clock,
            limits=limits,
            stop_at=stop_after_s and asyncio.get_running_loop().time() + stop_after_s,
        )


def assert_the_ledger_is_the_truth(gateway: UnreliableGateway, entries: list[Entry]) -> None:
    """Each id the gateway has is in the ledger, or is an echo that the ledger foretells."""
    known = {entry.reading_id for entry in entries}
    lines = {line for reading_id, line in gateway.accepted if reading_id not in known}
    lost_answers = Counter(entry.delivery for entry in entries if entry.answers_lost)
    echoes = [line for reading_id, line in gateway.accepted if reading_id not in known]
    assert known <= {reading_id for reading_id, _ in gateway.accepted}
    assert len(echoes) <= sum(entry.answers_lost for entry in entries)
    assert len(lines) <= len(lost_answers)


async def test_every_reading_is_answered_once_and_in_order(tmp_path: Path) -> None:
    readings = planned_readings(500)
    async with UnreliableGateway().listening() as gateway:
        tally = await send(gateway, tmp_path / "ledger", readings)

    entries = read_ledger(tmp_path / "ledger")
    assert [line for _, line in gateway.accepted] == [reading.line for reading in readings]
    assert [entry.reading_id for entry in entries] == [id_ for id_, _ in gateway.accepted]
    assert (tally.sent, tally.taken, tally.again, tally.broken) == (500, 500, 0, 0)
    assert not any(entry.answers_lost for entry in entries)


@pytest.mark.parametrize("seed", range(6))
async def test_broken_links_lose_and_double_nothing_in_the_ledger(
    tmp_path: Path, seed: int
) -> None:
    readings = planned_readings(400, "d-1") + planned_readings(400, "d-2")
    faulty = UnreliableGateway(
        seed=seed, breaks=0.01, breaks_after=0.01, tears=0.01, busy=0.02, turns_away=seed
    )
    async with faulty.listening() as gateway:
        tally = await send(gateway, tmp_path / "ledger", readings)

    entries = read_ledger(tmp_path / "ledger")
    assert tally.broken > 0
    assert tally.taken == tally.sent == len(entries) == 800
    assert len({entry.reading_id for entry in entries}) == 800
    assert len({entry.delivery for entry in entries}) == 800
    assert {line for _, line in gateway.accepted} == {reading.line for reading in readings}
    assert_the_ledger_is_the_truth(gateway, entries)


async def test_a_busy_gateway_gets_the_reading_later(tmp_path: Path) -> None:
    async with UnreliableGateway(seed=3, busy=0.3).listening() as gateway:
        tally = await send(gateway, tmp_path / "ledger", planned_readings(60))

    assert tally.busy > 0
    assert tally.taken == 60
    assert len(gateway.accepted) == 60
    assert not any(entry.answers_lost for entry in read_ledger(tmp_path / "ledger"))


async def test_a_refused_reading_is_written_down_and_not_sent_again(tmp_path: Path) -> None:
    async with UnreliableGateway(seed=1, refuses=0.5).listening() as gateway:
        tally = await send(gateway, tmp_path / "ledger", planned_readings(50))

    entries = read_ledger(tmp_path / "ledger")
    assert tally.refused + tally.taken == 50
    assert sum(entry.refused == "too_large" for entry in entries) == tally.refused > 0
    assert len(gateway.accepted) == tally.taken


async def test_nothing_new_is_sent_after_the_stop(tmp_path: Path) -> None:
    readings = [
        replace(reading, due_s=index / 100) for index, reading in enumerate(planned_readings(1_000))
    ]
    async with UnreliableGateway().listening() as gateway:
        tally = await send(gateway, tmp_path / "ledger", readings, stop_after_s=0.3)

    assert 10 < tally.sent < 40
    assert tally.taken == tally.sent == len(read_ledger(tmp_path / "ledger"))


async def test_a_gateway_that_never_answers_leaves_foretold_echoes(tmp_path: Path) -> None:
    async with UnreliableGateway(breaks_after=1.0).listening() as gateway:
        tally = await send(gateway, tmp_path / "ledger", planned_readings(5), stop_after_s=0.2)

    entries = read_ledger(tmp_path / "ledger")
    assert tally.taken == 0
    assert tally.unanswered == tally.sent > 0
    assert all(entry.reading_id is None for entry in entries)
    assert sum(entry.answers_lost for entry in entries) >= len(gateway.accepted)


async def test_an_unreachable_gateway_is_named(tmp_path: Path) -> None:
    async with UnreliableGateway().listening() as gateway:
        pass

    with pytest.raises(TerminalError, match=f":{gateway.address[1]} was not reached"):
        await send(gateway, tmp_path / "ledger", planned_readings(1))


async def test_a_silent_gateway_is_left_and_tried_again(tmp_path: Path) -> None:
    limits = replace(LIMITS, answer_s_max=0.05)
    answered = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        if answered.is_set():
            writer.write(b'{"taken":"01900000-0000-7000-8000-000000000000"}\n')
        answered.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    silent = UnreliableGateway(address=server.sockets[0].getsockname()[:2])
    async with server:
        tally = await send(silent, tmp_path / "ledger", planned_readings(1), limits=limits)

    assert (tally.taken, tally.again) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-x\n", id="other-protocol"),
        pytest.param(b'{"taken":7}\n', id="no-uuid"),
        pytest.param(b"[]\n", id="no-object"),
        pytest.param(b'{"hello":1}\n', id="unknown-word"),
        pytest.param(b"x" * 10_000, id="endless-line"),
    ],
)
async def test_another_program_behind_the_port_is_an_error(tmp_path: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    other = UnreliableGateway(address=server.sockets[0].getsockname()[:2])
    async with server:
        with pytest.raises(TerminalError, match="terminal port"):
            await send(other, tmp_path / "ledger", planned_readings(1))


async def test_a_slow_gateway_shows_as_latency_and_not_as_less_load(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        while await reader.readline():
            writer.write(b'{"taken":"01900000-0000-7000-8000-000000000000"}\n')
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    slow = UnreliableGateway(address=server.sockets[0].getsockname()[:2])
    readings = [
        replace(reading, due_s=index / 100) for index, reading in enumerate(planned_readings(100))
    ]
    async with server:
        tally = await send(slow, tmp_path / "ledger", readings)

    assert tally.taken == 100
    assert (tally.taken_latency.quantile(1.0) or 0) > 0.3
    assert (tally.lateness.quantile(1.0) or 0) > 0.1  # The window was full meanwhile.


async def test_a_lazy_source_is_not_read_ahead_of_the_window(tmp_path: Path) -> None:
    asked = 0

    def source() -> Iterator[PlannedReading]:
        nonlocal asked
        for reading in planned_readings(10_000):
            asked += 1
            yield reading

    async with UnreliableGateway(breaks_after=1.0).listening() as gateway:
        with Ledger(tmp_path / "ledger") as book:
            await run_terminals(
                [Traffic(device_id="d", address=gateway.address, readings=source())],
                book,
                clock=clock,
                limits=LIMITS,
                stop_at=asyncio.get_running_loop().time() + 0.1,
            )

    assert asked <= LIMITS.window_max + 3


async def test_a_fault_of_the_source_ends_the_run(tmp_path: Path) -> None:
    def source() -> Iterator[PlannedReading]:
        yield planned_readings(1)[0]
        raise ZeroDivisionError

    async with UnreliableGateway().listening() as gateway:
        with Ledger(tmp_path / "ledger") as book, pytest.raises(BaseExceptionGroup):
            await run_terminals(
                [Traffic(device_id="d", address=gateway.address, readings=source())],
                book,
                clock=clock,
                limits=LIMITS,
            )
