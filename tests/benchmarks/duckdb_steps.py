"""The same steps in duckdb, on tables it holds in memory.

Written for its streaming windows: ``OVER ()`` follows the rows in the order of their table, so
running sums and look-backs need neither partitions nor sorting. About twice as fast here as
grouping sessions and sorting them again; a wrong order would not pass unseen, since results are
compared.
"""

from typing import Final

import duckdb
import numpy as np

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
_SO_FAR: Final = "OVER (ROWS UNBOUNDED PRECEDING)"
_BEGINS: Final = (
    "coalesce(resident <> lag(resident) OVER () OR instant - lag(instant) OVER () {gap}, true)"
)
_RUN: Final = f"last_value(CASE WHEN begins THEN rowid END IGNORE NULLS) {_SO_FAR}"
_FIRST: Final = f"last_value(CASE WHEN begins THEN instant END IGNORE NULLS) {_SO_FAR}"


def _connect() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def _load(connection: duckdb.DuckDBPyConnection, table: str, columns: Columns) -> None:
    connection.register("given", columns)
    connection.execute(f"CREATE TABLE {table} AS SELECT * FROM given")  # noqa: S608
    connection.unregister("given")


def _fetch(result: duckdb.DuckDBPyConnection) -> Columns:
    return {name: np.asarray(column) for name, column in result.fetchnumpy().items()}


def _crosses(limit: PressureColumns, count: str) -> str:
    systolic, diastolic, strict = bounds_of(limit)
    return (
        f"(systolic >= {count} * {systolic} + {strict}"
        f" OR diastolic >= {count} * {diastolic} + {strict})"
    )


class DuckdbFlags:
    """The stateless step."""

    def __init__(self, population: Population, limits: ProfileTable) -> None:
        self._connection = _connect()
        _load(self._connection, "reading", reading_columns(population))
        highest = int(limits.glucose_emergency_high.limit[0])
        lowest = int(limits.glucose_emergency_low.limit[0])
        unsaid, glucose = f"glucose = {MISSING}", f"kind = {KIND_GLUCOSE}"
        self._statement = f"""
            SELECT CASE
                WHEN NOT countable THEN 0
                WHEN {_crosses(limits.bp_emergency, "1")} THEN {AlertCode.BP_EMERGENCY:d}
                WHEN pregnant AND {_crosses(limits.bp_pregnancy, "1")}
                    THEN {AlertCode.BP_PREG_HIGH:d}
                WHEN {glucose} AND ((NOT {unsaid} AND glucose <= {lowest})
                    OR ({unsaid} AND range_status = {RANGE_LOW}))
                    THEN {AlertCode.GLU_EMERGENCY_LOW:d}
                WHEN {glucose} AND (glucose >= {highest}
                    OR ({unsaid} AND range_status = {RANGE_HIGH}))
                    THEN {AlertCode.GLU_EMERGENCY_HIGH:d}
                ELSE 0 END::TINYINT AS code
            FROM reading"""  # noqa: S608

    def run(self) -> Columns:
        """Do the step."""
        return _fetch(self._connection.execute(self._statement))

    def columns(self, result: Columns) -> Columns:
        """The result, comparable."""
        return result


