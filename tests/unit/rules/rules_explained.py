"""Short histories of one resident, judged, as the tests of the explanations write them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from rules import columns
from rules.codes import AlertCode, CaseState, ClosureReason, Condition, RecordKind
from rules.engine import judge
from rules.explain import Judged, explain_alert, explain_case
from rules.explain.explanation import Explanation
from rules.limits import tabulate
from rules.machine import Action
from rules.profiles import load_profile

FIRST_DAY = date(2026, 3, 2)
NOON_UTC = np.datetime64("2026-03-02T04:00", "us")
PRESSURE, SUGAR = Condition.HYPERTENSION, Condition.DIABETES


class Taken(NamedTuple):
    """One reading: how many days and minutes after noon of the first day, and what it said."""

    day: int
    value: tuple[Decimal, ...]  # Both sides, one glucose value, or none.
    minute: int = 0
    arm: str | None = None
    setting: str = "office"
    meal: str = "fasting"
    range_status: int = 0


class Said(NamedTuple):
    """One record, one hour after the noon of its day."""

    day: int
    kind: RecordKind
    condition: int = PRESSURE
    reaction: bool = False
    complication: bool = False
    face_to_face: bool = True
    state: CaseState = CaseState.NONE
    due: date | None = None
    reason: int = 0


@dataclass(frozen=True, kw_only=True)
class Person:
    """What the rules know of the resident."""

    born: date | None = date(1968, 2, 11)
    hypertension: date | None = None
    diabetes: date | None = None
    enrolled: date | None = None
    pregnant: bool = False


LONG_AGO = date(2015, 1, 1)
HYPERTENSIVE = Person(hypertension=LONG_AGO)
DIABETIC = Person(diabetes=LONG_AGO)
HEALTHY = Person()
PREGNANT = Person(born=date(1994, 5, 5), pregnant=True)


def bp(day: int, systolic: object, diastolic: object, **fields: Any) -> Taken:  # noqa: ANN401
    """A blood pressure in mmHg."""
    return Taken(day, (Decimal(str(systolic)), Decimal(str(diastolic))), **fields)


def sugar(day: int, value: object, **fields: Any) -> Taken:  # noqa: ANN401 - passed on
    """A glucose value in mmol/L; None with a ``range_status`` is HI or LO."""
    return Taken(day, () if value is None else (Decimal(str(value)),), **fields)


def visit(day: int, condition: int = PRESSURE, **fields: Any) -> Said:  # noqa: ANN401
    """A face-to-face visit."""
    return Said(day, RecordKind.VISIT, condition, **fields)


def record(day: int, kind: RecordKind, **fields: Any) -> Said:  # noqa: ANN401 - passed on
    """Any other record."""
    return Said(day, kind, **fields)


@dataclass(frozen=True, kw_only=True)
class History:
    """Everything about one resident, and the day on which it is judged, at 23:00 local."""

    person: Person = HYPERTENSIVE
    taken: Sequence[Taken] = ()
    said: Sequence[Said] = field(default=())
    until: int = 0
    profile: str = "wuzhou"  # The deployment's.
    package: str | None = None  # Of the resident's contract.

    def judged(self) -> Judged:
        """What the engine says, with what it was given."""
        chosen = [self.profile] if self.package is None else [self.profile, self.package]
        limits = tabulate([[load_profile(each)] for each in chosen])
        readings, records = readings_of(self.taken), _records(self.said)
        residents = _resident(self.person, choice=len(chosen) - 1)
        as_of = NOON_UTC + np.timedelta64(self.until * 24 + 11, "h")
        return Judged(
            readings=readings,
            records=records,
            residents=residents,
            limits=limits,
            judgement=judge(readings, records, residents, limits, as_of=as_of),
        )


def identifier(number: int) -> str:
    """Id of the n-th reading; the records are counted from 1000."""
    return str(UUID(bytes=(number + 1).to_bytes(2, "big") * 8))


def _ids(many: int, first: int) -> npt.NDArray[np.bytes_]:
    return np.array([UUID(identifier(first + n)).bytes for n in range(many)], dtype="S16")


def readings_of(taken: Sequence[Taken]) -> columns.Readings:
    """The columns of these readings."""

    def small(codes: list[int]) -> npt.NDArray[np.int8]:
        return np.array(codes, dtype=np.int8)

    def scaled(values: list[Decimal | None], digits: int) -> npt.NDArray[np.int64]:
        return np.array(
            [columns.MISSING if x is None else int(x.scaleb(digits)) for x in values], np.int64
        )

    pressure = [len(each.value) == 2 for each in taken]
    at = np.array(
        [NOON_UTC + np.timedelta64(t.day * 1440 + t.minute, "m") for t in taken], "datetime64[us]"
    )
    return columns.Readings(
        resident=np.zeros(len(taken), np.int64),
        ids=_ids(len(taken), 0),
        kind=small([columns.KIND_BLOOD_PRESSURE if p else columns.KIND_GLUCOSE for p in pressure]),
        systolic_mmhg_e13=scaled(
            [t.value[0] if p else None for t, p in zip(taken, pressure, strict=True)], 13
        ),
        diastolic_mmhg_e13=scaled(
            [t.value[1] if p else None for t, p in zip(taken, pressure, strict=True)], 13
        ),
        glucose_mmol_l_e4=scaled([t.value[0] if len(t.value) == 1 else None for t in taken], 4),
        range_status=small([t.range_status for t in taken]),
        setting=small([columns.SETTING_CODES[t.setting] for t in taken]),
        arm=small([columns.ARM_CODES[t.arm] for t in taken]),
        meal_context=small(
            [0 if p else columns.MEAL_CODES[t.meal] for t, p in zip(taken, pressure, strict=True)]
        ),
        countable=np.ones(len(taken), np.bool_),
        **dict.fromkeys(("effective_at", "captured_at", "arrived_at", "received_at"), at),
    )


def _records(said: Sequence[Said]) -> columns.Records:
    at = np.array([NOON_UTC + np.timedelta64(s.day * 24 + 1, "h") for s in said], "datetime64[us]")
    return columns.Records(
        resident=np.zeros(len(said), np.int64),
        ids=_ids(len(said), 1000),
        kind=np.array([s.kind for s in said], np.int8),
        condition=np.array([s.condition for s in said], np.int8),
        at=at,
        received_at=at,
        adverse_reaction=np.array([s.reaction for s in said], np.bool_),
        complication=np.array([s.complication for s in said], np.bool_),
        face_to_face=np.array([s.face_to_face for s in said], np.bool_),
        state=np.array([s.state for s in said], np.int8),
        due=np.array([s.due for s in said], "datetime64[D]"),
        reason=np.array([s.reason for s in said], np.int8),
    )


def _resident(person: Person, *, choice: int) -> columns.Residents:
    def day(value: date | None) -> columns.DateArray:
        return np.array([value], dtype="datetime64[D]")

    def since_december(value: int) -> columns.Periods:
        if not value:
            return columns.Periods.none()
        return columns.Periods(
            resident=np.zeros(1, np.int64),
            since=day(date(2025, 12, 1)),
            until=day(None),
            value=np.full(1, value, np.int8),
        )

    return columns.Residents(
        birth_date=day(person.born),
        hypertension_since=day(person.hypertension),
        diabetes_since=day(person.diabetes),
        enrolled_on=day(person.enrolled),
        pregnancies=since_december(int(person.pregnant)),
        profiles=since_december(choice),
    )


def codes_of(judged: Judged) -> list[AlertCode]:
    """The codes of all alerts."""
    return [AlertCode(code) for code in judged.judgement.alerts.code.tolist()]


def explained(history: History, code: AlertCode) -> Explanation:
    """The latest alert of this code."""
    judged = history.judged()
    codes = codes_of(judged)
    return explain_alert(judged, len(codes) - 1 - codes[::-1].index(code))


def explained_case(history: History, condition: Condition = PRESSURE) -> Explanation:
    """Why the case of this condition last moved."""
    judged = history.judged()
    return explain_case(judged, judged.judgement.cases.condition.tolist().index(condition))


def on_day(number: int) -> date:
    """The local day so many days after the first."""
    return FIRST_DAY + timedelta(days=number)


HIGHS = (bp(0, 152, 88), bp(0, 150, 86, minute=5))
"""One session, 151/87 on average."""

ALERTS: dict[AlertCode, History] = {
    AlertCode.BP_EMERGENCY: History(taken=[bp(0, 186, 96), bp(0, 150, 90, minute=5)]),
    AlertCode.BP_PREG_HIGH: History(person=PREGNANT, taken=[bp(0, 142, 88)]),
    AlertCode.GLU_EMERGENCY_HIGH: History(person=DIABETIC, taken=[sugar(0, "17.1", meal="random")]),
    AlertCode.GLU_EMERGENCY_LOW: History(person=DIABETIC, taken=[sugar(0, "3.7")]),
    AlertCode.BP_UNSATISFIED_1: History(taken=HIGHS),
    AlertCode.BP_UNSATISFIED_2: History(taken=[*HIGHS, bp(10, 148, 93)], until=10),
    AlertCode.GLU_UNSATISFIED_1: History(person=DIABETIC, taken=[sugar(0, "7.4")]),
    AlertCode.GLU_UNSATISFIED_2: History(
        person=DIABETIC, taken=[sugar(0, "7.4"), sugar(12, "8.2")], until=12
    ),
    AlertCode.FOLLOWUP_OVERDUE: History(taken=HIGHS, until=17),
    AlertCode.REFERRAL_FOLLOWUP_OVERDUE: History(taken=[bp(0, 186, 96)], until=22),
    AlertCode.SCREEN_BP_HIGH: History(person=HEALTHY, taken=[bp(0, 144, 80)]),
    AlertCode.SCREEN_HTN_SUSPECTED: History(
        person=HEALTHY, taken=[bp(0, 144, 80), bp(5, 146, 82), bp(9, 141, 95)], until=9
    ),
    AlertCode.SCREEN_GLU_HIGH: History(person=HEALTHY, taken=[sugar(0, "11.6", meal="random")]),
    AlertCode.BP_HOME_HIGH: History(taken=[bp(0, 137, 80, setting="home")]),
    AlertCode.GLU_POSTPRANDIAL_HIGH: History(
        person=DIABETIC, taken=[sugar(0, "10.4", meal="postprandial_2h")]
    ),
    AlertCode.BP_INTERARM_DIFF: History(
        taken=[bp(0, 138, 80, arm="left"), bp(0, 116, 78, arm="right", minute=3)]
    ),
    AlertCode.ADR_1: History(said=[visit(0, reaction=True)]),
    AlertCode.ADR_2: History(said=[visit(0, reaction=True), visit(9, reaction=True)], until=9),
    AlertCode.COMPLICATION: History(said=[visit(0, complication=True)]),
    AlertCode.ROUTINE_OVERDUE: History(
        person=Person(hypertension=LONG_AGO, enrolled=date(2026, 1, 1)), said=[visit(0)], until=93
    ),
}
"""A short history for every code."""

OVERRIDE = RecordKind.OVERRIDE
CASES: dict[Action, tuple[History, Condition]] = {
    Action.SATISFIED: (History(taken=[bp(0, 128, 78)]), PRESSURE),
    Action.FIRST_UNSATISFIED: (History(taken=HIGHS, until=16), PRESSURE),
    Action.SECOND_UNSATISFIED: (ALERTS[AlertCode.GLU_UNSATISFIED_2], SUGAR),
    Action.EMERGENCY: (ALERTS[AlertCode.GLU_EMERGENCY_LOW], SUGAR),
    Action.SCREENING_BEGUN: (ALERTS[AlertCode.SCREEN_BP_HIGH], PRESSURE),
    Action.SCREENING_BEGUN_BY_RANDOM: (ALERTS[AlertCode.SCREEN_GLU_HIGH], SUGAR),
    Action.SCREENING_AGAIN: (
        History(person=HEALTHY, taken=[bp(0, 144, 80), bp(5, 146, 82)], until=5),
        PRESSURE,
    ),
    Action.SCREENING_SUSPECTED: (ALERTS[AlertCode.SCREEN_HTN_SUSPECTED], PRESSURE),
    Action.FIRST_REACTION: (ALERTS[AlertCode.ADR_1], PRESSURE),
    Action.SECOND_REACTION: (ALERTS[AlertCode.ADR_2], PRESSURE),
    Action.SECOND_REACTION_IN_EMERGENCY: (
        History(
            taken=[bp(1, 186, 96)], said=[visit(0, reaction=True), visit(9, reaction=True)], until=9
        ),
        PRESSURE,
    ),
    Action.REACTION_ENDED: (History(said=[visit(0, reaction=True), visit(9)], until=9), PRESSURE),
    Action.COMPLICATION: (ALERTS[AlertCode.COMPLICATION], PRESSURE),
    Action.COMPLICATION_IN_EMERGENCY: (
        History(taken=[bp(0, 186, 96)], said=[visit(3, complication=True)], until=3),
        PRESSURE,
    ),
    Action.REFERRAL_FOLLOWED_UP: (
        History(taken=[bp(0, 186, 96)], said=[record(6, RecordKind.REFERRAL_FOLLOWUP)], until=6),
        PRESSURE,
    ),
    Action.OVERRIDDEN_OPEN: (
        History(
            said=[record(0, OVERRIDE, state=CaseState.SECOND_FOLLOWUP_OPEN, due=on_day(5))], until=8
        ),
        PRESSURE,
    ),
    Action.OVERRIDDEN_QUIET: (
        History(taken=HIGHS, said=[record(1, OVERRIDE, state=CaseState.CONTROLLED)], until=1),
        PRESSURE,
    ),
    Action.CLOSED: (
        History(
            taken=HIGHS,
            said=[record(1, RecordKind.CLOSURE, condition=0, reason=ClosureReason.DEATH)],
            until=1,
        ),
        PRESSURE,
    ),
    Action.RESCHEDULED: (
        History(taken=HIGHS, said=[record(1, RecordKind.RESCHEDULE, due=on_day(20))], until=1),
        PRESSURE,
    ),
}
"""A short history for every action that can be what last moved a case."""
