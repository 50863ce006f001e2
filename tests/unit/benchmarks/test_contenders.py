"""The promise: what `make bench` compares does the same, on data that would tell otherwise.

No time is asserted, here or there.
"""

from dataclasses import replace

import numpy as np
import pytest

from rules.assessments import Verdict
from rules.codes import AlertCode
from rules.columns import ARM_LEFT, ARM_RIGHT, RANGE_HIGH, RANGE_LOW
from tests.benchmarks.duckdb_steps import DuckdbAssessments, DuckdbFlags
from tests.benchmarks.engine_steps import (
    EngineAssessments,
    EngineFlags,
    EngineJudgement,
    EngineTail,
    EngineWhole,
)
from tests.benchmarks.figures import (
    ContendersDisagreeError,
    Run,
    figures_of,
    require_agreement,
)
from tests.benchmarks.inputs import Columns, digest_of
from tests.benchmarks.polars_steps import PolarsAssessments, PolarsFlags
from tests.benchmarks.population import Shape, make_population
from tests.benchmarks.rules_speed import measure
from tests.benchmarks.steps import Job, Sizes, Step, list_steps, load_limits
from tests.benchmarks.worker import Lap, Prepared

LIMITS = load_limits()
MANY = Shape(residents=2_000, readings_each=10)
LIVE = Shape(residents=60, readings_each=75, live=True)
TINY = Sizes(
    residents=40, readings_each=10, live_residents=10, live_readings_each=30, history_each=40
)
shapes = pytest.mark.parametrize(
    "shape",
    [
        pytest.param(MANY, id="sorted"),
        pytest.param(replace(MANY, shuffled=True), id="shuffled"),
        pytest.param(replace(MANY, seed=7), id="another-seed"),
        pytest.param(LIVE, id="live"),
        pytest.param(Shape(residents=1, readings_each=1), id="one-reading"),
    ],
)


def _result(job: Job) -> Columns:
    return job.columns(job.run())


def _require_equal(found: Columns, expected: Columns) -> None:
    assert found.keys() == expected.keys()
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)


@shapes
def test_all_flag_the_same_emergencies(shape: Shape) -> None:
    population = make_population(shape)
    expected = _result(EngineFlags(population, LIMITS))

    _require_equal(_result(PolarsFlags(population, LIMITS)), expected)
    _require_equal(_result(DuckdbFlags(population, LIMITS)), expected)


@shapes
def test_all_find_the_same_assessments(shape: Shape) -> None:
    population = make_population(shape)
    expected = _result(EngineAssessments(population, LIMITS))
    in_order = not shape.shuffled

    _require_equal(_result(PolarsAssessments(population, LIMITS, is_sorted=in_order)), expected)
    _require_equal(_result(DuckdbAssessments(population, LIMITS, is_sorted=in_order)), expected)


@pytest.mark.parametrize("job", [EngineAssessments, PolarsAssessments, DuckdbAssessments])
def test_a_step_can_be_done_again(job: type[EngineAssessments]) -> None:
    prepared = job(make_population(MANY), LIMITS)

    assert digest_of(_result(prepared)) == digest_of(_result(prepared))


def test_the_population_has_what_tells_contenders_apart() -> None:
    population = make_population(MANY)
    flags = _result(EngineFlags(population, LIMITS))["code"]
    found = _result(EngineAssessments(population, LIMITS))
    gap = np.diff(found["anchor"])[np.diff(found["resident"]) == 0]

    assert {*flags.tolist()} == {
        0,
        AlertCode.BP_EMERGENCY,
        AlertCode.BP_PREG_HIGH,
        AlertCode.GLU_EMERGENCY_HIGH,
        AlertCode.GLU_EMERGENCY_LOW,
    }
    assert {*found["verdict"].tolist()} == {*Verdict}
    assert found["again"].any()
    assert (found["anchor"] != found["decided"]).any()
    assert (found["count"] > 1).any()
    assert (gap < 26 * 3600 * 10**6).any(), "no chain of days to be cut"
    assert {ARM_LEFT, ARM_RIGHT} <= {*population.readings.arm.tolist()}
    unsaid = population.readings.range_status[flags > 0]
    assert {RANGE_LOW, RANGE_HIGH} <= {*unsaid.tolist()}


