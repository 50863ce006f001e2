"""From laps to figures: seconds, time a reading, memory, and ratios between contenders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.benchmarks.steps import Step
from tests.benchmarks.worker import Lap, Prepared


class ContendersDisagreeError(Exception):
    """Two contenders came to different results: nothing about their speed means anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One contender's part in a step."""

    prepared: Prepared
    laps: tuple[Lap, ...]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Least, median and most."""
    return {"min": min(values), "median": median(values), "max": max(values)}


def require_agreement(step: Step, runs: Mapping[str, Run], digests: Mapping[str, str]) -> str:
    """The digest of the result that all contenders of a step came to.

    Args:
        step: The step.
        runs: By contender.
        digests: Of the steps before, by name.

    Raises:
        ContendersDisagreeError: They differ, or differ from the step that this one must equal.
    """
    found = {name: run.prepared.digest for name, run in runs.items()}
    if step.equals is not None and step.equals in digests:
        found[step.equals] = digests[step.equals]
    if len(set(found.values())) > 1:
        msg = f"{step.name}: different results: {found}"
        raise ContendersDisagreeError(msg)
    return next(iter(found.values()))


def figures_of(step: Step, runs: Mapping[str, Run]) -> dict[str, Any]:
    """All figures of a step, as they are written to the file.

    A ratio is another contender's seconds by the first one's *in the same round*, so above 1
    the first is faster; likewise the memory it needed.
    """
    first, *others = step.contenders
    base = runs[first]
    figures: dict[str, Any] = {
        "title": step.title,
        "residents": step.shape.residents,
        "readings": step.shape.readings,
        "contenders": {name: _of_contender(run) for name, run in runs.items()},
        "ratios": {
            name: spread(
                [
                    theirs.seconds / ours.seconds
                    for theirs, ours in zip(runs[name].laps, base.laps, strict=True)
                ]
            )
            for name in others
        },
        "peak_ratios": {
            name: runs[name].prepared.peak_bytes / base.prepared.peak_bytes for name in others
        },
    }
    mine = figures["contenders"][first]
    figures["targets"] = [_of_target(name, most, mine) for name, most in step.targets]
    return figures


def _of_contender(run: Run) -> dict[str, Any]:
    seconds = [lap.seconds for lap in run.laps]
    return {
        "readings": run.prepared.readings,
        "seconds": {**spread(seconds), "laps": seconds},
        "cpu_seconds": spread([lap.cpu_seconds for lap in run.laps]),
        "ns_per_reading": spread([each / run.prepared.readings * 1e9 for each in seconds]),
        "input_bytes": run.prepared.input_bytes,
        "peak_bytes": run.prepared.peak_bytes,
    }


def _of_target(name: str, most: float, mine: Mapping[str, Any]) -> dict[str, Any]:
    """A median is what counts; a peak is one number."""
    found = mine[name]
    value = found["median"] if isinstance(found, Mapping) else found
    return {"figure": name, "at_most": most, "found": value, "reached": value <= most}
