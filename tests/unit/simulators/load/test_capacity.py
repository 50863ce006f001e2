"""The search finds the limit, and never sells the simulator's as the system's."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.load.capacity import Bound, Search, Step, judge_step, name_limit, sum_up
from simulators.load.counts import Counts, Sample
from simulators.load.fleet import LoadRun

BOUND = Bound(p99_ms=500)


def a_step(rate: float = 1_000, *, broke: str | None = None, **cores: float) -> Step:
    return Step(
        rate_per_s=rate,
        reached_per_s=rate,
        p50_ms=10,
        p99_ms=20,
        lateness_p99_ms=1,
        waiting=0,
        broke=broke,
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
    run = LoadRun(counts=Counts(sent=100, receipted=100 - waiting), sending_s=1.0)
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


@pytest.mark.parametrize(
    ("run", "broke"),
    [
        (a_run(), None),
        (a_run(stored_s=0.6), "p99"),
        (a_run(waiting=3), "no receipt"),
        (replace(a_run(), saturated=True), "broker may hold"),
        (
            replace(a_run(), samples=[a_sample(lag_s=float(second)) for second in range(9)]),
            "lag grew",
        ),
    ],
    ids=["carried", "slow", "unreceipted", "saturated", "lagging"],
)
def test_why_a_step_broke(run: LoadRun, broke: str | None) -> None:
    found = judge_step(1_000, run, BOUND).broke
    assert found is None if broke is None else found is not None and broke in found


def test_a_late_simulator_is_named_first() -> None:
    step = judge_step(1_000, a_run(stored_s=0.9, late_s=0.4), BOUND)
    assert step.ours
    limit, words = name_limit(step, processors=2)
    assert limit == "simulator"
    assert "at least" in words
    assert not judge_step(1_000, a_run(late_s=0.4), BOUND).ours, "carried all the same"


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
