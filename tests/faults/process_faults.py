"""Processes of ours and of the services, killed, frozen and restarted."""

import asyncio
import signal
from contextlib import suppress
from typing import Final

import psycopg

from deploy.embedded.errors import StackError
from deploy.embedded.processes import Identity, send_signal
from tests.faults.clock import move_clock
from tests.faults.fault import fault
from tests.faults.workload import GATEWAYS
from tests.faults.world import INGESTS, World

_OURS: Final = (*GATEWAYS, *INGESTS, "judge", "dispatcher")
_JUMPS_S: Final = {"ingest": (-7_200, 10_800), "judge": (-7_200, 10_800), "gw": (-2, 2)}


@fault(*_OURS, each=True)
async def kill(world: World, target: str, duration_s: float) -> None:
    """``kill -9``; its supervisor starts it again after the duration."""
    world.kills += world.crew.kill(target)
    try:
        await asyncio.sleep(duration_s)
    finally:
        world.crew.release(target)


@fault(*_OURS, seconds=(0.5, 4.0), each=True)
async def freeze(world: World, target: str, duration_s: float) -> None:
    """SIGSTOP, later SIGCONT: alive for everybody who only looks at its connections."""
    world.crew.freeze(target)
    try:
        await asyncio.sleep(duration_s)
    finally:
        world.crew.thaw(target)


@fault("broker", "postgres", each=True)
async def kill_service(world: World, target: str, duration_s: float) -> None:
    """``kill -9`` of the broker or the postmaster."""
    await _end_service(world, target, signal.SIGKILL, duration_s)


@fault()
async def shut_down_at_once(world: World, _target: str, duration_s: float) -> None:
    """PostgreSQL's immediate shutdown, in the middle of whatever transactions there are."""
    await _end_service(world, "postgres", signal.SIGQUIT, duration_s)


@fault("broker", "postgres")
async def restart_service(world: World, target: str, duration_s: float) -> None:
    """A gentle stop and a start."""
    await asyncio.to_thread(world.stack.stop, target)
    try:
        await asyncio.sleep(duration_s)
    finally:
        await asyncio.to_thread(world.stack.start, target)


@fault("broker", "postgres", seconds=(0.5, 4.0), each=True)
async def freeze_service(world: World, target: str, duration_s: float) -> None:
    """SIGSTOP of the broker or the postmaster, later SIGCONT."""
    with suppress(StackError):
        world.stack.signal(target, signal.SIGSTOP)
    try:
        await asyncio.sleep(duration_s)
    finally:
        with suppress(StackError):
            world.stack.signal(target, signal.SIGCONT)


@fault("ingest", "judge")
async def kill_backend(world: World, target: str, duration_s: float) -> None:
    """``kill -9`` of a server process that works for us: PostgreSQL restarts itself."""
    await asyncio.sleep(duration_s)
    backends = await _backends(world, target)
    killed = [send_signal(backend, signal.SIGKILL) for backend in backends[:1]]
    world.kills += len(killed)
    world.seen.append(f"kill_backend: {len(killed)} killed")


@fault("ingest", "judge", seconds=(0.5, 4.0))
async def freeze_backend(world: World, target: str, duration_s: float) -> None:
    """SIGSTOP of the server processes that work for us, holding their locks."""
    backends = await _backends(world, target)
    for backend in backends:
        send_signal(backend, signal.SIGSTOP)
    try:
        await asyncio.sleep(duration_s)
    finally:
        for backend in backends:
            send_signal(backend, signal.SIGCONT)
    world.seen.append(f"freeze_backend: {len(backends)} frozen")


@fault(*INGESTS, "judge", *GATEWAYS, seconds=(1.0, 4.0), each=True)
async def clock_jump(world: World, target: str, duration_s: float) -> None:
    """A clock goes back, then ahead, then right; a gateway's as little as a time server does."""
    for jump_s in _JUMPS_S[target.partition("-")[0]]:
        move_clock(world.clock_file(target), world.shift_s + jump_s)
        try:
            await asyncio.sleep(duration_s / 2)
        finally:
            move_clock(world.clock_file(target), world.shift_s)


async def _end_service(
    world: World, target: str, number: signal.Signals, duration_s: float
) -> None:
    with suppress(StackError):  # Another fault was quicker.
        await asyncio.to_thread(world.stack.signal, target, number)
        world.kills += 1
    try:
        await asyncio.sleep(duration_s)
    finally:
        await asyncio.to_thread(world.stack.start, target)


async def _backends(world: World, target: str) -> list[Identity]:
    try:
        return await asyncio.to_thread(
            world.stack.backends_of, world.database, f"suifang-{target}%"
        )
    except psycopg.OperationalError:
        return []
