"""All steps that were asked for, one after the other, and one report of them."""

from collections.abc import Callable
from typing import Any, Final

from deploy.bench import stack as stacks
from deploy.bench.contender import Contender
from deploy.bench.display import Display
from deploy.bench.drain import measure_drain
from deploy.bench.history import measure_history
from deploy.bench.latency import measure_latency
from deploy.bench.machine import describe_machine
from deploy.bench.memory import measure_memory
from deploy.bench.naive import Naive
from deploy.bench.pathway_peer import SETTINGS as PATHWAY_SETTINGS
from deploy.bench.pathway_peer import Pathway, require_pathway
from deploy.bench.rate import run_rounds
from deploy.bench.settings import BenchSettings
from deploy.bench.stack import BenchStack
from deploy.bench.suifang import Suifang
from gateway.wire.times import Clock

_BATCH_SIZE: Final = 100  # Of the ``batches`` step.


def run_steps(
    settings: BenchSettings,
    clock: Clock,
    display: Display,
    keep: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Measure; ``keep`` is given the report after every step, so that a later one loses nothing.

    Raises:
        BenchError: Something does not arrive, or not the same.
    """
    pathway = require_pathway() if "pathway_persisted" in settings.peers else None
    with stacks.running(settings, clock, display.say) as stack:
        report: dict[str, Any] = {
            "started_at": clock().isoformat(),
            "machine": describe_machine(stack.stack),
            "pathway": {"version": pathway, **PATHWAY_SETTINGS} if pathway else None,
            "ingest_settings": dict(settings.ingest),
        }
        if "rate" in settings.steps:
            report |= _rate(stack, clock, display)
            keep(report)
        for step, measure in _MEASURES.items():
            if step in settings.steps:
                report[step] = measure(stack, clock, display)
                keep(report)
        report["finished_at"] = clock().isoformat()
    return report


def _peers(settings: BenchSettings) -> list[Contender]:
    made: dict[str, Contender] = {
        "pathway_persisted": Pathway(),
        "naive": Naive(settings.naive_part),
    }
    return [made[name] for name in settings.peers]


def _rate(stack: BenchStack, clock: Clock, display: Display) -> dict[str, Any]:
    settings = stack.settings
    contenders = [Suifang(environment=settings.ingest), *_peers(settings)]
    if settings.with_judge:
        judged = Suifang("suifang_with_judge", judge=True, environment=settings.ingest)
        contenders.append(judged)
    return run_rounds(
        stack,
        contenders,
        clock,
        display,
        batch_size=settings.batch_size,
        rounds=settings.rounds,
    )


def _batches(stack: BenchStack, clock: Clock, display: Display) -> dict[str, Any]:
    settings = stack.settings
    return run_rounds(
        stack,
        [Suifang(environment=settings.ingest)],
        clock,
        display,
        batch_size=_BATCH_SIZE,
        rounds=settings.rounds,
    )


def _workers(stack: BenchStack, clock: Clock, display: Display) -> dict[str, Any]:
    """One worker beside two on the shared subscription, in turns."""
    settings = stack.settings
    return run_rounds(
        stack,
        [
            Suifang("suifang_1_worker", environment=settings.ingest),
            Suifang("suifang_2_workers", workers=2, environment=settings.ingest),
        ],
        clock,
        display,
        batch_size=settings.batch_size,
        rounds=settings.rounds,
    )


_MEASURES: Final[dict[str, Callable[[BenchStack, Clock, Display], dict[str, Any]]]] = {
    "batches": _batches,
    "latency": measure_latency,
    "drain": measure_drain,
    "memory": measure_memory,
    "workers": _workers,
    "history": measure_history,
}
