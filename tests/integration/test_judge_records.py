"""What people record moves cases as readings do, and each move says whose word it was."""

from datetime import date, timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from ingest.db import records
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError, translated
from ingest.db.records import Record
from ingest.db.residents import Population, Resident, load
from tests.builders import AT, a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import HYPERTENSION, JudgeBench, open_bench


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, clock: TestClock) -> JudgeBench:
    return await open_bench(connection, database, clock)


async def _react(bench: JudgeBench) -> UUID:
    return await bench.record(
        "visit", condition="hypertension", findings=("adverse_drug_reaction",)
    )


async def test_an_adverse_reaction_at_a_visit_is_followed_up_and_the_second_is_referred(
    bench: JudgeBench,
) -> None:
    first = await _react(bench)
    await bench.work()

    assert await bench.cases() == [("hypertension", "second_followup_open", "2026-03-16", None)]
    assert await bench.rows(
        "SELECT code, anchor_id, anchor_kind, centre_id, observed FROM alert"
    ) == [("ADR_1", first, "record", "east", "visit")]
    bench.clock.pass_by(days=7)
    await _react(bench)
    await bench.work()

    assert await bench.cases() == [("hypertension", "referral_recommended", None, "2026-03-23")]
    assert await bench.alerts() == [
        ("ADR_1", "resolved", "2026-03-16"),
        ("ADR_2", "active", "2026-03-23"),
    ]
    causes = await bench.rows("SELECT cause, author FROM case_transition ORDER BY number")
    assert causes == [("first_reaction", "judge"), ("second_reaction", "judge")]


async def test_a_complication_is_referred_at_once(bench: JudgeBench) -> None:
    await bench.record("visit", condition="diabetes", findings=("new_complication",))
    await bench.work()

    assert await bench.cases() == [("diabetes", "referral_recommended", None, "2026-03-16")]
    assert await bench.alerts() == [("COMPLICATION", "active", "2026-03-16")]


async def test_a_recorded_referral_follow_up_closes_the_referral(bench: JudgeBench) -> None:
    await bench.send(a_blood_pressure("185", "95"))
    await bench.settle()
    bench.clock.pass_by(days=5)
    followed = await bench.record(
        "referral_followup", condition="hypertension", outcome="discharged"
    )
    await bench.work()

    ((state, due, anchor, kind),) = await bench.rows(
        "SELECT state, next_routine_due::text, anchor_id, anchor_kind FROM resident_case"
    )
    assert (state, due, anchor, kind) == ("referral_closed", "2026-06-05", followed, "record")
    assert [alert[:2] for alert in await bench.alerts()] == [("BP_EMERGENCY", "resolved")]


async def test_an_override_gives_state_and_due_day_and_bears_its_author_s_name(
    bench: JudgeBench,
) -> None:
    await bench.send(a_blood_pressure("152", "94"))
    await bench.settle()
    await bench.record(
        "override",
        condition="hypertension",
        state="second_followup_open",
        due=date(2026, 3, 9),
        author="dr-7",
    )
    await bench.work()
    assert await bench.cases() == [("hypertension", "second_followup_open", "2026-03-09", None)]

    await bench.settle(days=8)  # By time alone: nobody's word.
    await bench.record("override", condition="hypertension", state="controlled", author="dr-7")
    await bench.work()

    assert await bench.rows(
        "SELECT to_state, cause, author FROM case_transition ORDER BY number OFFSET 1"
    ) == [
        ("second_followup_overdue", "overridden_open", "judge"),
        ("controlled", "overridden_quiet", "dr-7"),
    ]
    assert {status for _, status, _ in await bench.alerts()} == {"resolved"}


async def test_a_closed_case_rests_until_the_resident_returns(bench: JudgeBench) -> None:
    await bench.send(a_blood_pressure("152", "94"))
    await bench.settle()
    await bench.record("closure", reason="moved")
    await bench.work()
    assert [case[:2] for case in await bench.cases()] == [("hypertension", "closed")]
    assert [alert[:2] for alert in await bench.alerts()] == [("BP_UNSATISFIED_1", "resolved")]

    bench.clock.pass_by(days=30)
    await bench.send(a_blood_pressure("150", "90", at=bench.clock.now))
    await bench.settle()
    assert [case[:2] for case in await bench.cases()] == [("hypertension", "closed")]

    await bench.record("return")
    await bench.work()
    assert [case[:2] for case in await bench.cases()] == [("hypertension", "none")]
    bench.clock.pass_by(days=1)
    await bench.send(a_blood_pressure("150", "90", at=bench.clock.now))
    await bench.settle()

    assert [case[:2] for case in await bench.cases()] == [("hypertension", "second_followup_open")]
    closed = await bench.rows("SELECT author, cause FROM case_transition WHERE to_state = 'closed'")
    assert closed == [("dr-1", "closed")]


