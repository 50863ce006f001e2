"""The same steps in polars, written as one would who knows the rows' order.

Sorted rows need no partitions: a run begins where the resident changes or the gap is too long,
and its number is a running count. Imported only where ``POLARS_MAX_THREADS`` may be set first.
"""

from typing import Final

import polars as pl
from polars import col

from rules.assessments import Verdict
from rules.codes import AlertCode
from rules.columns import (
    ARM_LEFT,
    ARM_RIGHT,
    KIND_BLOOD_PRESSURE,
    KIND_GLUCOSE,
    MISSING,
    RANGE_HIGH,
    RANGE_LOW,
    SETTING_OFFICE,
)
from rules.limits import PressureColumns, ProfileTable
from tests.benchmarks.inputs import (
    DAY_US,
    Columns,
    bounds_of,
    offset_us,
    reading_columns,
    resident_columns,
)
from tests.benchmarks.population import Population

_SUMS: Final = ("systolic", "diastolic", "count")


def _crosses(limit: PressureColumns, count: pl.Expr | int) -> pl.Expr:
    systolic, diastolic, strict = bounds_of(limit)
    return (col("systolic") >= count * systolic + strict) | (
        col("diastolic") >= count * diastolic + strict
    )


class PolarsFlags:
    """The stateless step."""

    def __init__(self, population: Population, limits: ProfileTable) -> None:
        self._readings = pl.DataFrame(reading_columns(population))
        glucose = col("kind") == KIND_GLUCOSE
        unsaid = col("glucose") == MISSING
        highest = int(limits.glucose_emergency_high.limit[0])
        lowest = int(limits.glucose_emergency_low.limit[0])
        high = (col("glucose") >= highest) | (unsaid & (col("range_status") == RANGE_HIGH))
        low = (~unsaid & (col("glucose") <= lowest)) | (unsaid & (col("range_status") == RANGE_LOW))
        pregnant = col("pregnant") & _crosses(limits.bp_pregnancy, 1)
        self._code = (
            pl.when(~col("countable"))
            .then(_code(0))
            .when(_crosses(limits.bp_emergency, 1))
            .then(_code(AlertCode.BP_EMERGENCY))
            .when(pregnant)
            .then(_code(AlertCode.BP_PREG_HIGH))
            .when(glucose & low)
            .then(_code(AlertCode.GLU_EMERGENCY_LOW))
            .when(glucose & high)
            .then(_code(AlertCode.GLU_EMERGENCY_HIGH))
            .otherwise(_code(0))
        )

    def run(self) -> pl.DataFrame:
        """Do the step."""
        return self._readings.select(code=self._code)

    def columns(self, result: pl.DataFrame) -> Columns:
        """The result, comparable."""
        return _as_columns(result)


def _code(code: int) -> pl.Expr:
    return pl.lit(int(code), dtype=pl.Int8)


def _as_columns(frame: pl.DataFrame) -> Columns:
    return {name: frame[name].to_numpy() for name in frame.columns}


