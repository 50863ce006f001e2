"""The search finds the limit, and never sells the simulator's as the system's."""

from collections.abc import Container
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.load.capacity import (
    Bound,
    Capacity,
    Search,
    Step,
    judge_step,
    name_limit,
    run_search,
    sum_up,
)
from simulators.load.counts import Counts, Sample
from simulators.load.fleet import LoadRun
from simulators.report.model import Words

BOUND = Bound(p99_ms=500)


def a_step(rate: float = 1_000, *, broke: str | None = None, **cores: float) -> Step:
    return Step(
        rate_per_s=rate,
        reached_per_s=rate,
        p50_ms=10,
        p99_ms=20,
        lateness_p99_ms=1,
        waiting=0,
        broke=None if broke is None else Words(broke, broke),
        ours=False,
        cores=cores,
    )


def a_sample(**changes: object) -> Sample:
    return replace(
        Sample(
            at_s=1,
            sent_per_s=100,
            acknowledged_per_s=100,
            receipted_per_s=100,
            waiting=0,
            lag_s=0.1,
            acknowledged_p50_ms=1,
            acknowledged_p99_ms=2,
            stored_p50_ms=10,
            stored_p99_ms=20,
            lateness_p99_ms=1,
            cores={"ingest": 0.4, "simulator": 0.2, "machine": 0.9},
            resident_mb=100,
        ),
        **changes,  # type: ignore[arg-type]
    )


def a_run(*, stored_s: float = 0.02, late_s: float = 0.001, waiting: int = 0) -> LoadRun:
    run = LoadRun(counts=Counts(sent=100, receipted=100 - waiting), sending_s=0.1)
    run.latencies.stored.record_many([stored_s] * 100)
    run.latencies.lateness.record_many([late_s] * 100)
    run.samples = [a_sample() for _ in range(6)]
    return run


@given(st.floats(1, 1e6), st.floats(1, 1e5))
def test_the_search_ends_beside_the_limit(limit: float, first: float) -> None:
    search = Search(first, Bound(steps_max=60))
    while (rate := search.next_rate()) is not None:
        search.tell(a_step(rate, broke=None if rate <= limit else "too slow"))
    assert len(search.steps) < 60
    assert search.carried <= limit * 1.001
    if limit >= 2 and first <= limit:
        assert search.carried >= 0.85 * limit - 1


def test_a_search_has_an_end() -> None:
    search = Search(1, Bound(steps_max=5))
    while (rate := search.next_rate()) is not None:
        search.tell(a_step(rate))
    assert len(search.steps) == 5
    answer = sum_up(search, processors=2)
    assert (answer.carried_per_s, answer.broken_per_s, answer.limit) == (16, None, None)
    assert "begin with a higher --rate" in answer.words.en


class FakeSystem:
    """One core a process and a cost a reading each: its limit is known. ``sick`` steps break."""

    def __init__(
        self,
        *,
        ingest_us: float,
        broker_us: float,
        simulator_us: float = 5,
        sick: Container[int] = (),
    ) -> None:
        self.costs_us = {"ingest": ingest_us, "broker": broker_us, "simulator": simulator_us}
        self.sick = sick
        self.rates: list[float] = []

    def play(self, rate: float, number: int) -> LoadRun:
        """One step."""
        self.rates.append(rate)
        used = {name: min(rate * cost / 1e6, 1.0) for name, cost in self.costs_us.items()}
        full = max(rate * cost / 1e6 for cost in self.costs_us.values())
        late_s = 2.0 if rate * self.costs_us["simulator"] > 1e6 else 0.001
        run = a_run(stored_s=2.0 if full > 1 or number in self.sick else 0.02, late_s=late_s)
        run.sending_s = run.counts.sent / rate
        run.samples = [a_sample(cores=used | {"machine": sum(used.values())}) for _ in range(6)]
        return run

    def find(self, first: float, bound: Bound = BOUND) -> Capacity:
        """A whole search."""
        search = Search(first, bound)
        _, why = run_search(
            search, bound, play=self.play, recover=lambda _: None, on_step=lambda *_: None
        )
        assert why is None
        return sum_up(search, processors=4)


@pytest.mark.parametrize("first", [10, 500, 19_000, 300_000])
def test_a_known_limit_is_found_from_below_and_above_and_named(first: float) -> None:
    found = FakeSystem(ingest_us=50, broker_us=10).find(first)
    assert found.broken_per_s is not None
    assert 0.9 * found.broken_per_s <= found.carried_per_s <= 20_000 < found.broken_per_s
    assert found.limit == "ingest"
    assert "ingest used its core up" in found.words.en
    assert "ingest 占满了一个处理器" in found.words.zh


def test_the_other_process_is_named_when_it_is_the_narrow_one() -> None:
    assert FakeSystem(ingest_us=10, broker_us=50).find(500).limit == "broker"


