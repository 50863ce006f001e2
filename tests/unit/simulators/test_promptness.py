"""Each severity has its bound, and it counts from when the ground of an alert was there."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import pytest

from simulators.holdings import Raised
from simulators.ledger import Entry
from simulators.planned import Expected
from simulators.promptness import Grounds, Timing, bounds_of
from simulators.series import SHANGHAI

STEP = timedelta(minutes=15)
BEGIN = datetime(2026, 3, 2, tzinfo=SHANGHAI)
READING, VISIT, NOBODYS = UUID(int=1), UUID(int=2), UUID(int=3)
SEEN_AT = BEGIN + timedelta(hours=9)


def measured(at: datetime, reading_id: UUID = READING) -> Entry:
    return Entry(
        gateway_id="gateway-1",
        expected=Expected.STORED,
        twins=None,
        delivery=("d", "b", 1),
        reading_id=reading_id,
        truth={"resident_id": "somebody", "measured_at": at.isoformat(), "fields": {}},
        sent_at=at,
    )


def timed(
    raised_at: datetime,
    severity: str = "warn",
    *,
    code: str = "BP_UNSATISFIED_1",
    anchor: UUID = READING,
    kind: str = "reading",
    due: date | None = None,
    lines: Sequence[tuple[datetime, bool, frozenset[str]]] = (),
    others: Sequence[Entry] = (),
) -> Timing:
    grounds = Grounds(
        [measured(SEEN_AT), *others], lines, {str(VISIT): SEEN_AT}, {"somebody": [BEGIN]}
    )
    alert = Raised("somebody", code, severity, anchor, kind, raised_at, due, amended_at=[])
    return grounds.compare([alert], bounds_of(STEP))


@pytest.mark.parametrize(
    ("severity", "minutes"), [("critical", 15), ("high", 40), ("warn", 40), ("info", 40)]
)
def test_an_alert_may_take_as_long_as_its_severity_says(severity: str, minutes: int) -> None:
    last = SEEN_AT + timedelta(minutes=minutes)

    assert not any(timed(last, severity))
    late = timed(last + timedelta(seconds=1), severity)
    assert (len(late.emergencies), len(late.others)) == (
        (1, 0) if severity == "critical" else (0, 1)
    )


def test_what_a_record_asks_for_is_told_in_time_too() -> None:
    assert not any(timed(SEEN_AT + STEP, "high", code="ADR_2", anchor=VISIT, kind="record"))
    assert timed(
        BEGIN + timedelta(days=1), "high", code="ADR_2", anchor=VISIT, kind="record"
    ).others


def test_a_missed_day_is_told_when_it_is_over() -> None:
    missed = date(2026, 3, 16)
    midnight = datetime(2026, 3, 17, tzinfo=SHANGHAI)

    assert not any(timed(midnight + STEP, "high", code="FOLLOWUP_OVERDUE", due=missed))
    assert timed(midnight + 4 * STEP, "high", code="FOLLOWUP_OVERDUE", due=missed).others


def test_who_was_never_visited_is_due_from_what_was_told_of_them() -> None:
    never = {"code": "ROUTINE_OVERDUE", "anchor": NOBODYS, "kind": "resident"}

    assert not any(timed(BEGIN + STEP, "info", due=date(2025, 1, 1), **never))  # type: ignore[arg-type]
    assert timed(BEGIN + 4 * STEP, "info", due=date(2025, 1, 1), **never).others  # type: ignore[arg-type]


def test_a_later_reading_of_the_assessment_and_a_mended_line_are_grounds() -> None:
    evening = SEEN_AT + timedelta(hours=8)
    back = [
        (BEGIN, False, frozenset({"gateway-1"})),
        (evening, True, frozenset({"gateway-1"})),
    ]

    assert timed(evening + STEP).others
    assert not any(timed(evening + STEP, others=[measured(evening, VISIT)]))
    assert not any(timed(evening + STEP, lines=back))


def test_an_alert_on_what_nobody_sent_is_baseless() -> None:
    assert timed(SEEN_AT, anchor=NOBODYS).baseless
