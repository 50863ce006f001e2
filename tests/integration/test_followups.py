"""Promise: what people record moves cases as the decision table says, once, and never in silence.

The API and the judge share a clock and a database; the API writes as a doctor of the team.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ingest.db.connections import Connection
from tests.builders import a_blood_pressure
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.followup_bench import DOCTOR, REACTION, Room, a_room, measured
from tests.integration.judge_bench import Rows


@pytest.fixture
async def room(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[Room]:
    async with a_room(connection, database, clock, tmp_path) as found:
        yield found


# --- decision table 2.4: visit, then case ---------------------------------------------------------


@pytest.mark.parametrize(
    ("visits", "state", "alerts"),
    [
        pytest.param([{}], [], [], id="nothing found moves nothing"),
        pytest.param(
            [{"findings": REACTION}],
            [("second_followup_open", "2026-03-16")],
            [("ADR_1", "active")],
            id="first reaction: second follow-up in 14 days",
        ),
        pytest.param(
            [{"findings": REACTION}, {"findings": REACTION}],
            [("referral_recommended", "2026-03-18")],
            [("ADR_1", "resolved"), ("ADR_2", "active")],
            id="reaction that persists: referral",
        ),
        pytest.param(
            [{"findings": REACTION}, {}],
            [("controlled", "2026-06-02")],
            [("ADR_1", "resolved")],
            id="reaction gone: routine in 90 days",
        ),
        pytest.param(
            [{"findings": ["worse_complication"]}],
            [("referral_recommended", "2026-03-16")],
            [("COMPLICATION", "active")],
            id="complication: referral at once",
        ),
        pytest.param(
            [measured(146, 92)],
            [("second_followup_open", "2026-03-16")],
            [("BP_UNSATISFIED_1", "active")],
            id="typed values are judged: first unsatisfied",
        ),
        pytest.param(
            [measured(146, 92), measured(150, 88)],
            [("referral_recommended", "2026-03-18")],
            [("BP_UNSATISFIED_1", "resolved"), ("BP_UNSATISFIED_2", "active")],
            id="typed values: second in a row refers",
        ),
        pytest.param(
            [measured(146, 92), measured(128, 78)],
            [("controlled", "2026-06-02")],
            [("BP_UNSATISFIED_1", "resolved")],
            id="typed values: satisfied again",
        ),
        pytest.param(
            [measured(186, 92)],
            [("emergency_referral", "2026-03-16")],
            [("BP_EMERGENCY", "active")],
            id="typed emergency",
        ),
        pytest.param(
            [measured(140, 90)], [("controlled", "2026-05-31")], [], id="140/90 is not above"
        ),
    ],
)
async def test_a_visit_moves_the_case_as_the_table_says(
    room: Room, visits: list[dict[str, Any]], state: Rows, alerts: Rows
) -> None:
    for number, visit in enumerate(visits):
        if number:
            room.clock.pass_by(days=2)
        await room.visit(**visit)
        await room.settle()

    assert await room.state() == state
    assert [row[:2] for row in await room.alerts()] == alerts


async def test_what_a_resident_tells_by_telephone_is_a_home_reading_and_never_counts(
    room: Room,
) -> None:
    await room.visit(mode="phone", **measured(150, 95))
    await room.settle()

    assert await room.rows("SELECT setting FROM reading") == [("home",)]
    assert [row[0] for row in await room.alerts()] == ["BP_HOME_HIGH"]
    assert await room.state() == []


async def test_a_value_that_the_instrument_sent_does_not_count_twice(room: Room) -> None:
    sent = a_blood_pressure("146", "92", at=room.clock.now)
    await room.send(sent)
    room.clock.pass_by(minutes=4)
    await room.visit(**measured(146, 92))
    await room.visit(reading_ids=[sent["id"]])
    await room.settle()

    assert await room.rows("SELECT id::text FROM reading") == [(sent["id"],)]
    assert await room.state() == [("second_followup_open", "2026-03-16")]


# --- once, never rewritten, taken back ------------------------------------------------------------


async def test_the_same_again_is_no_new_record_and_no_new_reading(room: Room) -> None:
    id_, body = uuid4(), {"condition": "hypertension", "mode": "home", **measured(146, 92)}
    body["at"] = room.clock.now.isoformat()
    first = await room.put("visits", body, id_)
    room.clock.pass_by(minutes=30)
    second = await room.put("visits", body, id_)
    other = await room.put("visits", {**body, "mode": "clinic"}, id_)

    assert [first.status_code, second.status_code, other.status_code] == [201, 200, 409]
    assert second.json() == first.json()
    assert first.headers["location"] == f"/v1/residents/r-1/followups/{id_}"
    assert await room.rows(
        "SELECT count(*) FROM record UNION ALL SELECT count(*) FROM reading"
    ) == [
        (1,),
        (1,),
    ]
    told = await room.rows(
        "SELECT kind, payload ->> 'record_id' FROM outbox WHERE kind = 'record.added'"
    )
    assert told == [("record.added", str(id_))]
    assert await room.rows("SELECT stored FROM gateway_day WHERE gateway_id = 'visit'") == [(1,)]


async def test_a_visit_entered_wrongly_is_replaced_and_the_case_is_folded_again(
    room: Room,
) -> None:
    wrong = (await room.visit(findings=REACTION, **measured(186, 92))).json()["id"]
    await room.settle()
    assert await room.state() == [("emergency_referral", "2026-03-16")]
    assert [row[:2] for row in await room.alerts()] == [("BP_EMERGENCY", "active")]

    right = (await room.visit(replaces=wrong, **measured(126, 82))).json()
    await room.settle()

    assert await room.state() == [("controlled", "2026-05-31")]
    assert [row[:2] for row in await room.alerts()] == [("BP_EMERGENCY", "cancelled")]
    listed = (await room.desk.get(DOCTOR, "/v1/residents/r-1/followups")).json()["items"]
    assert [(item["id"], item["withdrawn_by"]) for item in listed] == [
        (right["id"], None),
        (wrong, right["id"]),
    ]
    again = await room.put("withdrawals", {"replaces": wrong, "note": "twice"})
    assert again.status_code == 422
    assert again.json()["errors"][0]["field"] == "replaces"


async def test_a_withdrawal_takes_a_record_out_of_the_case(room: Room) -> None:
    visit = (await room.visit(findings=["new_complication"])).json()["id"]
    await room.work()
    taken = await room.put("withdrawals", {"replaces": visit, "note": "another resident"})
    await room.work()

    assert taken.status_code == 201
    assert await room.state() == [("none", None)]
    assert [row[:2] for row in await room.alerts()] == [("COMPLICATION", "cancelled")]


# --- referrals, days, words -----------------------------------------------------------------------


async def test_an_attempt_leaves_a_referral_open_and_its_follow_up_closes_it(room: Room) -> None:
    await room.visit(**measured(186, 92))
    await room.settle()
    made = await room.put(
        "referrals",
        {"condition": "hypertension", "form": {"reasons": [1], "institution": "Hospital 2"}},
    )
    tried = await room.put("contact-attempts", {"outcome": "referral_not_attended"})
    await room.work()
    assert (made.status_code, tried.status_code) == (201, 201)
    assert await room.state() == [("emergency_referral", "2026-03-16")]

    room.clock.pass_by(days=3)
    await room.put("referral-followups", {"condition": "hypertension", "outcome": "treated"})
    await room.work()
    assert await room.state() == [("referral_closed", "2026-06-03")]


async def test_another_day_moves_what_is_due_until_it_passes(room: Room) -> None:
    await room.visit(**measured(146, 92))
    await room.settle()
    moved = await room.put(
        "reschedules", {"condition": "hypertension", "due": "2026-03-25", "note": "travels"}
    )
    await room.work()
    assert moved.status_code == 201
    assert await room.state() == [("second_followup_open", "2026-03-25")]

    room.clock.pass_by(days=24)
    await room.work()
    assert await room.state() == [("second_followup_overdue", "2026-03-25")]


async def test_another_day_never_takes_a_referral_back_that_late_data_give(room: Room) -> None:
    await room.visit(**measured(146, 92))
    await room.settle()
    offline = a_blood_pressure("150", "95", at=room.clock.now.replace(day=4))
    room.clock.pass_by(days=6)
    await room.put(
        "reschedules", {"condition": "hypertension", "due": "2026-03-25", "note": "travels"}
    )
    await room.send(offline)
    await room.settle()

    assert await room.state() == [("referral_recommended", "2026-03-25")]


async def test_a_doctors_word_a_closure_and_a_return_bear_the_name_of_who_asked(
    room: Room,
) -> None:
    await room.put(
        "overrides",
        {
            "condition": "hypertension",
            "state": "referral_recommended",
            "due": "2026-03-12",
            "note": "seen",
        },
    )
    await room.work()
    assert await room.state() == [("referral_recommended", "2026-03-12")]
    room.clock.pass_by(minutes=1)
    await room.put("closures", {"reason": "moved"})
    await room.work()
    assert await room.state() == [("closed", None)]
    room.clock.pass_by(minutes=1)
    await room.put("returns", {})
    await room.work()
    assert await room.rows("SELECT DISTINCT author FROM record") == [(DOCTOR.subject,)]
    assert await room.rows(
        "SELECT DISTINCT author FROM case_transition WHERE cause IN ('overridden_open', 'closed')"
    ) == [(DOCTOR.subject,)]