class DuckdbAssessments:
    """The windowed step."""

    def __init__(
        self, population: Population, limits: ProfileTable, *, is_sorted: bool = True
    ) -> None:
        self._connection, self._limits = _connect(), limits
        _load(self._connection, "reading", reading_columns(population))
        _load(self._connection, "person", resident_columns(population, limits))
        self._order = "" if is_sorted else "ORDER BY resident, instant"

    def run(self) -> Columns:
        """Do the step."""
        self._begin_sessions()
        self._split_long_runs("sitting", f"> {int(self._limits.session_span_us[0])}")
        self._sum_sessions()
        self._count_one_arm()
        self._judge_sessions()
        self._split_long_runs("finding", f">= {int(self._limits.assessment_span_us[0])}")
        return self._group()

    def columns(self, result: Columns) -> Columns:
        """The result, comparable."""
        return result

    def _begin_sessions(self) -> None:
        begins = _BEGINS.format(gap=f"> {int(self._limits.session_gap_us[0])}")
        self._connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE sitting AS
            WITH office AS (
                SELECT resident, instant, arm, systolic, diastolic FROM reading
                WHERE countable AND kind = {KIND_BLOOD_PRESSURE} AND setting = {SETTING_OFFICE}
                {self._order})
            SELECT *, {begins} AS begins FROM office""")  # noqa: S608

    def _split_long_runs(self, table: str, too_far: str) -> None:
        """Begin a new run at the first row too far from its run's first, again and again."""
        self._connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE long AS
            WITH started AS (
                SELECT rowid AS id, instant, {_FIRST} AS first, {_RUN} AS run FROM {table})
            SELECT id, instant, run FROM started SEMI JOIN
                (SELECT run FROM started WHERE instant - first {too_far}) USING (run)""")  # noqa: S608
        if not self._count("long"):
            return
        self._connection.execute(f"""
            UPDATE {table} SET begins = true WHERE rowid IN (
                WITH RECURSIVE cut(run, id, instant) AS (
                    SELECT run, min(id), min(instant) FROM long GROUP BY run
                    UNION ALL
                    SELECT cut.run, min(long.id), min(long.instant)
                    FROM cut JOIN long ON long.run = cut.run
                        AND long.instant - cut.instant {too_far}
                    GROUP BY cut.run)
                SELECT id FROM cut)""")  # noqa: S608

    def _count(self, table: str) -> int:
        row = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        assert row is not None
        return int(row[0])

    def _sum_sessions(self) -> None:
        """Sums of each session, as differences of running sums."""
        arms = ((ARM_LEFT, "left_count"), (ARM_RIGHT, "right_count"))
        sides = ", ".join(
            f"count(*) FILTER (arm = {arm}) {_SO_FAR} AS {name}" for arm, name in arms
        )
        names = (*_SUMS, "left_count", "right_count")
        self._connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE session AS
            WITH summed AS (
                SELECT resident, {_RUN} AS run, {_FIRST} AS instant,
                    sum(systolic) {_SO_FAR} AS systolic, sum(diastolic) {_SO_FAR} AS diastolic,
                    row_number() OVER () AS count, {sides},
                    coalesce(lead(begins) OVER (), true) AS ends FROM sitting)
            SELECT run, resident, instant, {", ".join(_difference(name) for name in names)}
            FROM summed WHERE ends""")  # noqa: S608

    def _count_one_arm(self) -> None:
        """Where both arms were measured, the sums of the arm with the higher mean."""
        on = {"l": ARM_LEFT, "r": ARM_RIGHT}
        sums = ", ".join(
            f"(sum(systolic) FILTER (arm = {arm}))::BIGINT AS {side}_systolic,"
            f" (sum(diastolic) FILTER (arm = {arm}))::BIGINT AS {side}_diastolic,"
            f" count(*) FILTER (arm = {arm}) AS {side}_count"
            for side, arm in on.items()
        )
        chosen = ", ".join(
            f"{name} = CASE WHEN right_decides THEN r_{name} ELSE l_{name} END" for name in _SUMS
        )
        self._connection.execute(f"""
            UPDATE session SET {chosen} FROM (
                WITH measured AS (SELECT {_RUN} AS run, arm, systolic, diastolic FROM sitting),
                arms AS (
                    SELECT run, {sums} FROM measured SEMI JOIN
                        (SELECT run FROM session WHERE left_count > 0 AND right_count > 0)
                        USING (run)
                    GROUP BY run)
                SELECT *, r_systolic * l_count > l_systolic * r_count
                    OR (r_systolic * l_count = l_systolic * r_count
                        AND r_diastolic * l_count > l_diastolic * r_count) AS right_decides
                FROM arms) AS arms
            WHERE session.run = arms.run""")  # noqa: S608

    def _judge_sessions(self) -> None:
        """The verdict of each session (``rules.assessments.Verdict``)."""
        day = f"(instant + {offset_us(self._limits)}) // {DAY_US}"
        unsatisfied = _crosses(self._limits.bp_office[0], "count")
        high = _crosses(self._limits.bp_screening, "count")
        begins = _BEGINS.format(gap=f">= {int(self._limits.assessment_span_us[0])}")
        self._connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE finding AS
            WITH known AS (
                SELECT session.*, diagnosed_from <= {day} AS diagnosed,
                    screened_from <= {day} AS screened
                FROM session LEFT JOIN person USING (resident)),
            verdicts AS (
                SELECT resident, instant, systolic, diastolic, count,
                    CASE WHEN diagnosed THEN {Verdict.SATISFIED:d} + {unsatisfied}::INT
                        ELSE {Verdict.NORMAL:d} + {high}::INT END::TINYINT AS verdict
                FROM known WHERE diagnosed OR screened
                ORDER BY resident, instant)  -- A join keeps no order.
            SELECT *, {begins} AS begins FROM verdicts""")  # noqa: S608

    def _group(self) -> Columns:
        """The latest of each group decides; the first anchors."""
        bad = f"{Verdict.UNSATISFIED:d}"
        return _fetch(
            self._connection.execute(f"""
            WITH placed AS (
                SELECT *, {_FIRST} AS anchor, coalesce(lead(begins) OVER (), true) AS ends
                FROM finding),
            found AS (
                SELECT resident, anchor, instant AS decided, systolic, diastolic, count, verdict
                FROM placed WHERE ends)
            SELECT *, coalesce(verdict = {bad} AND lag(verdict) OVER () = {bad}
                AND lag(resident) OVER () = resident, false) AS again FROM found""")  # noqa: S608
        )


def _difference(name: str) -> str:
    return f"({name} - coalesce(lag({name}) OVER (), 0))::BIGINT AS {name}"
