"""The loader takes a whole population at once, all of it or nothing, and twice changes nothing."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from ingest.load_cli import app as load_app
from tests.fix_db import Database

POPULATION: dict[str, Any] = {
    "centres": [{"id": "east", "name": "East", "profile": "cn_nbphs_2017"}],
    "teams": [{"id": "east-1", "centre_id": "east", "name": "Team 1"}],
    "residents": [
        {
            "id": "r-1",
            "team_id": "east-1",
            "enrolled_on": "2026-01-05",
            "conditions": [{"condition": "hypertension", "since": "2020-01-01"}],
        }
    ],
    "packages": [{"id": "basic", "name": "Basic", "profile": "wuzhou"}],
    "contracts": [
        {"id": "c-1", "resident_id": "r-1", "package_id": "basic", "since": "2026-01-05"}
    ],
    "records": [
        {
            "id": "019cac0f-2680-7e56-a935-c0a2c2277c28",
            "resident_id": "r-1",
            "kind": "visit",
            "at": "2026-01-06T09:00:00+08:00",
            "author": "dr-1",
            "findings": ["adverse_drug_reaction"],
        }
    ],
    "amendments": [
        {
            "id": "019cac0f-2680-7e56-a935-c0a2c2277c29",
            "kind": "correction",
            "reading_id": "019cac0f-2680-7e56-a935-c0a2c2277c30",
            "author": "dr-1",
            "changes": {"systolic": "18.66", "unit": "kPa"},
        }
    ],
}
_KEPT = """
SELECT (SELECT profile FROM centre), (SELECT enrolled_on::text FROM resident),
       (SELECT count(*) FROM contract), (SELECT findings FROM record),
       (SELECT changes FROM amendment)"""


def _load(database: Database, folder: Path, population: dict[str, Any]) -> Result:
    file = folder / "population.json"
    file.write_text(json.dumps(population))
    return CliRunner().invoke(load_app, [str(file), "--database", database.dsn, "--json"])


def _ask(database: Database, statement: str) -> tuple[Any, ...]:
    with psycopg.connect(database.dsn) as connection:
        found = connection.execute(statement.encode()).fetchone()
    assert found is not None
    return found


def test_everything_that_belongs_to_a_population_is_loaded_once(
    database: Database, tmp_path: Path
) -> None:
    for _ in range(2):
        said = _load(database, tmp_path, POPULATION)
        assert said.exit_code == 0, said.output
        counts = {name: len(POPULATION.get(name, [])) for name in json.loads(said.stdout)}
        assert json.loads(said.stdout) == counts

    assert _ask(database, _KEPT) == (
        "cn_nbphs_2017",
        "2026-01-05",
        1,
        ["adverse_drug_reaction"],
        {"systolic": "18.66", "unit": "kPa"},
    )
    assert _ask(database, "SELECT count(*) FROM due_mark WHERE kind = 'record'") == (1,)


@pytest.mark.parametrize(
    ("part", "change", "problem"),
    [
        ("packages", {"profile": "wuzho"}, "package basic: wuzho"),
        ("centres", {"profile": "none"}, "centre east: none"),
        ("records", {"kind": "closure"}, "records.0: Value error, findings belongs"),
        ("records", {"findings": ["headache"]}, "records.0.findings.0"),
        ("records", {"at": "2126-01-06T09:00:00+08:00"}, "record_is_not_of_the_future"),
        ("records", {"resident_id": "r-9"}, "record_resident_id_fkey"),
        ("amendments", {"kind": "retraction"}, "a retraction nothing"),
        ("amendments", {"changes": {"pulse": "70"}}, "amendments.0.changes"),
        ("contracts", {"until": "2025-12-31"}, "contracts.0: Value error, until: 2025"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_right_is_named_and_nothing_is_loaded(
    database: Database, tmp_path: Path, part: str, change: dict[str, Any], problem: str
) -> None:
    said = _load(database, tmp_path, {**POPULATION, part: [{**POPULATION[part][0], **change}]})

    assert said.exit_code in (1, 2)
    assert problem in said.stderr
    assert _ask(database, "SELECT count(*) FROM resident") == (0,)
