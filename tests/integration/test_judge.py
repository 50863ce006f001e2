"""Cases follow from all readings and the clock: in whatever order they come, and by time alone."""

import asyncio
import itertools
from datetime import date, timedelta
from typing import Any

import pytest
import pytest_asyncio

from ingest.db import due_work
from ingest.db.connections import Connection, connect
from ingest.db.residents import DatedCondition
from tests.builders import AT, a_batch, a_blood_pressure, a_glucose, enrol
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import HYPERTENSION, JudgeBench, open_bench

JUST_BEFORE_CLOSE = timedelta(minutes=9, seconds=59)
CLOSED = timedelta(minutes=10)


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, clock: TestClock) -> JudgeBench:
    return await open_bench(connection, database, clock)


async def test_a_first_high_pressure_is_due_in_fourteen_days_once_its_session_closed(
    bench: JudgeBench,
) -> None:
    await bench.send(a_blood_pressure("152", "94"))

    bench.clock.now = AT + JUST_BEFORE_CLOSE
    assert await bench.work() == 0
    bench.clock.now = AT + CLOSED
    assert await bench.work() == 1

    assert await bench.cases() == [("hypertension", "second_followup_open", "2026-03-16", None)]
    assert await bench.alerts() == [("BP_UNSATISFIED_1", "active", "2026-03-16")]
    ((observed, threshold, source, profile),) = await bench.rows(
        "SELECT observed, threshold, source, profile || profile_version FROM alert"
    )
    assert (observed, threshold, profile) == ("152/94 mmHg", "> 140/90 mmHg", "wuzhou1")
    assert source


async def test_exactly_140_over_90_is_not_above(bench: JudgeBench) -> None:
    await bench.send(a_blood_pressure("140", "90"))
    bench.clock.pass_by(minutes=10)
    await bench.work()

    assert [case[:2] for case in await bench.cases()] == [("hypertension", "controlled")]
    assert await bench.alerts() == []


async def test_a_high_fasting_value_needs_no_session(bench: JudgeBench) -> None:
    await bench.send(a_glucose("7.1"))

    await bench.work()

    assert await bench.cases() == [("diabetes", "second_followup_open", "2026-03-16", None)]


async def test_an_alert_of_a_session_shows_its_mean(bench: JudgeBench) -> None:
    await bench.send(
        a_blood_pressure("152", "94"),
        a_blood_pressure("142", "86", at=AT + timedelta(minutes=2)),
    )
    bench.clock.pass_by(minutes=13)
    await bench.work()

    ((observed,),) = await bench.rows("SELECT observed FROM alert")
    assert observed == "147/90 mmHg, mean of 2"


async def test_a_missed_due_day_fires_with_no_new_data_on_the_day(bench: JudgeBench) -> None:
    await bench.send(a_blood_pressure("152", "94"))
    bench.clock.pass_by(minutes=10)
    await bench.work()

    bench.clock.now = AT.replace(day=16, hour=15, minute=59)  # 23:59 in Shanghai: still the day.
    assert await bench.work() == 0
    bench.clock.now = AT.replace(day=16, hour=16)  # 00:00 of the 17th.
    assert await bench.work() == 1

    assert [case[1] for case in await bench.cases()] == ["second_followup_overdue"]
    codes = {code: status for code, status, _ in await bench.alerts()}
    assert codes["FOLLOWUP_OVERDUE"] == "active"
    bench.clock.pass_by(days=14)
    await bench.work()
    assert await bench.rows(
        "SELECT escalation FROM alert WHERE code = 'FOLLOWUP_OVERDUE' AND status = 'active'"
    ) == [(2,)]


