"""Each id ends with exactly one disposition, whatever comes, how often, and in which company."""

import asyncio
import itertools
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from gateway.wire.ids import new_id
from gateway.wire.times import format_instant
from ingest.db.connections import Connection, connect
from tests.builders import AT, a_batch, a_blood_pressure, a_glucose, enrol, to_bytes
from tests.fix_db import Database
from tests.integration.writer_bench import WriterBench, receipts_of
from tests.roles import prepare_ingest


@pytest_asyncio.fixture(params=["plain", "careful"])
async def bench(connection: Connection, request: pytest.FixtureRequest) -> WriterBench:
    await enrol(connection)
    await prepare_ingest(connection)
    return WriterBench(connection, plain=request.param == "plain")


async def test_a_reading_is_stored_with_its_literal_and_its_times(bench: WriterBench) -> None:
    await bench.store(a_batch(a_glucose("7.00", extra_field=1)))

    ((glucose, unit, effective_at, suspect, extra),) = await bench.rows(
        "SELECT glucose::text, unit, effective_at, time_suspect, extra FROM reading"
    )
    assert (glucose, unit, effective_at, suspect) == ("7.00", "mmol/L", AT, False)
    assert extra == {"extra_field": 1}


async def test_a_redelivered_batch_is_stored_once_and_gets_the_same_receipt(
    bench: WriterBench,
) -> None:
    payload = a_batch(a_blood_pressure("182"), a_glucose(), a_glucose(unit="mg/dL"))

    first = await bench.store(payload)
    second = await bench.store(payload, payload)

    # Words for the display go with the first one only: nobody stands there any more.
    settled = [receipt.model_copy(update={"prompted": []}) for receipt in receipts_of(first)]
    assert settled == receipts_of(second)[:1] == receipts_of(second)[1:]
    assert (receipts_of(first)[0].stored, len(receipts_of(first)[0].quarantined)) == (2, 1)
    assert await bench.rows("SELECT count(*) FROM reading") == [(2,)]
    assert await bench.rows("SELECT count(*) FROM alert") == [(1,)]
    assert await bench.rows("SELECT stored, quarantined, redelivered FROM gateway_day") == [
        (2, 1, 6)
    ]


async def test_the_same_measurement_under_another_id_is_a_duplicate(bench: WriterBench) -> None:
    by_sequence = [
        a_glucose(device_sequence=7, boot_id="b"),
        a_glucose(device_sequence=7, boot_id="b"),
    ]
    by_time = [a_blood_pressure(), a_blood_pressure("128.0")]

    await bench.store(a_batch(*by_sequence), a_batch(*by_time))

    found = await bench.dispositions()
    assert sorted(found.values()) == ["duplicate", "duplicate", "stored", "stored"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"arm": "left"}, id="other-arm"),
        pytest.param({"resident_id": "r-2"}, id="other-resident"),
        pytest.param({"device_id": "bp-2"}, id="other-device"),
        pytest.param({"measured_at": "2026-03-02T01:00:30Z"}, id="other-time"),
    ],
)
async def test_another_measurement_is_no_duplicate(
    bench: WriterBench, other: dict[str, Any]
) -> None:
    await bench.store(a_batch(a_blood_pressure(), a_blood_pressure(**other)))

    assert list((await bench.dispositions()).values()) == ["stored", "stored"]


async def test_without_device_time_and_sequence_only_the_id_says_what_is_a_duplicate(
    bench: WriterBench,
) -> None:
    await bench.store(a_batch(a_glucose(measured_at=None), a_glucose(measured_at=None)))

    assert list((await bench.dispositions()).values()) == ["stored", "stored"]


async def test_one_sequence_number_with_other_values_is_quarantined(bench: WriterBench) -> None:
    first = a_glucose("5.6", device_sequence=7)
    second = a_glucose("9.9", device_sequence=7, at=AT + timedelta(seconds=1))

    for payload in (a_batch(first, second), a_batch(second)):
        await bench.store(payload)

    assert await bench.dispositions() == {
        UUID(first["id"]): "stored",
        UUID(second["id"]): "sequence_conflict",
    }


