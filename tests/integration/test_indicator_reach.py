"""What figures rest on is seen of one's own residents only: views take the place of policies."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from api.database import Database
from api.settings import ApiSettings
from ingest.db.connections import Connection
from tests.fix_db import Database as Fresh
from tests.integration.security_world import SEEN, build_world
from tests.integration.test_row_security import seen_in


@pytest.fixture
async def api(database: Fresh, connection: Connection) -> AsyncIterator[Database]:
    """The API's way into a database with the whole world in it."""
    await build_world(connection)
    async with Database(ApiSettings(db_dsn=SecretStr(database.dsn))) as opened:
        yield opened


@pytest.mark.parametrize("view", ["indicator_condition", "indicator_turn"])
async def test_what_figures_rest_on_is_seen_of_ones_own_residents_only(
    api: Database, connection: Connection, view: str
) -> None:
    await connection.execute(
        "INSERT INTO resident_condition (resident_id, condition, since)"
        " SELECT id, 'diabetes', '2020-01-01' FROM resident ON CONFLICT DO NOTHING"
    )
    await connection.execute(
        "INSERT INTO record"
        " (id, resident_id, kind, at, received_at, mode, findings, reason, author) SELECT"
        " gen_random_uuid(), id, 'closure', now(), now(), 'clinic', '{}', 'moved', 'a'"
        " FROM resident"
    )
    await connection.commit()

    for who, own, _, _ in SEEN.values():
        found = await seen_in(api, who, f"SELECT resident_id AS resident FROM {view}")  # noqa: S608 - one of two
        assert found == own
