"""Promise: residents change teams while they are judged; neither side loses or waits for ever."""

import asyncio
import json
from datetime import timedelta

import httpx

from ingest.db.connections import Connection, connect
from ingest.db.residents import Centre, Population, Resident, Team, load
from tests.builders import AT, a_blood_pressure
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import HYPERTENSION, JudgeBench, open_bench
from tests.integration.registry_bench import a_registry

_RESIDENTS = [f"r-{number:02}" for number in range(40)]
_ROUNDS = 6
_WHERE = """
SELECT count(*) FILTER (WHERE a.centre_id IS DISTINCT FROM t.centre_id), count(*)
FROM alert a JOIN resident r ON r.id = a.resident_id JOIN team t ON t.id = r.team_id
WHERE a.status = 'active'"""


async def _open_cases(bench: JudgeBench) -> None:
    west = Population(
        centres=[Centre(id="west", name="W")],
        teams=[Team(id="west-1", centre_id="west", name="W1")],
        residents=[
            Resident(id=id_, team_id="east-1", conditions=[HYPERTENSION]) for id_ in _RESIDENTS
        ],
    )
    await load(bench.connection, west, at=AT)
    readings = [
        a_blood_pressure("152", "94", at=AT, resident_id=id_, device_id=f"bp-{id_}")
        for id_ in _RESIDENTS
    ]
    await bench.send(*readings)
    await bench.settle()


async def _move(client: httpx.AsyncClient, step: int) -> None:
    """Everybody to the other team, in another order each time."""
    for number in range(_ROUNDS):
        team = "west-1" if number % 2 else "east-1"
        ids = _RESIDENTS[:: -1 if (number + step) % 2 else 1]
        diagnosed = [{"condition": "hypertension", "since": "2020-01-01"}]
        lines = [json.dumps({"id": i, "team_id": team, "conditions": diagnosed}) for i in ids]
        response = await client.post(
            "/v1/residents/bulk",
            content="\n".join(lines),
            headers={"Content-Type": "application/x-ndjson"},
        )
        counts = json.loads(response.text.splitlines()[-1])
        assert counts.get("refused") == 0, response.text


async def test_teams_change_while_everybody_is_judged(
    connection: Connection, database: Database, clock: TestClock
) -> None:
    bench = await open_bench(connection, database, clock, HYPERTENSION)
    await _open_cases(bench)
    done = asyncio.Event()

    async def judge_on() -> None:
        async with await connect(database.dsn, application_name="judge", autocommit=True) as own:
            while not done.is_set():
                clock.now += timedelta(seconds=1)
                await own.execute(
                    "INSERT INTO due_mark (resident_id, kind, marked_at)"
                    " SELECT id, 'person', %s FROM resident",
                    (AT,),
                )
                await bench.judge.judge_once(own)
                await asyncio.sleep(0)

    async with a_registry(database.dsn, clock, bulk={"attempts_max": 1}) as client:
        judges = [asyncio.create_task(judge_on()) for _ in range(2)]
        async with asyncio.timeout(120):
            await asyncio.gather(*(_move(client, step) for step in range(2)))
        done.set()
        await asyncio.gather(*judges)

    assert await bench.rows(_WHERE) == [(0, len(_RESIDENTS))]