async def test_what_comes_twice_in_one_transaction_is_told_the_same_twice(
    bench: WriterBench,
) -> None:
    first = a_glucose("5.6", device_sequence=7)
    same = a_glucose("5.6", device_sequence=7, at=AT + timedelta(seconds=1))
    other = a_glucose("9.9", device_sequence=7, at=AT + timedelta(seconds=2))
    await bench.store(a_batch(first))

    settled = await bench.store(*[a_batch(same, other)] * 2, a_batch(first))

    told = [(r.stored, r.duplicate, len(r.quarantined)) for r in receipts_of(settled)]
    assert told == [(0, 1, 1), (0, 1, 1), (1, 0, 0)]
    found = await bench.dispositions()
    assert sorted(found.values()) == ["duplicate", "sequence_conflict", "stored"]


async def test_a_known_id_with_other_content_is_quarantined_beside_it(bench: WriterBench) -> None:
    reading = a_glucose("5.6")

    await bench.store(a_batch(reading))
    settled = await bench.store(a_batch({**reading, "arm_of": "x"}), a_batch({**reading, "y": 1}))

    assert await bench.dispositions() == {UUID(reading["id"]): "stored"}
    assert await bench.rows("SELECT reason, settles FROM quarantine") == [
        ("id_conflict", False),
        ("id_conflict", False),
    ]
    assert [len(receipt.quarantined) for receipt in receipts_of(settled)] == [1, 1]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_valid_and_invalid_bytes_of_one_id_settle_it_once_in_any_order(
    bench: WriterBench, order: tuple[int, ...]
) -> None:
    reading = a_glucose("5.6")
    versions = [reading, {**reading, "unit": "furlong"}, {**reading, "glucose": "Hi"}]

    for at in order:
        await bench.store(a_batch(versions[at]))

    assert len(await bench.dispositions()) == 1
    assert len(await bench.rows("SELECT 1 FROM reading UNION ALL SELECT 1 FROM quarantine")) == 3


async def test_what_was_quarantined_live_and_comes_again_as_backlog_stays_one_item(
    bench: WriterBench,
) -> None:
    payload = a_batch({**a_glucose(), "unit": "furlong"})

    first = await bench.store(payload)
    again = await bench.store(payload, topic="suifang/v1/east/gw-1/backlog")

    assert list((await bench.dispositions()).values()) == ["unknown_unit"]
    assert receipts_of(first) == receipts_of(again)
    assert await bench.rows("SELECT quarantined, redelivered FROM gateway_day") == [(1, 1)]


async def test_one_bad_reading_takes_no_neighbour_along(bench: WriterBench) -> None:
    good = [a_glucose(at=AT + timedelta(minutes=minute)) for minute in range(5)]
    bad = {**a_glucose(), "note": "a NUL \u0000 that jsonb cannot hold"}

    settled = await bench.store(a_batch(*good[:3], bad, *good[3:]), a_batch(a_blood_pressure()))

    found = await bench.dispositions()
    assert found.pop(UUID(bad["id"])) == "unstorable"
    assert set(found.values()) == {"stored"}
    assert len(found) == 6
    assert [(r.stored, len(r.quarantined)) for r in receipts_of(settled)] == [(5, 1), (1, 0)]


async def test_half_a_character_holds_no_neighbour_up(bench: WriterBench) -> None:
    """Some decoders refuse a whole batch for it; a person in danger may be in the same one."""
    good, bad = a_blood_pressure("210", "120"), a_glucose(note="?")
    payload = a_batch(good, bad).replace(b'"?"', b'"\\ud83d"')

    settled = await bench.store(payload)

    assert await bench.dispositions() == {
        UUID(good["id"]): "stored",
        UUID(bad["id"]): "malformed_json",
    }
    assert [(r.stored, len(r.quarantined)) for r in receipts_of(settled)] == [(1, 1)]
    assert await bench.rows("SELECT code FROM alert") == [("BP_EMERGENCY",)]


