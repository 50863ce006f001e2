"""Whatever lane a reading takes, the same rows result; and the lane is the one it should be."""

import random
from datetime import timedelta
from typing import Any, Final

import pytest

from gateway.wire.receipts import Receipts
from ingest.db import due_work
from ingest.db.connections import Connection
from ingest.db.residents import DatedCondition
from tests.builders import AT, a_batch, a_blood_pressure, a_context, a_glucose, enrol
from tests.integration.writer_bench import WriterBench, receipts_of
from tests.roles import prepare_ingest

_TABLES: Final = {
    "reading": "*",
    "reading_key": "*",
    "duplicate": "*",
    "quarantine": "item_hash, reading_id, settles, topic, batch_id, reason, field, detail, payload",
    "gateway_day": "*",
    "resident": "id, stub, created_at",
    "amendment": "id, gateway_id, content_hash, device_id, boot_id, device_sequence, resident_id,"
    " changes, captured_at, received_at, extra, repeats",
    "due_context": "*",
    "alert": "id, resident_id, centre_id, code, effective_at, due, page, late, observed, threshold",
}
_DUE: Final = "SELECT resident_id, kind, max(marked_at) FROM due_mark GROUP BY 1, 2"
_PREGNANT: Final = DatedCondition(condition="pregnant", since=AT.date() - timedelta(days=90))


def _random_readings(dice: random.Random) -> list[dict[str, Any]]:
    """Ordinary, urgent, wrong, unclaimed and repeated measurements; sequences used again."""
    pool: list[dict[str, Any]] = []
    for number in range(120):
        at = AT - timedelta(seconds=dice.randrange(400_000))
        who = dice.choice(["r-1", "r-2", "r-3", None, "居民"])
        fields: dict[str, Any] = {"at": at, "resident_id": who}
        if dice.random() < 0.4:
            fields |= {"device_sequence": dice.randrange(60), "boot_id": dice.choice(["a", None])}
        if dice.random() < 0.1:
            fields["measured_at"] = None
        if dice.random() < 0.1:
            fields |= {"unit": "furlong"}
        if number % 2:
            pressure = str(dice.choice([118, 142, 181, 205, 20]))
            fields |= {"arm": dice.choice(["left", "right", None]), "setting": "home"}
            pool.append(a_blood_pressure(pressure, **fields))
        else:
            pool.append(a_glucose(dice.choice(["5.6", "3.9", "17.20", "400"]), **fields))
        if "device_sequence" in fields and number % 4 == 0:
            pool.append(a_context(dice.choice(["fasting", "random"]), of=pool[-1], at=at))
        if dice.random() < 0.03:  # No gateway gives an id twice; should one, both lanes see it.
            pool.append(
                a_context(of={"device_id": "glu-1", "device_sequence": 1}, id=pool[-1]["id"])
            )
    return pool


async def _contents(bench: WriterBench) -> dict[str, list[tuple[Any, ...]]]:
    """Every table in order, marks spread out, and the tables empty again."""
    await due_work.find(bench.connection, now=AT, session_wait=timedelta(0), residents_max=1)
    found = {}
    for table, columns in _TABLES.items():
        rows = await bench.rows(f"SELECT {columns} FROM {table}")  # noqa: S608 - our own names
        found[table] = sorted(rows, key=repr)
    found["due_mark"] = sorted(await bench.rows(_DUE))
    for table in (*(set(_TABLES) - {"resident"}), "due_mark", "due_batch", "outbox"):
        await bench.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - likewise
    await bench.connection.execute("DELETE FROM resident WHERE stub")
    return found


@pytest.mark.parametrize("seed", range(6))
async def test_both_lanes_leave_the_same_rows_and_receipts(
    connection: Connection, seed: int
) -> None:
    await enrol(connection, _PREGNANT)
    await prepare_ingest(connection)
    dice = random.Random(seed)  # noqa: S311 - repeatable
    pool = _random_readings(dice)
    batches = [a_batch(*pool[at : at + 8]) for at in range(0, len(pool), 8)]
    turns = [batches[:5], batches[3:9], batches, batches[::-1]]

    told, contents = [], []
    for plain in (True, False):
        bench = WriterBench(connection, plain=plain)
        told.append([receipts_of(await bench.store(*turn)) for turn in turns])
        contents.append(await _contents(bench))

    assert contents[0] == contents[1]
    assert told[0] == told[1]
    assert contents[0]["alert"]
    assert contents[0]["due_mark"]
    assert contents[0]["amendment"]


async def _bench(connection: Connection) -> WriterBench:
    await enrol(connection)
    await prepare_ingest(connection)
    return WriterBench(connection)


async def test_new_readings_are_stored_without_a_question(connection: Connection) -> None:
    bench = await _bench(connection)

    settled = await bench.store(a_batch(a_blood_pressure(), a_glucose(unit="furlong")))

    assert settled.lane == "plain"
    assert settled.totals["gw-1"].readings == 2


async def test_what_is_known_makes_the_writer_ask_and_nothing_is_stored_twice(
    connection: Connection,
) -> None:
    bench = await _bench(connection)
    known, new = a_glucose(device_sequence=1), a_glucose(at=AT + timedelta(hours=1))
    again = a_glucose(device_sequence=1, at=AT + timedelta(seconds=1))
    await bench.store(a_batch(known))

    settled = await bench.store(a_batch(known, new), a_batch(again))

    assert settled.lane == "asking"
    assert sorted((await bench.dispositions()).values()) == ["duplicate", "stored", "stored"]


@pytest.mark.parametrize("plain", [True, False])
async def test_beside_a_poison_a_broken_copy_of_its_id_hides_no_emergency(
    connection: Connection, *, plain: bool
) -> None:
    """A refused transaction is cut in two: the good bytes of an id must not come second."""
    await _bench(connection)
    bench = WriterBench(connection, plain=plain)
    urgent = a_blood_pressure("231", "131")
    broken, poison = {**urgent, "diastolic": "x"}, {**a_glucose(), "note": "a NUL \u0000"}

    settled = await bench.store(
        a_batch(broken, a_glucose(at=AT + timedelta(hours=1))), a_batch(poison, urgent)
    )

    assert await bench.rows("SELECT code, status FROM alert") == [("BP_EMERGENCY", "active")]
    assert sorted((await bench.dispositions()).values()) == ["stored", "stored", "unstorable"]
    assert [str(id_) for id_ in settled.urgent] == [urgent["id"]]


async def test_one_reading_twice_in_a_transaction_is_stored_once(connection: Connection) -> None:
    bench = await _bench(connection)
    reading = a_glucose()

    settled = await bench.store(a_batch(reading), a_batch(reading), a_batch(a_blood_pressure()))

    assert settled.lane == "asking"
    assert [receipt.stored for receipt in receipts_of(settled)] == [1, 1, 1]
    assert len(await bench.dispositions()) == 2


async def test_a_receipt_is_what_the_contract_would_write(connection: Connection) -> None:
    bench = await _bench(connection)
    settled = await bench.store(
        a_batch(a_blood_pressure(), a_glucose(unit="furlong")), a_batch(a_glucose())
    )

    (message,) = settled.messages
    receipts = Receipts(receipts=receipts_of(settled))
    assert message.payload == receipts.model_dump_json().encode()
