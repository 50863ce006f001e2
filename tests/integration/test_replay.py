"""Replayed readings take the normal path, and each id has one disposition at every instant."""

from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.wire.errors import Reason
from gateway.wire.ids import new_id
from ingest.db import amendments
from ingest.db.amendments import Amendment, Changes
from ingest.db.connections import Connection
from ingest.db.quarantine_items import Selection
from tests.builders import AT, a_batch, a_blood_pressure, a_glucose, enrol
from tests.fix_db import Database
from tests.integration.quarantine_bench import LATER, QuarantineBench, outcomes
from tests.integration.writer_bench import receipts_of
from tests.roles import prepare_ingest

_WEST = "suifang/v1/west/gw-9/readings"


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, tmp_path: Path) -> QuarantineBench:
    await enrol(connection)
    await prepare_ingest(connection)
    return QuarantineBench(connection, database.dsn, tmp_path)


async def test_a_replayed_reading_is_stored_as_if_it_had_never_been_refused(
    bench: QuarantineBench,
) -> None:
    """But for the time since when it is known: row, due marks and alerts are the same."""
    sent = [
        a_blood_pressure("210", "120"),
        a_glucose("9.1"),
        a_glucose("3.1", clock_synchronised=False, measured_at=None),
    ]
    written = {
        "reading": "SELECT to_jsonb(reading) - 'received_at' FROM reading ORDER BY id",
        "due": "SELECT resident_id, kind, marked_at FROM due_mark UNION SELECT resident, kind, at"
        " FROM due_batch, unnest(residents, marked_at) AS m (resident, at) ORDER BY 1, 2",
        "alert": "SELECT code, anchor_id, due, page, late, observed FROM alert ORDER BY code",
    }
    async with bench.connection.transaction(force_rollback=True):
        await bench.send(*sent)
        direct = {name: await bench.rows(query) for name, query in written.items()}
    await bench.refuse(*sent)
    assert bench.counts() == (0, 0, 3, 0)

    assert outcomes(await bench.replay()) == {"stored": 3}

    assert {name: await bench.rows(query) for name, query in written.items()} == direct
    assert len(direct["reading"]) == 3
    assert len(direct["alert"]) == 2
    assert bench.counts() == (3, 0, 0, 3)
    assert await bench.resolutions() == [("replayed", False, "unknown_unit")] * 3
    assert await bench.rows("SELECT DISTINCT resolved_at, replayed_at FROM quarantine") == [
        (LATER, LATER)
    ]


async def test_replaying_twice_changes_nothing(bench: QuarantineBench) -> None:
    await bench.refuse(a_blood_pressure("210", "120"), a_glucose())
    await bench.replay()
    before = await bench.everything()
    numbers = [row[0] for row in await bench.rows("SELECT number FROM quarantine")]

    again = await bench.replay()
    by_number = await bench.replay(Selection(scope="unreplayed", numbers=numbers))

    assert outcomes(again) == {}
    assert outcomes(by_number) == {"skipped": 2}
    assert await bench.everything() == before


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(
    bench: QuarantineBench,
) -> None:
    first = a_glucose("5.6", device_sequence=7)
    await bench.send(first)
    await bench.refuse(
        a_blood_pressure("210", "120"),
        a_glucose("5.6", device_sequence=7),
        {**a_glucose(at=AT + timedelta(minutes=1)), "unit": "furlong"},
    )
    before = await bench.everything()

    told = await bench.replay(dry_run=True)
    after = await bench.everything()
    done = await bench.replay()

    assert after == before
    assert outcomes(told) == outcomes(done) == {"stored": 1, "duplicate": 1, "refused": 1}
    assert list(told.refusals()) == list(done.refusals())
    assert bench.counts() == (2, 1, 1, 2)


async def test_what_is_refused_again_stays_with_the_reason_of_today(
    bench: QuarantineBench,
) -> None:
    bad = {**a_glucose(), "glucose": "Hi"}
    await bench.refuse(bad, reason=Reason.UNKNOWN_UNIT)

    tally = await bench.replay()

    assert [(one["reason"], one["items"]) for one in tally.refusals()] == [("not_a_number", 1)]
    assert await bench.resolutions() == [(None, True, "not_a_number")]
    assert await bench.rows("SELECT field, replayed_at, received_at FROM quarantine") == [
        ("glucose", LATER, AT)
    ]
    assert bench.counts() == (0, 0, 1, 0)
    assert outcomes(await bench.replay()) == {"refused": 1}
    assert bench.counts() == (0, 0, 1, 0)
    settled = await bench.send(bad)  # The gateway hears of today's reason too.
    assert [each.reason for each in receipts_of(settled)[0].quarantined] == ["not_a_number"]