async def test_a_clock_stuck_at_1970_makes_no_two_readings_one(bench: WriterBench) -> None:
    days = [AT + timedelta(days=day) for day in (0, 1, 5)]

    for at in days:
        stuck = a_glucose("17.2", at=at, measured_at="1970-01-01T00:00:00Z")
        await bench.store(a_batch(stuck), at=at)

    assert list((await bench.dispositions()).values()) == ["stored"] * 3
    assert len(await bench.rows("SELECT 1 FROM alert")) == 3


async def test_a_gateway_without_time_server_shifts_no_right_device_clock(
    bench: WriterBench,
) -> None:
    behind = AT - timedelta(days=3)
    reading = a_blood_pressure(
        "210",
        "120",
        at=behind,
        clock_synchronised=False,
        measured_at=format_instant(AT),
        device_now=format_instant(AT),
    )
    await bench.store(a_batch(reading))

    assert await bench.rows("SELECT effective_at, time_suspect FROM reading") == [(AT, False)]
    assert await bench.rows("SELECT page, late FROM alert") == [(True, False)]


async def test_a_device_that_counts_anew_hides_no_emergency_in_the_quarantine(
    bench: WriterBench,
) -> None:
    later = AT + timedelta(days=60)
    await bench.store(a_batch(a_blood_pressure(device_sequence=3)))
    danger = a_batch(a_blood_pressure("210", "120", at=later, device_sequence=3))
    await bench.store(danger, at=later)
    await bench.store(danger, at=later)

    assert sorted((await bench.dispositions()).values()) == ["sequence_conflict", "stored"]
    assert await bench.rows("SELECT code, page FROM alert") == [("BP_EMERGENCY", True)]


async def test_of_emergencies_in_the_wrong_order_each_pages(bench: WriterBench) -> None:
    for hour in (3, 0, 2):
        reading = a_blood_pressure("190", at=AT + timedelta(hours=hour))
        await bench.store(a_batch(reading), at=AT + timedelta(hours=4))

    raised = await bench.rows("SELECT effective_at FROM alert ORDER BY effective_at")
    assert raised == [(AT,), (AT + timedelta(hours=3),)]


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("suifang/v1/west/gw-1/readings", "wrong_topic"),
        ("suifang/v1/east/gw-9/readings", "unknown_gateway"),
        ("suifang/v1/east/gw-1/readings/x", "wrong_topic"),
    ],
)
async def test_a_stranger_is_filed_but_keeps_its_readings_until_it_is_enrolled(
    bench: WriterBench, topic: str, reason: str
) -> None:
    first, second = a_glucose(), a_glucose(at=AT + timedelta(hours=1))
    payload = a_batch(first, second)

    settled = await bench.store(payload, topic=topic)
    await bench.store(payload, topic=topic)

    assert settled.messages == ()  # No receipt: the spool goes on holding them.
    assert await bench.dispositions() == {}
    assert await bench.rows("SELECT reason, count(*) FROM quarantine GROUP BY 1") == [(reason, 2)]
    await bench.store(payload)  # Enrolled, and at its own place.
    assert list((await bench.dispositions()).values()) == ["stored", "stored"]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "malformed_json"),
        (b"\x00\xff", "malformed_json"),
        (b"[]", "invalid_envelope"),
        (b"{}", "unknown_schema"),
        (b'{"schema":2,"readings":[]}', "unknown_schema"),
        (b'{"schema":1}', "invalid_envelope"),
        (a_batch(a_glucose()).replace(b'"readings":[', b'"readings":{'), "malformed_json"),
    ],
)
async def test_a_message_that_is_no_batch_is_kept_whole_and_counted(
    bench: WriterBench, payload: bytes, reason: str
) -> None:
    settled = await bench.store(payload)
    await bench.store(payload)

    assert await bench.rows("SELECT reason, payload, payload_bytes FROM quarantine") == [
        (reason, payload, len(payload))
    ]
    assert settled.messages == ()
    assert await bench.rows("SELECT unsettling, redelivered FROM gateway_day") == [(1, 1)]


