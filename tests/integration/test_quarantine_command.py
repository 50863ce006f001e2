"""``suifang quarantine`` as an operator runs it: what is shown, what is never, and exit codes."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from gateway.wire.errors import Reason
from ingest.db.connections import connect
from ingest.quarantine_cli import app
from tests.builders import AT, a_batch, a_blood_pressure, a_glucose, enrol
from tests.fix_db import Database
from tests.integration.quarantine_bench import QuarantineBench
from tests.roles import prepare_ingest

_PSEUDONYM = "resident-7f3a"
_HOUR = timedelta(hours=1)
_DROP = ("--author", "dr-wang", "--reason-text", "measured again")


@pytest.fixture
def filled(database: Database, tmp_path: Path) -> Database:
    """Four items: an unknown unit twice, an implausible value, and bytes that are no text."""
    too_high = a_blood_pressure("120", "130", device_id="bp-[red]\x1b[31m", resident_id=_PSEUDONYM)

    async def fill(bench: QuarantineBench) -> None:
        await bench.refuse(a_glucose(resident_id=_PSEUDONYM))
        await bench.refuse(a_glucose("9.1", resident_id=_PSEUDONYM), at=AT + _HOUR)
        await bench.store(a_batch(too_high), at=AT + 2 * _HOUR)
        await bench.store(b"\x00\xff", at=AT + 3 * _HOUR)

    in_bench(database, tmp_path, fill)
    return database


def in_bench(
    database: Database, folder: Path, work: Callable[[QuarantineBench], Coroutine[Any, Any, None]]
) -> None:
    async def run() -> None:
        async with await connect(database.dsn, application_name="t", autocommit=True) as opened:
            await enrol(opened)
            await prepare_ingest(opened)
            await work(QuarantineBench(opened, database.dsn, folder))

    asyncio.run(run())


def run(database: Database, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--database", database.dsn], env={"COLUMNS": "200"})


def run_json(database: Database, *arguments: str) -> dict[str, Any]:
    done = run(database, *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.dsn) as opened:
        return opened.execute(statement.encode()).fetchall()


def test_a_list_shows_what_is_wrong_and_nothing_of_the_resident(filled: Database) -> None:
    record = run_json(filled, "list")

    assert [(item["number"], item["reason"]) for item in record["items"]] == [
        (1, "unknown_unit"),
        (2, "unknown_unit"),
        (3, "implausible"),
        (4, "malformed_json"),
    ]
    assert record["next_after"] is None
    assert record["items"][0] == {
        "number": 1,
        "reason": "unknown_unit",
        "field": "unit",
        "detail": "this version does not know it",
        "centre": "east",
        "gateway": "gw-1",
        "device": "glu-1",
        "reading_id": record["items"][0]["reading_id"],
        "settles": True,
        "payload_bytes": record["items"][0]["payload_bytes"],
        "received_at": "2026-03-02T01:00:00+00:00",
        "replayed_at": None,
        "resolution": None,
        "resolved_at": None,
    }
    table = run(filled, "list")
    assert table.exit_code == 0
    assert "is not above diastolic 130" in table.stdout
    for shown in (json.dumps(record), table.stdout, run(filled, "list", "--summary").stdout):
        assert _PSEUDONYM not in shown
        assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("reading", "secret"),
    [
        pytest.param({"resident_id": "Zhang San " * 9}, "Zhang", id="too-long-a-resident"),
        pytest.param({"arm": "Zhang San"}, "Zhang", id="a-name-in-another-field"),
        pytest.param({"note": "Zhang San \u0000"}, "Zhang", id="what-the-database-quotes"),
    ],
)
def test_a_list_shows_nothing_that_a_terminal_was_given(
    database: Database, tmp_path: Path, reading: dict[str, Any], secret: str
) -> None:
    payload = a_batch({**a_blood_pressure(), **reading})

    async def fill(bench: QuarantineBench) -> None:
        await bench.store(payload)

    in_bench(database, tmp_path, fill)

    assert secret in json.dumps(run_json(database, "show", "1"))
    assert secret not in json.dumps(run_json(database, "list"))
    assert secret not in json.dumps(run_json(database, "replay", "1"))
    assert secret not in run(database, "list").stdout + run(database, "replay", "1").stdout


def test_pages_visit_each_item_once(filled: Database) -> None:
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        record = run_json(filled, "list", "--limit", "3", "--after", str(after))
        seen += [item["number"] for item in record["items"]]
        after = record["next_after"]

    assert seen == [1, 2, 3, 4]
    assert "more: --after 3" in run(filled, "list", "--limit", "3").stdout


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (["--reason", "unknown_unit"], [1, 2]),
        (["--reason", "unknown_unit", "--reason", "implausible"], [1, 2, 3]),
        (["--gateway", "gw-1", "--centre", "east", "--device", "glu-1"], [1, 2]),
        (["--since", "2026-03-02T10:00:00+08:00", "--until", "2026-03-02T03:30:00Z"], [2, 3]),
        (["--since", "2026-03-03"], []),
        (["--until", "2026-03-02"], []),
        (["--settled"], [1, 2, 3]),
        (["--unsettled"], [4]),
    ],
)
def test_filters_narrow_the_list(filled: Database, filters: list[str], numbers: list[int]) -> None:
    found = [item["number"] for item in run_json(filled, "list", *filters)["items"]]

    assert found == numbers
    assert run_json(filled, "list", "--summary", *filters)["items"] == len(numbers)


def test_a_summary_counts_by_reason_and_gateway_the_latest_first(filled: Database) -> None:
    record = run_json(filled, "list", "--summary")

    assert [(g["reason"], g["gateway"], g["items"], g["settling"]) for g in record["groups"]] == [
        ("malformed_json", "gw-1", 1, 0),
        ("implausible", "gw-1", 1, 1),
        ("unknown_unit", "gw-1", 2, 2),
    ]
    assert (record["items"], record["settling"]) == (4, 3)
    assert record["groups"][2]["oldest"] == record["oldest"] == "2026-03-02T01:00:00+00:00"
    assert record["groups"][2]["newest"] == "2026-03-02T02:00:00+00:00"
    assert run(filled, "list", "--summary").exit_code == 0


def test_one_item_is_shown_whole_with_what_to_do(filled: Database) -> None:
    item = run_json(filled, "show", "1")

    assert _PSEUDONYM in item["payload_text"]
    assert item["payload_hex"] is None
    assert (item["settles"], item["disposition"], item["resolution"]) == (True, "quarantined", None)
    assert item["meaning"] == "The unit is none of the contract."
    assert "replay" in item["remedy"]
    text = run(filled, "show", "3").stdout
    assert _PSEUDONYM in text
    assert "\x1b" not in text
    assert "health data" in text


def test_bytes_that_are_no_text_are_shown_as_digits(filled: Database) -> None:
    item = run_json(filled, "show", "4")

    assert (item["payload_text"], item["payload_hex"]) == (None, "00ff")
    assert item["disposition"] is None
    assert run(filled, "show", "4").stdout.rstrip().endswith("00ff")


def test_a_replay_reports_what_became_of_the_items(filled: Database) -> None:
    told = run_json(filled, "replay", "--everything", "--dry-run")
    assert rows(filled, "SELECT count(*) FROM reading") == [(0,)]
    done = run_json(filled, "replay", "--everything")

    assert {**told, "dry_run": False} == done
    assert done == {
        "dry_run": False,
        "items": 4,
        "stored": 2,
        "duplicate": 0,
        "known": 0,
        "split": 0,
        "refused": 2,
        "skipped": 0,
        "refusals": [
            {
                "reason": "implausible",
                "items": 1,
                "numbers": [3],
                "example": "systolic 120 is not above diastolic 130",
            },
            {
                "reason": "malformed_json",
                "items": 1,
                "numbers": [4],
                "example": done["refusals"][1]["example"],
            },
        ],
    }
    assert [item["number"] for item in run_json(filled, "list")["items"]] == [3, 4]
    everything = run_json(filled, "list", "--all")["items"]
    assert [item["resolution"] for item in everything] == ["replayed", "replayed", None, None]
    assert run_json(filled, "replay", "1", "2")["skipped"] == 2
    shown = run_json(filled, "show", "1")
    assert (shown["resolution"], shown["disposition"]) == ("replayed", "stored")


def test_a_person_reads_why_items_stay_and_what_to_do(filled: Database) -> None:
    text = run(filled, "replay", "--reason", "implausible").stdout

    assert "refused again, still in quarantine" in text
    assert "implausible: items 3" in text
    assert "physical limits" in text
    assert "nothing in quarantine" in run(filled, "replay", "--gateway", "nobody").stdout


def test_a_dropped_item_is_hidden_and_says_who_and_why(filled: Database) -> None:
    assert run_json(filled, "drop", "--reason", "implausible", "--dry-run", *_DROP) == {
        "dry_run": True,
        "dropped": 1,
    }
    assert len(run_json(filled, "list")["items"]) == 4
    assert run_json(filled, "drop", "--reason", "implausible", *_DROP)["dropped"] == 1
    assert run_json(filled, "drop", "3", *_DROP)["dropped"] == 0

    assert [item["number"] for item in run_json(filled, "list")["items"]] == [1, 2, 4]
    assert run_json(filled, "list", "--summary")["items"] == 3
    item = run_json(filled, "show", "3")
    assert (item["resolution"], item["settles"]) == ("dropped", True)
    assert (item["dropped_by"], item["dropped_because"]) == ("dr-wang", "measured again")
    assert rows(filled, "SELECT count(*) FROM quarantine") == [(4,)]
    assert run_json(filled, "replay", "--everything")["items"] == 3
    assert run_json(filled, "replay", "3")["refused"] == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["replay"], "say which items"),
        (["replay", "1", "--everything"], "say which items"),
        (["replay", "--reason", "implausible", "--everything"], "say which items"),
        (["replay", "1", "--gateway", "gw-1"], "numbers or filters"),
        (["replay", "1", "--profile", "nowhere"], "nowhere"),
        (["replay", "--reason", "furlong"], "furlong"),
        (["list", "--since", "yesterday"], "neither a day"),
        (["list", "--until", "2026-03-02T09:00:00"], "neither a day"),
        (["list", "--limit", "0"], "greater than"),
        (["drop", "1", "--author", "dr-wang"], "--reason-text"),
        (["drop", "1", "--reason-text", "why"], "--author"),
        (["drop", "1", "--author", "  ", "--reason-text", "why"], "printable"),
        (["drop", "1", "--author", "dr-wang", "--reason-text", "\x1b[31m"], "printable"),
        (["drop", *_DROP], "say which items"),
        (["show", "0"], "greater than"),
    ],
)
def test_a_wrong_command_line_exits_2_and_says_why(
    filled: Database, arguments: list[str], problem: str
) -> None:
    done = run(filled, *arguments)

    assert done.exit_code == 2
    assert problem in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    "arguments", [["show", "99"], ["replay", "1", "99"], ["drop", "99", *_DROP]]
)
def test_a_number_of_no_item_exits_1_and_changes_nothing(
    filled: Database, arguments: list[str]
) -> None:
    done = run(filled, *arguments)

    assert done.exit_code == 1
    assert "no item has the number 99" in done.stderr
    assert rows(filled, "SELECT DISTINCT resolution FROM quarantine") == [(None,)]


def test_a_database_that_is_gone_is_one_line() -> None:
    nowhere = Database("nowhere", "postgresql://a:b@127.0.0.1:1/nowhere")
    done = run(nowhere, "replay", "--everything")

    assert done.exit_code == 1
    assert done.stderr.startswith("suifang: ")
    assert len(done.stderr.splitlines()) == 1


def test_every_reason_is_explained_without_a_database() -> None:
    told = json.loads(CliRunner().invoke(app, ["reasons", "--json"]).stdout)

    assert told.keys() == {reason.value for reason in Reason}
    assert CliRunner().invoke(app, ["reasons"]).exit_code == 0