async def test_one_that_the_database_refuses_holds_no_other_up(bench: QuarantineBench) -> None:
    good = [a_glucose(at=AT + timedelta(minutes=minute)) for minute in range(6)]
    bad = {**a_glucose(), "note": "a NUL \u0000 that jsonb cannot hold"}
    await bench.refuse(*good[:3], bad, *good[3:])

    tally = await bench.replay()

    assert outcomes(tally) == {"stored": 6, "refused": 1}
    assert [one["example"] for one in tally.refusals()] == ["the database refused it"]
    assert bench.counts() == (6, 0, 1, 6)
    assert await bench.rows("SELECT reason FROM quarantine WHERE settles") == [("unstorable",)]


async def test_a_replayed_emergency_raises_its_alert_once(bench: QuarantineBench) -> None:
    danger = a_blood_pressure("210", "120")
    await bench.refuse(danger)

    await bench.replay(dry_run=True)
    assert await bench.rows("SELECT 1 FROM alert") == []
    await bench.replay()
    await bench.replay()
    await bench.send(danger)

    assert await bench.rows("SELECT page, late, raised_at FROM alert") == [(True, False, LATER)]
    told = await bench.rows("SELECT kind FROM outbox WHERE kind LIKE 'alert.%'")
    assert told == [("alert.raised",)]


async def test_an_old_emergency_is_told_and_pages_nobody(bench: QuarantineBench) -> None:
    await bench.refuse(a_blood_pressure("210", "120", clock_synchronised=False))

    await bench.replay(at=AT + timedelta(days=3))

    assert await bench.rows("SELECT page, late FROM alert") == [(False, True)]
    assert await bench.rows("SELECT received_at, arrived_at, effective_at FROM reading") == [
        (AT + timedelta(days=3), AT, AT)
    ]
    assert await bench.rows("SELECT received_at FROM quarantine") == [(AT,)]
    assert await bench.rows("SELECT marked_at FROM due_mark") == [(AT,)]


async def test_a_sequence_conflict_replayed_raises_no_second_alert(bench: QuarantineBench) -> None:
    await bench.send(a_blood_pressure(device_sequence=3))
    await bench.send(a_blood_pressure("210", "120", device_sequence=3))
    before = await bench.rows("SELECT * FROM alert UNION ALL SELECT * FROM alert")

    tally = await bench.replay()

    assert [one["reason"] for one in tally.refusals()] == ["sequence_conflict"]
    assert await bench.rows("SELECT * FROM alert UNION ALL SELECT * FROM alert") == before
    assert len(before) == 2
    assert bench.counts() == (1, 0, 1, 0)


async def test_of_an_id_conflict_the_first_stays(bench: QuarantineBench) -> None:
    reading = a_glucose("5.6")
    await bench.send(reading)
    await bench.send({**reading, "note": "other"})

    tally = await bench.replay()

    (refusal,) = tally.refusals()
    assert refusal["reason"] == "id_conflict"
    assert "already stored with other content, which stays" in refusal["example"]
    assert bench.counts() == (1, 0, 0, 1)


@pytest.mark.parametrize("first_is_good", [True, False])
async def test_a_conflict_never_overtakes_the_item_that_settles_the_id(
    bench: QuarantineBench, *, first_is_good: bool
) -> None:
    """Both in one portion, and the one beside the law could be stored."""
    reading = a_glucose("5.6")
    other = reading if first_is_good else {**reading, "unit": "furlong"}
    await bench.refuse(other)
    await bench.send({**reading, "note": "other"})
    assert await bench.resolutions() == [
        (None, True, "unknown_unit"),
        (None, False, "id_conflict"),
    ]

    tally = await bench.replay()

    assert outcomes(tally) == ({"stored": 1, "refused": 1} if first_is_good else {"refused": 2})
    assert bench.counts() == ((1, 0, 0, 2) if first_is_good else (0, 0, 1, 1))
    assert await bench.rows("SELECT extra FROM reading") == ([(None,)] if first_is_good else [])


async def test_a_stranger_s_reading_is_stored_by_replay_once_its_gateway_is_enrolled(
    bench: QuarantineBench,
) -> None:
    sent = [a_glucose(), a_glucose(at=AT + timedelta(hours=1))]
    await bench.store(a_batch(*sent), topic=_WEST)
    assert outcomes(await bench.replay()) == {"refused": 2}
    await enrol(bench.connection, gateways={"gw-1": "east", "gw-9": "west"})
    bench.expect(*sent, gateway="gw-9")

    assert outcomes(await bench.replay()) == {"stored": 2}

    assert bench.reconciled()["gw-9"].stored == 2
    assert await bench.resolutions() == [("replayed", False, "unknown_gateway")] * 2
    assert await bench.rows("SELECT DISTINCT gateway_id, centre_id, received_at FROM reading") == [
        ("gw-9", "west", LATER)
    ]


