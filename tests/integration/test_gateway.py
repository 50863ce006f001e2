"""A gateway on a real broker: every reading that was taken reaches ingest and is confirmed.

Killed at any moment it sends the same bytes again; ingest's part is played by a subscriber
that answers with receipts, late if the test wants it so.
"""

import asyncio
import dataclasses
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.counters import read_counters
from gateway.runtime import Gateway
from gateway.settings import GatewaySettings
from gateway.wire.times import utc_now
from tests.fix_broker import TestBroker
from tests.integration.gateway_bench import (
    Answerer,
    a_process,
    answering,
    fresh_settings,
    say,
    until_empty,
)


@pytest.fixture
def settings(broker: TestBroker, tmp_path: Path) -> GatewaySettings:
    """A gateway that nobody else uses."""
    return fresh_settings(broker, tmp_path)


@pytest.fixture
async def ingest(broker: TestBroker, settings: GatewaySettings) -> AsyncIterator[Answerer]:
    """The one that answers this gateway."""
    async with answering(broker, settings) as answerer:
        yield answerer


async def test_every_reading_taken_is_confirmed_and_leaves_the_spool(
    settings: GatewaySettings, ingest: Answerer
) -> None:
    async with Gateway(settings, utc_now) as gateway:
        taken = await say(gateway.address, 0, 1_500)
        await until_empty(settings)
        assert gateway.waiting_rows == 0

    assert len(taken) == 1_500
    assert ingest.ids == taken
    assert b'"glucose":7.00' in ingest.payloads[0]
    counters = await asyncio.to_thread(read_counters, settings.spool)
    assert (counters.confirmed_stored, counters.conserved) == (1_500, True)
    assert counters.batches_resent == 0


async def test_a_killed_gateway_sends_the_same_bytes_again(
    settings: GatewaySettings, ingest: Answerer
) -> None:
    ingest.open.clear()
    taken: set[str] = set()
    for turn in range(4):
        async with a_process(settings) as (process, address):
            saying = asyncio.create_task(say(address, turn * 3_000, 3_000))
            await asyncio.sleep(0.05 + 0.1 * turn)
            if turn == 3:  # However slow the machine: something was sent before the last kill.
                await until_heard(ingest)
            process.kill()
            taken |= await saying

    async with Gateway(settings, utc_now):
        await until_resent(settings)  # Before a receipt can come.
        ingest.open.set()
        await until_empty(settings)

    assert taken <= ingest.ids
    bodies: dict[str, set[bytes]] = {}
    for payload in ingest.payloads:
        bodies.setdefault(json.loads(payload)["batch"], set()).add(payload)
    assert all(len(versions) == 1 for versions in bodies.values())
    assert len(ingest.payloads) > len(bodies)
    counters = await asyncio.to_thread(read_counters, settings.spool)
    assert counters.conserved
    assert counters.accepted == len(ingest.ids)


async def test_status_is_online_while_connected_and_offline_however_it_ends(
    settings: GatewaySettings, ingest: Answerer
) -> None:
    async with a_process(settings) as (process, _):
        await until_said(ingest, [True])
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0
    await until_said(ingest, [True, False])

    async with a_process(settings) as (process, _):
        await until_said(ingest, [True, False, True])
        process.kill()
    await until_said(ingest, [True, False, True, False])


async def until_resent(settings: GatewaySettings) -> None:
    async with asyncio.timeout(30):
        while not (await asyncio.to_thread(read_counters, settings.spool)).batches_resent:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)


async def until_heard(ingest: Answerer) -> None:
    async with asyncio.timeout(20):
        while not ingest.payloads:  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.02)


async def until_said(ingest: Answerer, statuses: list[bool]) -> None:
    async with asyncio.timeout(20):
        while ingest.statuses != statuses:  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.02)


async def test_a_gateway_with_a_wrong_password_still_takes_readings(
    settings: GatewaySettings,
) -> None:
    wrong = dataclasses.replace(settings, broker_password="not this one")
    async with Gateway(wrong, utc_now) as gateway:
        taken = await say(gateway.address, 0, 10)
        assert gateway.waiting_rows == 10
    assert len(taken) == 10