async def test_a_routine_visit_is_overdue_without_any_new_data(
    bench: JudgeBench, connection: Connection
) -> None:
    enrolled = Resident(
        id="r-1", team_id="east-1", conditions=(HYPERTENSION,), enrolled_on=date(2026, 3, 2)
    )
    await load(connection, Population(residents=[enrolled]), at=AT)
    await bench.work()
    bench.clock.now = AT + timedelta(days=90)  # 31 May: the last day.
    assert await bench.work() == 0
    await bench.settle(hours=15)  # Midnight in Shanghai.

    assert await bench.alerts() == [("ROUTINE_OVERDUE", "active", "2026-05-31")]
    ((kind, centre, effective_at),) = await bench.rows(
        "SELECT anchor_kind, centre_id, effective_at FROM alert"
    )
    assert (kind, centre) == ("resident", "east")
    assert effective_at == AT.replace(day=1, hour=16)  # Midnight of the enrolment.
    await bench.record("visit", condition="hypertension")
    await bench.work()
    assert await bench.alerts() == [("ROUTINE_OVERDUE", "resolved", "2026-05-31")]


async def test_a_visit_by_phone_is_not_face_to_face(
    bench: JudgeBench, connection: Connection
) -> None:
    enrolled = Resident(id="r-1", conditions=(HYPERTENSION,), enrolled_on=date(2026, 3, 2))
    await load(connection, Population(residents=[enrolled]), at=AT)
    bench.clock.now = AT + timedelta(days=60)
    await bench.record("visit", condition="hypertension", mode="phone")
    await bench.settle(days=31)

    assert [alert[:2] for alert in await bench.alerts()] == [("ROUTINE_OVERDUE", "active")]
    assert await bench.rows("SELECT centre_id FROM alert") == [(None,)]  # No team, no reading.


async def test_a_record_that_comes_twice_is_stored_once_and_never_rewritten(
    bench: JudgeBench, connection: Connection
) -> None:
    visit = Record(id=UUID(int=7), resident_id="r-1", kind="visit", at=AT, author="dr-1")
    assert await records.insert_new(connection, [visit], at=AT) == {visit.id}
    assert await records.insert_new(connection, [visit], at=AT + timedelta(hours=1)) == set()

    other = Record(id=UUID(int=7), resident_id="r-1", kind="visit", at=AT, author="dr-2")
    with pytest.raises(UnstorableError, match="other content"):
        await records.insert_new(connection, [other], at=AT)
    assert await bench.rows("SELECT count(*) FROM record") == [(1,)]
    assert await bench.rows("SELECT kind, count(*) FROM due_mark GROUP BY 1") == [("record", 1)]


async def test_a_record_of_tomorrow_is_refused(bench: JudgeBench) -> None:
    early = bench.clock.now + timedelta(days=1)
    with pytest.raises(UnstorableError, match="record_is_not_of_the_future"), translated():
        await bench.record("closure", reason="contract_ended", at=early)


async def test_records_and_readings_in_any_order_of_arrival_end_in_the_same_case(
    bench: JudgeBench,
) -> None:
    """A visit that is recorded late, between two readings, is folded where it happened."""
    bench.clock.now = AT + timedelta(days=20)
    await bench.send(a_glucose("7.4"), a_glucose("7.6", at=AT + timedelta(days=9)))
    await bench.work()
    assert [case[1] for case in await bench.cases()] == ["referral_recommended"]

    await bench.record("closure", reason="moved", at=AT + timedelta(days=3))
    await bench.record("return", at=AT + timedelta(days=5))
    await bench.work()

    assert [case[:3] for case in await bench.cases()] == [
        ("diabetes", "second_followup_open", "2026-03-25")
    ]
    assert await bench.rows(
        "SELECT code, status, effective_at FROM alert ORDER BY code, effective_at"
    ) == [
        ("GLU_UNSATISFIED_1", "resolved", AT),
        ("GLU_UNSATISFIED_1", "active", AT + timedelta(days=9)),
        ("GLU_UNSATISFIED_2", "cancelled", AT + timedelta(days=9)),
    ]
