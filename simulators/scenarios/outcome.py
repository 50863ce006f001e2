"""What the system has made of a scenario: alerts, cases, counts, out of its database. Read only."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from simulators.holdings import opened

_ALERTS: Final = """
SELECT coalesce(resident_id, ''), condition, code, status, due, effective_at, raised_at
FROM alert ORDER BY effective_at, number"""
_CHANGES: Final = """
SELECT resident_id, condition, to_state, at FROM case_transition ORDER BY number"""
_STATES: Final = "SELECT resident_id, condition, state FROM resident_case"
_REASONS: Final = "SELECT reason, count(*) FROM quarantine GROUP BY 1"
_TOTALS: Final = """
SELECT coalesce(sum(stored), 0)::int8, coalesce(sum(duplicate), 0)::int8,
       coalesce(sum(quarantined), 0)::int8, coalesce(sum(unsettling), 0)::int8,
       coalesce(sum(redelivered), 0)::int8
FROM gateway_day"""


class AlertSeen(NamedTuple):
    """One alert, whatever became of it."""

    resident_id: str
    condition: str
    code: str
    status: str
    due: date | None
    effective_at: datetime
    raised_at: datetime


class Change(NamedTuple):
    """A case that changed its state."""

    resident_id: str
    condition: str
    state: str
    at: datetime


class FigureSeen(NamedTuple):
    """One indicator of the whole town, over the calendar year of the last day."""

    percent: Decimal | None  # None: over nobody.
    numerator: int
    denominator: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that expectations ask about."""

    alerts: list[AlertSeen]
    changes: list[Change]
    states: dict[tuple[str, str], str]  # Of a resident's condition, now.
    reasons: Counter[str]
    totals: dict[str, int]
    refused: int = 0
    sent: int = 0
    figures: Mapping[str, FigureSeen] = field(default_factory=dict)


def read_outcome(
    dsn: str, *, sent: int, refused: int, figures: Mapping[str, FigureSeen] | None = None
) -> Outcome:
    """Look at all of it in one snapshot. Raises ``ReconcileError``.

    Args:
        dsn: The rehearsal's database.
        sent: How many readings the ledger has.
        refused: How many of them no gateway took.
        figures: By the code of the indicator; None: they were not computed.
    """
    with opened(dsn) as snapshot:
        totals = snapshot.execute(_TOTALS).fetchone() or (0,) * 5
        names = ("stored", "duplicate", "quarantined", "unsettling", "redelivered")
        return Outcome(
            alerts=[AlertSeen(*row) for row in snapshot.execute(_ALERTS)],
            changes=[Change(*row) for row in snapshot.execute(_CHANGES)],
            states={(row[0], row[1]): row[2] for row in snapshot.execute(_STATES)},
            reasons=Counter(dict(snapshot.execute(_REASONS).fetchall())),
            totals=dict(zip(names, map(int, totals), strict=True)),
            refused=refused,
            sent=sent,
            figures=figures or {},
        )
