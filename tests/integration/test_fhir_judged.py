"""Promise: alerts, cases, dues, referrals and provenance are read at ``/fhir`` as they stand."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest

from ingest.db.connections import Connection
from tests.fhir_world import Json, ask, found_in, resources_in
from tests.fix_db import Database as Fresh
from tests.integration.registry_bench import NOW, a_registry
from tests.integration.security_world import INSERT_READING

ALERT: Final = """
INSERT INTO alert (id, resident_id, centre_id, condition, code, severity, status, anchor_id,
    effective_at, raised_at, page, late, observed, threshold, source, profile, profile_version,
    raised_by, updated_at, anchor_kind)
VALUES (%(id)s, %(resident)s, 'north', 'hypertension', %(code)s, 'critical', %(status)s, %(id)s,
    %(at)s, %(at)s, true, false, '182/112 mmHg', '> 180/110 mmHg', 'a document, 2.2', 'wuzhou', '1',
    'judge', %(at)s, 'reading')"""
CASE: Final = """
INSERT INTO resident_case (resident_id, condition, state, consecutive_unsatisfied,
    second_followup_due, next_routine_due, profile, profile_version, updated_at)
VALUES (%(resident)s, %(condition)s, %(state)s, 1, %(second)s, %(routine)s, 'wuzhou', '1',
    %(at)s)"""
MOVE: Final = """
INSERT INTO case_transition (resident_id, condition, from_state, to_state, at, profile,
    profile_version, author) VALUES (%s, 'hypertension', %s, %s, %s, 'wuzhou', '1', %s)"""


@pytest.fixture
async def client(database: Fresh, connection: Connection) -> AsyncIterator[httpx.AsyncClient]:
    """The API in a database with one resident."""
    await connection.execute("INSERT INTO centre VALUES ('north', 'North')")
    await connection.execute("INSERT INTO team VALUES ('n1', 'north', 'N1')")
    await connection.execute(
        "INSERT INTO resident (id, team_id, created_at) VALUES ('anna', 'n1', %s)", (NOW,)
    )
    async with a_registry(database.dsn) as opened:
        yield opened


async def raise_alert(
    connection: Connection, code: str, status: str, resident: str = "anna", **ago: float
) -> str:
    id_, at = uuid4(), NOW - timedelta(**ago)
    values = {"id": id_, "resident": resident, "code": code, "status": status, "at": at}
    await connection.execute(ALERT, values)
    return str(id_)


async def test_alerts_are_found_by_patient_code_status_and_day(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    old = await raise_alert(connection, "BP_EMERGENCY", "resolved", days=9)
    gone = await raise_alert(connection, "BP_UNSATISFIED_1", "cancelled", days=2)
    new = await raise_alert(connection, "BP_EMERGENCY", "active", days=1)

    async def of(**asked: Any) -> list[str]:  # noqa: ANN401
        return await found_in(client, "DetectedIssue", **asked)

    assert await of(patient="Patient/anna") == [old, gone, new]
    assert await of(patient="nobody") == []
    assert await of(code="urn:suifang:alert-code|BP_EMERGENCY") == [old, new]
    assert await of(code="http://loinc.org|BP_EMERGENCY") == []
    assert await of(status="cancelled") == [gone]
    assert await of(identified="ge2026-03-14", status="final") == [new]
    assert await of(_lastUpdated="lt2026-03-14") == [old]
    one = await ask(client, f"DetectedIssue/{new}")
    assert "182/112 mmHg; limit > 180/110 mmHg; source: a document, 2.2" in one["detail"]
    assert one["evidence"][0]["detail"] == [{"reference": f"Observation/{new}"}]
    first = await ask(client, "DetectedIssue", _count=2)
    following = first["link"][1]["url"].removeprefix("http://api/fhir/")
    assert [each["id"] for each in resources_in(await ask(client, following))] == [new]


async def test_a_case_is_a_flag_and_each_of_its_dates_a_task(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    asked: Json = {"resident": "anna", "at": NOW, "second": "2026-03-30", "routine": None}
    state = {"condition": "hypertension", "state": "second_followup_open"}
    await connection.execute(CASE, {**asked, **state})
    state = {"condition": "diabetes", "state": "closed"}
    await connection.execute(CASE, {**asked, **state, "second": None, "routine": "2026-06-01"})

    flags = resources_in(await ask(client, "Flag", patient="anna"))
    assert [each["status"] for each in flags] == ["active", "inactive"]
    assert await found_in(client, "Flag", status="inactive") == [flags[1]["id"]]
    tasks = resources_in(await ask(client, "Task", patient="anna"))
    due = [(each["focus"]["reference"], each["restriction"]["period"]["end"]) for each in tasks]
    numbers = [f"Flag/{each['id']}" for each in flags]
    assert due == [(numbers[0], "2026-03-30"), (numbers[1], "2026-06-01")]
    for each in (*flags, *tasks):
        assert await ask(client, f"{each['resourceType']}/{each['id']}") == each
    page = await ask(client, "Task", _count=1)
    following = page["link"][1]["url"].removeprefix("http://api/fhir/")
    assert resources_in(await ask(client, following)) == tasks[1:]
    for wrong in ("Task/x", f"Task/{tasks[0]['id']}x", "Flag/0", "Flag/99999999999999999999"):
        await ask(client, wrong, 404)


async def test_a_referral_says_what_became_of_it(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    async def move(*states: str, author: str = "judge", **ago: float) -> None:
        await connection.execute(MOVE, ("anna", *states, NOW - timedelta(**ago), author))

    async def statuses() -> list[str]:
        found = resources_in(await ask(client, "ServiceRequest", patient="anna"))
        return [each["status"] for each in found]

    await move("second_followup_open", "referral_recommended", days=9)
    await move("referral_recommended", "referral_followup_overdue", days=8)
    assert await statuses() == ["active"]
    await move("referral_followup_overdue", "emergency_referral", days=7, author="dr-wang")
    assert await statuses() == ["revoked", "active"]
    await move("emergency_referral", "controlled", days=5)
    assert await statuses() == ["revoked", "unknown"]
    await connection.execute(
        "INSERT INTO record (id, resident_id, kind, at, received_at, mode, findings, author)"
        " VALUES (%s, 'anna', 'referral_followup', %s, %s, 'phone', '{}', 'dr-wang')",
        (uuid4(), NOW - timedelta(days=6), NOW),
    )
    assert await statuses() == ["revoked", "completed"]
    first, second = resources_in(await ask(client, "ServiceRequest"))
    assert (first["intent"], second["intent"]) == ("proposal", "order")
    assert second["requester"]["identifier"]["value"] == "dr-wang"
    assert second["priority"] == "stat"


async def test_provenance_tells_gateway_device_and_whoever_changed_a_reading(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    reading, said = uuid4(), UUID(int=7)
    values = {"resident": "anna", "centre": "north", "at": NOW, "id": reading}
    await connection.execute(INSERT_READING.format(table="reading"), values)
    await connection.execute(
        "INSERT INTO amendment (id, kind, reading_id, changes, author, reason, received_at)"
        " VALUES (%s, 'retraction', %s, '{}', 'dr-wang', 'wrong person', %s)",
        (said, reading, NOW + timedelta(hours=1)),
    )

    found = resources_in(await ask(client, "Provenance", target=f"Observation/{reading}"))

    named = [[agent["who"]["identifier"]["value"] for agent in each["agent"]] for each in found]
    assert named == [["meter", "gw"], ["dr-wang"]]
    assert found[1]["reason"] == [{"text": "wrong person"}]
    assert [each["activity"]["coding"][0]["code"] for each in found] == ["CREATE", "NULLIFY"]
    assert await ask(client, f"Provenance/{said}") == found[1]
    assert (await ask(client, "Provenance", 400))["issue"][0]["expression"] == ["target"]
    assert await found_in(client, "Provenance", target=f"Observation/{uuid4()}") == []
