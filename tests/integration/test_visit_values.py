"""Promise: a value typed at a visit counts as it was typed, once, until its visit is withdrawn."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from api.auth.permissions import Role
from ingest.db.connections import Connection
from ingest.db.residents import Population, Resident, load
from tests.builders import AT, a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.followup_bench import Room, a_room, measured
from tests.integration.judge_bench import DIABETES, HYPERTENSION
from tests.integration.security_world import a_principal

WRITER = a_principal(Role.CONTRACT_SYSTEM)
STANDING = """
SELECT r.gateway_id = 'visit' AS typed, coalesce(r.glucose, r.systolic)::text FROM reading r
WHERE NOT EXISTS (SELECT FROM amendment a
                  WHERE a.reading_id = r.id AND a.kind = 'retraction' AND NOT a.undone)
ORDER BY typed, r.id"""


@pytest.fixture
async def room(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[Room]:
    async with a_room(connection, database, clock, tmp_path) as found:
        yield found


async def cases(room: Room) -> list[Any]:
    return await room.rows("SELECT condition, state FROM resident_case ORDER BY condition")


async def another_resident(room: Room) -> None:
    both = (HYPERTENSION, DIABETES)
    people = Population(residents=[Resident(id="r-2", team_id="east-1", conditions=both)])
    await load(room.connection, people, at=AT - timedelta(days=1))


async def merge(room: Room) -> None:
    room.clock.pass_by(seconds=1)
    body = {"into": "r-2", "reason": "one person"}
    answer = await room.desk.ask(WRITER, "PUT", "/v1/residents/r-1/merge", json=body)
    assert answer.status_code in (200, 201), answer.text


async def test_a_visit_replaced_for_its_words_keeps_its_measurement(room: Room) -> None:
    wrong = (await room.visit(note="left arm", **measured(186, 92))).json()["id"]
    await room.settle()
    assert await cases(room) == [("hypertension", "emergency_referral")]

    await room.visit(note="right arm", replaces=wrong, **measured(186, 92))
    await room.settle()

    assert await cases(room) == [("hypertension", "emergency_referral")]
    assert await room.rows(STANDING) == [(True, "186")]
    assert ("BP_EMERGENCY", "active") in [tuple(row[:2]) for row in await room.alerts()]


async def test_a_visit_withdrawn_and_recorded_anew_keeps_its_measurement(room: Room) -> None:
    wrong = (await room.visit(**measured(186, 92))).json()["id"]
    assert (await room.put("withdrawals", {"replaces": wrong, "note": "slip"})).status_code == 201

    await room.visit(**measured(186, 92))
    await room.settle()

    assert await cases(room) == [("hypertension", "emergency_referral")]
    assert await room.rows(STANDING) == [(True, "186")]


async def test_a_value_of_the_instrument_that_agrees_counts_once(room: Room) -> None:
    await room.send(a_blood_pressure("186", "92"))

    await room.visit(**measured(186, 92))

    assert await room.rows(STANDING) == [(False, "186")]


async def test_a_value_that_somebody_retracted_is_not_taken_for_the_one_typed(room: Room) -> None:
    sent = a_blood_pressure("186", "92")
    await room.send(sent)
    await room.retract(sent)

    await room.visit(**measured(186, 92))

    assert await room.rows(STANDING) == [(True, "186")]


@pytest.mark.parametrize("context", ["unknown", "postprandial_2h"])
async def test_the_meal_that_the_doctor_types_counts(room: Room, context: str) -> None:
    await room.send(a_glucose("8.2", meal_context=context))

    typed = {"glucose_mmol_l": 8.2, "glucose_context": "fasting"}
    await room.visit(condition="diabetes", measured=typed)
    await room.settle()

    assert await room.rows(STANDING) == [(False, "8.2"), (True, "8.2")]
    assert ("diabetes", "second_followup_open") in await cases(room)


async def test_a_reading_at_home_does_not_swallow_the_doctors(room: Room) -> None:
    await room.send(a_blood_pressure("150", "95", setting="home"))

    await room.visit(**measured(150, 95))
    await room.settle()

    assert await cases(room) == [("hypertension", "second_followup_open")]


async def test_a_visit_of_somebody_merged_is_withdrawn_with_its_measurement(room: Room) -> None:
    await another_resident(room)
    wrong = (await room.visit(**measured(190, 115))).json()["id"]
    await room.settle()
    await merge(room)
    await room.work()

    taken = await room.put("withdrawals", {"replaces": wrong, "note": "mistyped"})
    await room.work()

    assert taken.status_code == 201
    assert await room.rows(STANDING) == []
    assert {row[1] for row in await room.alerts()} == {"cancelled"}


async def test_the_instruments_value_of_somebody_merged_is_found(room: Room) -> None:
    await another_resident(room)
    sent = a_blood_pressure("186", "92")
    await room.send(sent)
    await merge(room)

    named = await room.put(
        "visits", {"mode": "home", "reading_ids": [sent["id"]], **measured(186, 92)}, uuid4()
    )

    assert named.status_code == 201, named.text
    assert await room.rows(STANDING) == [(False, "186")]
