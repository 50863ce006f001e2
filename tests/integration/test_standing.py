"""Promise: the one SQL of what stands of a reading says what ``GET /v1/readings/{id}`` says.

That one works it out word by word, in Python; words are random, many of the same instant.
"""

import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from psycopg.rows import dict_row

from api.readings.standing import standing
from ingest.db import amendments
from ingest.db.amendments import Amendment, Changes
from ingest.db.connections import Connection
from tests.builders import AT, a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.corrections_bench import EVERYBODY, CorrectionsBench, a_desk

SQL: Final = f"""
SELECT v.resident_id, said.retracted, stands.systolic, stands.diastolic, stands.glucose,
       stands.unit, stands.meal_context, stands.setting, stands.status, stands.taken_at
FROM visible_reading v {standing("v")} WHERE v.id = %s"""  # noqa: S608 - the program's own


@pytest.fixture
async def desk(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[CorrectionsBench]:
    async with a_desk(connection, database, clock, tmp_path) as bench:
        yield bench


def a_word(chance: random.Random, reading: UUID, kind: str, before: list[Amendment]) -> Amendment:
    """A correction of some fields, a retraction, or that an earlier word was a mistake."""
    fields: dict[str, Any] = {"id": UUID(int=chance.getrandbits(128)), "author": "dr-1"}
    undone = {each.undoes for each in before}
    left = [each.id for each in before if each.undoes is None and each.id not in undone]
    what = chance.choice(("correction", "correction", "correction", "retraction", "undo"))
    if what == "undo" and left:
        return Amendment(kind="undo", reading_id=reading, undoes=chance.choice(left), **fields)
    if what == "retraction":
        return Amendment(kind="retraction", reading_id=reading, **fields)
    number = Decimal(chance.randint(40, 200)) / 10
    said: dict[str, Any] = {
        "setting": chance.choice(("office", "home")),
        "status": chance.choice(((), ("irregular_pulse",))),
        "measured_at": AT - timedelta(minutes=chance.randint(1, 500)),
        "resident_id": chance.choice(("r-1", "r-2")),
    }
    if kind == "glucose":
        said |= {"glucose": number, "meal_context": chance.choice(("fasting", "random"))}
        said["unit"] = chance.choice(("mmol/L", "mg/dL"))
    else:
        said |= {"systolic": number, "diastolic": number, "unit": "kPa"}
    names = chance.sample(sorted(said), chance.randint(1, 3))
    changes = Changes(**{name: said[name] for name in names})
    return Amendment(kind="correction", reading_id=reading, changes=changes, **fields)


@pytest.mark.parametrize("seed", range(3))
async def test_the_sql_says_what_the_words_come_to(desk: CorrectionsBench, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    sent = [a_blood_pressure("152", "94"), a_glucose("7.4", meal_context="random")]
    await desk.send(*sent)
    words: dict[str, list[Amendment]] = {reading["id"]: [] for reading in sent}
    for _ in range(30):
        reading = chance.choice(sent)
        mine = words[reading["id"]]
        mine.append(a_word(chance, UUID(reading["id"]), reading["kind"], mine))
        await amendments.insert_new(desk.connection, mine[-1:], at=desk.clock.now)
        if chance.random() < 0.3:
            desk.clock.pass_by(seconds=1)

    for reading in sent:
        answer = await desk.ask("GET", f"readings/{reading['id']}", who=EVERYBODY, status=200)
        expected = answer.json()["stands"]
        found = await read(desk.connection, reading["id"])
        assert found.pop("taken_at") == datetime.fromisoformat(expected.pop("measured_at"))
        for name in ("systolic", "diastolic", "glucose"):
            found[name] = None if found[name] is None else float(found[name])
        assert found == {name: expected[name] for name in found}


async def read(connection: Connection, reading: str) -> dict[str, Any]:
    """As one who sees everybody, and measured values."""
    async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SET LOCAL ROLE suifang_api_all")
        await cursor.execute("SELECT set_config('suifang.measured', 'on', true)")
        await cursor.execute(SQL.encode(), (reading,))
        row = await cursor.fetchone()
    assert row is not None
    return row
