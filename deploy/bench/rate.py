"""The rate step: contenders in turns, round after round, on the same messages."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from deploy.bench.contender import Contender
from deploy.bench.display import Display
from deploy.bench.figures import figures_of
from deploy.bench.lap import Lap, run_lap
from deploy.bench.stack import BenchStack
from gateway.wire.times import Clock
from simulators.load.traffic import TrafficShape, to_milliseconds

_CAPTURED_PER_S: Final = 30_000  # Ids carry their time; these were captured at such a rate.


def shape_for(stack: BenchStack, clock: Clock, *, number: int, batch_size: int) -> TrafficShape:
    """The traffic of one round: captured just before, ids of its own."""
    settings = stack.settings
    gap_ms = 1_000 * batch_size / _CAPTURED_PER_S
    messages = -(-settings.readings // batch_size)
    return TrafficShape(
        readings=settings.readings,
        batch_size=batch_size,
        gateways=settings.gateways,
        centres=settings.centres,
        residents=settings.residents,
        seed=settings.seed * 1_000 + number,
        captured_ms=to_milliseconds(clock()) - int(messages * gap_ms),
        gap_ms=gap_ms,
    )


def run_rounds(
    stack: BenchStack,
    contenders: Sequence[Contender],
    clock: Clock,
    display: Display,
    *,
    batch_size: int,
    rounds: int,
) -> dict[str, Any]:
    """Measure all contenders ``rounds`` times, one after the other in every round.

    Where a peer is too slow it gets the first part of the same traffic.
    """
    laps: dict[str, list[Lap]] = {contender.name: [] for contender in contenders}
    for number in range(1, rounds + 1):
        shape = shape_for(stack, clock, number=number, batch_size=batch_size)
        for contender in contenders:
            mine = replace(shape, readings=max(shape.readings // contender.part, 1))
            with display.lap(f"round {number} of {rounds}: {contender.name}") as progress:
                lap = run_lap(stack, contender, mine, progress)
            laps[contender.name].append(lap)
            display.say(f"round {number}: {contender.name} {lap.readings_per_s:,.0f} readings/s")
    return figures_of(laps, first=contenders[0].name)
