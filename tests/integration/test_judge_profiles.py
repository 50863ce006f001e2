"""Whoever is judged by which profile, what was told stays as it was told."""

import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from ingest.db.connections import Connection, connect
from ingest.db.contracts import Contract, Package
from ingest.db.residents import Centre, Population, Resident, load
from ingest.histories import load_histories
from ingest.profiles import Profiles
from rules.errors import ProfileError
from tests.builders import AT, a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import HYPERTENSION, JudgeBench, open_bench

NATIONAL = "cn_nbphs_2017"  # At or above 140/90; wuzhou: above.


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, clock: TestClock) -> JudgeBench:
    return await open_bench(connection, database, clock)


async def _at_the_limit(bench: JudgeBench, *days: int) -> None:
    """140/90 on these days; judged after each."""
    for day in days:
        bench.clock.now = AT + timedelta(days=day)
        await bench.send(a_blood_pressure("140", "90", at=bench.clock.now))
        await bench.settle()


async def _profiles(bench: JudgeBench) -> list[tuple[str, str, date]]:
    return [
        (row[0], row[1], row[2])
        for row in await bench.rows(
            "SELECT code, profile, effective_at::date FROM alert ORDER BY effective_at"
        )
    ]


async def test_a_contract_s_package_judges_while_the_contract_runs(
    bench: JudgeBench, connection: Connection
) -> None:
    contracts = [
        Contract(
            id="c-1",
            resident_id="r-1",
            package_id="strict",
            since=date(2026, 3, 7),
            until=date(2026, 3, 12),
        ),
        Contract(id="c-2", resident_id="r-1", package_id="plain", since=date(2026, 3, 13)),
    ]
    packages = [
        Package(id="strict", name="Strict", profile=NATIONAL),
        Package(id="plain", name="Plain"),
    ]
    await load(connection, Population(packages=packages, contracts=contracts), at=AT)

    await _at_the_limit(bench, 0, 5, 11)  # 2, 7 and 13 March.

    assert await _profiles(bench) == [("BP_UNSATISFIED_1", NATIONAL, date(2026, 3, 7))]
    assert [case[1] for case in await bench.cases()] == ["controlled"]


async def test_a_centre_s_profile_judges_where_no_package_does(
    bench: JudgeBench, connection: Connection
) -> None:
    people = Population(
        centres=[Centre(id="east", name="east", profile=NATIONAL)],
        residents=[Resident(id="r-1", team_id="east-1", conditions=(HYPERTENSION,))],
        packages=[Package(id="plain", name="Plain", profile="wuzhou")],
        contracts=[
            Contract(id="c-1", resident_id="r-1", package_id="plain", since=date(2026, 3, 7))
        ],
    )
    await load(connection, people, at=AT)

    await _at_the_limit(bench, 0, 5)

    assert await _profiles(bench) == [("BP_UNSATISFIED_1", NATIONAL, date(2026, 3, 2))]
    assert await bench.alerts() == [("BP_UNSATISFIED_1", "resolved", "2026-03-16")]


async def test_a_package_with_an_unknown_profile_judges_nobody(
    bench: JudgeBench, connection: Connection
) -> None:
    people = Population(
        packages=[Package(id="odd", name="Odd", profile="no_such_profile")],
        contracts=[Contract(id="c-1", resident_id="r-1", package_id="odd", since=AT.date())],
    )
    await load(connection, people, at=AT)

    with pytest.raises(ProfileError, match="no_such_profile"):
        await bench.work()


async def test_another_profile_takes_and_gives_grounds_and_leaves_the_rest_as_told(
    bench: JudgeBench,
) -> None:
    await bench.send(a_blood_pressure("152", "94"))
    await _at_the_limit(bench, 5)
    told = await bench.rows("SELECT id, threshold, profile, updated_at FROM alert")
    assert await bench.alerts() == [("BP_UNSATISFIED_1", "resolved", "2026-03-16")]

    bench.judge_by(NATIONAL)
    outcome = await bench.judge.judge_residents(bench.connection, ["r-1"])
    assert outcome.residents == ["r-1"]
    assert [event.kind for event in outcome.events] == ["case.changed", "alert.raised"]

    assert await bench.rows(
        "SELECT id, threshold, profile, updated_at FROM alert WHERE code = 'BP_UNSATISFIED_1'"
    ) == [(*told[0][:3], told[0][3])]
    assert await bench.alerts() == [
        ("BP_UNSATISFIED_1", "resolved", "2026-03-16"),
        ("BP_UNSATISFIED_2", "active", "2026-03-21"),
    ]
    bench.judge_by("wuzhou")
    await bench.judge.judge_residents(bench.connection, ["r-1"])

    assert [alert[:2] for alert in await bench.alerts()] == [
        ("BP_UNSATISFIED_1", "resolved"),
        ("BP_UNSATISFIED_2", "cancelled"),
    ]
    bench.judge_by(NATIONAL)  # The ground returns: the same alert is active again.
    await bench.judge.judge_residents(bench.connection, ["r-1"])

    assert [alert[:2] for alert in await bench.alerts()] == [
        ("BP_UNSATISFIED_1", "resolved"),
        ("BP_UNSATISFIED_2", "active"),
    ]


