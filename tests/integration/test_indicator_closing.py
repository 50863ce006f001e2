"""Promise: a closed period stays as it was closed, whatever comes later and whoever asks."""

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from api.auth.permissions import Role
from ingest.db import indicator_years
from ingest.db.connections import Connection
from tests.fix_db import Database
from tests.integration.indicator_world import NOW
from tests.integration.security_world import a_principal
from tests.integration.test_indicators import SUPERVISOR, Asking, a_city, asking

ADMIN = a_principal(Role.CENTRE_ADMIN, centres="north")
DOCTOR = a_principal(Role.DOCTOR, teams="n1")
STRANGER = a_principal(Role.DOCTOR, teams="s1")
CONTRACTS = a_principal(Role.CONTRACT_SYSTEM, kind="machine")
TABLES = ("indicator_closing", "indicator_closed")
CODE = "htn.control_rate"


@pytest.fixture
async def ask(database: Database, tmp_path: Path) -> AsyncIterator[Asking]:
    async with asking(database, tmp_path) as found:
        yield found


def sides(answer: dict[str, Any], side: str) -> dict[tuple[str, str], Any]:
    return {
        (item["code"], figure["team_id"]): figure[side]
        for item in answer["items"]
        for figure in item["figures"]
    }


async def test_what_comes_after_the_close_changes_the_present_and_not_what_was_closed(
    connection: Connection, ask: Asking
) -> None:
    city = await a_city(connection, 3, people=60)
    figures = await ask.figures(ADMIN, period="2026-H1")
    closed = await ask.put(ADMIN, "/periods/2026-H1", {})
    assert closed.status_code == 200, closed.text
    (closing,) = closed.json()["items"]
    assert closing["centre_id"] == "north"
    assert closing["author"] == ADMIN.subject
    before = (await ask.get(ADMIN, "/periods/2026-H1")).json()
    assert sides(before, "numerator_change") == dict.fromkeys(sides(before, "closed"), 0)
    for (code, team), side in sides(before, "closed").items():
        assert (side["numerator"], side["denominator"]) == figures[code]["north", team]

    people = await ask.people(ADMIN, CODE, period="2026-H1", side="rest", team="n1")
    corrected = {
        (id_, "hypertension", 2026): indicator_years.YearBits(controlled=1 << 180) for id_ in people
    }
    await indicator_years.replace_rows(connection, corrected, [])
    await connection.execute("UPDATE resident SET team_id = 's1' WHERE id = %s", (city.ids[0],))
    ask.pass_by(minutes=6)  # Older than any answer that is kept.
    after = (await ask.get(ADMIN, "/periods/2026-H1")).json()

    assert sides(after, "closed") == sides(before, "closed")
    assert sides(after, "numerator_change")[CODE, "n1"] == len(people) > 0
    assert sides(after, "present")[CODE, "n1"] != sides(after, "closed")[CODE, "n1"]
    again = await ask.put(ADMIN, "/periods/2026-H1", {})
    assert again.json() == closed.json()
    assert sides((await ask.get(ADMIN, "/periods/2026-H1")).json(), "closed") == sides(
        before, "closed"
    )


async def test_nobody_changes_removes_or_adds_to_what_is_closed_not_even_the_owner(
    connection: Connection, database: Database, ask: Asking
) -> None:
    await a_city(connection, 5, people=20)
    assert (await ask.put(CONTRACTS, "/periods/2025", {})).status_code == 200
    kept = [await (await connection.execute(f"TABLE {table}")).fetchall() for table in TABLES]
    assert all(kept)
    later = "INSERT INTO indicator_closed VALUES ('north', '2025', 'n1', 'new', 1, 1, 1)"
    roles = ("", "suifang_api", "suifang_api_all", "suifang_api_process")
    with psycopg.connect(database.dsn, autocommit=True) as owner:
        for role in roles:
            owner.execute(f"SET ROLE {role}" if role else "RESET ROLE")
            for table in TABLES:
                for statement in (
                    f"UPDATE {table} SET period = '2024'",  # noqa: S608 - of this test
                    f"DELETE FROM {table}",  # noqa: S608 - likewise
                    f"TRUNCATE {table} CASCADE",
                ):
                    with pytest.raises(InsufficientPrivilege):
                        owner.execute(statement.encode())
            with pytest.raises(InsufficientPrivilege):
                owner.execute(later)
        owner.execute("RESET ROLE")
        with pytest.raises(InsufficientPrivilege):  # Nor are triggers switched off.
            owner.execute("SET session_replication_role = replica")

    assert kept == [
        await (await connection.execute(f"TABLE {table}")).fetchall() for table in TABLES
    ]


async def test_each_closes_and_sees_only_their_own(connection: Connection, ask: Asking) -> None:
    await a_city(connection, 9, people=40)
    for who in (DOCTOR, SUPERVISOR):
        assert (await ask.put(who, "/periods/2025", {})).status_code == 403
    for centres in (["south"], ["north", "south"], ["nowhere"]):
        refused = await ask.put(ADMIN, "/periods/2025", {"centre_ids": centres})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "centre_ids"
    assert (await ask.put(ADMIN, "/periods/2025", {"centre_ids": ["north"]})).status_code == 200

    assert (await ask.get(STRANGER, "/periods/2025")).status_code == 404
    assert (await ask.get(STRANGER, "/periods")).json()["items"] == []
    mine = (await ask.get(DOCTOR, "/periods/2025")).json()
    assert {team for _, team in sides(mine, "closed")} == {"n1"}
    whole = (await ask.get(SUPERVISOR, "/periods/2025")).json()
    assert {team for _, team in sides(whole, "closed")} == {"n1", "n2"}

    assert (await ask.put(CONTRACTS, "/periods/2025", {})).status_code == 200
    closings = (await ask.get(SUPERVISOR, "/periods", limit="1")).json()
    assert [item["centre_id"] for item in closings["items"]] == ["north"]
    assert closings["items"][0]["author"] == ADMIN.subject
    rest = (await ask.get(SUPERVISOR, "/periods", cursor=closings["next_cursor"])).json()
    assert [item["author"] for item in rest["items"]] == [CONTRACTS.subject]
    assert rest["next_cursor"] is None


async def test_a_period_is_closed_when_it_is_over(connection: Connection, ask: Asking) -> None:
    await a_city(connection, 9, people=10)
    assert NOW.date() == date(2026, 9, 16)

    for name in ("2026", "2026-Q3", "2026-09", "2027", "2025-13"):
        response = await ask.put(ADMIN, f"/periods/{name}", {})
        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "period"
    assert (await ask.put(ADMIN, "/periods/2026-08", {})).status_code == 200