def test_a_population_is_its_arguments() -> None:
    first, again = make_population(MANY), make_population(MANY)
    other = make_population(replace(MANY, seed=7))

    assert first.readings.ids.tobytes() == again.readings.ids.tobytes()
    assert first.readings.ids.tobytes() != other.readings.ids.tobytes()
    assert len(first.readings) == len(other.readings) == MANY.readings


def test_rows_come_by_resident_and_time_or_shuffled() -> None:
    ordered = make_population(MANY).readings
    shuffled = make_population(replace(MANY, shuffled=True)).readings

    assert (np.lexsort((ordered.effective_at, ordered.resident)) == np.arange(len(ordered))).all()
    assert (shuffled.resident != ordered.resident).any()
    by_id = ordered.take(np.argsort(ordered.ids)), shuffled.take(np.argsort(shuffled.ids))
    assert by_id[0].effective_at.tolist() == by_id[1].effective_at.tolist()


def test_everybody_of_a_live_batch_measured_just_now_and_equally_often() -> None:
    population = make_population(LIVE)
    readings = population.readings

    last = readings.effective_at.reshape(LIVE.residents, -1).max(axis=1)
    assert (population.as_of - last <= np.timedelta64(20, "m")).all()
    assert (readings.received_at <= population.as_of).all()
    assert (np.bincount(readings.resident) == LIVE.readings_each).all()


def test_the_order_of_the_rows_changes_no_judgement() -> None:
    shape = replace(MANY, recorded=True)
    ordered, shuffled = make_population(shape), make_population(replace(shape, shuffled=True))

    _require_equal(
        _result(EngineJudgement(shuffled, LIMITS)), _result(EngineJudgement(ordered, LIMITS))
    )


@pytest.mark.parametrize("recorded", [False, True])
def test_a_checkpoint_and_its_tail_give_what_the_whole_history_gives(*, recorded: bool) -> None:
    population = make_population(replace(LIVE, recorded=recorded))
    tail = EngineTail(population, LIMITS, tail_each=5)

    _require_equal(_result(tail), _result(EngineWhole(population, LIMITS)))
    assert 0 < tail.readings < LIVE.readings // 2


def test_contenders_in_processes_of_their_own_agree() -> None:
    step = next(step for step in list_steps(TINY) if step.name == "assess_live")

    runs = measure(step, TINY, rounds=2)

    assert require_agreement(step, runs, {})
    assert [len(run.laps) for run in runs.values()] == [2, 2, 2]
    assert all(run.prepared.peak_bytes > 0 for run in runs.values())


def _run(digest: str, *seconds: float) -> Run:
    prepared = Prepared(digest=digest, readings=10, input_bytes=50, peak_bytes=100)
    return Run(
        prepared=prepared,
        laps=tuple(Lap(seconds=each, cpu_seconds=each) for each in seconds),
    )


STEP = Step(
    name="one",
    title="a step",
    shape=MANY,
    contenders=("engine", "polars"),
    targets=(("seconds", 2.5), ("peak_bytes", 99)),
    equals="before",
)


def test_a_ratio_is_taken_within_a_round() -> None:
    runs = {"engine": _run("a", 1.0, 2.0, 3.0), "polars": _run("a", 2.0, 2.0, 12.0)}

    figures = figures_of(STEP, runs)

    assert figures["ratios"] == {"polars": {"min": 1.0, "median": 2.0, "max": 4.0}}
    assert figures["contenders"]["engine"]["ns_per_reading"]["median"] == pytest.approx(2e8)
    assert [target["reached"] for target in figures["targets"]] == [True, False]


@pytest.mark.parametrize(
    ("digest", "before"),
    [
        pytest.param("b", "a", id="contenders-differ"),
        pytest.param("a", "c", id="differs-from-the-step-it-equals"),
    ],
)
def test_different_results_are_never_compared(digest: str, before: str) -> None:
    runs = {"engine": _run("a", 1.0), "polars": _run(digest, 1.0)}

    with pytest.raises(ContendersDisagreeError, match="different results"):
        require_agreement(STEP, runs, {"before": before})


def test_a_digest_sees_one_changed_number() -> None:
    whole = {"verdict": np.array([1, 2], np.int8)}

    assert digest_of(whole) == digest_of({"verdict": np.array([1, 2], np.int64)})
    assert digest_of(whole) != digest_of({"verdict": np.array([1, 3], np.int8)})
    assert digest_of(whole) != digest_of({"state": np.array([1, 2], np.int8)})