async def test_late_data_takes_the_ground_from_an_alert_and_it_is_cancelled(
    bench: JudgeBench,
) -> None:
    await bench.send(a_blood_pressure("152", "94"))
    bench.clock.pass_by(minutes=10)
    await bench.work()
    # Fetched from the device a day later: measured within the same 24 hours, so it decides.
    bench.clock.pass_by(days=1)
    late = a_blood_pressure("118", "76", at=AT + timedelta(hours=2), stored_record=True)
    await bench.send(late)
    bench.clock.pass_by(minutes=10)
    await bench.work()

    assert [case[:2] for case in await bench.cases()] == [("hypertension", "controlled")]
    assert [alert[:2] for alert in await bench.alerts()] == [("BP_UNSATISFIED_1", "cancelled")]
    states = await bench.rows("SELECT from_state, to_state FROM case_transition ORDER BY number")
    assert states == [("none", "second_followup_open"), ("second_followup_open", "controlled")]


_STORY = [
    a_blood_pressure("152", "94", at=AT),
    a_blood_pressure("188", "96", at=AT + timedelta(days=3)),
    a_blood_pressure("128", "78", at=AT + timedelta(days=30)),
    a_glucose("16.9", at=AT + timedelta(days=4)),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5], ids=str)
async def test_any_order_of_arrival_ends_in_the_same_cases_and_alerts(
    bench: JudgeBench, order: tuple[int, ...]
) -> None:
    """Judged after every arrival, so that wrong intermediate alerts have to be taken back."""
    bench.clock.now = AT + timedelta(days=31)
    for at in order:
        await bench.send(_STORY[at])
        bench.clock.pass_by(minutes=10)
        await bench.work()
        await bench.send(_STORY[at])  # And once more: redelivered.

    found = [alert for alert in await bench.alerts() if alert[1] != "cancelled"]
    assert found == await _in_one_go(bench)


async def _in_one_go(bench: JudgeBench) -> list[tuple[Any, ...]]:
    await bench.connection.execute("TRUNCATE alert, resident_case, due_timer CASCADE")
    await bench.mark()
    await bench.work()
    return await bench.alerts()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
async def test_an_alert_is_of_the_centre_where_its_anchor_was_taken_in_any_order_of_arrival(
    bench: JudgeBench, order: tuple[int, int]
) -> None:
    """Measured at both centres within one assessment; the alert rests on the first of them."""
    sent = [
        (a_glucose("8.1"), "suifang/v1/east/gw-1/readings"),
        (a_glucose("9.2", at=AT + timedelta(hours=3)), "suifang/v1/west/gw-2/readings"),
    ]
    bench.clock.pass_by(hours=4)
    for at in order:
        reading, topic = sent[at]
        await bench.store(a_batch(reading), topic=topic, at=bench.clock.now)
        await bench.work()

    assert await bench.rows("SELECT centre_id, anchor_id::text FROM alert") == [
        ("east", sent[0][0]["id"])
    ]
    told = await bench.rows("SELECT payload ->> 'centre_id' FROM outbox WHERE kind LIKE 'alert.%'")
    assert told[-1] == ("east",)


async def test_judging_twice_changes_and_tells_nothing(bench: JudgeBench) -> None:
    for reading in _STORY:
        await bench.send(reading)
    bench.clock.now = AT + timedelta(days=31)
    await bench.work()
    told = await bench.rows("SELECT count(*) FROM outbox")

    await bench.mark()
    assert await bench.work() == 1

    assert await bench.rows("SELECT count(*) FROM outbox") == told


async def test_a_mark_that_comes_while_a_judge_works_is_not_lost(
    bench: JudgeBench, database: Database
) -> None:
    await bench.send(a_glucose("7.1"))
    async with await connect(database.dsn, application_name="other", autocommit=True) as other:
        due = await due_work.find(other, now=bench.clock.now, session_wait=CLOSED, residents_max=10)
        await due_work.ensure(other, due)
        async with other.transaction():
            work = await due_work.claim(other, due, now=bench.clock.now, session_wait=CLOSED)
            await bench.send(a_glucose("7.2", at=AT + timedelta(seconds=1)))
            assert await bench.judge.judge_once(bench.connection) == 0  # Locked: somebody's work.
            await due_work.finish(other, work, now=bench.clock.now, timers=[])

    assert await bench.work() == 1