async def test_device_clocks_in_1970_or_the_future_are_stored_and_flagged(
    bench: WriterBench,
) -> None:
    await bench.store(
        a_batch(
            a_glucose(measured_at="1970-01-01T00:00:00Z"),
            a_glucose(measured_at="2031-01-01T00:00:00Z", device_id="glu-2"),
        )
    )

    assert await bench.rows("SELECT time_suspect, effective_at FROM reading") == [(True, AT)] * 2


async def test_emergencies_alert_at_once_with_limit_and_source(bench: WriterBench) -> None:
    await bench.store(
        a_batch(
            a_blood_pressure("180"),
            a_blood_pressure("179", "109", at=AT + timedelta(days=1)),
            a_glucose("3.9", at=AT + timedelta(hours=1)),
            {
                **a_glucose(at=AT + timedelta(hours=2)),
                "glucose": None,
                "status": ["result_too_high"],
            },
        )
    )

    found = await bench.rows(
        "SELECT code, severity, observed, threshold, source <> '', due::text FROM alert ORDER BY 1"
    )
    assert found == [
        ("BP_EMERGENCY", "critical", "180/78 mmHg", ">= 180/110 mmHg", True, "2026-03-16"),
        ("GLU_EMERGENCY_HIGH", "critical", "HI", ">= 16.7 mmol/L", True, "2026-03-16"),
        ("GLU_EMERGENCY_LOW", "critical", "3.9 mmol/L", "<= 3.9 mmol/L", True, "2026-03-16"),
    ]
    assert len(await bench.rows("SELECT 1 FROM outbox WHERE kind = 'alert.raised'")) == 3


async def test_an_unclaimed_emergency_goes_to_the_centre(bench: WriterBench) -> None:
    await bench.store(a_batch(a_blood_pressure("200", resident_id=None)))

    assert await bench.rows("SELECT resident_id, centre_id FROM alert") == [(None, "east")]
    assert await bench.rows("SELECT count(*) FROM due_mark") == [(0,)]


async def test_any_splitting_order_and_repetition_settles_the_same_ids(bench: WriterBench) -> None:
    """A thousand readings, shuffled, repeated and cut at random, against the plain set."""
    dice = random.Random(20260302)  # noqa: S311 - repeatable
    pool = [
        a_glucose("5.6", at=AT - timedelta(minutes=number), device_sequence=number % 300)
        if number % 2
        else a_blood_pressure(at=AT - timedelta(minutes=number), resident_id=f"r-{number % 7}")
        for number in range(400)
    ]
    sent = [*pool, *pool, *dice.sample(pool, 200)]
    dice.shuffle(sent)
    while sent:
        cut = [sent.pop() for _ in range(min(len(sent), dice.randint(1, 60)))]
        await bench.store(*(a_batch(*cut[at : at + 9]) for at in range(0, len(cut), 9)))

    found = await bench.dispositions()
    assert found.keys() == {UUID(reading["id"]) for reading in pool}
    ((stored, duplicate, quarantined, redelivered),) = await bench.rows(
        "SELECT stored, duplicate, quarantined, redelivered FROM gateway_day"
    )
    assert stored + duplicate + quarantined == len(pool)
    assert redelivered == 600


async def test_two_workers_with_the_same_batch_store_it_once(
    bench: WriterBench, database: Database
) -> None:
    batches = [
        a_batch(
            *(a_glucose(at=AT + timedelta(minutes=m), device_sequence=m) for m in range(n, n + 80))
        )
        for n in range(0, 800, 40)  # Overlapping sequences under different ids.
    ]
    async with await connect(database.dsn, application_name="two", autocommit=True) as second:
        await prepare_ingest(second)
        other = WriterBench(second)
        await asyncio.gather(
            *[_store_all(bench, batches), _store_all(other, list(reversed(batches)))]
        )

    found = await bench.dispositions()
    assert len(found) == 20 * 80
    assert sum(disposition == "stored" for disposition in found.values()) == 840


async def _store_all(bench: WriterBench, batches: list[bytes]) -> None:
    for payload in batches:
        await bench.store(payload)


def test_the_builders_write_literals() -> None:
    assert b'"glucose":7.00' in to_bytes(a_glucose("7.00", id=new_id(AT)))
