"""A broker that drops, and somebody who says again what was said before."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from random import Random
from typing import Final
from uuid import UUID

import aiomqtt
import msgspec

from gateway.wire.batches import build_batch
from gateway.wire.ids import new_id
from tests.faults.clock import MovedClock
from tests.faults.fault import fault
from tests.faults.workload import GATEWAYS
from tests.faults.world import INGESTS, World

_QUEUED_MAX: Final = 1
_PROBE_S: Final = 3.0
_BACK_AGAIN_S: Final = 1.5  # Over a restart the broker forgets who shares the subscription.
_BACK_AGAIN_S_MAX: Final = 30.0
_PAUSE_S: Final = 0.05
_CHANNELS: Final = ("readings", "backlog")


@fault(seconds=(2.0, 4.0))
async def overflow_queue(world: World, _target: str, duration_s: float) -> None:
    """The broker keeps one message for a worker that is away, and both are away."""
    await asyncio.to_thread(world.stack.limit_queues, _QUEUED_MAX)
    try:
        await _await_workers(world)
        for name in INGESTS:
            world.kills += world.crew.kill(name)
        await asyncio.sleep(duration_s)
        dropped = await _count_dropped(world)
        world.seen.append(f"overflow_queue: {dropped} messages dropped by the broker")
    finally:
        for name in INGESTS:
            world.crew.release(name)
        await asyncio.to_thread(world.stack.limit_queues, None)


async def _await_workers(world: World) -> None:
    """Until both are connected, and a moment more, in which they subscribe."""
    until = asyncio.get_running_loop().time() + _BACK_AGAIN_S_MAX
    while not all(world.proxies[f"{name}-broker"].is_connected for name in INGESTS):
        if asyncio.get_running_loop().time() > until:
            break  # Another fault keeps them away; the verdict is the same.
        await asyncio.sleep(_PAUSE_S)
    await asyncio.sleep(_BACK_AGAIN_S)


@fault(*GATEWAYS, seconds=(2.0, 5.0))
async def repeat_stale(world: World, target: str, duration_s: float) -> None:
    """A second sender with a live gateway's password: its batches again, split, mixed, reversed."""
    batches: list[bytes] = []
    topic = f"suifang/v1/{GATEWAYS[target]}/{target}"
    until = asyncio.get_running_loop().time() + duration_s
    sent = 0
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_overhear(world, topic, batches, until), name="overhear")
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_PAUSE_S)
            with suppress(aiomqtt.MqttError, TimeoutError):
                sent += await _repeat(world, target, topic, batches, until)
    world.seen.append(f"repeat_stale: {sent} messages of {len(batches)} batches")


class Envelope(msgspec.Struct):
    """A batch whose readings stay the bytes they are."""

    batch: UUID
    readings: list[msgspec.Raw]


async def _overhear(world: World, topic: str, batches: list[bytes], until: float) -> None:
    """Collect what the gateway sends. Its end is a time: a client may not hear a cancellation."""
    while asyncio.get_running_loop().time() < until:
        with suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout_at(until), _client(world, "probe", "overhear") as client:
                for channel in _CHANNELS:
                    await client.subscribe(f"{topic}/{channel}", qos=1)
                async for message in client.messages:
                    batches.append(message.payload)  # noqa: PERF401 - as they come
        await asyncio.sleep(_PAUSE_S)


async def _repeat(
    world: World, gateway: str, topic: str, batches: Sequence[bytes], until: float
) -> int:
    """Send over one connection until it breaks or time is over; returns how many."""
    random, sent = Random(f"{world.folder.name} {gateway}"), 0  # noqa: S311 - faults, not secrets
    async with _client(world, gateway, f"rogue-{gateway}") as client:
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_PAUSE_S)
            if batches:
                channel = random.choice(_CHANNELS)
                payload = distort(batches, random, MovedClock(world.clock_file(gateway))())
                await client.publish(f"{topic}/{channel}", payload, qos=1)
                sent += 1
    return sent


def distort(batches: Sequence[bytes], random: Random, at: datetime) -> bytes:
    """A message with readings of earlier batches, each byte for byte, otherwise as it may come."""
    first, second = (msgspec.json.decode(random.choice(batches), type=Envelope) for _ in range(2))
    raws = [bytes(raw) for raw in first.readings]
    others = [bytes(raw) for raw in second.readings]
    half = max(len(raws) // 2, 1)
    way = random.randrange(5)
    if way == 0:  # The same again.
        return build_batch(first.batch, at, raws)
    if way == 1:  # Its name for a part of it: the receipt must not be believed.
        return build_batch(first.batch, at, raws[:half])
    if way == 2:  # A part under a new name.
        return build_batch(new_id(at), at, raws[half:] or raws)
    if way == 3:  # Backwards, and every reading twice.
        return build_batch(new_id(at), at, [*reversed(raws[:100]), *raws[:100]])
    return build_batch(new_id(at), at, [*reversed(raws[half:]), *others[:half]] or raws)


async def _count_dropped(world: World) -> int:
    """What the broker says it has thrown away since its start; it says so every second."""
    dropped = 0
    with suppress(aiomqtt.MqttError, TimeoutError):
        async with asyncio.timeout(_PROBE_S), _client(world, "probe", "counting") as client:
            await client.subscribe("$SYS/broker/publish/messages/dropped")
            async for message in client.messages:
                if isinstance(message.payload, bytes):
                    dropped = int(message.payload)
                if dropped:
                    break
    return dropped


def _client(world: World, user: str, name: str) -> aiomqtt.Client:
    return aiomqtt.Client(
        "127.0.0.1",
        world.stack.broker_port,
        identifier=f"{name}-{secrets.token_hex(4)}",  # Several may be at work at once.
        username=user,
        password=world.stack.password_of(user),
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        timeout=5,
    )