async def test_an_earlier_reading_of_the_same_assessment_moves_the_alert_and_keeps_its_id(
    bench: JudgeBench,
) -> None:
    evening = AT + timedelta(hours=20)
    bench.clock.now = evening
    await bench.send(a_glucose("7.4", at=evening))
    await bench.settle(days=2)
    ((before, page),) = await bench.rows("SELECT id, page FROM alert")
    earlier = a_glucose("7.2", stored_record=True)
    await bench.send(earlier)
    await bench.settle()

    found = await bench.rows(
        "SELECT id, anchor_id, effective_at, due::text, status, page, observed FROM alert"
    )
    assert found == [(before, UUID(earlier["id"]), AT, "2026-03-16", "active", page, "7.4 mmol/L")]
    kinds = await bench.rows("SELECT kind FROM outbox WHERE kind LIKE 'alert%' ORDER BY id")
    assert kinds == [("alert.raised",), ("alert.changed",)]

    await bench.retract(earlier)  # And back again: still the same row.
    await bench.work()
    assert await bench.rows("SELECT id, effective_at, status FROM alert") == [
        (before, evening, "active")
    ]


async def test_every_alert_and_transition_can_be_explained(bench: JudgeBench) -> None:
    pair = [
        a_blood_pressure("152", "94"),
        a_blood_pressure("146", "90", at=AT + timedelta(minutes=2)),
    ]
    await bench.send(*pair)
    await bench.send(a_glucose("17.2"))
    assert await bench.rows("SELECT explanation FROM alert") == [(None,)]  # Raised at once.
    await bench.settle(minutes=13)

    unexplained = await bench.rows("SELECT count(*) FROM alert WHERE explanation IS NULL")
    assert unexplained == [(0,)]
    ((record, zh, en, threshold, inputs, cause),) = await bench.rows(
        "SELECT explanation->'record', explanation->>'zh', explanation->>'en', threshold,"
        "       input_ids, cause FROM case_transition WHERE condition = 'hypertension'"
    )
    assert (threshold, cause) == ("> 140/90 mmHg", "first_unsatisfied")
    assert sorted(inputs) == sorted(UUID(reading["id"]) for reading in pair)
    assert record["session_mean"] == "149/92 mmHg, mean of 2"
    assert zh
    assert "149/92" in en


async def test_a_high_normal_day_is_kept_for_the_resident(
    connection: Connection, bench: JudgeBench
) -> None:
    await load(connection, Population(residents=[Resident(id="r-1")]), at=AT)
    await bench.send(a_blood_pressure("134", "80"))
    await bench.settle()

    assert await bench.rows("SELECT high_normal_on FROM resident_fold") == [(date(2026, 3, 2),)]


async def test_two_judges_never_write_twice(bench: JudgeBench, database: Database) -> None:
    people = [f"p-{number}" for number in range(40)]
    for day in (0, 5):
        bench.clock.now = AT + timedelta(days=day)
        high = [a_glucose("7.4", at=bench.clock.now, resident_id=id_) for id_ in people]
        await bench.send(*high)
    judges = [
        await connect(database.dsn, application_name=f"judge-{n}", autocommit=True)
        for n in range(2)
    ]

    outcomes = await asyncio.gather(*[bench.judge.judge_residents(each, people) for each in judges])
    for each in judges:
        await each.close()

    judged = [id_ for outcome in outcomes for id_ in outcome.residents]
    assert sorted(judged) == sorted(people)  # Each by one of them.
    assert await bench.rows("SELECT count(*), count(DISTINCT id) FROM alert") == [(40, 40)]
    assert await bench.rows(
        "SELECT count(*), count(DISTINCT resident_id) FROM case_transition"
    ) == [(40, 40)]
    told = "SELECT kind, count(*) FROM outbox WHERE kind <> 'resident.changed' GROUP BY 1"
    assert sorted(await bench.rows(told)) == [
        ("alert.raised", 40),
        ("case.changed", 40),
    ]


async def test_histories_load_without_a_lock_for_whoever_only_reads(bench: JudgeBench) -> None:
    await bench.send(a_blood_pressure("152", "94"), a_glucose("7.4"))
    await bench.record("visit")

    loaded = await load_histories(bench.connection, ["r-1", "r-2"], Profiles("wuzhou"))

    assert loaded.ids == ("r-1", "r-2")
    assert (len(loaded.reported), len(loaded.records), len(loaded.residents)) == (2, 1, 2)
    assert loaded.reported.resident.tolist() == [0, 0]
