"""Promise: a form of a reading undoes nothing that its writer has not seen, and loses nothing."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql

from deploy.embedded.stack import Stack
from ingest.db.connections import Connection
from tests.fix_db import Database
from tests.integration.crossing_writes import ids_about, new_id
from tests.integration.running_api import running
from tests.integration.security_world import SEEN, build_world
from tests.integration.test_console_reach import Desk

ONE: Final = SEEN["doctor of n1"][0]
OTHER: Final = replace(ONE, subject="another-doctor-of-n1")
IDS: Final = ids_about("anna")
READING: Final = f"/residents/anna/readings/{IDS['reading_id']}"
UNDO: Final = f"{READING}/amendments/{IDS['amendment_id']}/undo"
FORMS: Final = {
    f"{READING}/correction": {"glucose": "7.50", "meal_context": "fasting"},
    f"{READING}/retraction": {},
    UNDO: {},
}
GONE: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = %s AND pid <> pg_backend_pid()"""


@pytest.fixture
async def desk(database: Database, connection: Connection, tmp_path: Path) -> AsyncIterator[Desk]:
    """A console where somebody has said something of anna's reading."""
    await build_world(connection)
    await connection.execute(
        "UPDATE amendment SET kind = 'correction', changes = '{\"meal_context\": \"bedtime\"}'"
        " WHERE id = %s",
        (IDS["amendment_id"],),
    )
    found = Desk(database.dsn, tmp_path)
    async with running(found.app), found.client:
        yield found


@contextmanager
def away(stack: Stack, database: Database) -> Iterator[None]:
    """The database ends every session and lets nobody in."""
    lets_in = "ALTER DATABASE {} ALLOW_CONNECTIONS {}"
    name = sql.Identifier(database.name)
    with psycopg.connect(stack.dsn("postgres"), autocommit=True) as server:
        server.execute(sql.SQL(lets_in).format(name, sql.SQL("false")))
        server.execute(GONE, (database.name,))
        try:
            yield
        finally:
            server.execute(sql.SQL(lets_in).format(name, sql.SQL("true")))


async def seen_by(desk: Desk) -> str:
    """What a form that is opened now says it has seen."""
    found = re.search(r'name="seen" value="([^"]*)"', (await desk.get(ONE, READING)).text)
    assert found is not None
    return found[1]


async def said(connection: Connection) -> list[tuple[str, str, dict[str, str]]]:
    """All that was said of the reading."""
    rows = await connection.execute(
        "SELECT kind, author, changes FROM amendment WHERE reading_id = %s ORDER BY id",
        (IDS["reading_id"],),
    )
    return await rows.fetchall()


@pytest.mark.parametrize("address", FORMS)
async def test_a_form_that_is_older_than_what_another_doctor_said_changes_nothing(
    desk: Desk, connection: Connection, address: str
) -> None:
    seen = await seen_by(desk)
    word = {"glucose": "126", "unit": "mg/dL", "reason": "the meter shows mg/dL", "seen": seen}
    other = await desk.post(OTHER, f"{READING}/correction", {"id": new_id(), **word})
    assert other.status_code == 303
    stood = await said(connection)
    form = {"id": new_id(), **FORMS[address], "reason": "typed for nothing?", "seen": seen}

    refused = await desk.post(ONE, address, form)

    assert await said(connection) == stood
    assert refused.status_code == 422
    assert "打开表单后" in refused.text
    for typed in ("typed for nothing?", *FORMS[address].values(), "126 mg/dL", OTHER.subject):
        assert typed in refused.text
    again = {**form, "unit": "mmol/L", "seen": await seen_by(desk)}
    for _ in range(2):  # The second one is a retry: what it says stands already.
        answer = await desk.post(ONE, address, again)
        assert answer.status_code == 303, answer.text
    assert len(await said(connection)) == len(stood) + 1


async def test_a_form_in_which_no_unit_was_chosen_says_nothing_of_the_unit(
    desk: Desk, connection: Connection
) -> None:
    shown = (await desk.get(ONE, READING)).text
    units = re.search(r'<select name="unit".*?</select>', shown, re.DOTALL)
    assert units is not None
    assert '<option value="">' in units[0]
    assert "selected" not in units[0]
    form = {"meal_context": "fasting", "unit": "", "id": new_id(), "reason": "asked"}

    answer = await desk.post(ONE, f"{READING}/correction", {**form, "seen": await seen_by(desk)})

    assert answer.status_code == 303
    assert ("correction", ONE.subject, {"meal_context": "fasting"}) in await said(connection)


async def test_what_was_typed_stays_while_the_database_is_away(
    desk: Desk, stack: Stack, database: Database
) -> None:
    seen = await seen_by(desk)
    for address, fields in FORMS.items():
        form = {"id": new_id(), **fields, "reason": "typed meanwhile", "seen": seen}
        with away(stack, database):
            kept = await desk.post(ONE, address, form)
        assert kept.status_code == 503
        assert f'action="/console{address}"' in kept.text
        for name in ("id", "reason", "seen", *({"glucose"} & fields.keys())):
            assert re.search(f'name="{name}" value="{re.escape(form[name])}"', kept.text), name
        if "meal_context" in fields:
            assert '<option value="fasting" selected>' in kept.text
