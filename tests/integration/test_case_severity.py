"""A case is as severe as its state means, or as the worst alert that is open in it."""

from datetime import date

import pytest_asyncio

from ingest.db.connections import Connection
from tests.builders import a_blood_pressure
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import HYPERTENSION, JudgeBench, Rows, open_bench


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, clock: TestClock) -> JudgeBench:
    return await open_bench(connection, database, clock, HYPERTENSION)


async def _severity(bench: JudgeBench) -> Rows:
    return await bench.rows("SELECT state, severity, risk_order FROM resident_case")


async def test_severity_follows_the_state_up_and_down(bench: JudgeBench) -> None:
    await bench.send(a_blood_pressure("146", "92"))
    await bench.settle()
    assert await _severity(bench) == [("second_followup_open", "warn", 2)]

    bench.clock.pass_by(days=2)
    await bench.send(a_blood_pressure("150", "92", at=bench.clock.now))
    await bench.settle()
    assert await _severity(bench) == [("referral_recommended", "high", 1)]

    bench.clock.pass_by(days=2)
    await bench.send(a_blood_pressure("185", "95", at=bench.clock.now))
    await bench.settle()
    assert await _severity(bench) == [("emergency_referral", "critical", 0)]

    await bench.record("referral_followup", condition="hypertension", outcome="treated")
    await bench.work()
    assert await _severity(bench) == [("referral_closed", None, 4)]


async def test_a_state_by_a_doctors_word_is_as_severe_as_it_says_though_no_alert_tells(
    bench: JudgeBench,
) -> None:
    due = date(2026, 3, 20)
    await bench.record("override", condition="hypertension", state="emergency_referral", due=due)
    await bench.work()

    assert await bench.alerts() == []
    assert await _severity(bench) == [("emergency_referral", "critical", 0)]


async def test_an_emergency_of_a_closed_case_still_comes_first(bench: JudgeBench) -> None:
    await bench.send(a_blood_pressure("146", "92"))
    await bench.settle()
    await bench.record("closure", reason="moved")
    await bench.work()
    assert await _severity(bench) == [("closed", None, 4)]

    bench.clock.pass_by(days=1)
    await bench.send(a_blood_pressure("190", "95", at=bench.clock.now))
    await bench.settle()
    assert await _severity(bench) == [("closed", "critical", 0)]
