"""What the rules say about a set of residents at one moment. Plain columns, no behaviour.

An *anchor* is a number in one row of moments: 0 to n-1 are the readings as the caller gave
them, then e records, then m residents (a routine visit counts from the enrolment), then what
the checkpoint carried over.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

from rules.columns import BoolArray, DateArray, InstantArray, Int8Array, Int32Array, Int64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Cases whose state is not none, shape (c,) each, ordered by (resident, condition)."""

    resident: Int64Array  # Row in ``Residents``.
    condition: Int8Array  # ``Condition``.
    state: Int8Array  # ``CaseState``.
    consecutive_unsatisfied: Int64Array
    second_followup_due: DateArray  # Last day, inclusive; NaT; the next two likewise.
    referral_followup_due: DateArray
    next_routine_due: DateArray
    anchor: Int64Array  # What last moved the case, -1.
    decided: Int64Array  # First reading of the session, or the value, or the record that did; -1.
    cause: Int8Array  # ``machine.Action`` that last moved the case.
    row: Int64Array  # Profile row that judged it.

    def __len__(self) -> int:
        return len(self.resident)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Active and resolved alerts, shape (a,) each, by (resident, condition, anchor, code)."""

    resident: Int64Array  # Row in ``Residents``.
    condition: Int8Array  # ``Condition``.
    code: Int8Array  # ``AlertCode``.
    severity: Int8Array  # ``Severity``.
    status: Int8Array  # ``AlertStatus``: active or resolved.
    anchor: Int64Array  # With resident, condition and code it is the identity.
    decided: Int64Array  # First reading of the session, or the value, or the record that decided.
    systolic_sum: Int64Array  # What it showed: 1e-13 mmHg over ``count`` readings, else MISSING.
    diastolic_sum: Int64Array
    count: Int64Array
    glucose_mmol_l_e4: Int64Array
    range_status: Int8Array
    due: DateArray  # Last day, inclusive; NaT.
    became_true_at: InstantArray  # Of the anchor; an overdue one: midnight after the due day.
    page: BoolArray
    late: BoolArray  # Known more than 24 hours after it became true: feed only.
    overdue_days: Int64Array  # 0 unless an overdue alert; frozen when resolved.
    escalation: Int64Array  # 0 the team, 1 its leader, 2 the centre.
    row: Int64Array  # Profile row that judged it.
    resolved_by: Int64Array  # Anchor of the event that resolved it, -1.

    def __len__(self) -> int:
        return len(self.resident)

    def take(self, rows: Any) -> Self:  # noqa: ANN401 - an index
        """These alerts, in this order."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """What each assessment of a diagnosed condition found, shape (k,) each; in no order.

    Also each fasting value at or below the low emergency limit, which forms no assessment of a
    case. What a checkpoint has folded is not told again.
    """

    resident: Int64Array  # Row in ``Residents``.
    condition: Int8Array  # ``Condition``.
    day: DateArray  # Local, of the session or value that decided.
    controlled: BoolArray  # Satisfied; a low emergency never is.

    def __len__(self) -> int:
        return len(self.resident)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """How each reading was used, shape (n,), in the caller's order."""

    session: Int32Array  # First reading of its session, or itself; -1: it counts nowhere.
    group: Int32Array  # Anchor of the assessment it belongs to; -1.


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Cases, alerts and when to ask again."""

    cases: Cases
    alerts: Alerts
    next_tick: InstantArray  # Shape (m,): when time alone next changes something; NaT: never.
    high_normal_on: DateArray  # Shape (m,): local day of the latest high-normal session (B4); NaT.
    assessed: Assessed
    third_reading: Int64Array  # First readings of sessions that ask for a third.
    trace: Trace
