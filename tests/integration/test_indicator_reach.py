"""What figures rest on is seen of one's own residents only: views take the place of policies."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from api.database import Database
from api.errors import ForbiddenError
from api.settings import ApiSettings
from ingest.db import people
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


@pytest.mark.parametrize("settled", [False, True])
async def test_what_figures_rest_on_is_seen_of_ones_own_residents_only(
    api: Database, connection: Connection, *, settled: bool
) -> None:
    await connection.execute(
        "INSERT INTO resident_condition (resident_id, condition, since)"
        " SELECT id, 'diabetes', '2020-01-01' FROM resident ON CONFLICT DO NOTHING"
    )
    await connection.commit()
    if settled:
        assert await people.settle(connection) > 0

    for who, own, _, _ in SEEN.values():
        for source in ("indicator_standing", "fold_due_people()"):
            found = await seen_in(api, who, f"SELECT resident_id AS resident FROM {source}")  # noqa: S608 - one of two
            assert found == (set() if settled and source != "indicator_standing" else own)
        for closed in ("indicator_person", "due_indicator", "due_person", "fold_people('{anna}')"):
            with pytest.raises(ForbiddenError):
                await seen_in(api, who, f"SELECT FROM {closed}")
