"""The judge of truth: what a run left behind, and every way in which that is wrong.

Two runs of one workload are compared by what a reading *is* (device, boot, sequence), never by
ids, which are drawn at capture. What may honestly depend on when things happened is left out:
ids, the clocks of ingest and judge, what a cancelled alert once said, whether a reading was late.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from uuid import UUID

import psycopg

from gateway.counters import SpoolCounters
from simulators.balance import GatewayBalance

Row: TypeAlias = tuple[Any, ...]

_NAMES: Final = "SELECT id, device_id, boot_id, device_sequence FROM reading"
_DUPLICATES: Final = "SELECT id, duplicate_of FROM duplicate"
_CASES: Final = """
SELECT anchor_id, resident_id, condition, state, consecutive_unsatisfied, second_followup_due,
       referral_followup_due, next_routine_due, anchor_kind, cause, profile, profile_version
FROM resident_case WHERE state <> 'none'"""
_ALERTS: Final = """
SELECT anchor_id, resident_id, centre_id, condition, code, severity, status, anchor_kind,
       effective_at, due, overdue_days, escalation, profile, profile_version
FROM alert WHERE status <> 'cancelled'"""
_STATUSES: Final = "SELECT id, status FROM alert"
_STATES: Final = "SELECT resident_id, condition, state FROM resident_case"
_OUTBOX: Final = "SELECT number, kind, payload FROM outbox ORDER BY number NULLS LAST, id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run left in the database, without what differs from run to run."""

    stored: Counter[Row]  # By device, boot and sequence.
    cases: Counter[Row]
    alerts: Counter[Row]  # Not the cancelled ones.
    statuses: Mapping[UUID, str] = field(default_factory=dict)  # Every alert's.
    states: Mapping[tuple[str, str], str] = field(default_factory=dict)
    events: Sequence[tuple[int | None, str, Mapping[str, Any]]] = ()


def read_outcome(dsn: str) -> Outcome:
    """Look at everything in one snapshot."""
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        names = {row[0]: row[1:] for row in connection.execute(_NAMES)}
        stored = Counter(names.values())
        names |= {row[0]: names.get(row[1]) for row in connection.execute(_DUPLICATES)}

        def anchored(rows: Iterable[Row]) -> Counter[Row]:
            return Counter((names.get(row[0]), *row[1:]) for row in rows)

        return Outcome(
            stored=stored,
            cases=anchored(connection.execute(_CASES)),
            alerts=anchored(connection.execute(_ALERTS)),
            statuses=dict(connection.execute(_STATUSES).fetchall()),
            states={row[:2]: row[2] for row in connection.execute(_STATES)},
            events=[(row[0], row[1], row[2]) for row in connection.execute(_OUTBOX)],
        )


def find_faults(outcome: Outcome) -> list[str]:
    """What is wrong with one run by itself: a reading stored twice, the feed."""
    twice = [name for name, count in outcome.stored.items() if count > 1]
    return [
        *(f"stored twice: {name}" for name in twice),
        *_find_gaps([number for number, _, _ in outcome.events]),
        *_find_alert_faults(outcome),
        *_find_case_faults(outcome),
    ]


def find_untrue_receipts(
    balances: Iterable[GatewayBalance], counters: Iterable[SpoolCounters]
) -> list[str]:
    """Where a gateway was told something else of its readings than the database holds."""
    told = {each.gateway: each for each in counters}
    return [
        f"receipts: {balance.gateway_id} was told {confirmed} {name}, there are {there}"
        for balance in balances
        if balance.gateway_id in told
        for name, there in (
            ("stored", balance.stored),
            ("duplicate", balance.duplicate),
            ("quarantined", balance.quarantined),
        )
        if (confirmed := getattr(told[balance.gateway_id], f"confirmed_{name}")) != there
    ]


def compare(outcome: Outcome, reference: Outcome) -> list[str]:
    """Every difference to the run without faults."""
    parts = (
        ("reading", outcome.stored, reference.stored),
        ("case", outcome.cases, reference.cases),
        ("alert", outcome.alerts, reference.alerts),
    )
    return [
        f"{what} {name}: {text}"
        for what, ours, theirs in parts
        for name, some in (("missing", theirs - ours), ("too much", ours - theirs))
        for text in sorted(map(_tell, some.elements()))
    ]


def _find_gaps(numbers: Sequence[int | None]) -> Iterator[str]:
    unnumbered = sum(number is None for number in numbers)
    if unnumbered:
        yield f"outbox: {unnumbered} events without a number"
    given = [number for number in numbers if number is not None]
    if given != list(range(1, len(given) + 1)):
        yield f"outbox: numbers are not 1 to {len(given)} without a gap"


def _find_alert_faults(outcome: Outcome) -> Iterator[str]:
    raised: Counter[UUID] = Counter()
    told: dict[UUID, str] = {}
    for _, kind, payload in outcome.events:
        if kind not in {"alert.raised", "alert.changed"}:
            continue
        alert = UUID(payload["alert_id"])
        raised[alert] += kind == "alert.raised"
        if kind == "alert.changed" and not raised[alert]:
            yield f"outbox: alert {alert} changed before it was raised"
        told[alert] = payload["status"]
    for alert, count in raised.items():
        if count > 1:
            yield f"outbox: alert {alert} raised {count} times"
        if alert not in outcome.statuses:
            yield f"outbox: alert {alert} is told and is not there"
    for alert, status in outcome.statuses.items():
        if not raised[alert]:
            yield f"outbox: alert {alert} was never raised"
        elif told[alert] != status:
            yield f"outbox: alert {alert} is {status}, told last was {told[alert]}"


def _find_case_faults(outcome: Outcome) -> Iterator[str]:
    told: dict[tuple[str, str], str] = {}
    for _, kind, payload in outcome.events:
        if kind == "case.changed":
            key = payload["resident_id"], payload["condition"]
            told[key] = payload["state"]
    for key, state in outcome.states.items():
        if told.get(key) != state:
            yield f"outbox: case {key} is {state}, told last was {told.get(key)}"


def _tell(row: Row) -> str:
    return ", ".join(str(value) for value in row)
