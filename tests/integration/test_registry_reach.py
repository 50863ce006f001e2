"""Promise: whoever belongs to a centre writes that centre's places, and no packages.

Row-level security has the rest; its own suite tries to cross teams through every route.
"""

import pytest

from api.auth.permissions import Role
from api.auth.principal import LOCAL, Principal
from api.errors import ForbiddenError
from api.registry.reach import Placed, require_own_place
from ingest.db.connections import Connection
from ingest.db.entities import Centre, Package, Staff, Team
from ingest.db.registry import Kind
from ingest.db.residents import Population, load
from tests.builders import AT

EAST = Principal(
    subject="s", kind="person", roles=frozenset({Role.CENTRE_ADMIN}), centre_ids=frozenset({"east"})
)


@pytest.fixture
async def places(connection: Connection) -> Connection:
    """Two centres with a team each."""
    centres = [Centre(id=id_, name=id_) for id_ in ("east", "west")]
    teams = [Team(id=f"{c.id}-1", centre_id=c.id, name="1") for c in centres]
    await load(connection, Population(centres=centres, teams=teams), at=AT)
    return connection


@pytest.mark.parametrize(
    ("kind", "record", "allowed"),
    [
        ("centre", Centre(id="east", name="x"), True),
        ("centre", Centre(id="west", name="x"), False),
        ("centre", Centre(id="new", name="x"), False),
        ("team", Team(id="east-1", centre_id="east", name="x"), True),
        ("team", Team(id="new", centre_id="east", name="x"), True),
        ("team", Team(id="west-1", centre_id="east", name="x"), False),
        ("team", Team(id="east-1", centre_id="west", name="x"), False),
        ("staff", Staff(id="d", centre_id="west", role="doctor", since=AT.date()), False),
        ("staff", Staff(id="d", centre_id="east", role="doctor", since=AT.date()), True),
        ("package", Package(id="p", name="x"), False),
    ],
)
async def test_a_place_of_another_centre_is_not_written(
    places: Connection, kind: Kind, record: Placed, *, allowed: bool
) -> None:
    await require_own_place(places, LOCAL, kind, record)
    if allowed:
        await require_own_place(places, EAST, kind, record)
    else:
        with pytest.raises(ForbiddenError):
            await require_own_place(places, EAST, kind, record)


@pytest.mark.parametrize(
    ("teams", "adopted"), [("{east-1}", "east-1"), ("{west-1}", None), ("", None)]
)
async def test_a_stub_becomes_visible_to_whoever_writes_it_into_a_team_of_theirs(
    places: Connection, teams: str, adopted: str | None
) -> None:
    await places.execute(
        "INSERT INTO resident (id, team_id, stub, created_at)"
        " VALUES ('r-1', NULL, true, %(at)s), ('r-2', NULL, false, %(at)s),"
        " ('r-3', 'west-1', true, %(at)s)",
        {"at": AT},
    )
    async with places.transaction():
        await places.execute("SELECT set_config('suifang.teams', %s, true)", (teams,))
        await places.execute("SELECT adopt_stubs('{r-1,r-2,r-3}', '{east-1,east-1,east-1}')")

    cursor = await places.execute("SELECT team_id FROM resident ORDER BY id")
    assert await cursor.fetchall() == [(adopted,), (None,), ("west-1",)]
