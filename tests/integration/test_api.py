"""Promise: the lists show what is stored, exactly, once each, and refuse what they cannot do.

Against a real TimescaleDB; the routes are called in this process.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.settings import ApiSettings
from ingest.db import alerts, cases
from ingest.db.alerts import AlertRow
from ingest.db.cases import CaseRow
from ingest.db.connections import Connection
from tests.fix_db import Database as Fresh
from tests.integration.running_api import running

NOW = datetime(2026, 3, 16, 16, 30, tzinfo=UTC)  # In Shanghai it is already the 17th.


@asynccontextmanager
async def a_client(dsn: str, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ANN401 - settings are of any type
    settings = {"authentication": "off", **settings}
    app = create_app(ApiSettings(db_dsn=SecretStr(dsn), **settings), lambda: NOW)
    transport = httpx.ASGITransport(app)
    async with (
        running(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", timeout=20) as client,
    ):
        yield client


@pytest.fixture
async def writer(connection: Connection) -> Connection:
    """The test's connection, in a database with two centres, a team each, three residents."""
    await connection.execute("INSERT INTO centre VALUES ('north', 'North'), ('south', 'South')")
    await connection.execute("INSERT INTO team VALUES ('n1', 'north', 'N1'), ('s1', 'south', 'S1')")
    await connection.execute(
        "INSERT INTO resident (id, team_id, created_at) VALUES ('anna', 'n1', %(at)s), "
        "('boris', 's1', %(at)s), ('stub', NULL, %(at)s)",
        {"at": NOW},
    )
    return connection


def a_case(resident_id: str = "anna", condition: str = "hypertension", **more: Any) -> CaseRow:  # noqa: ANN401
    plain = CaseRow(
        resident_id=resident_id,
        condition=condition,
        state="second_followup_open",
        consecutive_unsatisfied=1,
        second_followup_due=date(2026, 3, 16),
        referral_followup_due=None,
        next_routine_due=None,
        anchor_id=uuid4(),
        profile="wuzhou",
        profile_version="1",
        updated_at=NOW,
        anchor_kind="reading",
        cause="first_unsatisfied",
    )
    return plain._replace(**more)


def an_alert(resident_id: str | None = "anna", **more: Any) -> AlertRow:  # noqa: ANN401
    plain = AlertRow(
        id=uuid4(),
        resident_id=resident_id,
        centre_id="north",
        condition="hypertension",
        code="BP_UNSATISFIED_1",
        severity="warn",
        status="active",
        anchor_id=uuid4(),
        effective_at=NOW,
        raised_at=NOW,
        due=date(2026, 3, 30),
        page=False,
        late=False,
        overdue_days=0,
        escalation=0,
        observed="146/92 mmHg",
        threshold="> 140/90 mmHg",
        source="a document, section 1",
        profile="wuzhou",
        profile_version="1",
        raised_by="judge",
        updated_at=NOW,
        anchor_kind="reading",
        explanation=None,
    )
    return plain._replace(**more)


async def store_reading(writer: Connection, **more: Any) -> UUID:  # noqa: ANN401
    """A glucose of 7.00 mmol/L of anna's, unless told otherwise."""
    fields = {
        "id": uuid4(),
        "partition_at": NOW,
        "content_hash": 1,
        "kind": "glucose",
        "resident_id": "anna",
        "centre_id": "north",
        "gateway_id": "gw-1",
        "device_id": "meter-1",
        "stored_record": False,
        "captured_at": NOW,
        "clock_synchronised": True,
        "received_at": NOW,
        "arrived_at": NOW,
        "effective_at": NOW,
        "time_suspect": False,
        "setting": "office",
        "status": [],
        "glucose": Decimal("7.00"),
        "unit": "mmol/L",
        **more,
    }
    query = psycopg.sql.SQL("INSERT INTO reading ({}) VALUES ({})").format(
        psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, fields)),
        psycopg.sql.SQL(", ").join(psycopg.sql.Placeholder() * len(fields)),
    )
    await writer.execute(query, list(fields.values()))
    identifier: UUID = fields["id"]
    return identifier


