"""What the demo says at the end: ``demo.json``, and the same as tables for people."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psycopg
from rich.console import Console
from rich.table import Table

_COUNTS: Final = """
SELECT (SELECT count(*) FROM reading), (SELECT count(*) FROM duplicate),
       (SELECT count(*) FROM quarantine), (SELECT coalesce(sum(redelivered), 0) FROM gateway_day)"""
_ALERTS: Final = """
SELECT code, severity, count(*) FILTER (WHERE status <> 'cancelled'),
       count(*) FILTER (WHERE status = 'cancelled')
FROM alert GROUP BY 1, 2 ORDER BY 1, 2"""
_STATUSES: Final = "SELECT status, count(*) FROM alert GROUP BY 1 ORDER BY 1"
_CASES: Final = """
SELECT state, count(*) FROM resident_case WHERE state <> 'none' GROUP BY 1 ORDER BY 1"""
_REASONS: Final = "SELECT reason, count(*) FROM quarantine GROUP BY 1 ORDER BY 2 DESC, 1"
_HYPERTABLE: Final = """
SELECT exists(SELECT FROM timescaledb_information.hypertables WHERE hypertable_name = 'reading'),
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb')"""


_FIELDS: Final = (
    *("started_at", "finished_at", "database", "sent", "stored", "duplicate", "quarantined"),
    *("redelivered", "quarantine_reasons", "alerts", "alerts_by_status", "cases", "timescaledb"),
    *("hypertable", "latency", "reconcile", "first_stored_after_s", "restarts", "interrupted"),
    *("session_wait_s", "logs", "told"),
)


def blank_report(problem: str) -> dict[str, Any]:
    """A report of a demo that has nothing to report: every field is there and empty."""
    return {**dict.fromkeys(_FIELDS), "conserved": False, "problem": problem}


def read_database(dsn: str) -> dict[str, Any]:
    """Count what the database holds. Read-only."""
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        connection.read_only = True
        stored, duplicate, quarantined, redelivered = _one(connection, _COUNTS)
        hypertable, version = _one(connection, _HYPERTABLE)
        alerts = connection.execute(_ALERTS).fetchall()
        return {
            "stored": stored,
            "duplicate": duplicate,
            "quarantined": quarantined,
            "redelivered": int(redelivered),
            "quarantine_reasons": dict(connection.execute(_REASONS).fetchall()),
            "alerts": [
                {"code": code, "severity": severity, "count": number, "cancelled": cancelled}
                for code, severity, number, cancelled in alerts
            ],
            "alerts_by_status": dict(connection.execute(_STATUSES).fetchall()),
            "cases": dict(connection.execute(_CASES).fetchall()),
            "timescaledb": version,
            "hypertable": hypertable,
        }


def _one(connection: psycopg.Connection[tuple[Any, ...]], statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement).fetchone()
    assert row is not None  # noqa: S101 - aggregates always give one row
    return row


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Replace the report in one step, so that a reader never sees half of one."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """The same for people."""
    table = Table(title="what became of every reading", show_header=False)
    for name in ("sent", "stored", "duplicate", "quarantined", "redelivered"):
        table.add_row(name, f"{report[name]:,}")
    table.add_row("conserved", "yes" if report["conserved"] else "NO: see differences in the JSON")
    for name, text in (("stored", "publish → stored"), ("alert", "publish → emergency alert")):
        figures = report["latency"][f"publish_to_{name}"]
        table.add_row(text, f"p50 {figures['p50_ms']} ms, p99 {figures['p99_ms']} ms")
    told = report["told"]
    table.add_row(
        "told", f"{told['messages']:,} messages to staff, {told['events']:,} events to a subscriber"
    )
    table.add_row("TimescaleDB", f"{report['timescaledb']}, hypertable: {report['hypertable']}")
    console.print(table)
    for title, rows in (
        ("quarantined, by reason", report["quarantine_reasons"].items()),
        (
            "alerts (the cancelled ones left out)",
            ((f"{row['code']} ({row['severity']})", row["count"]) for row in report["alerts"]),
        ),
        ("cases by state", report["cases"].items()),
    ):
        table = Table(title=title, show_header=False)
        for name, number in rows:
            table.add_row(str(name), f"{number:,}")
        console.print(table)
