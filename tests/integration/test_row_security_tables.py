"""Promise: of every table that has policies, everybody sees their own rows and nobody else's.

Each is asked without a WHERE. What is expected is written down by hand in ``security_world.py``
and ``security_rows.py``; a table that nobody asks is found by the last test.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Final

import pytest
from pydantic import SecretStr

from api.auth.principal import Principal
from api.database import Database
from api.errors import ForbiddenError
from api.settings import ApiSettings
from deploy.embedded.stack import Stack
from ingest.db.connections import Connection, connect
from tests.fix_db import Database as Fresh
from tests.fix_db import cloned
from tests.integration.security_rows import (
    CENTRES,
    CENTRES_OF,
    MERGES,
    TEAMS_OF,
    build_rows,
    webhook_of,
)
from tests.integration.security_world import (
    ALL_RESIDENTS,
    CENTRE_OF_TEAM,
    NOW,
    SEEN,
    build_world,
    id_of,
)

NOBODY: Final[frozenset[str]] = frozenset()
_LISTED: Final = f"""
SELECT listed.resident_id FROM unnest('{{{",".join(sorted(ALL_RESIDENTS))}}}'::text[]) AS who (id)
CROSS JOIN LATERAL list_reported(who.id, '{{blood_pressure,glucose}}', '-infinity', 'infinity',
    '-infinity', '-infinity', '00000000-0000-0000-0000-000000000000', 100) listed"""  # noqa: S608
# What changes rows, and what shows them.
CHANGES: Final = {
    "DELETE FROM staff_contact RETURNING staff_id": "SELECT staff_id FROM staff_contact",
    "DELETE FROM health_check RETURNING resident_id": "SELECT resident_id FROM health_check",
    "UPDATE resident_merge SET unmerged_by = 'y' RETURNING resident_id || ' ' || into_id": (
        "SELECT resident_id || ' ' || into_id FROM resident_merge"
    ),
    "UPDATE alert_attention SET step = 9 RETURNING alert_id": (
        "SELECT alert_id FROM alert_attention"
    ),
    "UPDATE webhook SET url = 'https://elsewhere.example' RETURNING id": "SELECT id FROM webhook",
    "DELETE FROM webhook_secret RETURNING id": "SELECT id FROM webhook_secret",
}


def expected_of(name: str) -> dict[str, frozenset[str]]:
    """What each statement gives to this one."""
    who, own, at_centre, measured = SEEN[name]
    centres, teams = CENTRES_OF.get(name, NOBODY), TEAMS_OF.get(name, NOBODY)
    alerts = {of: str(id_of("alert", of)) for of in own | at_centre}
    messages = frozenset(str(id_of("message", of)) for of in alerts)
    names = frozenset(f"obs-{of}" for of in alerts) if measured else NOBODY
    places = frozenset({*CENTRES, *CENTRE_OF_TEAM})
    staff = frozenset(f"staff-{centre}" for centre in CENTRES)
    return {
        **_expected_of_residents(own, own | at_centre, measured=measured),
        "SELECT alert_id FROM alert_attention": frozenset(alerts.values()),
        "SELECT alert_id FROM alert_history": frozenset(alerts.values()),
        "SELECT alert_id FROM notification": frozenset(alerts.values()),
        "SELECT id FROM message": messages,
        "SELECT message_id FROM message_attempt": messages,
        "SELECT value FROM observation_identifier": names,
        "SELECT resident_id || ' ' || into_id FROM resident_merge": frozenset(
            f"{gone} {into}" for gone, into in MERGES if {gone, into} <= own
        ),
        "SELECT centre_id FROM indicator_closing": centres | {CENTRE_OF_TEAM[t] for t in teams},
        "SELECT team_id FROM indicator_closed": teams | _teams_at(centres),
        "SELECT staff_id FROM staff_contact": frozenset(f"staff-{centre}" for centre in centres),
        "SELECT id FROM webhook": frozenset({webhook_of(who)}),
        "SELECT id FROM webhook_secret": frozenset({f"of {webhook_of(who)}"}),
        # No secret: where somebody works, and when.
        "SELECT id FROM duty_hours": places,
        "SELECT id FROM centre": CENTRES,
        "SELECT id FROM team": frozenset(CENTRE_OF_TEAM),
        "SELECT id FROM package": frozenset({"basic"}),
        "SELECT id FROM staff": staff,
        "SELECT staff_id || ' ' || team_id FROM staff_team": frozenset(
            f"staff-{centre} {team}" for team, centre in CENTRE_OF_TEAM.items()
        ),
        "SELECT resident_id FROM audit_handle": ALL_RESIDENTS if name == "auditor" else NOBODY,
        "SELECT object FROM audit_entry": frozenset("x") if name == "auditor" else NOBODY,
    }


def _expected_of_residents(
    own: frozenset[str], alerted: frozenset[str], *, measured: bool
) -> dict[str, frozenset[str]]:
    registered = own - {"stub-n", "stub-s"}  # Whom the contract system has named.
    amendments = frozenset(str(id_of("amendment", name)) for name in alerted)
    return {
        "SELECT id FROM resident": own,
        "SELECT resident_id FROM contract": own,
        "SELECT resident_id FROM contract_due": own,
        "SELECT resident_id FROM contract_turn": own,
        "SELECT resident_id FROM resident_case": own,
        "SELECT resident_id FROM indicator_year": own,
        "SELECT resident_id FROM health_check": own,
        "SELECT replace(id, 'contract-', '') FROM registry_entry": registered,
        "SELECT resident_id FROM registry_change": registered if measured else NOBODY,
        "SELECT resident_id FROM resident_key": own if measured else NOBODY,
        "SELECT resident_id FROM resident_sealed": own if measured else NOBODY,
        "SELECT resident_id FROM resident_condition": own if measured else NOBODY,
        "SELECT resident_id FROM record": own if measured else NOBODY,
        "SELECT resident_id FROM case_transition": own if measured else NOBODY,
        "SELECT coalesce(resident_id, '') FROM alert": alerted,
        "SELECT payload ->> 'about' FROM outbox": alerted,
        "SELECT coalesce(resident_id, '') FROM visible_reading": alerted if measured else NOBODY,
        "SELECT coalesce(resident_id, '') FROM visible_reported": alerted if measured else NOBODY,
        # Reported for somebody, and now of nobody else: the way that asks by name.
        _LISTED: (alerted - {""}) if measured else NOBODY,
        # What is said of a reading is as visible as the reading.
        "SELECT id FROM amendment": amendments if measured else NOBODY,
        "SELECT r.id FROM resident r JOIN alert ON true": own,
    }


def _teams_at(centres: frozenset[str]) -> set[str]:
    return {team for team, centre in CENTRE_OF_TEAM.items() if centre in centres}


@pytest.fixture(scope="module")
def whole_world(stack: Stack, template_database: str) -> Iterator[Fresh]:
    """Everything there is, for all tests that only look or take back what they do."""

    async def build(dsn: str) -> None:
        async with await connect(dsn, application_name="test", autocommit=True) as connection:
            await build_world(connection)
            await build_rows(connection)

    with cloned(stack, template_database) as clone:
        asyncio.run(build(clone.dsn))
        yield clone


@pytest.fixture
async def asking(whole_world: Fresh) -> AsyncIterator[Database]:
    """The API's way into it."""
    settings = ApiSettings(db_dsn=SecretStr(whole_world.dsn), db_connections_max=1)
    async with Database(settings) as opened:
        yield opened


