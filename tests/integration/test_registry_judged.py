"""Promise: what the contract system changes, the judge sees; open alerts go with their resident."""

from datetime import date
from typing import Any

import httpx
import pytest_asyncio

from ingest.db.connections import Connection
from tests.builders import AT, a_blood_pressure
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import HYPERTENSION, JudgeBench, open_bench
from tests.integration.registry_bench import a_registry, put

PEOPLE = {"team_id": "east-1", "conditions": [{"condition": "hypertension", "since": "2020-01-01"}]}
CONTRACT = {"resident_id": "r-1", "package_id": "plain", "since": "2026-01-05"}


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, clock: TestClock) -> JudgeBench:
    return await open_bench(connection, database, clock, HYPERTENSION)


@pytest_asyncio.fixture
async def client(database: Database, bench: JudgeBench) -> Any:  # noqa: ANN401 - a generator
    async with a_registry(database.dsn, bench.clock) as client:
        await put(client, "packages/plain", {"name": "Plain"}, 201)
        yield client


async def _high(bench: JudgeBench) -> None:
    await bench.send(a_blood_pressure("152", "94", at=bench.clock.now))
    await bench.settle()


async def test_a_diagnosis_turns_a_screening_into_a_case(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    nobody = {**PEOPLE, "conditions": [], "birth_date": "1950-01-01"}
    await put(client, "residents/r-1", nobody, 200)
    await _high(bench)
    assert [case[:2] for case in await bench.cases()] == [("hypertension", "screening")]

    await put(client, "residents/r-1", PEOPLE, 200)
    assert await bench.work() == 1

    assert [case[:2] for case in await bench.cases()] == [("hypertension", "second_followup_open")]


async def test_a_name_or_the_same_again_is_no_work_for_the_judge(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    await put(client, "residents/r-1", PEOPLE)
    await bench.work()

    await put(client, "residents/r-1", PEOPLE, 200)
    await put(client, "residents/r-1", {**PEOPLE, "sex": "female"}, 200)

    assert await bench.rows("SELECT kind FROM due_mark") == []


async def test_a_package_chooses_the_profile_and_a_changed_one_judges_again(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    await bench.send(a_blood_pressure("140", "80"))
    await bench.settle()
    assert [case[:2] for case in await bench.cases()] == [("hypertension", "controlled")]

    await put(client, "contracts/c-1", CONTRACT, 201)
    await put(client, "packages/plain", {"name": "Plain", "profile": "cn_nbphs_2017"}, 200)
    await bench.work()
    assert [case[:2] for case in await bench.cases()] == [("hypertension", "second_followup_open")]

    await put(client, "packages/plain", {"name": "Plain", "profile": "wuzhou"}, 200)
    await bench.work()
    assert [case[:2] for case in await bench.cases()] == [("hypertension", "controlled")]
    assert {status for _, status, _ in await bench.alerts()} == {"cancelled"}


async def test_open_alerts_go_with_the_resident_and_the_feed_is_told(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    await put(client, "centres/west", {"name": "West"}, 201)
    await put(client, "teams/west-1", {"name": "W1", "centre_id": "west"}, 201)
    await _high(bench)
    await bench.connection.execute("DELETE FROM outbox")

    await put(client, "residents/r-1", {**PEOPLE, "team_id": "west-1"}, 200)

    assert await bench.rows("SELECT centre_id FROM alert") == [("west",)]
    (event,) = await bench.rows(
        "SELECT kind, payload ->> 'team_id', payload ->> 'from_team_id', payload ->> 'centre_id',"
        " payload ->> 'from_centre_id' FROM outbox WHERE kind <> 'resident.changed'"
    )
    assert event == ("alert.changed", "west-1", "east-1", "west", "east")
    shown = await client.get("/v1/alerts?team=west-1&centre=west")
    assert len(shown.json()["items"]) == 1
    await bench.work()
    assert await bench.rows("SELECT centre_id, status FROM alert") == [("west", "active")]


async def test_a_team_that_goes_to_another_centre_takes_its_open_alerts_along(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    await put(client, "centres/west", {"name": "West", "profile": "cn_nbphs_2017"}, 201)
    await bench.send(a_blood_pressure("152", "94"), a_blood_pressure("152", "94"))
    await bench.settle()

    await put(client, "teams/east-1", {"name": "E1", "centre_id": "west"}, 200)
    await bench.work()

    assert await bench.rows("SELECT centre_id, status FROM alert") == [("west", "active")]
    assert await bench.rows("SELECT profile FROM resident_case") == [("wuzhou",)]  # As told.


async def test_a_resolved_alert_stays_where_it_was(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    await put(client, "centres/west", {"name": "West"}, 201)
    await put(client, "teams/west-1", {"name": "W1", "centre_id": "west"}, 201)
    await _high(bench)
    await bench.record("override", condition="hypertension", state="controlled")
    await bench.settle()
    assert {status for _, status, _ in await bench.alerts()} == {"resolved"}

    await put(client, "residents/r-1", {**PEOPLE, "team_id": "west-1"}, 200)

    assert {row[0] for row in await bench.rows("SELECT centre_id FROM alert")} == {"east"}


async def test_a_contract_that_ends_stops_alerts_and_says_why(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    await put(client, "contracts/c-1", CONTRACT, 201)
    await _high(bench)
    ended = {**CONTRACT, "ended_on": bench.clock.now.date().isoformat(), "end_reason": "moved"}

    await put(client, "contracts/c-1", ended, 200)
    await bench.work()

    assert [case[:2] for case in await bench.cases()] == [("hypertension", "closed")]
    assert [alert[:2] for alert in await bench.alerts()] == [("BP_UNSATISFIED_1", "resolved")]
    assert await bench.rows("SELECT kind, reason, author, note FROM record") == [
        ("closure", "moved", "local", "contract c-1 ended: moved")
    ]
    assert await bench.rows(
        "SELECT author, cause FROM case_transition ORDER BY number DESC LIMIT 1"
    ) == [("local", "closed")]
    bench.clock.pass_by(days=40)
    await _high(bench)
    assert [alert[:2] for alert in await bench.alerts()] == [("BP_UNSATISFIED_1", "resolved")]


async def test_who_signs_again_or_whose_end_was_a_mistake_is_followed_again(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    today = bench.clock.now.date().isoformat()
    await put(client, "contracts/c-1", CONTRACT, 201)
    await put(client, "contracts/c-1", {**CONTRACT, "ended_on": today, "end_reason": "other"}, 200)
    await bench.work()

    bench.clock.pass_by(minutes=5)
    await put(client, "contracts/c-1", CONTRACT, 200)
    bench.clock.pass_by(minutes=5)
    await _high(bench)
    assert [alert[:2] for alert in await bench.alerts()] == [("BP_UNSATISFIED_1", "active")]

    await put(client, "contracts/c-1", {**CONTRACT, "ended_on": today, "end_reason": "death"}, 200)
    again = {**CONTRACT, "since": today, "follows": "c-1", "followed_as": "switch"}
    bench.clock.pass_by(minutes=5)
    await put(client, "contracts/c-2", again, 201)
    kinds = await bench.rows("SELECT kind, reason FROM record ORDER BY at")

    assert kinds == [
        ("closure", "contract_ended"),
        ("return", None),
        ("closure", "death"),
        ("return", None),
    ]


async def test_a_contract_that_is_followed_by_another_ends_without_closing(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    await put(client, "contracts/c-1", CONTRACT, 201)
    await put(client, "contracts/c-2", {**CONTRACT, "since": "2026-02-01"}, 201)

    ended = {**CONTRACT, "ended_on": "2026-02-01", "end_reason": "switched"}
    await put(client, "contracts/c-1", ended, 200)

    assert await bench.rows("SELECT kind FROM record") == []


async def test_an_end_told_in_advance_comes_on_its_day_with_no_new_data(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    ended = {**CONTRACT, "ended_on": "2026-03-05", "end_reason": "resident_request"}
    await put(client, "contracts/c-1", ended, 201)
    await _high(bench)
    bench.clock.now = AT.replace(day=4, hour=15, minute=59)  # 23:59 in Shanghai.
    await bench.work()
    assert [alert[:2] for alert in await bench.alerts()] == [("BP_UNSATISFIED_1", "active")]

    await bench.settle(minutes=1)

    assert [alert[:2] for alert in await bench.alerts()] == [("BP_UNSATISFIED_1", "resolved")]
    assert await bench.rows("SELECT reason FROM record") == [("contract_ended",)]
    assert await bench.rows("SELECT * FROM contract_due") == []


async def test_validity_that_merely_runs_out_closes_nothing(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    await put(client, "contracts/c-1", {**CONTRACT, "until": "2026-03-03"}, 201)
    await _high(bench)
    bench.clock.pass_by(days=5)
    await bench.work()

    assert await bench.rows("SELECT kind FROM record") == []
    assert [alert[:2] for alert in await bench.alerts()] == [("BP_UNSATISFIED_1", "active")]


async def test_a_person_s_closure_is_not_answered_by_a_contract(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    await put(client, "contracts/c-1", CONTRACT, 201)
    await bench.record("closure", reason="moved")

    await put(client, "contracts/c-1", {**CONTRACT, "signed_on": "2026-01-04"}, 200)

    assert await bench.rows("SELECT kind FROM record") == [("closure",)]


async def test_a_pregnancy_told_by_the_contract_system_counts_at_the_next_reading(
    bench: JudgeBench, client: httpx.AsyncClient
) -> None:
    expecting = [{"condition": "pregnant", "since": date(2026, 1, 1).isoformat()}]
    await put(client, "residents/r-1", {**PEOPLE, "conditions": expecting}, 200)

    await bench.send(a_blood_pressure("142", "80", at=bench.clock.now))

    assert [alert[0] for alert in await bench.alerts()] == ["BP_PREG_HIGH"]
