"""The engine's side of each step. Nothing is prepared for it: it takes what the database gives."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from rules.assessments import Verdict, group_findings, judge_sessions
from rules.carried import Carried
from rules.checkpoint import take_checkpoint
from rules.codes import AlertStatus
from rules.columns import KIND_BLOOD_PRESSURE, SETTING_OFFICE, Int8Array, Readings, Records
from rules.emergencies import flag_emergencies
from rules.engine import RESIDENTS_PER_BLOCK, _blocks, _from, judge
from rules.judgement import Alerts, Judgement
from rules.limits import ProfileTable
from rules.scene import set_scene
from rules.sessions import begin_sessions, sum_sessions
from tests.benchmarks.inputs import Columns, again_in_a_row
from tests.benchmarks.population import Population

_NO_RECORDS: Final = Records.none()


class EngineFlags:
    """The stateless step, as ingest does it."""

    def __init__(self, population: Population, limits: ProfileTable) -> None:
        self._readings, self._limits = population.readings, limits
        self._pregnant = population.pregnant()

    def run(self) -> Int8Array:
        """Do the step."""
        return flag_emergencies(self._readings, self._pregnant, self._limits)

    def columns(self, result: Int8Array) -> Columns:
        """The result, comparable."""
        return {"code": result}


class EngineAssessments:
    """The windowed step: the engine's own stages up to the assessments, in its own blocks.

    It also does what the others need not: emergencies, pregnancies and profile rows, closures.
    """

    def __init__(self, population: Population, limits: ProfileTable) -> None:
        self._population, self._limits = population, limits

    def run(self) -> Columns:
        """Do the step."""
        parts = []
        readings, people = self._population.readings, self._population.residents
        for low, _, rows, _ in _blocks(readings, _NO_RECORDS, len(people)):
            mine = _from(readings.take(rows), low)
            part = self._assess(mine, low)
            part["resident"] += low
            parts.append(part)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _assess(self, readings: Readings, low: int) -> Columns:
        people = self._population.residents.of(low, low + RESIDENTS_PER_BLOCK)
        scene = set_scene(readings, _NO_RECORDS, people, self._limits)
        office = scene.phases.judged & (scene.ordered.kind == KIND_BLOOD_PRESSURE)
        rows = np.flatnonzero(office & (scene.ordered.setting == SETTING_OFFICE))
        sessions = sum_sessions(scene, rows, begin_sessions(scene, rows))
        findings, _ = judge_sessions(sessions, scene)
        found, _ = group_findings(findings, scene)
        deciding = np.searchsorted(sessions.first, found.decided)
        instant = scene.ordered.effective_at.view(np.int64)
        return {
            "resident": found.resident,
            "anchor": instant[found.anchor],
            "decided": instant[found.decided],
            "systolic": sessions.systolic_sum[deciding],
            "diastolic": sessions.diastolic_sum[deciding],
            "count": sessions.count[deciding],
            "verdict": found.verdict,
            "again": again_in_a_row(found.resident, found.verdict == Verdict.UNSATISFIED),
        }

    def columns(self, result: Columns) -> Columns:
        """The result, comparable."""
        return result


class EngineJudgement:
    """Everything: sessions, assessments, the fold, alerts and what time alone will change."""

    def __init__(self, population: Population, limits: ProfileTable) -> None:
        self._population, self._limits = population, limits

    def run(self) -> Judgement:
        """Do the step."""
        given = self._population
        return judge(
            given.readings, given.records, given.residents, self._limits, as_of=given.as_of
        )

    def columns(self, result: Judgement) -> Columns:
        """What does not depend on the order of the rows."""
        return {**_columns_of(result), "alert_status": _sort(result.alerts).status}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tail:
    """What a checkpoint leaves to do."""

    readings: Readings
    records: Records
    start: Carried


class EngineTail:
    """A long history from a checkpoint: only what came since is folded.

    The checkpoint lies where on average ``tail_each`` readings of a resident follow, or earlier
    where something was unfinished.
    """

    def __init__(self, population: Population, limits: ProfileTable, *, tail_each: int) -> None:
        self._residents, self._as_of = population.residents, population.as_of
        self._limits = limits
        tail = max(tail_each * len(population.residents), 1)
        before = np.sort(population.readings.effective_at)[-tail:][0]
        start = take_checkpoint(
            population.readings,
            population.records,
            population.residents,
            limits,
            before=before,
            as_of=population.as_of,
        )
        readings, records = population.readings, population.records
        past = start.is_past(readings.resident, readings.effective_at)
        said = start.is_past(records.resident, records.at)
        self._tail = _Tail(
            readings=readings.take(np.flatnonzero(~past)),
            records=records.take(np.flatnonzero(~said)),
            start=start,
        )

    def run(self) -> Judgement:
        """Do the step."""
        tail = self._tail
        return judge(
            tail.readings,
            tail.records,
            self._residents,
            self._limits,
            as_of=self._as_of,
            start=tail.start,
        )

    @property
    def readings(self) -> int:
        """How many readings are left to fold."""
        return len(self._tail.readings)

    def columns(self, result: Judgement) -> Columns:
        """What the whole history must give too."""
        return _columns_of(result, active=True)


class EngineWhole(EngineJudgement):
    """The same, from the first reading on."""

    def columns(self, result: Judgement) -> Columns:
        """What a checkpoint must give too: the cases, and the alerts still active."""
        return _columns_of(result, active=True)


def _columns_of(result: Judgement, *, active: bool = False) -> Columns:
    """What does not depend on the order of the rows: cases, alerts, the next tick."""
    cases, alerts = result.cases, _sort(result.alerts)
    if active:
        alerts = alerts.take(alerts.status == AlertStatus.ACTIVE)
    return {
        "case_resident": cases.resident,
        "case_state": cases.state,
        "case_count": cases.consecutive_unsatisfied,
        "case_due": cases.second_followup_due,
        "case_referral_due": cases.referral_followup_due,
        "case_routine": cases.next_routine_due,
        "alert_resident": alerts.resident,
        "alert_condition": alerts.condition,
        "alert_code": alerts.code,
        "alert_due": alerts.due,
        "alert_became_true": alerts.became_true_at,
        "next_tick": result.next_tick,
    }


def _sort(alerts: Alerts) -> Alerts:
    keys = (alerts.became_true_at, alerts.code, alerts.condition, alerts.resident)
    return alerts.take(np.lexsort(keys))
