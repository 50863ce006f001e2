"""Promise: a table says line and column of what is wrong, and a dry run says what would change."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from gateway.wire.pseudonyms import pseudonym
from ingest.load_cli import app
from tests.fix_db import Database
from tests.integration.registry_bench import (
    ID_NUMBER,
    RESIDENT_ID,
    make_key_file,
    make_pseudonym_key,
)

_PLACES = {
    "centres": [{"id": "east", "name": "East"}],
    "teams": [{"id": id_, "centre_id": "east", "name": id_} for id_ in ("e1", "e2")],
}
HEADING = "居民编号,出生日期,性别,团队编号,高血压确诊日期"


@pytest.fixture
def places(database: Database, tmp_path: Path) -> Database:
    """A database with two teams."""
    file = tmp_path / "places.json"
    file.write_text(json.dumps(_PLACES))
    loaded = CliRunner().invoke(app, [str(file), "--database", database.dsn])
    assert loaded.exit_code == 0, loaded.output
    return database


def load(
    database: Database, folder: Path, text: str | bytes, *options: str, exit_code: int = 0
) -> dict[str, Any]:
    """The report of one run."""
    said = run(database, folder, text, "--json", *options)
    assert said.exit_code == exit_code, said.output
    told: dict[str, Any] = json.loads(said.stdout)
    return told


def run(database: Database, folder: Path, text: str | bytes, *options: str) -> Result:
    file = folder / "residents.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    arguments = ["residents", str(file), "--database", database.dsn, *options]
    return CliRunner().invoke(app, arguments)


def ask(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.dsn) as connection:
        return connection.execute(statement.encode()).fetchall()


_STORED = "SELECT id, birth_date::text, sex, team_id FROM resident ORDER BY id"
_CONDITIONS = "SELECT resident_id, condition, since::text, until::text FROM resident_condition"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_table_is_read_under_chinese_headings_in_what_excel_writes(
    places: Database, tmp_path: Path, encoding: str, delimiter: str
) -> None:
    text = f"{HEADING}\r\nr-1,1949/1/1,男,e1,2020年5月20日\r\n\r\nr-2,19500203,女,e2,\r\n"

    told = load(places, tmp_path, text.replace(",", delimiter).encode(encoding))

    assert (told["lines"], told["created"], told["errors"]) == (2, 2, [])
    assert ask(places, _STORED) == [
        ("r-1", "1949-01-01", "male", "e1"),
        ("r-2", "1950-02-03", "female", "e2"),
    ]
    assert ask(places, _CONDITIONS) == [("r-1", "hypertension", "2020-05-20", None)]


def test_a_dry_run_tells_what_would_change_and_writes_nothing(
    places: Database, tmp_path: Path
) -> None:
    load(places, tmp_path, f"{HEADING}\nr-1,1949-01-01,男,e1,2020-05-20\nr-2,,,e1,\n")
    before = ask(places, "SELECT * FROM registry_change ORDER BY kind, id, version")
    changed = f"{HEADING}\nr-1,1949-01-01,男,e2,\nr-2,,,e1,\nr-3,,女,e1,\nr-4,,,e9,\n"

    told = load(places, tmp_path, changed, "--dry-run", exit_code=1)

    assert [told[word] for word in ("created", "changed", "unchanged", "refused")] == [1, 1, 1, 1]
    assert told["fields"] == {"conditions": 1, "team_id": 1}
    assert [(error["line"], error["column"]) for error in told["errors"]] == [(5, "team_id")]
    assert ask(places, "SELECT * FROM registry_change ORDER BY kind, id, version") == before
    assert ask(places, "SELECT count(*) FROM resident") == [(2,)]


def test_one_wrong_line_writes_nothing_and_keep_going_writes_the_rest(
    places: Database, tmp_path: Path
) -> None:
    text = (
        f"{HEADING}\nr-1,1949-01-01,男,e1,2020-05-20\nr-2,1949-02-30,公,e1,2020-13-01\n"
        "r-3,1949-01-01\nr-1,,,e1,\nr-4,,,e9,\n,,,e1,\n"
    )

    told = load(places, tmp_path, text, exit_code=1)

    assert [(error["line"], error["column"]) for error in told["errors"]] == [
        (3, "出生日期"),
        (3, "性别"),
        (3, "高血压确诊日期"),
        (4, ""),
        (5, ""),
        (7, ""),
    ]
    assert "1949-02-30" not in json.dumps(told)
    assert "line 2" in told["errors"][4]["problem"]
    assert ask(places, "SELECT count(*) FROM resident") == [(0,)]
    told = load(places, tmp_path, text, "--keep-going", exit_code=1)
    assert (told["created"], told["refused"]) == (1, 5)
    assert (6, "team_id") in [(error["line"], error["column"]) for error in told["errors"]]


def test_a_line_that_the_database_refuses_takes_all_back(places: Database, tmp_path: Path) -> None:
    told = load(places, tmp_path, f"{HEADING}\nr-1,,,e1,\nr-2,,,e9,\n", exit_code=1)

    assert (told["errors"][0]["line"], told["errors"][0]["column"]) == (3, "team_id")
    assert ask(places, "SELECT count(*) FROM resident") == [(0,)]


def test_a_column_that_is_not_there_stays_as_it_is(places: Database, tmp_path: Path) -> None:
    load(places, tmp_path, f"{HEADING},妊娠开始,妊娠结束\nr-1,1949-01-01,女,e1,2020-05-20,,\n")
    load(places, tmp_path, "id,妊娠开始,妊娠结束\nr-1,2026-01-01,2026-03-01\n")
    load(places, tmp_path, "id,妊娠开始,妊娠结束\nr-1,2026-05-01,\n")

    load(places, tmp_path, "id,team_id\nr-1,e2\n")

    assert ask(places, _STORED) == [("r-1", "1949-01-01", "female", "e2")]
    assert sorted(ask(places, _CONDITIONS)) == [
        ("r-1", "hypertension", "2020-05-20", None),
        ("r-1", "pregnant", "2026-01-01", "2026-03-01"),
        ("r-1", "pregnant", "2026-05-01", None),
    ]
    load(places, tmp_path, "id,高血压确诊日期\nr-1,\n")
    assert len(ask(places, _CONDITIONS)) == 2
    versions = "SELECT max(version) FROM registry_change WHERE kind = 'resident'"
    assert ask(places, versions) == [(5,)]


def test_names_are_sealed_and_the_pseudonym_comes_from_the_id_number(
    places: Database, tmp_path: Path
) -> None:
    keys = ["--key-file", str(make_key_file(tmp_path))]
    keys += ["--pseudonym-key", str(make_pseudonym_key(tmp_path))]
    text = f"身份证号,姓名,团队编号\n{ID_NUMBER},某某,e1\n"

    told = load(places, tmp_path, text, *keys)

    assert told["created"] == 1
    assert ask(places, _STORED) == [(RESIDENT_ID, None, None, "e1")]
    assert ask(places, "SELECT count(*) FROM resident_sealed") == [(1,)]
    assert load(places, tmp_path, text, *keys)["unchanged"] == 1
    wrong = load(places, tmp_path, text.replace("01001X", "010011"), *keys, exit_code=1)
    assert wrong["errors"][0]["column"] == "personal.id_number"
    assert ID_NUMBER[:14] not in json.dumps(wrong)
    without = load(places, tmp_path, f"id,姓名,身份证号\nr-1,某某,{ID_NUMBER}\n", exit_code=1)
    assert without["errors"][0]["column"] == "personal"


def test_with_a_new_pseudonym_key_whoever_was_joined_keeps_the_name(
    places: Database, tmp_path: Path
) -> None:
    before, current = make_pseudonym_key(tmp_path), tmp_path / "current-key"
    current.touch(mode=0o600)
    current.write_bytes(b"c" * 32)
    keys = ["--key-file", str(make_key_file(tmp_path))]
    text = f"身份证号,姓名,团队编号\n{ID_NUMBER},某某,e1\n"
    load(places, tmp_path, text, *keys, "--pseudonym-key", str(before))
    new = pseudonym(b"c" * 32, ID_NUMBER)
    with psycopg.connect(places.dsn) as connection:
        connection.execute(
            "INSERT INTO resident (id, stub, created_at) VALUES (%s, true, '2026-01-01')", [new]
        )
        connection.execute(
            "INSERT INTO resident_merge (resident_id, into_id, reason, author, merged_at)"
            " VALUES (%s, %s, 'new key', 'test', '2026-01-01')",
            [new, RESIDENT_ID],
        )
    keys += ["--pseudonym-key", str(current), "--pseudonym-key-before", str(before)]

    told = load(places, tmp_path, text.replace("e1", "e2"), *keys)
    twice = f"id,身份证号,姓名,团队编号\n{RESIDENT_ID},,,e1\n,{ID_NUMBER},某某,e2\n"
    refused = load(places, tmp_path, twice, *keys, exit_code=1)

    assert told["changed"] == 1
    assert (RESIDENT_ID, None, None, "e2") in ask(places, _STORED)
    assert refused["errors"][0]["line"] == 3
    assert "same resident as line 2" in refused["errors"][0]["problem"]


@pytest.mark.parametrize(
    ("heading", "problem"),
    [
        ("居民编号,电话", "'电话'"),
        ("居民编号,编号", "two columns are id"),
        ("性别", "no column says who it is"),
        ("编号,姓名", "身份证号 (id_number) is missing"),
        ("编号,高血压结束日期", "needs the column of its beginning"),
        ("", "no column says who it is"),
    ],
)
def test_headings_that_cannot_be_used_are_named(
    places: Database, tmp_path: Path, heading: str, problem: str
) -> None:
    said = run(places, tmp_path, f"{heading}\nx,y\n")

    assert said.exit_code == 2
    assert problem in said.stderr
    assert "line 1" in said.stderr


def test_a_column_can_be_left_out_and_the_text_says_what_was_done(
    places: Database, tmp_path: Path
) -> None:
    said = run(places, tmp_path, "编号,电话\nr-1,0\n", "--skip-column", "电话")

    assert said.exit_code == 0
    assert said.stdout == "1 lines; 1 created, 0 changed, 0 unchanged, 0 refused\n"
    assert run(places, tmp_path, b"id\nr-\xff\xff\xff\n").exit_code == 2
