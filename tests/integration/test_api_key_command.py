"""``suifang api-key``: a key is shown once, and what is typed is what the API honours."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.auth.cli import app
from tests.fix_db import Database


def run(database: Database, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--database", database.dsn])


def said(database: Database, *arguments: str) -> dict[str, Any]:
    result = run(database, *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def listed(database: Database) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in said(database, "list")["keys"]}


def test_a_key_is_made_shown_once_rotated_and_revoked(database: Database) -> None:
    places = ("--role", "contract_system", "--centre", "c1", "--scope", "alerts:read")
    made = said(database, "create", "--client", "contracts-1", *places, "--days", "30")
    old = made["id"]

    secret = made["key"].rpartition("_")[2]
    assert made["key"].startswith(f"sfk_{old}_")
    assert (made["role"], made["scopes"]) == ("contract_system", ["alerts:read"])
    assert made["centre_ids"] == ["c1"]
    assert secret not in run(database, "list").stdout + json.dumps(listed(database))

    new = said(database, "rotate", old, "--overlap-hours", "1")
    keys = listed(database)
    assert keys.keys() == {old, new["id"]}
    assert new["key"] != made["key"]
    assert (keys[new["id"]]["scopes"], keys[new["id"]]["centre_ids"]) == (["alerts:read"], ["c1"])
    assert keys[old]["expires_at"] < keys[new["id"]]["expires_at"]

    assert said(database, "revoke", old)["revoked_at"] is not None
    assert listed(database)[old]["revoked_at"] is not None
    assert listed(database)[new["id"]]["revoked_at"] is None
    assert "revoked" in run(database, "list").stdout


@pytest.mark.parametrize("command", ["rotate", "revoke"])
def test_a_key_that_is_not_there_is_told_with_a_remedy(database: Database, command: str) -> None:
    result = run(database, command, "0" * 12)

    assert result.exit_code == 1
    assert result.stderr.startswith("suifang api-key: no key 000000000000")
    assert "suifang api-key list" in result.stderr


def test_a_revoked_key_is_not_rotated(database: Database) -> None:
    made = said(database, "create", "--client", "contracts-1")
    said(database, "revoke", made["id"])

    assert run(database, "rotate", made["id"]).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--client", "Contracts 1"), "--client"),
        (("--client", "c", "--role", "supervisor", "--scope", "alerts:write"), "--scope"),
        (("--client", "c", "--days", "731"), "--days"),
    ],
)
def test_a_wrong_command_line_names_the_option(
    database: Database, arguments: tuple[str, ...], named: str
) -> None:
    result = run(database, "create", *arguments)

    assert result.exit_code == 2
    assert named in result.stderr
    assert listed(database) == {}


def test_a_database_that_is_away_is_one_line_without_its_password() -> None:
    dsn = "postgresql://owner:secret-word@127.0.0.1:1/none"
    result = CliRunner().invoke(app, ["list", "--database", dsn])

    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "secret-word" not in result.stderr