async def test_a_stranger_s_reading_that_came_again_is_known(bench: QuarantineBench) -> None:
    reading = a_glucose()
    await bench.store(a_batch(reading), topic="suifang/v1/west/gw-1/readings")
    await bench.send(reading)  # Its settings were mended.
    before = await bench.everything()

    assert outcomes(await bench.replay()) == {"known": 1}

    after = await bench.everything()
    assert {name for name in before if before[name] != after[name]} == {"quarantine"}
    assert await bench.resolutions() == [("replayed", False, "wrong_topic")]
    assert bench.counts() == (1, 0, 0, 1)


async def test_what_was_replayed_is_not_refused_when_it_comes_again(
    bench: QuarantineBench,
) -> None:
    """Not even by a worker that still runs the older decoder."""
    reading = a_glucose()
    await bench.refuse(reading)
    await bench.replay()

    await bench.refuse(reading)
    await bench.send(reading)

    assert bench.counts() == (1, 0, 0, 1)
    assert await bench.rows("SELECT sum(redelivered) FROM gateway_day") == [(2,)]


async def test_a_whole_message_is_split_into_its_readings(bench: QuarantineBench) -> None:
    """As one of a newer schema is, once ingest is updated: here its first bytes were the fault."""
    good, bad = a_glucose(), {**a_glucose(at=AT + timedelta(minutes=1)), "unit": "furlong"}
    payload = a_batch(good, bad)
    await bench.store(payload.replace(b'"schema":1', b'"schema":9'))
    await bench.connection.execute("UPDATE quarantine SET payload = %s", (payload,))

    tally = await bench.replay()

    assert outcomes(tally) == {"split": 1}
    bench.expect(good, bad)
    assert bench.counts() == (1, 0, 1, 1)
    assert await bench.resolutions() == [
        ("replayed", False, "unknown_schema"),
        (None, True, "unknown_unit"),
    ]
    assert outcomes(await bench.replay()) == {"refused": 1}
    await bench.store(payload)  # The gateway had no receipt and sends it again.
    assert bench.counts() == (1, 0, 1, 1)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00\xff",
        b"{}",
        b"[" * 9_000,
        b'{"schema":2,"readings":[]}',
        a_batch(a_glucose()).replace(b'"readings":[', b'"readings":{'),
        a_batch({**a_glucose(), "note": "?"}).replace(b'"?"', b'"\\ud83d"'),
        a_batch({**a_glucose(), "id": "no-id"}),
        a_batch({**a_glucose(), "id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}),
        a_batch({**a_glucose(), "note": "x" * 5_000}),
        b'{"schema":1,"batch":"01900000-0000-7000-8000-0000000000ba","sent_at":"x","readings":[7]}',
    ],
)
async def test_what_is_beyond_repair_stays_as_it_is(bench: QuarantineBench, payload: bytes) -> None:
    await bench.store(payload)
    before = await bench.rows("SELECT * FROM quarantine")
    law = await bench.rows("SELECT stored, duplicate, quarantined, unsettling FROM gateway_day")

    tally = await bench.replay()

    assert outcomes(tally) == {"refused": 1}
    after = await bench.rows("SELECT * FROM quarantine")
    assert [row[:15] for row in after] == [row[:15] for row in before]
    sums = await bench.rows(
        "SELECT sum(stored)::int, sum(duplicate)::int, sum(quarantined)::int,"
        " sum(unsettling)::int FROM gateway_day"
    )
    assert sums == law


async def test_bytes_that_were_cut_are_not_replayed(bench: QuarantineBench) -> None:
    await bench.refuse(a_glucose())
    await bench.connection.execute("UPDATE quarantine SET payload_bytes = payload_bytes + 1")

    assert outcomes(await bench.replay()) == {"refused": 1}
    assert bench.counts() == (0, 0, 1, 0)


async def test_bytes_that_hold_another_id_than_they_were_filed_under_settle_nothing_new(
    bench: QuarantineBench,
) -> None:
    reading, other = a_glucose(), a_glucose()
    await bench.refuse(reading)
    await bench.connection.execute("UPDATE quarantine SET reading_id = %s", (other["id"],))

    tally = await bench.replay()

    assert [one["reason"] for one in tally.refusals()] == ["invalid_id"]
    assert await bench.rows("SELECT settles, resolution FROM quarantine") == [(True, None)]
    assert await bench.rows("SELECT 1 FROM reading") == []


async def test_a_replayed_reading_meets_what_was_said_of_it_before(bench: QuarantineBench) -> None:
    reading = a_blood_pressure(resident_id=None)
    await bench.refuse(reading)
    said = Amendment(
        id=new_id(AT),
        kind="correction",
        author="dr-wang",
        reading_id=reading["id"],
        changes=Changes(resident_id="r-1"),
    )
    async with bench.connection.transaction():
        await amendments.insert_new(bench.connection, [said], at=AT)

    await bench.replay()

    assert await bench.rows("SELECT resident_id, kind FROM due_mark") == [("r-1", "amendment")]
