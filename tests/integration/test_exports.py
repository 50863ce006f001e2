"""Promise: what was recorded comes out again, field by field, once, and nothing in it runs."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from api.auth.permissions import Role
from api.exports.national_form import FIELDS
from ingest.db.connections import Connection
from tests.builders import a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.followup_bench import DOCTOR, Room, a_room, measured
from tests.integration.security_world import a_principal

LEADER: Final = a_principal(Role.TEAM_LEADER, teams="east-1")
STRANGER: Final = a_principal(Role.TEAM_LEADER, teams="west-1")
PATH: Final = "/v1/exports/followups"
MARCH: Final = {"from": "2026-03-01", "to": "2026-03-31"}


@pytest.fixture
async def room(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[Room]:
    async with a_room(connection, database, clock, tmp_path) as found:
        yield found


async def exported(room: Room, **asked: str) -> list[dict[str, Any]]:
    response = await room.desk.get(LEADER, PATH, **MARCH, **asked)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = (
        response.json()
        if asked.get("format") == "json"
        else list(csv.DictReader(io.StringIO(response.text.removeprefix("\ufeff"))))
    )
    return found


async def test_a_visit_comes_out_as_it_went_in_with_codes_beside_texts(room: Room) -> None:
    visit = (
        await room.visit(
            findings=["adverse_drug_reaction"],
            **measured(146, 92),
            form={
                "symptoms_hypertension": [6, 2],
                "weight_kg": 64.5,
                "salt": 3,
                "medication_adherence": 2,
                "adverse_reaction": "=HYPERLINK(1)",
                "result_code": 3,
                "medications": [{"name": "amlodipine", "times_per_day": 1, "dose_each": "5 mg"}],
                "next_followup_on": "2026-03-16",
            },
        )
    ).json()["id"]
    await room.put(
        "referrals",
        {
            "condition": "hypertension",
            "form": {"reasons": [2], "institution": "Hospital 2", "visit_id": visit},
        },
    )
    (row,) = await exported(room)
    (same,) = await exported(room, format="json")

    expected = {
        "随访记录编号": visit,
        "居民编号": "r-1",
        "团队编号": "east-1",
        "病种": "高血压",
        "记录人": DOCTOR.subject,
        "随访日期": "2026-03-02",
        "随访方式代码": "2",
        "随访方式": "家庭",
        "高血压症状代码": "2;6",
        "高血压症状": "头痛头晕;心悸胸闷",
        "收缩压(mmHg)[DE04.10.174.00]": "146",
        "舒张压(mmHg)[DE04.10.176.00]": "92",
        "体重(kg)": "64.5",
        "摄盐情况代码": "3",
        "摄盐情况": "重",
        "服药依从性": "间断",
        "药物不良反应代码": "2",
        "药物不良反应": "有",
        "此次随访分类代码": "3",
        "此次随访分类": "不良反应",
        "用药情况": "amlodipine 每日1次 5 mg",
        "转诊原因": "药物不良反应难以控制",
        "转诊机构及科别": "Hospital 2",
        "下次随访日期": "2026-03-16",
    }
    assert row.items() >= {**expected, "药物不良反应说明": "'=HYPERLINK(1)"}.items()
    assert {name: str(same[name]) for name in expected} == expected
    assert same["药物不良反应说明"] == "=HYPERLINK(1)"
    assert list(row) == list(same)


async def test_a_value_of_the_instrument_is_exported_in_the_forms_unit(room: Room) -> None:
    sent = a_blood_pressure("20.0", "12.0", at=room.clock.now, unit="kPa")
    await room.send(sent)
    await room.visit(reading_ids=[sent["id"]])

    (row,) = await exported(room)

    assert row["收缩压(mmHg)[DE04.10.174.00]"] == "150.0"
    assert row["舒张压(mmHg)[DE04.10.176.00]"] == "90.0"


async def test_a_value_is_exported_as_it_stands(room: Room) -> None:
    """Of several that a visit names the last one that stands, by when it was really taken."""
    earlier = a_blood_pressure("130", "80", at=room.clock.now - timedelta(minutes=4))
    later = a_blood_pressure("152", "94", at=room.clock.now, device_sequence=9)
    await room.send(earlier, later)
    await room.visit(reading_ids=[earlier["id"], later["id"]])
    assert await pressures(room) == [("152", "94")]

    await room.correct(later, systolic=Decimal("20.0"), diastolic=Decimal("12.0"), unit="kPa")
    assert await pressures(room) == [("150.0", "90.0")]
    await room.correct(later, measured_at=room.clock.now - timedelta(hours=1))
    assert await pressures(room) == [("130", "80")]
    await room.retract(earlier)
    assert await pressures(room) == [("150.0", "90.0")]
    await room.connection.execute(
        "INSERT INTO resident (id, team_id, created_at) VALUES ('r-2', 'east-1', %s)",
        (room.clock.now,),
    )
    await room.correct(later, resident_id="r-2")
    assert await pressures(room) == [("", "")]


async def test_fasting_is_what_was_said_last_of_the_meal(room: Room) -> None:
    sent = a_glucose(
        "7.4", at=room.clock.now, meal_context="unknown", boot_id="b", device_sequence=7
    )
    await room.send(sent)
    await room.visit(condition="diabetes", reading_ids=[sent["id"]])
    assert await fasting(room) == [""]
    await room.tell_context(sent, "fasting")
    assert await fasting(room) == ["7.4"]
    await room.correct(sent, glucose=Decimal(126), unit="mg/dL")
    assert await fasting(room) == ["7.0"]
    await room.correct(sent, meal_context="postprandial_2h")
    assert await fasting(room) == [""]


async def test_what_was_typed_into_a_visit_is_exported_as_it_was_corrected(room: Room) -> None:
    glucose = {"glucose_mmol_l": 7.4, "glucose_context": "fasting"}
    await room.visit(condition=None, measured={**measured(146, 92)["measured"], **glucose})
    rows = await room.rows("SELECT kind, id FROM reading WHERE gateway_id = 'visit'")
    typed = {kind: {"id": str(id_)} for kind, id_ in rows}
    assert (await pressures(room), await fasting(room)) == ([("146", "92")], ["7.4"])

    await room.correct(
        typed["blood_pressure"], systolic=Decimal(164), diastolic=Decimal(92), unit="mmHg"
    )
    await room.correct(typed["glucose"], glucose=Decimal("4.7"), unit="mmol/L")
    assert (await pressures(room), await fasting(room)) == ([("164", "92")], ["4.7"])
    await room.retract(typed["blood_pressure"])
    await room.correct(typed["glucose"], meal_context="random")
    assert (await pressures(room), await fasting(room)) == ([("", "")], [""])


async def pressures(room: Room) -> list[tuple[str, str]]:
    names = ("收缩压(mmHg)[DE04.10.174.00]", "舒张压(mmHg)[DE04.10.176.00]")
    return [(row[names[0]], row[names[1]]) for row in await exported(room)]


async def fasting(room: Room) -> list[str]:
    return [row["空腹血糖(mmol/L)[DE04.50.102.00]"] for row in await exported(room)]


async def test_only_visits_that_stand_of_these_days_and_teams_are_exported(room: Room) -> None:
    wrong = (await room.visit()).json()["id"]
    right = (await room.visit(replaces=wrong)).json()["id"]
    await room.put(
        "visits", {"at": "2026-02-28T23:59:00+08:00", "condition": "diabetes", "mode": "clinic"}
    )
    first = uuid4()
    await room.put("visits", {"at": "2026-03-01T00:00:00+08:00", "mode": "clinic"}, first)

    assert [row["随访记录编号"] for row in await exported(room)] == [str(first), right]
    assert await exported(room, team="west-1") == []
    assert (await room.desk.get(STRANGER, PATH, **MARCH, format="json")).json() == []
    assert (await room.desk.get(DOCTOR, PATH, **MARCH)).status_code == 403
    backwards = {"from": "2026-03-02", "to": "2026-03-01"}
    assert (await room.desk.get(LEADER, PATH, **backwards)).status_code == 400
    entries = await room.rows(
        "SELECT DISTINCT subject FROM audit_entry WHERE object LIKE 'export%'"
    )
    assert entries == [(LEADER.subject,)]


async def test_the_report_counts_what_each_form_asks_for(room: Room) -> None:
    await room.visit(form={"weight_kg": 60, "salt": 1})
    await room.visit(form={"weight_kg": 61})
    await room.put("visits", {"condition": "diabetes", "mode": "clinic", "form": {"foot_pulse": 1}})

    report = (await room.desk.get(LEADER, f"{PATH}/completeness", **MARCH)).json()

    (team,) = report["teams"]
    counts = {each["field"]: (each["filled"], each["missing"]) for each in team["fields"]}
    assert (team["team_id"], team["visits"]) == ("east-1", 3)
    assert counts["体重(kg)"] == (2, 1)
    assert counts["摄盐情况"] == (1, 1)  # Not on the form of diabetes.
    assert counts["足背动脉搏动"] == (1, 0)
    assert counts["随访日期"] == (3, 0)
    assert set(counts) == {field.name for field in FIELDS if not field.optional}