async def test_a_judge_that_dies_leaves_the_work_to_the_next(
    bench: JudgeBench, database: Database
) -> None:
    await bench.send(a_glucose("7.1"))
    other = await connect(database.dsn, application_name="dies", autocommit=True)
    due = await due_work.find(other, now=bench.clock.now, session_wait=CLOSED, residents_max=10)
    await due_work.ensure(other, due)
    await other.execute("BEGIN")
    assert await due_work.claim(other, due, now=bench.clock.now, session_wait=CLOSED)
    await other.close()  # As the kernel does for a killed process.

    await bench.rows("SELECT 1 FROM resident_fold FOR UPDATE")  # Waits: the server has noticed.

    assert await bench.work() == 1


async def test_many_judges_at_once_raise_each_alert_once(
    bench: JudgeBench, database: Database
) -> None:
    people = [f"r-{number}" for number in range(60)]
    await bench.send(*(a_glucose("7.4", resident_id=id_) for id_ in people))
    judges = [
        await connect(database.dsn, application_name=f"judge-{n}", autocommit=True)
        for n in range(4)
    ]

    await asyncio.gather(*[bench.judge.judge_once(judge) for judge in judges])
    await bench.work()
    for judge in judges:
        await judge.close()

    raised = await bench.rows(
        "SELECT payload->>'resident_id', count(*) FROM outbox"
        " WHERE kind = 'alert.raised' GROUP BY 1"
    )
    assert dict(raised) == dict.fromkeys(people, 1)


async def test_an_emergency_of_ingest_and_of_the_judge_is_one_alert(bench: JudgeBench) -> None:
    await bench.send(a_blood_pressure("185", "95"))
    bench.clock.pass_by(minutes=10)
    await bench.work()

    raised = await bench.rows("SELECT code, status, raised_by, due::text FROM alert")
    assert raised == [("BP_EMERGENCY", "active", "ingest", "2026-03-16")]
    assert await bench.cases() == [("hypertension", "emergency_referral", None, "2026-03-16")]


async def test_a_later_period_takes_no_alert_of_an_earlier_pregnancy_back(
    bench: JudgeBench,
) -> None:
    pregnant = DatedCondition(condition="pregnant", since=date(2026, 1, 1), until=date(2026, 3, 10))
    await enrol(bench.connection, pregnant)
    await bench.send(a_blood_pressure("150", "95"))
    bench.clock.pass_by(minutes=10)
    await bench.work()
    lactating = DatedCondition(condition="lactating", since=date(2026, 3, 11))
    await enrol(bench.connection, pregnant, lactating)
    await bench.mark()
    await bench.work()

    assert await bench.rows("SELECT code, status FROM alert WHERE severity = 'critical'") == [
        ("BP_PREG_HIGH", "active")
    ]


async def test_a_diagnosis_that_is_recorded_later_pages_nobody_for_old_readings(
    bench: JudgeBench,
) -> None:
    await enrol(bench.connection)
    for day in (0, 5):
        bench.clock.now = AT + timedelta(days=day)
        await bench.send(a_blood_pressure("152", "94", at=bench.clock.now))
    bench.clock.now = AT + timedelta(days=150)
    await enrol(bench.connection, HYPERTENSION)
    await bench.mark()
    await bench.work()

    raised = await bench.rows("SELECT code, page, late FROM alert WHERE status = 'active'")
    assert {code for code, _, _ in raised} == {"BP_UNSATISFIED_2", "REFERRAL_FOLLOWUP_OVERDUE"}
    assert {(page, late) for _, page, late in raised} == {(False, True)}


async def test_pregnancy_makes_140_an_emergency(bench: JudgeBench) -> None:
    await enrol(
        bench.connection,
        DatedCondition(condition="pregnant", since=date(2026, 1, 1), until=date(2026, 3, 2)),
    )
    await bench.send(a_blood_pressure("140", "80"))
    await bench.send(a_blood_pressure("140", "80", at=AT + timedelta(days=1)))
    bench.clock.now = AT + timedelta(days=1, minutes=10)
    await bench.work()

    found = await bench.rows("SELECT code, effective_at FROM alert WHERE severity = 'critical'")
    assert found == [("BP_PREG_HIGH", AT)]