def test_a_simulator_that_is_the_narrow_one_is_no_limit_of_the_system() -> None:
    found = FakeSystem(ingest_us=10, broker_us=10, simulator_us=50).find(500)
    assert found.limit == "simulator"
    assert "at least" in found.words.en


def test_a_system_that_carries_nothing_is_said_to() -> None:
    system = FakeSystem(ingest_us=1e9, broker_us=1)
    found = system.find(500)
    assert found.carried_per_s == 0
    assert "No rate was carried, not even 2 readings/s" in found.words.en
    assert min(system.rates) >= 1


def test_a_system_without_a_limit_ends_the_search_all_the_same() -> None:
    system = FakeSystem(ingest_us=0, broker_us=0, simulator_us=0)
    found = system.find(500, Bound(steps_max=6))
    assert len(system.rates) == 6
    assert (found.carried_per_s, found.broken_per_s, found.limit) == (16_000, None, None)


@pytest.mark.parametrize("step", [1, 2, 3, 8])
def test_one_hiccup_is_no_limit(step: int) -> None:
    found = FakeSystem(ingest_us=50, broker_us=10, sick={step}).find(500, Bound(steps_max=40))
    assert found.broken_per_s is not None
    assert 0.9 * found.broken_per_s <= found.carried_per_s <= 20_000 < found.broken_per_s


def test_a_search_that_is_cut_short_says_why_and_what_it_knows() -> None:
    system, search = FakeSystem(ingest_us=50, broker_us=10), Search(500, BOUND)

    def play(rate: float, number: int) -> LoadRun:
        run = system.play(rate, number)
        run.partial = "ingest ended" if number == 3 else None
        return run

    run, why = run_search(search, BOUND, play=play, recover=lambda _: None, on_step=lambda *_: None)
    assert why == run.partial == "ingest ended"
    assert sum_up(search, processors=4).carried_per_s == 1_000
    nothing = sum_up(Search(500, BOUND), processors=4)
    assert (nothing.carried_per_s, nothing.limit) == (0, None)


def test_what_cannot_be_worked_off_ends_the_search() -> None:
    search = Search(500, BOUND)
    _, why = run_search(
        search,
        BOUND,
        play=FakeSystem(ingest_us=1e9, broker_us=1).play,
        recover=lambda _: "7 readings had no receipt",
        on_step=lambda *_: None,
    )
    assert why == "7 readings had no receipt"
    assert len(search.steps) == 1


@pytest.mark.parametrize(
    ("run", "broke"),
    [
        (a_run(), None),
        (a_run(stored_s=0.6), "p99"),
        (a_run(waiting=3), "no answer"),
        (replace(a_run(), saturated=True), "broker may hold"),
        (
            replace(a_run(), samples=[a_sample(lag_s=float(second)) for second in range(9)]),
            "lag grew",
        ),
        (replace(a_run(), sending_s=0.2), "only 500 readings/s were reached"),
        (replace(a_run(), sending_s=0.11), None),
    ],
    ids=["carried", "slow", "unreceipted", "saturated", "lagging", "not reached", "by chance"],
)
def test_why_a_step_broke(run: LoadRun, broke: str | None) -> None:
    found = judge_step(1_000, run, BOUND).broke
    assert found is None if broke is None else found is not None and broke in found.en


def test_a_late_simulator_is_named_first() -> None:
    step = judge_step(1_000, a_run(stored_s=0.9, late_s=0.4), BOUND)
    assert step.ours
    limit, words = name_limit(step, processors=2)
    assert limit == "simulator"
    assert "at least" in words.en
    assert not judge_step(1_000, a_run(late_s=0.4), BOUND).ours, "carried all the same"
    assert judge_step(1_000, replace(a_run(), sending_s=0.2), BOUND).ours, "no system slows it"


@pytest.mark.parametrize(
    ("cores", "limit"),
    [
        ({"ingest": 0.97, "broker": 0.3, "simulator": 0.5, "machine": 1.8}, "ingest"),
        ({"ingest": 0.6, "broker": 0.95, "simulator": 0.5, "machine": 1.9}, "broker"),
        ({"ingest": 0.6, "broker": 0.5, "simulator": 0.7, "machine": 1.9}, "machine"),
        ({"ingest": 0.3, "broker": 0.2, "simulator": 0.3, "machine": 1.9}, "others"),
        ({"ingest": 0.3, "broker": 0.2, "simulator": 0.2, "machine": 0.8}, "waiting"),
        ({"simulator": 0.2, "machine": 0.8}, "waiting"),
    ],
    ids=["ingest", "broker", "machine", "others", "waiting", "nobody watched"],
)
def test_whose_limit_it_is(cores: dict[str, float], limit: str) -> None:
    assert name_limit(a_step(broke="p99", **cores), processors=2)[0] == limit
