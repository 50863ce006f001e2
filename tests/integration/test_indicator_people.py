"""Promise: what is folded of a person is what the tables say, settled or not, whatever changes.

A register changes at random; figures are asked between the changes, and compared with plain loops.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from random import Random

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from api.indicators import queries
from api.indicators.periods import parse
from api.indicators.shown import SHOWN
from ingest.db import people
from ingest.db.connections import Connection, connect
from tests.fix_db import Database
from tests.integration.people_world import TODAY, Changing, Register

Api = psycopg.AsyncConnection[DictRow]
PERIODS = ("2025", "2026-Q2", "2026")
SIGNED = (*(code for code in SHOWN if code.startswith("signing.")), "fulfilment.all")


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    """As who sees everybody."""
    async with await psycopg.AsyncConnection.connect(
        database.dsn, row_factory=dict_row, autocommit=True
    ) as opened:
        await opened.execute("SET ROLE suifang_api_all")
        yield opened


async def asked(api: Api, code: str, period: str) -> dict[str, int]:
    """Numerator of each person behind a figure."""
    everything = {"side": "denominator", "team": None, "centre": None}
    rows = await queries.list_people(
        api, SHOWN[code], parse(period), TODAY, everything, after=None, rows=1_000
    )
    assert len({row["resident_id"] for row in rows}) == len(rows)
    return {row["resident_id"]: int(row["numerator"]) for row in rows}


async def compare(connection: Connection, api: Api) -> None:
    """Every figure of persons, with the loops."""
    register = await Register.read(connection)
    for name in PERIODS:
        span = parse(name)
        last = span.known_until(TODAY)
        counted, managed = register.counted(last), register.managed(span.first, last)
        for code in SIGNED:
            assert await asked(api, code, name) == counted.get(code, {}), (name, code)
        for code, condition in (("htn", "hypertension"), ("t2dm", "diabetes")):
            found = await asked(api, f"{code}.management_rate", name)
            assert {*found} == {who for who, what in managed if what == condition}, (name, code)


@pytest.mark.parametrize("seed", range(2))
async def test_figures_are_exact_after_every_kind_of_change(
    connection: Connection, api: Api, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 - of a test
    changing = Changing(connection, random)
    await changing.start()
    for _ in range(7):
        for _ in range(random.randrange(4, 12)):
            await changing.step()
        await compare(connection, api)
        if random.random() < 0.6:
            await people.settle(connection, residents_max=random.choice([1, 3, 1_000]))
            await compare(connection, api)
    while await people.settle(connection):
        pass
    cursor = await connection.execute("SELECT count(*) FROM due_indicator")
    assert await cursor.fetchone() == (0,)
    await compare(connection, api)


async def test_what_is_committed_while_somebody_settles_is_not_lost(
    connection: Connection, database: Database, api: Api
) -> None:
    await Changing(connection, Random(0)).start()  # noqa: S311 - likewise
    while await people.settle(connection):
        pass
    insert = "INSERT INTO resident_condition VALUES (%s, 'hypertension', '2026-01-01', NULL)"
    await connection.execute(
        "UPDATE resident SET team_id = 'n1', stub = false, enrolled_on = '2026-01-01'"
    )
    async with (
        await connect(database.dsn, application_name="late", autocommit=True) as late,
        await connect(database.dsn, application_name="settler", autocommit=True) as settler,
    ):
        async with late.transaction():
            await late.execute(insert, ("r-001",))
            async with settler.transaction():
                assert await people.settle(settler) > 0  # Of the update; it sees no diagnosis.
                async with asyncio.timeout(30):
                    assert await people.settle(connection) == 0  # One at a time.
        assert await asked(api, "htn.management_rate", "2026") == {"r-001": 1}
    assert await people.settle(connection) == 1
    assert await asked(api, "htn.management_rate", "2026") == {"r-001": 1}
    (standing,) = await (
        await connection.execute(
            "SELECT managed_hypertension @> %s FROM indicator_person WHERE resident_id = 'r-001'",
            (date(2026, 6, 1),),
        )
    ).fetchall()
    assert standing == (True,)
