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
