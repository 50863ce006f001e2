"""Connections that break, wait, or say nothing, in the proxies between our processes."""

import asyncio
from typing import Final

from tests.faults.fault import fault
from tests.faults.proxy import Weather
from tests.faults.workload import GATEWAYS
from tests.faults.world import INGESTS, World

_LINKS: Final = (
    *(f"{name}-terminals" for name in GATEWAYS),
    *(f"{name}-broker" for name in (*GATEWAYS, *INGESTS)),
    *(f"{name}-database" for name in (*INGESTS, "judge")),
)
_STORM_PAUSE_S: Final = 0.15


@fault(*_LINKS, seconds=(0.1, 2.0))
async def cut_network(world: World, target: str, duration_s: float) -> None:
    """Every connection is reset, and none can be made for the duration."""
    world.proxies[target].cut()
    await _in_weather(world, target, duration_s, Weather(refuses=True))


@fault(*_LINKS, seconds=(1.0, 4.0))
async def delay_network(world: World, target: str, duration_s: float) -> None:
    """A slow line whose delay changes all the time."""
    await _in_weather(world, target, duration_s, Weather(delay_s=0.05, jitter_s=0.4))


@fault(*_LINKS, seconds=(0.5, 4.0))
async def swallow_both_ways(world: World, target: str, duration_s: float) -> None:
    """A black hole: bytes leave and arrive nowhere; afterwards the connections are reset."""
    await _in_weather(world, target, duration_s, Weather(swallows_up=True, swallows_down=True))


@fault(*_LINKS, seconds=(0.5, 4.0))
async def swallow_answers(world: World, target: str, duration_s: float) -> None:
    """What we say arrives (a COMMIT, a batch), the answer does not: its outcome is unknown."""
    await _in_weather(world, target, duration_s, Weather(swallows_down=True))


@fault(*_LINKS, seconds=(0.5, 4.0))
async def strand(world: World, target: str, duration_s: float) -> None:
    """Half-open connections: gone at the server, alive for us until the duration is over."""
    world.proxies[target].strand()
    try:
        await asyncio.sleep(duration_s)
    finally:
        world.proxies[target].calm()


@fault(*INGESTS, seconds=(1.0, 4.0))
async def redelivery_storm(world: World, target: str, duration_s: float) -> None:
    """No PUBACK of a worker arrives, and its connection is cut again and again."""
    proxy = world.proxies[f"{target}-broker"]
    before = proxy.pubacks_dropped
    proxy.weather = Weather(drops_pubacks=True)
    until = asyncio.get_running_loop().time() + duration_s
    try:
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_STORM_PAUSE_S)
            proxy.cut()
    finally:
        proxy.calm()
        proxy.cut()
    world.seen.append(f"redelivery_storm: {proxy.pubacks_dropped - before} PUBACKs dropped")


async def _in_weather(world: World, target: str, duration_s: float, weather: Weather) -> None:
    proxy = world.proxies[target]
    proxy.weather = weather
    try:
        await asyncio.sleep(duration_s)
    finally:
        proxy.calm()
