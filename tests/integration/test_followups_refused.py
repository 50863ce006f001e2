"""Promise: what contradicts itself is refused by its field, and a stranger finds nobody."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from api.auth.permissions import Role
from api.followups import examples
from api.followups.routes import KINDS
from ingest.db.connections import Connection
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.followup_bench import DOCTOR, REACTION, Room, a_room, measured
from tests.integration.security_world import a_principal

STRANGER: Final = a_principal(Role.DOCTOR, teams="west-1")


@pytest.fixture
async def room(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[Room]:
    async with a_room(connection, database, clock, tmp_path) as found:
        yield found


# --- refused --------------------------------------------------------------------------------------

VISIT: Final = {"condition": "hypertension", "mode": "clinic"}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("visits", {**VISIT, "at": "2026-03-03T00:00:00+08:00"}, "at"),
        ("visits", {**VISIT, "at": "2026-03-02T09:00:00"}, "body.at"),
        ("visits", {"condition": "hypertension"}, "body.mode"),
        ("visits", {**VISIT, "author": "dr-2"}, "body.author"),
        ("visits", {**VISIT, "form": {"result_code": 3}}, "findings"),
        ("visits", {**VISIT, "form": {"result_code": 4}, "findings": REACTION}, "findings"),
        ("visits", {**VISIT, "form": {"result_code": 1}, "findings": REACTION}, "form.result_code"),
        ("visits", {**VISIT, "form": {"result_code": 5}}, "body.form.result_code"),
        ("visits", {**VISIT, "form": {"adverse_reaction": "cough"}}, "findings"),
        (
            "visits",
            {**VISIT, "form": {"symptoms_hypertension": [1, 2]}},
            "form.symptoms_hypertension",
        ),
        ("visits", {**VISIT, "form": {"hypoglycaemia": 1}}, "form.hypoglycaemia"),
        ("visits", {"condition": "diabetes", "mode": "home", "form": {"salt": 1}}, "form.salt"),
        ("visits", {**VISIT, "form": {"next_followup_on": "2026-03-01"}}, "form.next_followup_on"),
        ("visits", {**VISIT, "measured": {"systolic_mmhg": 140}}, "measured.diastolic_mmhg"),
        ("visits", {**VISIT, **measured(90, 110)}, "measured.diastolic_mmhg"),
        ("visits", {**VISIT, **measured(301, 90)}, "body.measured.systolic_mmhg"),
        ("visits", {**VISIT, "measured": {"glucose_mmol_l": 7.1}}, "measured.glucose_context"),
        ("visits", {**VISIT, "reading_ids": [str(uuid4())]}, "reading_ids"),
        ("visits", {**VISIT, "replaces": str(uuid4())}, "replaces"),
        (
            "referral-followups",
            {"condition": "hypertension", "outcome": "not_attended"},
            "body.outcome",
        ),
        ("reschedules", {"condition": "hypertension", "due": "2026-03-20"}, "body.note"),
        ("reschedules", {"condition": "hypertension", "due": "2026-03-01", "note": "x"}, "due"),
        ("reschedules", {"condition": "hypertension", "due": "2026-06-02", "note": "x"}, "due"),
        ("overrides", {"condition": "hypertension", "state": "screening", "note": "x"}, "due"),
        (
            "overrides",
            {"condition": "diabetes", "state": "closed", "due": "2026-03-09", "note": "x"},
            "due",
        ),
        ("closures", {}, "body.reason"),
    ],
)
async def test_what_contradicts_itself_is_refused_with_its_field(
    room: Room, path: str, body: dict[str, Any], field: str
) -> None:
    response = await room.put(path, body)

    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["field"].removeprefix("body.") == field.removeprefix(
        "body."
    )
    assert await room.rows("SELECT count(*) FROM record") == [(0,)]


async def test_a_stranger_finds_nobody_and_writes_nothing(room: Room) -> None:
    visit = (await room.visit()).json()["id"]
    for path, kind, _ in KINDS:
        body = examples.BODIES[kind]
        theirs = await room.put(path, body, who=STRANGER)
        nobody = await room.put(path, body, who=STRANGER, resident="nobody")
        assert theirs.status_code in (404, 422)
        assert theirs.status_code == nobody.status_code
    for address in ("followups", f"followups/{visit}"):
        hidden = await room.desk.get(STRANGER, f"/v1/residents/r-1/{address}")
        assert hidden.status_code == 404
    taken = await room.put("visits", VISIT, UUID(visit), who=STRANGER)
    assert taken.status_code == 404
    assert await room.rows("SELECT count(*) FROM record") == [(1,)]


async def test_the_examples_can_be_sent_one_after_another(room: Room) -> None:
    await room.connection.execute(
        "INSERT INTO staff (id, centre_id, role, subject, since)"
        " VALUES ('d-1', 'east', 'doctor', %s, '2024-01-01')",
        (DOCTOR.subject,),
    )
    room.clock.pass_by(days=14, hours=1)
    for path, kind, _ in KINDS:
        shown = examples.ANSWERS[kind]
        response = await room.put(path, examples.BODIES[kind], UUID(shown["id"]))
        assert response.status_code == 201, response.text
        ours = {"number", "resident_id", "received_at", "author", "staff_id", "at"}
        told = response.json()
        assert {k: v for k, v in told.items() if k not in ours} == {
            k: v for k, v in shown.items() if k not in ours
        }
        assert (told["author"], told["staff_id"]) == (DOCTOR.subject, "d-1")
