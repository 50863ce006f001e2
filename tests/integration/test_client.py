"""Promise: with the typed client a contract system does its day, each call as often as it likes."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.client import ProblemError, Suifang
from api.registry import schemas
from api.registry.lines import ContractLine, ResidentLine
from ingest.db.connections import Connection
from tests.fix_db import Database
from tests.integration.api_processes import a_dispatcher, an_api
from tests.integration.registry_bench import make_key_file
from tests.integration.security_world import INSERT_ALERT, INSERT_CASE, INSERT_READING, id_of

MEASURED_AT = datetime(2026, 3, 1, tzinfo=UTC)
DUE = date(2026, 3, 9)
TEAM = schemas.TeamIn(name="Team", centre_id="c")


def register(api: Suifang) -> None:
    """Places, and the same again."""
    for _ in range(2):
        assert api.put("c", schemas.CentreIn(name="Centre")).version == 1
        assert api.put("t", TEAM).version == 1
    with pytest.raises(ProblemError) as refused:
        api.put("t", TEAM.model_copy(update={"name": "Other"}), version=7)
    assert refused.value.kind == "precondition-failed"
    with pytest.raises(ProblemError) as refused:
        api.put("t2", schemas.TeamIn(name="Team", centre_id="nowhere"))
    assert refused.value.problem.errors is not None
    assert refused.value.problem.errors[0].field == "centre_id"


def enrol(api: Suifang) -> None:
    """Residents, one by one and many, and whoever is there."""
    hypertension = schemas.ConditionIn(condition="hypertension", since=date(2020, 1, 1))
    content = schemas.ResidentIn(
        team_id="t",
        conditions=[hypertension],
        personal=schemas.PersonalIn(name=SecretStr("某某")),
    )
    written = api.put_resident("r-1", content, version=0)
    assert (written.personal_data, written.conditions) == ("sealed", [hypertension])
    assert api.put_resident("r-1", content).version == 1
    lines = [ResidentLine(id=f"r-{n}", team_id="t") for n in range(2, 8)]
    *outcomes, counts = api.write_residents([*lines, ResidentLine(id="r-x", team_id="none")])
    assert [each["outcome"] for each in outcomes] == ["created"] * 6 + ["refused"]
    assert counts["lines"] == 7
    contract = ContractLine(id="k-1", resident_id="r-2", package_id="none", since=date(2026, 1, 5))
    refused, counts = api.write_contracts([contract])
    assert (refused["problem"]["field"], counts["refused"]) == ("package_id", 1)
    assert [each.id for each in api.list_residents(team="t", limit="2")] == [
        f"r-{n}" for n in range(1, 8)
    ]
    assert api.get_resident("r-1") == written


def follow(api: Suifang) -> None:
    """The feed from its beginning to its end, and from in between."""
    told = [each for each in api.follow(0, until_head=True) if each.type == "resident.changed"]
    assert {each.data["resident_id"] for each in told} == {f"r-{n}" for n in range(1, 8)}
    assert [each.number for each in told] == sorted(each.number for each in told)
    rest = list(api.follow(told[2].next_after, types=["resident.changed"], until_head=True))
    assert rest == told[3:]
    assert next(api.follow(0)) is not None  # Without ``until_head``, too.


def read(api: Suifang) -> None:
    """Values are exact; of nobody there is nothing."""
    (reading,) = api.list_readings("r-1", since=datetime(2026, 1, 1, tzinfo=UTC))
    assert reading.glucose == Decimal("7.00")
    assert str(reading.glucose) == "7.00"
    (case,) = api.list_cases(team="t", overdue=True)
    assert (case.resident_id, case.team_id, case.condition) == ("r-1", "t", "diabetes")
    assert (case.next_routine_due, case.due, case.overdue) == (DUE, DUE, True)
    assert list(api.list_cases(team="t", overdue=False)) == []
    (alert,) = api.list_alerts(status="all")
    assert (alert.id, alert.resident_id, alert.team_id) == (id_of("reading", "r-1"), "r-1", "t")
    assert (alert.code, alert.severity, alert.status) == ("GLU_HIGH", "warn", "active")
    assert (alert.raised_at, alert.anchor_reading_id) == (MEASURED_AT, alert.id)
    assert list(api.list_alerts(severity="critical")) == []
    with pytest.raises(ProblemError) as refused:
        list(api.list_readings("nobody"))
    assert refused.value.status == 404


async def test_a_contract_system_does_its_day(
    database: Database, connection: Connection, tmp_path: Path
) -> None:
    key_file = str(make_key_file(tmp_path))
    async with a_dispatcher(database), an_api(database, API_KEY_FILE=key_file) as api:
        with Suifang(str(api.client.base_url), "any") as client:
            await asyncio.to_thread(register, client)
            await asyncio.to_thread(enrol, client)
            values = {
                "id": id_of("reading", "r-1"),
                "resident": "r-1",
                "centre": "c",
                "at": MEASURED_AT,
            }
            await connection.execute(INSERT_READING.format(table="reading"), values)
            await connection.execute(INSERT_ALERT, values)
            await connection.execute(INSERT_CASE, values)
            await connection.execute("UPDATE resident_case SET next_routine_due = %s", (DUE,))
            await asyncio.to_thread(read, client)
            async with asyncio.timeout(20):
                while await _unnumbered(connection):
                    await asyncio.to_thread(client.get_resident, "r-1")
            await asyncio.to_thread(follow, client)


async def _unnumbered(connection: Connection) -> int:
    cursor = await connection.execute("SELECT count(*) FROM outbox WHERE number IS NULL")
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])
