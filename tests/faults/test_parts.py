"""The harness's own parts: schedules from seeds, workloads, the proxy, distorted batches."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from uuid import UUID

import mqtt5
import msgspec
import pytest

from gateway.wire.batches import build_batch
from gateway.wire.ids import new_id
from simulators.planned import Expected
from tests.builders import AT, a_glucose, to_bytes
from tests.faults.broker_faults import Envelope, distort
from tests.faults.fault import REGISTRY
from tests.faults.proxy import FaultProxy, PubackFilter, Weather
from tests.faults.schedule import KINDS, draw_covering, draw_schedule
from tests.faults.workload import SENDING_S, plan_workload


def test_a_seed_always_draws_the_same_schedule_and_another_seed_another() -> None:
    assert draw_schedule(7) == draw_schedule(7)
    assert len({str(draw_schedule(seed).faults) for seed in range(50)}) == 50


def test_every_kind_of_fault_is_drawn() -> None:
    drawn = {planned.name for seed in range(200) for planned in draw_schedule(seed).faults}

    assert drawn == set(KINDS)


@pytest.mark.parametrize("seed", range(5))
def test_covering_schedules_hit_every_class_of_target_of_every_kind(seed: int) -> None:
    drawn = {
        (planned.name, planned.target)
        for schedule in draw_covering(seed, 8)
        for planned in schedule.faults
    }

    for kind in REGISTRY.values():
        for targets in kind.classes():
            assert any((kind.name, target) in drawn for target in targets), (kind.name, targets)


def test_faults_end_while_there_is_something_to_lose() -> None:
    planned = [each for seed in range(50) for each in draw_schedule(seed).faults]

    assert all(each.at_s + each.duration_s <= SENDING_S + 0.1 for each in planned)


@pytest.mark.parametrize("seed", range(3))
def test_a_workload_has_every_kind_of_reading_and_is_the_same_each_time(seed: int) -> None:
    plans = plan_workload(seed)
    expected = Counter(reading.expected for plan in plans.values() for reading in plan)

    assert plans == plan_workload(seed)
    assert expected[Expected.STORED] > 300
    assert expected[Expected.DUPLICATE] > 10
    assert expected[Expected.QUARANTINED] > 10
    lines = [reading.line for plan in plans.values() for reading in plan]
    assert sum(b"glucose_context" in line for line in lines) > 20
    assert any(b"card_number" not in reading.line for plan in plans.values() for reading in plan)


def test_the_filter_takes_pubacks_out_however_the_bytes_are_cut() -> None:
    publish = mqtt5.PublishPacket("t", b"x" * 300, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=1).write()
    puback, ping = mqtt5.PubAckPacket(9).write(), mqtt5.PingReqPacket().write()
    stream = bytes(publish + puback + ping + puback + publish)
    for size in (1, 2, 3, 7, 1_000):
        waiting = PubackFilter()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]

        passed = b"".join(waiting.feed(piece, drop=True) for piece in pieces)

        assert passed == bytes(publish + ping + publish)
        assert waiting.dropped == 2


def test_a_distorted_batch_holds_only_readings_that_were_sent_byte_for_byte() -> None:
    raws = [to_bytes(a_glucose(id=new_id(AT))) for _ in range(40)]
    batches = [build_batch(new_id(AT), AT, raws[at : at + 8]) for at in range(0, 40, 8)]
    names = {UUID(msgspec.json.decode(batch)["batch"]) for batch in batches}
    random, reused = Random(1), 0  # noqa: S311 - faults, not secrets

    for _ in range(200):
        found = msgspec.json.decode(distort(batches, random, AT), type=Envelope)
        reused += found.batch in names
        assert found.readings
        assert {bytes(raw) for raw in found.readings} <= set(raws)
    assert 0 < reused < 200


@asynccontextmanager
async def _an_echo() -> AsyncIterator[FaultProxy]:
    """A proxy in front of a server that says everything back."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(100):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = FaultProxy(server.sockets[0].getsockname()[1], mqtt=False, seed=1)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
        server.close()
        await server.wait_closed()


async def _is_lost(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(10):
            return not await reader.read(1)
    except ConnectionError:
        return True


async def test_the_proxy_passes_on_what_it_does_not_break() -> None:
    async with _an_echo() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        proxy.weather = Weather(delay_s=0.01, jitter_s=0.02)
        for word in (b"one", b"two", b"three"):
            writer.write(word)
            assert await reader.readexactly(len(word)) == word
        writer.close()


async def test_the_proxy_cuts_and_refuses() -> None:
    async with _an_echo() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        proxy.weather = Weather(refuses=True)
        proxy.cut()
        assert await _is_lost(reader)
        refused, other = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await _is_lost(refused)
        for each in (writer, other):
            each.close()


@pytest.mark.parametrize("stranded", [False, True])
async def test_a_swallowed_or_stranded_client_hears_nothing_until_calm_cuts_it(
    *, stranded: bool
) -> None:
    async with _an_echo() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        if stranded:
            proxy.strand()
        else:
            proxy.weather = Weather(swallows_down=True)
        writer.write(b"never answered")
        waiting = asyncio.ensure_future(_is_lost(reader))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        proxy.calm()
        assert await waiting
        writer.close()
