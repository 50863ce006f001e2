"""The structured record of why there is an alert, or why a case moved.

Facts only, in no language: ``sentences`` puts them into words. ``as_record`` is ready for JSON,
with every measured number as exact decimal text.
"""

from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import TypeAlias

from rules.codes import AlertCode, AlertStatus, CaseState, ClosureReason, Condition, Severity
from rules.explain.thresholds import LimitText, Quantity
from rules.machine import Action

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"


class Happening(StrEnum):
    """What a moment is."""

    READING = "reading"
    ASSESSMENT = "assessment"
    EMERGENCY = "emergency"
    VISIT = "visit"
    REFERRAL_FOLLOWUP = "referral_followup"
    OVERRIDE = "override"
    CLOSURE = "closure"
    RETURN = "return"
    RESCHEDULE = "reschedule"
    ENROLMENT = "enrolment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened, on a local day."""

    what: Happening
    id: str | None  # Of the reading or record; None for an enrolment.
    on: date
    observed: str | None = None  # '128/80 mmHg'
    reason: ClosureReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedReading:
    """One reading of the session that decided."""

    id: str
    kind: str  # The wire's words: kind, setting, arm and meal context.
    value: str  # '146/92', '7.4', 'HI'
    unit: str | None  # None for HI and LO.
    setting: str
    arm: str | None
    meal_context: str | None  # None for a pressure.
    effective_at: datetime  # Local.
    counted: bool  # False: of the other arm, or of no known arm beside both.


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One quantity beside its limit. All numbers in the unit of the limit."""

    quantity: Quantity
    value: str
    limit: str
    crossed: bool
    beyond: str | None  # How far beyond the limit; None unless crossed.


class ChangeKind(StrEnum):
    """What could have been otherwise."""

    VALUE = "value"
    AGE_LIMIT = "age_limit"  # Judged by the limit of another age.
    EARLIER = "earlier"  # One of the earlier ones that it counts together with.
    NOT_PREGNANT = "not_pregnant"  # No pregnancy or lactation on record for that day.
    FINDING = "finding"  # The visit with an adverse reaction.
    NO_FINDING = "no_finding"  # The visit without the reaction or complication.
    ANSWERED = "answered"  # In time.
    NOT_RECORDED = "not_recorded"


class Scope(StrEnum):
    """Which value would have had to be another."""

    VALUE = "value"
    MEAN = "mean"
    EACH_ARM = "mean_of_each_arm"
    DIFFERENCE = "difference"


class Answer(StrEnum):
    """What somebody who is waited for does."""

    ASSESSMENT = "assessment"
    RECHECK = "recheck"
    VISIT = "visit"
    REFERRAL_FOLLOWUP = "referral_followup"
    FACE_TO_FACE = "face_to_face_visit"


class Needed(StrEnum):
    """On which side of a limit a value would have had to be."""

    NOT_ABOVE = "at_or_below"
    BELOW = "below"
    ABOVE = "above"
    AT_OR_ABOVE = "at_or_above"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """One thing that, being otherwise, would have changed the outcome by itself."""

    change: ChangeKind
    scope: Scope | None = None
    needed: Needed | None = None
    limit: str | None = None  # '140/90 mmHg'
    age_min: int | None = None  # The other age: from so many completed years on,
    age_below: int | None = None  # or below so many.
    days: tuple[date, ...] = ()  # Of the earlier ones.
    answers: tuple[Answer, ...] = ()  # All of them are needed.
    by: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An alert that this event resolved."""

    code: AlertCode
    on: date  # Of its anchor.


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why there is an alert, or why a case last moved."""

    resident: int  # Row of the residents.
    condition: Condition
    code: AlertCode | None  # Of the alert, or the one that the transition raised.
    profile: str
    profile_version: str
    profile_valid_from: date
    limit: LimitText
    sides: tuple[Side, ...]
    observed: str | None  # '146/92 mmHg'; None: a record decided.
    session_mean: str | None  # '146/92 mmHg, mean of 2'; None: one value decided.
    arms: tuple[str, ...]  # Means of the left and the right where both were measured, mmHg.
    readings: tuple[UsedReading, ...]
    anchor: Moment  # Its day gives the due day.
    decided: Moment
    earlier: tuple[Moment, ...]  # That it counts together with, latest first.
    answered: tuple[Answered, ...]
    counterfactual: tuple[Counterfactual, ...]
    opened_by: AlertCode | None = None  # Of an overdue alert: what nobody answered in time.
    severity: Severity | None = None
    status: AlertStatus | None = None
    resolved_by: Moment | None = None
    due: date | None = None  # Last day, inclusive.
    overdue_days: int = 0
    escalation: int = 0  # 0 the team, 1 its leader, 2 the centre.
    action: Action | None = None  # What moved the case; None: this explains an alert.
    state: CaseState | None = None  # Of the case, as it stands; the next two likewise.
    consecutive_unsatisfied: int | None = None
    next_routine_due: date | None = None

    def as_record(self) -> dict[str, Json]:
        """All facts, ready for JSON. Days and instants are ISO texts."""
        record = _fields_of(self)
        limit = _fields_of(self.limit)
        del limit["sides"]
        changes: list[Json] = [_told(each) for each in self.counterfactual]
        return record | {"limit": limit, "counterfactual": changes}


def _fields_of(row: object) -> dict[str, Json]:
    if not is_dataclass(row):
        raise TypeError(type(row).__name__)
    return {field.name: _plain(getattr(row, field.name)) for field in fields(row)}


def _told(row: object) -> dict[str, Json]:
    """Only the fields that say something."""
    return {name: value for name, value in _fields_of(row).items() if value not in (None, [])}


def _plain(value: object) -> Json:
    if isinstance(value, IntEnum):
        return value.name if isinstance(value, AlertCode) else value.name.lower()
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, date):  # Or a datetime.
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return _fields_of(value)
