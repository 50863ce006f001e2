"""Where the limit is: the load rises until it is not carried any more, then halves the gap.

A step is carried when its rate was reached, p99 from due to stored keeps a bound, nothing was cut
short and the lag does not grow. The lowest rate that broke is looked at twice, so that one hiccup
is no limit. Whose limit it is follows from who used its processor; a step that broke while the
simulator itself was late says nothing of the system, and the answer says so. Pure: no clock.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from simulators.load.counts import Sample
from simulators.load.fleet import LoadRun
from simulators.load.sampling import MACHINE, SIMULATOR
from simulators.report.model import Words, english

OTHERS: Final = "others"
WAITING: Final = "waiting"
_FULL: Final = 0.85  # Of one core: then a single-threaded process can do no more.
_FOREIGN: Final = 0.2  # Of all processors, used by programs that are not looked at.
_REACHED: Final = 0.9  # Of the asked rate, beside what chance does: a short step hides a lag.
_CHANCE: Final = 4.0  # Standard deviations of a Poisson process.
_LATE_SHARE: Final = 0.25  # Of the bound: more of it is ours, and the step says nothing.


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a carried step keeps.

    Attributes:
        p99_ms: From due to stored; without receipts: to PUBACK.
        lag_growth_s: Of the lag, from the first third of a step to its last.
        precision: The gap between carried and not at which the search ends, as a share.
        steps_max: It ends at the latest after so many.
    """

    p99_ms: float = 1_000.0
    lag_growth_s: float = 1.0
    precision: float = 0.1
    steps_max: int = 16


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
    broke: Words | None
    ours: bool
    cores: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        broke = None if self.broke is None else english(self.broke)
        return asdict(self) | {"broke": broke, "cores": dict(self.cores)}


def judge_step(rate_per_s: float, run: LoadRun, bound: Bound) -> Step:
    """What one run says of its rate."""
    done = run.latencies.stored if run.counts.with_receipts else run.latencies.acknowledged
    p50_ms, p99_ms, late_ms = (
        None if seconds is None else round(seconds * 1_000, 1)
        for seconds in (
            done.quantile(0.5),
            done.quantile(0.99),
            run.latencies.lateness.quantile(0.99),
        )
    )
    sending = [sample for sample in run.samples if sample.sent_per_s > 0]
    short = _why_short(run, rate_per_s)  # No system slows an open loop.
    broke = _why_broken(run, p99_ms, _growth(sending), bound) or short
    cores = _mean_cores(sending)
    late = (late_ms or 0.0) > _LATE_SHARE * bound.p99_ms or cores.get(SIMULATOR, 0.0) > _FULL
    return Step(
        rate_per_s=round(rate_per_s, 1),
        reached_per_s=round(run.counts.sent / run.sending_s, 1) if run.sending_s else 0.0,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        lateness_p99_ms=late_ms,
        waiting=run.counts.waiting,
        broke=broke,
        ours=broke is not None and (late or short is not None),
        cores=cores,
    )


def _why_broken(run: LoadRun, p99_ms: float | None, growth_s: float, bound: Bound) -> Words | None:
    waiting = run.counts.waiting
    if run.saturated:
        return Words("more waited than the broker may hold", "等待数量超过代理可容纳的上限")
    if waiting:
        return Words(f"{waiting:,} had no answer at the end", f"结束时有 {waiting:,} 条未得到答复")
    if p99_ms is None:
        return Words(
            "nothing was due in so short a step: give more --seconds",
            "步长太短，没有任何读数到期：请增大 --seconds",
        )
    if p99_ms > bound.p99_ms:
        return Words(
            f"p99 {p99_ms:,.0f} ms is above {bound.p99_ms:,.0f} ms",
            f"p99 为 {p99_ms:,.0f} 毫秒，超过 {bound.p99_ms:,.0f} 毫秒",
        )
    if growth_s > bound.lag_growth_s:
        return Words(f"the lag grew by {growth_s:.1f} s", f"滞后增加了 {growth_s:.1f} 秒")
    return None


