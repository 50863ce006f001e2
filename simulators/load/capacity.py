"""Where the limit is: the load rises until it is not carried any more, then halves the gap.

A step is carried when p99 from due to stored keeps a bound, nothing was cut short and the lag does
not grow. Whose limit it is follows from who used its processor; a step that broke while the
simulator itself was late says nothing of the system, and the answer says so. Pure: no clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from simulators.load.counts import Sample
from simulators.load.fleet import LoadRun
from simulators.load.sampling import MACHINE, SIMULATOR

OTHERS: Final = "others"
_FULL: Final = 0.85  # Of one core: then a single-threaded process can do no more.
_FOREIGN: Final = 0.2  # Of all processors, used by programs that are not looked at.
_LATE_SHARE: Final = 0.25  # Of the bound: more of it is ours, and the step says nothing.


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a carried step keeps.

    Attributes:
        p99_ms: From due to stored.
        lag_growth_s: Of the lag, from the first third of a step to its last.
        precision: The gap between carried and not at which the search ends, as a share.
        steps_max: It ends at the latest after so many.
    """

    p99_ms: float = 1_000.0
    lag_growth_s: float = 1.0
    precision: float = 0.1
    steps_max: int = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rate, and what came of it.

    Attributes:
        broke: Why it was not carried; None: it was.
        cores: Mean of the processors used while sending, by process.
        ours: Whether the simulator itself was in the way.
    """

    rate_per_s: float
    reached_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    lateness_p99_ms: float | None
    waiting: int
    broke: str | None
    ours: bool
    cores: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"cores": dict(self.cores)}


def judge_step(rate_per_s: float, run: LoadRun, bound: Bound) -> Step:
    """What one run says of its rate."""
    p50, p99 = run.latencies.stored.quantile(0.5), run.latencies.stored.quantile(0.99)
    late = run.latencies.lateness.quantile(0.99)
    sending = [sample for sample in run.samples if sample.sent_per_s > 0]
    growth_s = _growth(sending)
    broke = None
    if run.saturated:
        broke = "more waited than the broker may hold"
    elif run.counts.waiting:
        broke = f"{run.counts.waiting:,} had no receipt at the end"
    elif p99 is not None and p99 * 1_000 > bound.p99_ms:
        broke = f"p99 {p99 * 1_000:,.0f} ms is above {bound.p99_ms:,.0f} ms"
    elif growth_s > bound.lag_growth_s:
        broke = f"the lag grew by {growth_s:.1f} s"
    cores = _mean_cores(sending)
    late_ms = None if late is None else late * 1_000
    return Step(
        rate_per_s=round(rate_per_s, 1),
        reached_per_s=round(run.counts.sent / run.sending_s, 1) if run.sending_s else 0.0,
        p50_ms=None if p50 is None else round(p50 * 1_000, 1),
        p99_ms=None if p99 is None else round(p99 * 1_000, 1),
        lateness_p99_ms=None if late_ms is None else round(late_ms, 1),
        waiting=run.counts.waiting,
        broke=broke,
        ours=broke is not None
        and ((late_ms or 0.0) > _LATE_SHARE * bound.p99_ms or cores.get(SIMULATOR, 0.0) > _FULL),
        cores=cores,
    )


def _growth(samples: Sequence[Sample]) -> float:
    third = len(samples) // 3
    if not third:
        return 0.0
    first, last = samples[:third], samples[-third:]
    return (sum(each.lag_s for each in last) - sum(each.lag_s for each in first)) / third


def _mean_cores(samples: Sequence[Sample]) -> dict[str, float]:
    names = dict.fromkeys(name for sample in samples for name in sample.cores)
    return {
        name: round(sum(each.cores.get(name, 0.0) for each in samples) / len(samples), 3)
        for name in names
    }


class Search:
    """Which rate comes next: doubled while carried, then the middle of the gap."""

    def __init__(self, first_per_s: float, bound: Bound) -> None:
        self._next = first_per_s
        self._bound = bound
        self.carried = 0.0
        self.broken = float("inf")
        self.steps: list[Step] = []

    def next_rate(self) -> float | None:
        """The next rate, readings a second; None: the limit is found."""
        if len(self.steps) >= self._bound.steps_max:
            return None
        is_bounded = self.broken < float("inf")
        if is_bounded and self.broken - self.carried <= self._bound.precision * self.broken:
            return None
        return self._next if self._next >= 1 else None

    def tell(self, step: Step) -> None:
        """What came of that rate."""
        self.steps.append(step)
        if step.broke is None:
            self.carried = max(self.carried, step.rate_per_s)
        else:
            self.broken = min(self.broken, step.rate_per_s)
        endless = self.broken == float("inf")
        self._next = 2 * self.carried if endless else (self.carried + self.broken) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The answer.

    Attributes:
        carried_per_s: The highest rate that was carried; 0: none was.
        broken_per_s: The lowest that was not; None: none was.
        limit: Which process the limit is of: its name, ``machine``, ``others`` (programs that
            are not looked at), ``waiting`` (no processor was used up) or ``simulator``.
        words: The same in a sentence.
    """

    carried_per_s: float
    broken_per_s: float | None
    limit: str | None
    words: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def sum_up(search: Search, *, processors: int) -> Capacity:
    """The answer of a search, whether it is at its end or was stopped."""
    broken = [step for step in search.steps if step.broke is not None]
    carried = f"{search.carried:,.0f} readings/s were carried"
    if not broken:
        words = f"{carried}, and no limit was met"
        return Capacity(carried_per_s=search.carried, broken_per_s=None, limit=None, words=words)
    lowest = min(broken, key=lambda step: step.rate_per_s)
    limit, why = name_limit(lowest, processors=processors)
    words = f"{carried}, {lowest.rate_per_s:,.0f} were not ({lowest.broke}). {why}"
    return Capacity(
        carried_per_s=search.carried, broken_per_s=lowest.rate_per_s, limit=limit, words=words
    )


def name_limit(step: Step, *, processors: int) -> tuple[str, str]:
    """Whose limit a step that broke has met, and a sentence about it."""
    others = {n: c for n, c in step.cores.items() if n not in (MACHINE, SIMULATOR)}
    used = ", ".join(f"{name} {cores:.2f}" for name, cores in _descending(step.cores))
    machine = step.cores.get(MACHINE, 0.0)
    foreign = machine - sum(cores for name, cores in step.cores.items() if name != MACHINE)
    if machine > _FULL * processors and foreign > _FOREIGN * processors:
        return OTHERS, (
            f"Other programs used {foreign:.2f} of the {processors} processors of this machine, and"
            " all were used up: measure again when it is quiet, or --watch what belongs to the"
            f" system. Cores used: {used}"
        )
    if step.ours:
        return SIMULATOR, (
            "The simulator itself was late or used its core up: this is a limit of the simulator"
            " beside this system and says only that the system carries at least the rate before."
            f" Run it on another machine. Cores used: {used}"
        )
    name, most = next(iter(_descending(others)), ("", 0.0))
    if machine > _FULL * processors and most <= _FULL:
        return MACHINE, (
            f"All {processors} processors of this machine were used up, the simulator's"
            f" {step.cores.get(SIMULATOR, 0.0):.2f} among them: apart from it the system carries"
            f" more. Cores used: {used}"
        )
    if most > _FULL:
        return name, f"{name} used its core up. Cores used: {used}"
    return "waiting", f"No process used its core up: the system waited. Cores used: {used}"


def _descending(cores: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(cores.items(), key=lambda item: -item[1])
