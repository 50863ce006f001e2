"""Promise: the command exports what the API does, on record, and for nobody who may not."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.auth.permissions import Role
from api.exports.cli import app
from ingest.db.connections import Connection
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.followup_bench import Room, a_room, measured
from tests.integration.security_world import a_principal

MACHINE = a_principal(Role.CONTRACT_SYSTEM)
MARCH = ("--from", "2026-03-01", "--to", "2026-03-31")


@pytest.fixture
async def room(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[Room]:
    async with a_room(connection, database, clock, tmp_path) as found:
        for systolic in (146, 132, 171):
            await found.visit(**measured(systolic, 92))
        yield found


def typed(database: Database, *arguments: str) -> Result:
    """The command, with the API's own rights in the database."""
    command, *options = arguments
    own = ["--database", database.dsn_of("api"), "--operator", "ann"]
    return CliRunner().invoke(app, [command, *own, *options])


async def run(database: Database, *arguments: str) -> Result:
    """The same beside a loop that runs."""
    return await asyncio.to_thread(typed, database, *arguments)


async def on_record(connection: Connection) -> list[tuple[str, str, list[str]]]:
    """What the audit log says that operators saw."""
    cursor = await connection.execute(
        "SELECT subject, object, ARRAY(SELECT h.resident_id FROM audit_handle h"
        " WHERE h.handle = ANY (handles)) FROM audit_entry WHERE subject LIKE 'operator:%'"
    )
    return await cursor.fetchall()


@pytest.mark.parametrize("form", ["csv", "json"])
async def test_it_writes_what_the_api_answers_and_who_was_seen_is_on_record(
    room: Room, database: Database, connection: Connection, tmp_path: Path, form: str
) -> None:
    asked = {"from": "2026-03-01", "to": "2026-03-31", "format": form}
    answer = await room.desk.get(MACHINE, "/v1/exports/followups", **asked)
    file = tmp_path / "out"

    said = await run(
        database, "followups", *MARCH, "--format", form, "--output", str(file), "--json"
    )
    streamed = await run(database, "followups", *MARCH, "--format", form)

    assert (said.exit_code, said.stderr) == (0, "")
    assert file.read_bytes() == answer.content == streamed.stdout_bytes
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(said.stdout) == {
        "operator": "operator:ann",
        "format": form,
        "output": str(file),
        "visits": 3,
    }
    assert streamed.stderr == "3 visits\n"
    assert await on_record(connection) == [("operator:ann", "export_followups", ["r-1"])] * 2


async def test_completeness_is_that_of_the_api(room: Room, database: Database) -> None:
    asked = {"from": "2026-03-01", "to": "2026-03-31"}
    answer = await room.desk.get(MACHINE, "/v1/exports/followups/completeness", **asked)

    said = await run(database, "completeness", *MARCH, "--json")

    assert json.loads(said.stdout) == answer.json()
    assert answer.json()["teams"][0]["visits"] == 3


@pytest.mark.parametrize("role", ["doctor", "supervisor", "ops", "auditor"])
async def test_who_may_not_export_gets_nothing(
    room: Room,  # noqa: ARG001 - there are visits
    database: Database,
    connection: Connection,
    tmp_path: Path,
    role: str,
) -> None:
    file = tmp_path / "out"

    said = await run(database, "followups", *MARCH, "--role", role, "--output", str(file))

    assert said.exit_code == 1
    assert "has not the right exports:read" in said.stderr
    assert not file.exists()
    assert await on_record(connection) == []


async def test_a_leader_exports_what_is_of_the_team(
    room: Room,  # noqa: ARG001 - there are visits
    database: Database,
) -> None:
    rights = ("--role", "team_leader", "--team")

    own = await run(database, "followups", *MARCH, *rights, "east-1", "--format", "json")
    others = await run(database, "followups", *MARCH, *rights, "west-1", "--format", "json")

    assert len(json.loads(own.stdout)) == 3
    assert json.loads(others.stdout) == []


def test_a_span_that_is_none_leaves_no_file(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "out"
    backwards = ("--from", "2026-03-31", "--to", "2026-03-01")

    said = typed(database, "followups", *backwards, "--output", str(file))

    assert said.exit_code == 2
    assert "--from: must not be later" in said.stderr
    assert list(tmp_path.glob("*out*")) == []