def _why_short(run: LoadRun, rate_per_s: float) -> Words | None:
    due = rate_per_s * run.sending_s
    if run.counts.sent >= _REACHED * due - _CHANCE * math.sqrt(due):
        return None
    reached = run.counts.sent / run.sending_s
    return Words(
        f"only {reached:,.0f} readings/s were reached", f"实际仅达到每秒 {reached:,.0f} 条读数"
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
    """Which rate comes next: doubled while carried, then the middle of the gap.

    Attributes:
        carried: The highest rate that was carried; 0: none.
        broken: The lowest above it that was not; infinite: none.
    """

    def __init__(self, first_per_s: float, bound: Bound) -> None:
        self._first = first_per_s
        self._bound = bound
        self.carried = 0.0
        self.broken = float("inf")
        self.steps: list[Step] = []

    def next_rate(self) -> float | None:
        """The next rate, readings a second; None: the limit is found, or it took too long."""
        if len(self.steps) >= self._bound.steps_max:
            return None
        if not self.steps:
            return self._first
        if self.broken == float("inf"):
            return 2 * self.carried
        if self.broken - self.carried > self._bound.precision * self.broken:
            between = (self.carried + self.broken) / 2
            return between if between >= 1 else None
        seen = [step for step in self.steps if step.rate_per_s == self.broken]
        return self.broken if len(seen) == 1 else None

    def tell(self, step: Step) -> None:
        """What came of that rate."""
        self.steps.append(step)
        rates = [each.rate_per_s for each in self.steps if each.broke is None]
        self.carried = max(rates, default=0.0)
        broken = [each.rate_per_s for each in self.steps if each.rate_per_s > self.carried]
        self.broken = min(broken, default=float("inf"))


def run_search(
    search: Search,
    bound: Bound,
    *,
    play: Callable[[float, int], LoadRun],
    recover: Callable[[LoadRun], str | None],
    on_step: Callable[[Search, LoadRun], None],
) -> tuple[LoadRun, str | None]:
    """Play step after step; the last run, and why it ended before the limit was found.

    Args:
        search: Says which rate.
        bound: What a carried step keeps.
        play: Sends a rate; told the number of the step.
        recover: After each step, works off what still waits; says why that was in vain.
        on_step: Told each step that was judged.
    """
    run = LoadRun()
    while (rate := search.next_rate()) is not None:
        run = play(rate, len(search.steps) + 1)
        if run.partial is not None and not run.saturated:
            return run, run.partial
        search.tell(judge_step(rate, run, bound))
        on_step(search, run)
        if (why := recover(run)) is not None:
            return run, why
    return run, None


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
    words: Words

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"words": english(self.words)}


def sum_up(search: Search, *, processors: int) -> Capacity:
    """The answer of a search, whether it is at its end or was stopped."""
    carried = search.carried
    broken = [step for step in search.steps if step.rate_per_s == search.broken]
    if not broken:
        words = Words("No rate was tried to its end.", "没有任何速率完成测试。")
        if search.steps:
            words = Words(
                f"{carried:,.0f} readings/s were carried, and no limit was met in"
                f" {len(search.steps)} steps: begin with a higher --rate.",
                f"可承受每秒 {carried:,.0f} 条读数，{len(search.steps)} 步内未遇到上限："
                "请从更高的 --rate 开始。",
            )
        return Capacity(carried_per_s=carried, broken_per_s=None, limit=None, words=words)
    lowest = broken[-1]
    limit, why = name_limit(lowest, processors=processors)
    rate, reason = lowest.rate_per_s, lowest.broke or Words("", "")
    if carried:
        words = Words(
            f"{carried:,.0f} readings/s were carried, {rate:,.0f} were not ({reason.en}). {why.en}",
            f"可承受每秒 {carried:,.0f} 条读数，{rate:,.0f} 条则不可（{reason.zh}）。{why.zh}",
        )
    else:
        words = Words(
            f"No rate was carried, not even {rate:,.0f} readings/s ({reason.en}). {why.en}",
            f"没有可承受的速率，每秒 {rate:,.0f} 条读数也不可（{reason.zh}）。{why.zh}",
        )
    return Capacity(carried_per_s=carried, broken_per_s=rate, limit=limit, words=words)


def name_limit(step: Step, *, processors: int) -> tuple[str, Words]:
    """Whose limit a step that broke has met, and a sentence about it."""
    limit, words = _whose(step, processors)
    used = ", ".join(f"{name} {cores:.2f}" for name, cores in _descending(step.cores))
    if not used:
        return limit, words
    return limit, Words(f"{words.en} Cores used: {used}.", f"{words.zh}处理器占用：{used}。")


def _whose(step: Step, processors: int) -> tuple[str, Words]:
    others = {n: c for n, c in step.cores.items() if n not in (MACHINE, SIMULATOR)}
    machine, own = step.cores.get(MACHINE, 0.0), step.cores.get(SIMULATOR, 0.0)
    foreign = machine - own - sum(others.values())
    name, most = next(iter(_descending(others)), ("", 0.0))
    if machine > _FULL * processors and foreign > _FOREIGN * processors:
        return OTHERS, Words(
            f"Other programs used {foreign:.2f} of the {processors} processors of this machine, and"
            " all were used up: measure again when it is quiet, or --watch what belongs to the"
            " system.",
            f"其他程序占用了本机 {processors} 个处理器中的 {foreign:.2f} 个，且处理器已全部用尽："
            "请在空闲时重新测量，或用 --watch 指明属于本系统的进程。",
        )
    if step.ours:
        return SIMULATOR, Words(
            "The simulator itself was late or used its core up: this is a limit of the simulator"
            " beside this system and says only that the system carries at least the rate before."
            " Run it on another machine.",
            "模拟器自身延迟或占满了一个处理器：这是模拟器的上限，"
            "只说明系统至少可承受前一速率。请在另一台机器上运行模拟器。",
        )
    if machine > _FULL * processors and most <= _FULL:
        return MACHINE, Words(
            f"All {processors} processors of this machine were used up, the simulator's"
            f" {own:.2f} among them: apart from it the system carries more.",
            f"本机 {processors} 个处理器已全部用尽，其中模拟器占 {own:.2f}："
            "若与模拟器分开，系统可承受更多。",
        )
    if most > _FULL:
        return name, Words(f"{name} used its core up.", f"{name} 占满了一个处理器。")
    return WAITING, Words(
        "No process used its core up: the system waited.", "没有进程占满处理器：系统在等待。"
    )


def _descending(cores: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(cores.items(), key=lambda item: -item[1])