class PolarsAssessments:
    """The windowed step."""

    def __init__(
        self, population: Population, limits: ProfileTable, *, is_sorted: bool = True
    ) -> None:
        self._readings = pl.DataFrame(reading_columns(population))
        self._people = pl.DataFrame(resident_columns(population, limits))
        self._limits, self._is_sorted = limits, is_sorted

    def run(self) -> pl.DataFrame:
        """Do the step."""
        sessions = self._count_one_arm(self._sum_sessions())
        return self._group(self._judge(sessions))

    def columns(self, result: pl.DataFrame) -> Columns:
        """The result, comparable."""
        return _as_columns(result)

    def _sum_sessions(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows with the number of their session, and the sessions."""
        mine = col("countable") & (col("kind") == KIND_BLOOD_PRESSURE)
        rows = self._readings.lazy().filter(mine & (col("setting") == SETTING_OFFICE))
        rows = rows.select("resident", "instant", "arm", "systolic", "diastolic")
        if not self._is_sorted:
            rows = rows.sort("resident", "instant")
        gap = col("instant") - col("instant").shift() > int(self._limits.session_gap_us[0])
        begun = rows.with_columns(begins=_begins(gap)).collect()
        span = col("instant") - _first() > int(self._limits.session_span_us[0])
        cut = _split_long_runs(begun, span)
        numbered = cut.with_columns(run=col("begins").cum_sum().set_sorted())
        sessions = numbered.group_by("run", maintain_order=True).agg(
            col("resident").first(),
            col("instant").first(),
            col("systolic").sum(),
            col("diastolic").sum(),
            pl.len().cast(pl.Int64).alias("count"),
            (col("arm") == ARM_LEFT).any().alias("left"),
            (col("arm") == ARM_RIGHT).any().alias("right"),
        )
        return numbered, sessions

    def _count_one_arm(self, found: tuple[pl.DataFrame, pl.DataFrame]) -> pl.DataFrame:
        """Where both arms were measured, the sums of the arm with the higher mean."""
        rows, sessions = found
        both = sessions.filter(col("left") & col("right")).select("run")
        if not len(both):
            return sessions
        arms = rows.join(both, on="run", how="semi").group_by("run", "arm")
        sums = arms.agg(
            col("systolic").sum(),
            col("diastolic").sum(),
            pl.len().cast(pl.Int64).alias("count"),
        )
        left, right = sums.filter(arm=ARM_LEFT), sums.filter(arm=ARM_RIGHT)
        paired = left.join(right, on="run", suffix="_right")
        on_left = col("systolic") * col("count_right")
        on_right = col("systolic_right") * col("count")
        tie = col("diastolic_right") * col("count") > col("diastolic") * col("count_right")
        right_decides = (on_right > on_left) | ((on_right == on_left) & tie)
        deciding = paired.select(
            "run",
            *(
                pl.when(right_decides).then(col(f"{name}_right")).otherwise(col(name)).alias(name)
                for name in _SUMS
            ),
        )
        return sessions.update(deciding, on="run")

    def _judge(self, sessions: pl.DataFrame) -> pl.DataFrame:
        """Sessions that count, with their verdict (``rules.assessments.Verdict``)."""
        day = sessions.select((col("instant") + offset_us(self._limits)) // DAY_US).to_series()
        who = sessions["resident"]
        known = sessions.with_columns(
            diagnosed=self._people["diagnosed_from"].gather(who) <= day,
            screened=self._people["screened_from"].gather(who) <= day,
        )
        unsatisfied = _crosses(self._limits.bp_office[0], col("count")).cast(pl.Int8)
        high = _crosses(self._limits.bp_screening, col("count")).cast(pl.Int8)
        return known.filter(col("diagnosed") | col("screened")).select(
            "resident",
            "instant",
            *_SUMS,
            verdict=pl.when("diagnosed")
            .then(Verdict.SATISFIED.value + unsatisfied)
            .otherwise(Verdict.NORMAL.value + high),
        )

    def _group(self, findings: pl.DataFrame) -> pl.DataFrame:
        """Findings within a day of the first of their group as one; the latest decides."""
        span = int(self._limits.assessment_span_us[0])
        gap = col("instant") - col("instant").shift() >= span
        begun = findings.with_columns(begins=_begins(gap))
        cut = _split_long_runs(begun, col("instant") - _first() >= span)
        numbered = cut.with_columns(run=col("begins").cum_sum().set_sorted())
        found = numbered.group_by("run", maintain_order=True).agg(
            col("resident").first(),
            col("instant").first().alias("anchor"),
            col("instant").last().alias("decided"),
            col(*_SUMS, "verdict").last(),
        )
        bad = col("verdict") == Verdict.UNSATISFIED.value
        same = col("resident") == col("resident").shift(fill_value=-1)
        return found.drop("run").with_columns(again=bad & bad.shift(fill_value=False) & same)


def _begins(gap_too_long: pl.Expr) -> pl.Expr:
    changes = col("resident") != col("resident").shift()
    return (changes | gap_too_long).fill_null(value=True)


def _first() -> pl.Expr:
    """Instant at which the run of each row begins."""
    return pl.when("begins").then("instant").forward_fill()


def _split_long_runs(rows: pl.DataFrame, too_far: pl.Expr) -> pl.DataFrame:
    """Begin a new run at the first row too far from its run's first, again and again."""
    rows = rows.with_columns(far=too_far)
    if not rows["far"].any():
        return rows
    rows = rows.with_columns(run=col("begins").cum_sum()).with_row_index("row")
    is_long = col("run").is_in(rows.filter("far")["run"].unique().implode())
    long = rows.filter(is_long).select("row", "instant", "begins", "far")
    while long["far"].any():
        first_far = col("far") & ~col("far").shift(fill_value=False)
        long = long.with_columns(begins=col("begins") | first_far).with_columns(far=too_far)
    cuts = long.filter("begins")["row"]
    return rows.with_columns(begins=rows["begins"].scatter(cuts, True)).drop("row")  # noqa: FBT003