async def page_through(client: httpx.AsyncClient, address: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(address, params=parameters)).raise_for_status().json()
        assert len(page["items"]) <= limit
        found.extend(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            return found


# --- cases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", ["anna/hypertension", "anna/diabetes", "boris/diabetes", "stub/hypertension"]),
        ("team=n1", ["anna/hypertension", "anna/diabetes"]),
        ("centre=south", ["boris/diabetes"]),
        ("condition=diabetes&centre=north", ["anna/diabetes"]),
        ("state=controlled", ["anna/diabetes"]),
        ("overdue=true", ["anna/hypertension", "boris/diabetes"]),
        ("overdue=false", ["anna/diabetes", "stub/hypertension"]),
        ("due_before=2026-03-16", ["boris/diabetes"]),
        ("due_before=2026-03-17", ["anna/hypertension", "boris/diabetes"]),
        ("team=none-such", []),
    ],
)
async def test_cases_are_filtered_and_days_end_in_shanghai(
    database: Fresh, writer: Connection, asked: str, expected: list[str]
) -> None:
    await cases.upsert(
        writer,
        [
            a_case(),  # Due on the 16th, which is over there at 16:30 UTC.
            a_case(
                condition="diabetes",
                state="controlled",
                second_followup_due=None,
                next_routine_due=date(2026, 3, 17),
            ),
            a_case(
                "boris",
                "diabetes",
                second_followup_due=None,
                referral_followup_due=date(2026, 3, 1),
            ),
            a_case("stub", second_followup_due=None),
        ],
    )

    async with a_client(database.dsn) as client:
        items = (await client.get(f"/v1/cases?{asked}")).raise_for_status().json()["items"]

    assert [f"{item['resident_id']}/{item['condition']}" for item in items] == expected


async def test_a_case_says_whose_it_is_what_is_due_and_by_which_rules(
    database: Fresh, writer: Connection
) -> None:
    case = a_case()
    await cases.upsert(writer, [case])

    async with a_client(database.dsn) as client:
        (item,) = (await client.get("/v1/cases")).raise_for_status().json()["items"]

    assert item["resident_id"] == "anna"
    assert (item["team_id"], item["centre_id"]) == ("n1", "north")
    assert (item["state"], item["due"], item["overdue"]) == (case.state, "2026-03-16", True)
    assert (item["profile"], item["profile_version"]) == ("wuzhou", "1")
    assert item["anchor_reading_id"] == item["anchor_id"] == str(case.anchor_id)


async def test_paging_visits_every_case_once_while_cases_are_opened(
    database: Fresh, writer: Connection
) -> None:
    standing = [f"r{n:03d}" for n in range(200)]
    await cases.upsert(writer, [a_case(name) for name in standing])
    finished = asyncio.Event()

    async def open_and_update_more() -> None:
        opened = 0
        while not finished.is_set():
            opened += 1
            await cases.upsert(writer, [a_case(f"x{opened}"), a_case("r000"), a_case("r199")])

    busy = asyncio.create_task(open_and_update_more())
    async with a_client(database.dsn) as client:
        seen = [
            item["resident_id"] async for item in _slowly(client, "/v1/cases", 7, len(standing))
        ]
    finished.set()
    await busy

    assert len(seen) == len(set(seen))
    assert set(standing) <= set(seen)


async def _slowly(
    client: httpx.AsyncClient, address: str, limit: int, enough: int
) -> AsyncIterator[dict[str, Any]]:
    """Page on until ``enough`` rows have come and the last page is not growing any more."""
    cursor, count = "", 0
    while True:
        page = (await client.get(f"{address}?limit={limit}{cursor}")).raise_for_status().json()
        for item in page["items"]:
            count += 1
            yield item
        if page["next_cursor"] is None or count > 2 * enough:
            return
        cursor = f"&cursor={page['next_cursor']}"


# --- alerts --------------------------------------------------------------------------------------


async def test_an_alert_always_carries_its_ground(database: Fresh, writer: Connection) -> None:
    alert = an_alert()
    of_a_visit = an_alert(None, severity="critical", page=True, anchor_kind="record")
    await alerts.insert_new(writer, [alert, of_a_visit])

    async with a_client(database.dsn) as client:
        items = (await client.get("/v1/alerts")).raise_for_status().json()["items"]

    found = {item["resident_id"]: item for item in items}
    assert set(found) == {"anna", None}
    assert found["anna"]["id"] == str(alert.id)
    assert (found[None]["team_id"], found[None]["centre_id"]) == (None, "north")
    assert found["anna"]["anchor_reading_id"] == str(alert.anchor_id)
    assert (found[None]["anchor_kind"], found[None]["anchor_reading_id"]) == ("record", None)
    for item in items:
        assert item["observed"] == "146/92 mmHg"
        assert item["threshold"] == "> 140/90 mmHg"
        assert item["source"] == "a document, section 1"
        assert (item["profile"], item["profile_version"]) == ("wuzhou", "1")


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        ("", ["D", "C", "A"]),
        ("status=all", ["D", "C", "B", "A"]),
        ("status=cancelled", ["B"]),
        ("severity=critical", ["C"]),
        ("team=s1", ["D"]),
        ("centre=north&resident=anna", ["A"]),
        ("code=C", ["C"]),
        ("centre=south&severity=critical", []),
    ],
)
async def test_alerts_come_newest_first_and_only_the_active_unless_asked(
    database: Fresh, writer: Connection, asked: str, codes: list[str]
) -> None:
    for alert in (
        an_alert(code="A"),
        an_alert(code="B", status="cancelled"),
        an_alert(None, code="C", severity="critical"),
        an_alert("boris", code="D", centre_id="south"),
    ):
        await alerts.insert_new(writer, [alert])

    async with a_client(database.dsn) as client:
        items = (await client.get(f"/v1/alerts?{asked}")).raise_for_status().json()["items"]

    assert [item["code"] for item in items] == codes


