"""Promise: each process can do its own work in the database, and not that of another.

What they can do is shown by every other test, which runs them under their roles. Here is what they
must not be able to do; what is expected is written down by hand.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from deploy.embedded.logins import ROLES, name_of
from deploy.embedded.stack import Stack
from ingest.db.connections import ProcessRole, connect
from ingest.db.errors import DatabaseUnavailableError
from tests.fix_db import Database, cloned

_NAMES = ("SELECT FROM resident_sealed", "SELECT FROM resident_key")
_CREDENTIALS = (
    "SELECT secret_hash FROM api_key",
    "INSERT INTO api_key DEFAULT VALUES",
    "SELECT FROM enrolment_token",
    "UPDATE audit_entry SET subject = ''",
    "DELETE FROM audit_entry",
    "DELETE FROM audit_handle",
    "SELECT FROM audit_entry",
)
_SCHEMA = (
    "CREATE TABLE mine (id int)",
    "DROP TABLE outbox",
    "ALTER TABLE resident DISABLE ROW LEVEL SECURITY",
    "SELECT drop_chunks('reading', older_than => 'infinity'::timestamptz)",
    "TRUNCATE due_mark",
)
_CONTACTS = ("SELECT email FROM staff_contact", "SELECT content FROM message")
_READINGS = (
    "SELECT FROM reading",
    "INSERT INTO reading DEFAULT VALUES",
    "UPDATE reading SET systolic = 1",
    "DELETE FROM reading",
    "SELECT FROM stored_reading",
    "SELECT FROM owned_reading",
)
_CASES = ("UPDATE resident_case SET state = ''", "INSERT INTO record DEFAULT VALUES")
_FEED = ("SELECT payload FROM outbox", "DELETE FROM outbox", "UPDATE outbox SET payload = '{}'")
_WEBHOOKS = ("SELECT FROM webhook", "SELECT content FROM webhook_secret")
_DROP = "SELECT drop_retired_readings('-infinity', '{}', '{}')"
_TIDY = "SELECT tidy_readings('public', 'resident', 'resident_pkey')"
_EVERYONE = (*_NAMES, *_CREDENTIALS, *_SCHEMA)
FORBIDDEN = {
    ProcessRole.INGEST: (
        *(*_CONTACTS, *_CASES, *_WEBHOOKS, *_READINGS[2:4], _DROP, _TIDY),
        *("DELETE FROM outbox", "UPDATE outbox SET number = 1"),
        *("DELETE FROM reading_held", "DELETE FROM alert", "UPDATE alert SET status = ''"),
        *("UPDATE resident SET team_id = ''", "DELETE FROM resident", "SELECT FROM contract"),
        *("SELECT sex FROM resident", "SELECT FROM record", "UPDATE gateway SET revoked_at = NULL"),
        *(
            "SELECT FROM resident_case",
            "DELETE FROM quarantine",
            "UPDATE retention SET edge = now()",
        ),
    ),
    ProcessRole.JUDGE: (
        *(*_CONTACTS, *_WEBHOOKS, *_READINGS[1:4], _DROP, _TIDY),
        *("DELETE FROM outbox", "UPDATE outbox SET number = 1", "UPDATE record SET note = ''"),
        *("UPDATE resident SET team_id = ''", "DELETE FROM resident", "DELETE FROM record"),
        *("SELECT content FROM registry_change", "UPDATE contract SET until = NULL"),
        *(
            "UPDATE case_transition SET author = ''",
            "DELETE FROM alert",
            "SELECT sex FROM resident",
        ),
        *("INSERT INTO resident_checkpoint DEFAULT VALUES",),
        *("UPDATE retention SET edge = now()", "UPDATE amendment SET undone = true"),
        *("INSERT INTO amendment DEFAULT VALUES", "SELECT FROM quarantine"),
    ),
    ProcessRole.DISPATCH: (
        *(*_CONTACTS, *_CASES, *_WEBHOOKS, *_READINGS, *_FEED, _DROP, _TIDY),
        *(
            "SELECT FROM resident",
            "SELECT FROM alert",
            "SELECT FROM record",
            "SELECT kind FROM outbox",
        ),
        "INSERT INTO outbox (kind, payload, created_at) VALUES ('', '{}', '-infinity')",
    ),
    ProcessRole.NOTIFY: (
        *(*_CASES, *_WEBHOOKS, *_READINGS, *_FEED, _DROP, _TIDY),
        *("SELECT FROM resident", "SELECT FROM record", "SELECT FROM contract"),
        *("SELECT FROM resident_case", "UPDATE alert SET status = ''", "DELETE FROM alert"),
        *("UPDATE staff_contact SET email = ''", "DELETE FROM staff_contact"),
        *("UPDATE alert_history SET author = ''", "DELETE FROM notification"),
    ),
    ProcessRole.DELIVER: (
        *(*_CONTACTS, *_CASES, *_READINGS, *_FEED, _DROP, _TIDY),
        *(
            "SELECT FROM resident",
            "SELECT FROM alert",
            "SELECT FROM record",
            "SELECT FROM visible_reading",
        ),
        *("UPDATE webhook SET url = ''", "UPDATE webhook SET reach = '{}'", "DELETE FROM webhook"),
        *("UPDATE webhook_secret SET content = ''", "INSERT INTO webhook DEFAULT VALUES"),
    ),
    ProcessRole.BACKTEST: (
        *(*_CONTACTS, *_CASES, *_WEBHOOKS, *_READINGS[1:4], *_FEED, _DROP, _TIDY),
        *("SELECT sex FROM resident", "UPDATE resident SET team_id = ''", "DELETE FROM record"),
        *("SELECT content FROM registry_change", "SELECT FROM alert", "DELETE FROM reading_held"),
        *("UPDATE retention SET edge = now()", "INSERT INTO due_mark DEFAULT VALUES"),
    ),
    ProcessRole.MAINTENANCE: (
        *(*_CONTACTS, "SELECT url FROM webhook", _WEBHOOKS[1], *_READINGS[1:4], _DROP, _TIDY),
        *("DELETE FROM reading_held", "DELETE FROM reading_key", "DELETE FROM outbox"),
        *("INSERT INTO reading_held SELECT * FROM reading", "UPDATE retention SET edge = now()"),
        *("INSERT INTO gateway_day DEFAULT VALUES", "UPDATE gateway_retired SET readings = 0"),
        *("INSERT INTO retention_floor VALUES (true, 91)", "UPDATE retention_floor SET days = 91"),
        "SELECT announce_retention('infinity', 'infinity')",
        *("SELECT payload FROM outbox", "UPDATE outbox SET number = 1"),
        *("UPDATE resident SET team_id = ''", "DELETE FROM resident", "DELETE FROM record"),
        *(
            "DELETE FROM alert",
            "SELECT payload FROM quarantine",
            "SELECT drop_retired_readings('infinity', '{}', '{}')",
        ),
    ),
}
# Whom the deliverer reads as.
FORBIDDEN_TO_OWNERS = (
    *(*_EVERYONE, *_CONTACTS, *_CASES, *_READINGS, *_FEED[1:], *_WEBHOOKS, _DROP, _TIDY),
    *("SELECT FROM visible_reading", "SELECT birth_date FROM resident", "SELECT FROM record"),
    *("SELECT FROM contract", "SELECT FROM alert", "SELECT FROM resident_condition"),
)


@pytest.fixture(scope="module")
def empty(stack: Stack, template_database: str) -> Iterator[Database]:
    """Rights do not depend on what there is."""
    with cloned(stack, template_database) as clone:
        yield clone


@pytest.mark.parametrize(
    ("role", "statements"),
    [
        *((role, (*_EVERYONE, *more)) for role, more in FORBIDDEN.items()),
        *((role, FORBIDDEN_TO_OWNERS) for role in ("suifang_deliver_own", "suifang_deliver_all")),
    ],
)
def test_a_process_cannot_do_what_is_not_its_work(
    empty: Database, role: str, statements: Sequence[str]
) -> None:
    done = []
    with psycopg.connect(empty.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(str(role))))
        for statement in statements:
            with suppress(InsufficientPrivilege):
                connection.execute(statement.encode())
                done.append(statement)

    assert done == []


@pytest.mark.parametrize("process", ROLES)
def test_a_login_is_nobody_until_it_says_who_it_is_and_can_be_no_other_process(
    empty: Database, process: str
) -> None:
    with psycopg.connect(empty.dsn_of(process), autocommit=True) as connection:
        seen = connection.execute(
            "SELECT count(*) FROM information_schema.role_table_grants"
            " WHERE table_schema = 'public' AND grantee = current_user"
        ).fetchone()
        assert seen == (0,)
        with pytest.raises(InsufficientPrivilege):
            connection.execute("SELECT FROM outbox")
        others = {str(each) for roles in ROLES.values() for each in roles}
        for other in sorted(others - {str(each) for each in ROLES[process]}):
            with pytest.raises(InsufficientPrivilege):
                connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(other)))
        for own in ROLES[process]:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(str(own))))


def test_the_logins_that_operators_are_told_to_make_are_those_that_are_tested() -> None:
    text = (Path(__file__).parents[2] / "docs/security.md").read_text("utf-8")
    told = re.findall(r"CREATE ROLE (\w+) LOGIN NOINHERIT PASSWORD '…'\s+IN ROLE ([\w, ]+);", text)

    assert {login: roles.split(", ") for login, roles in told} == {
        name_of(process): [str(role) for role in roles] for process, roles in ROLES.items()
    }


async def test_a_process_with_the_login_of_another_is_told_what_to_grant(empty: Database) -> None:
    with pytest.raises(DatabaseUnavailableError) as told:
        await connect(empty.dsn_of("judge"), application_name="test", role=ProcessRole.INGEST)

    login = name_of("judge")
    assert str(told.value) == (
        f"{login} may not work as suifang_ingest: GRANT suifang_ingest TO {login}"
    )