@pytest.mark.parametrize("name", SEEN)
async def test_every_table_shows_everyone_their_own_rows_and_no_more(
    asking: Database, name: str
) -> None:
    expected, found = expected_of(name), {}
    async with asking.reading(SEEN[name][0]) as connection:
        for statement in expected:
            rows = await (await connection.execute(statement.encode())).fetchall()
            found[statement] = {str(value) for row in rows for value in row.values()}

    assert found == expected


class _Back(Exception):  # noqa: N818 - takes a transaction back
    """Nothing of it stays."""


async def changed_by(api: Database, who: Principal, statement: str) -> set[str]:
    """What a statement says that it changed; it is taken back."""
    changed: set[str] = set()
    with suppress(_Back):
        async with api.writing(who, at=NOW) as connection:
            rows = await (await connection.execute(statement.encode())).fetchall()
            changed = {str(value) for row in rows for value in row.values()}
            raise _Back
    return changed


@pytest.mark.parametrize("name", SEEN)
async def test_what_is_changed_without_a_where_is_ones_own(asking: Database, name: str) -> None:
    own = expected_of(name)

    changed = {
        seen: await changed_by(asking, SEEN[name][0], statement)
        for statement, seen in CHANGES.items()
    }

    assert changed == {seen: own[seen] for seen in changed}


@pytest.mark.parametrize("name", SEEN)
async def test_duty_hours_are_changed_at_ones_own_centre_only(asking: Database, name: str) -> None:
    changed = await changed_by(asking, SEEN[name][0], "DELETE FROM duty_hours RETURNING id")

    centres = CENTRES_OF.get(name, NOBODY)
    assert changed == centres | _teams_at(centres)


@pytest.mark.parametrize("table", ["reading_owner", "reading", "resident_checkpoint"])
async def test_what_has_no_policies_is_not_read_at_all(asking: Database, table: str) -> None:
    for who, *_ in SEEN.values():
        with pytest.raises(ForbiddenError):
            async with asking.reading(who) as connection:
                await connection.execute(f"SELECT FROM {table}".encode())


async def test_every_table_that_has_policies_is_asked_above(connection: Connection) -> None:
    cursor = await connection.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relrowsecurity"
    )
    secured = {row[0] for row in await cursor.fetchall()}
    asked = {*re.findall(r"FROM (\w+)", " ".join(expected_of("auditor")))}

    assert len(secured) > 30
    assert secured - asked == set()


def test_of_every_table_somebody_is_expected_to_see_something() -> None:
    expected = [expected_of(name) for name in SEEN]

    assert {asked for asked in expected[0] if not any(each[asked] for each in expected)} == set()
