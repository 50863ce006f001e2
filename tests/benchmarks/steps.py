"""Which steps are measured, on which population, by whom, and what the engine should reach."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from rules.limits import ProfileTable, tabulate
from rules.profiles import load_profile
from tests.benchmarks.inputs import Columns
from tests.benchmarks.population import Population, Shape

ENGINE: Final = "engine"
POLARS: Final = "polars"
DUCKDB: Final = "duckdb"
WHOLE: Final = "whole history"
TAIL: Final = "from checkpoint"
ALL_THREE: Final = (ENGINE, POLARS, DUCKDB)
TAIL_EACH: Final = 5


class Job(Protocol):
    """One contender, ready to do one step as often as asked."""

    def run(self) -> Any:  # noqa: ANN401 - each library has its own result
        """Do the step; only this is timed."""

    def columns(self, result: Any) -> Columns:  # noqa: ANN401
        """The result as plain columns, equal for all contenders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step: its contenders do the same, the first is the one the others are compared with."""

    name: str
    title: str
    shape: Shape
    contenders: tuple[str, ...] = (ENGINE,)
    targets: tuple[tuple[str, float], ...] = ()  # Figure of the first, and what it should not pass.
    equals: str | None = None  # Another step with the same result.


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large the populations are; the defaults are those that the targets speak of."""

    residents: int = 1_000_000
    readings_each: int = 10
    live_residents: int = 5_000
    live_readings_each: int = 75
    history_each: int = 300


def list_steps(sizes: Sizes) -> tuple[Step, ...]:
    """All steps, in the order of the report. Smaller sizes have no targets but those a reading."""
    many = Shape(residents=sizes.residents, readings_each=sizes.readings_each)
    live = Shape(residents=sizes.live_residents, readings_each=sizes.live_readings_each, live=True)
    long = replace(live, readings_each=sizes.history_each)
    return (*_compared_steps(many, live), *_engine_steps(many, live, long, full=sizes == Sizes()))


def _compared_steps(many: Shape, live: Shape) -> tuple[Step, ...]:
    assess = Step(
        name="assess",
        title="office sessions, 24 h assessments, second unsatisfied in a row",
        shape=many,
        contenders=ALL_THREE,
    )
    return (
        Step(
            name="stateless",
            title="emergency of each reading alone",
            shape=many,
            contenders=ALL_THREE,
            targets=(("ns_per_reading", 30),),
        ),
        assess,
        replace(
            assess,
            name="assess_shuffled",
            title="the same, rows in no order",
            shape=replace(many, shuffled=True),
            equals=assess.name,
        ),
        replace(assess, name="assess_live", title="the same, a live batch", shape=live),
    )


def _engine_steps(many: Shape, live: Shape, long: Shape, *, full: bool) -> tuple[Step, ...]:
    return (
        Step(
            name="rejudge",
            title="full re-judgement",
            shape=many,
            targets=(("seconds", 10), ("peak_bytes", 2e9)) if full else (),
        ),
        Step(
            name="rejudge_shuffled",
            title="full re-judgement, rows in no order",
            shape=replace(many, shuffled=True),
            equals="rejudge",
        ),
        Step(
            name="rejudge_recorded",
            title="full re-judgement with visits, referrals and closures recorded",
            shape=replace(many, recorded=True),
        ),
        Step(
            name="live",
            title="a live batch of due residents",
            shape=live,
            targets=(("seconds", 0.150),) if full else (),
        ),
        Step(
            name="live_recorded",
            title="the same, with what people recorded",
            shape=replace(live, recorded=True),
        ),
        Step(
            name="checkpoint",
            title=f"a tail of about {TAIL_EACH} readings after a long history",
            shape=long,
            contenders=(TAIL, WHOLE),
        ),
    )


def load_limits() -> ProfileTable:
    """The default profile, as deployments use it."""
    return tabulate([[load_profile("wuzhou")]])


def make_job(step: Step, contender: str, population: Population) -> Job:
    """Prepare a contender. Imports its library only here: threads are set before."""
    limits = load_limits()
    makers: dict[str, Callable[..., Callable[..., Job]]] = {
        ENGINE: _engine,
        TAIL: _engine,
        WHOLE: _engine,
        POLARS: _polars,
        DUCKDB: _duckdb,
    }
    return makers[contender](step, contender)(population, limits)


def _engine(step: Step, contender: str) -> Callable[..., Job]:
    from tests.benchmarks import engine_steps  # noqa: PLC0415 - one library a process

    if contender == TAIL:
        return lambda *given: engine_steps.EngineTail(*given, tail_each=TAIL_EACH)
    if contender == WHOLE:
        return engine_steps.EngineWhole
    if step.name == "stateless":
        return engine_steps.EngineFlags
    if step.name.startswith("assess"):
        return engine_steps.EngineAssessments
    return engine_steps.EngineJudgement


def _polars(step: Step, _: str) -> Callable[..., Job]:
    from tests.benchmarks import polars_steps  # noqa: PLC0415 - one library a process

    if step.name == "stateless":
        return polars_steps.PolarsFlags
    return lambda *given: polars_steps.PolarsAssessments(*given, is_sorted=not step.shape.shuffled)


def _duckdb(step: Step, _: str) -> Callable[..., Job]:
    from tests.benchmarks import duckdb_steps  # noqa: PLC0415 - one library a process

    if step.name == "stateless":
        return duckdb_steps.DuckdbFlags
    return lambda *given: duckdb_steps.DuckdbAssessments(*given, is_sorted=not step.shape.shuffled)
