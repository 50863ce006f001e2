"""What the rules say about a set of residents at one moment. Plain columns, no behaviour."""

from dataclasses import dataclass

from rules.columns import BoolArray, DateArray, InstantArray, Int8Array, Int64Array


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
    anchor: Int64Array  # Row in ``Readings`` that last moved the case, -1.

    def __len__(self) -> int:
        return len(self.resident)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Active and resolved alerts, shape (a,) each, ordered by (resident, condition, time)."""

    resident: Int64Array  # Row in ``Residents``.
    condition: Int8Array  # ``Condition``.
    code: Int8Array  # ``AlertCode``.
    severity: Int8Array  # ``Severity``.
    status: Int8Array  # ``AlertStatus``: active or resolved.
    anchor: Int64Array  # Row in ``Readings``; with resident, condition and code it is the identity.
    decided: Int64Array  # Row in ``Readings``: first of the session, or the value, that decided.
    systolic_sum: Int64Array  # What it showed: 1e-13 mmHg over ``count`` readings, else MISSING.
    diastolic_sum: Int64Array
    count: Int64Array
    due: DateArray  # Last day, inclusive; NaT.
    page: BoolArray
    late: BoolArray  # Known more than 24 hours after it became true: feed only.
    overdue_days: Int64Array  # 0 unless an overdue alert; frozen when resolved.
    escalation: Int64Array  # 0 the team, 1 its leader, 2 the centre.

    def __len__(self) -> int:
        return len(self.resident)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Cases, alerts and when to ask again."""

    cases: Cases
    alerts: Alerts
    next_tick: InstantArray  # Shape (m,): when time alone next changes something; NaT: never.