async def test_paging_alerts_visits_each_once_at_every_page_size(
    database: Fresh, writer: Connection
) -> None:
    rows = [an_alert() for _ in range(13)]
    await alerts.insert_new(writer, rows)

    async with a_client(database.dsn) as client:
        for limit in (1, 5, 12, 13, 14, 500):
            found = await page_through(client, "/v1/alerts", limit)
            assert [item["number"] for item in found] == list(range(13, 0, -1))


# --- readings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["7.00", "7.0", "7", "18.70", "0.1", "12.345678901234567890"])
async def test_a_value_comes_out_digit_by_digit_as_it_was_stored(
    database: Fresh, writer: Connection, value: str
) -> None:
    await store_reading(writer, glucose=Decimal(value))

    async with a_client(database.dsn) as client:
        response = (await client.get("/v1/residents/anna/readings")).raise_for_status()

    assert f'"glucose":{value},' in response.text
    (item,) = json.loads(response.text, parse_float=Decimal)["items"]
    assert Decimal(item["glucose"]) == Decimal(value)
    assert (item["unit"], item["systolic"], item["pulse"]) == ("mmol/L", None, None)
    assert item["effective_at"] == "2026-03-16T16:30:00Z"


async def test_paging_readings_visits_ties_in_time_once(
    database: Fresh, writer: Connection
) -> None:
    stored = [
        (NOW + timedelta(minutes=n % 3), NOW + timedelta(seconds=n % 2), n) for n in range(24)
    ]
    ids = {
        n: await store_reading(writer, effective_at=effective, captured_at=captured)
        for effective, captured, n in stored
    }
    expected = [str(key[2]) for key in sorted((at, captured, ids[n]) for at, captured, n in stored)]

    async with a_client(database.dsn) as client:
        for limit in (1, 5, 24):
            found = await page_through(client, "/v1/residents/anna/readings", limit)
            assert [item["id"] for item in found] == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"from": "2026-03-16T16:30:00Z"}, ["now", "later"]),
        ({"to": "2026-03-17T00:30:00+08:00"}, ["earlier"]),
        ({"from": "2026-03-16T16:29:00Z", "to": "2026-03-16T16:31:00Z"}, ["now"]),
        ({"kind": "blood_pressure"}, []),
        (
            {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"},
            ["earlier", "now", "later"],
        ),
    ],
)
async def test_readings_are_cut_by_time_start_included_end_not(
    database: Fresh, writer: Connection, asked: dict[str, str], expected: list[str]
) -> None:
    for name, hours in (("earlier", -1), ("now", 0), ("later", 1)):
        at = NOW + timedelta(hours=hours)
        await store_reading(writer, device_id=name, effective_at=at)
    await store_reading(writer, resident_id="boris")

    async with a_client(database.dsn) as client:
        found = (await client.get("/v1/residents/anna/readings", params=asked)).raise_for_status()

    assert [item["device_id"] for item in found.json()["items"]] == expected


async def test_an_unknown_resident_is_404_and_a_known_one_without_readings_is_empty(
    database: Fresh, writer: Connection
) -> None:
    await store_reading(writer, resident_id="only-readings")

    async with a_client(database.dsn) as client:
        nobody = await client.get("/v1/residents/nobody/readings")
        stub = await client.get("/v1/residents/stub/readings")
        past = await client.get("/v1/residents/only-readings/readings?to=2020-01-01T00:00:00Z")

    assert nobody.status_code == 404
    assert nobody.headers["content-type"] == "application/problem+json"
    nothing: dict[str, Any] = {"items": [], "next_cursor": None, "retained_since": None}
    assert stub.json() == past.json() == nothing
