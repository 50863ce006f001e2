"""A meter's late context is one item of the law, and judges the same in whatever order it comes."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio

from gateway.wire.errors import Reason
from ingest.db import amendments, contexts, due_work
from ingest.db.connections import Connection, connect
from tests.builders import AT, a_batch, a_blood_pressure, a_context, a_glucose, enrol
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.fix_processes import Processes
from tests.integration.judge_bench import JudgeBench, open_bench
from tests.integration.quarantine_bench import QuarantineBench, outcomes
from tests.integration.writer_bench import WriterBench, receipts_of
from tests.roles import prepare_ingest

_WEST: Final = "suifang/v1/west/gw-2/readings"  # Two of one gateway wait for its totals.
_WORDS: Final = ("fasting", "random", "postprandial_2h", "unknown")


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, clock: TestClock) -> JudgeBench:
    return await open_bench(connection, database, clock)


def _value(number: int = 7, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of any type
    """7.4 mmol/L: above the limit if it was fasting, nothing to speak of otherwise."""
    return a_glucose("7.4", **{"meal_context": "unknown", "device_sequence": number, **fields})


async def _flagged(bench: JudgeBench) -> set[str]:
    found = await bench.rows(
        "SELECT resident_id, code FROM alert WHERE status = 'active' ORDER BY resident_id"
    )
    assert all(code in {"SCREEN_GLU_HIGH", "GLU_UNSATISFIED_1"} for _, code in found), found
    return {resident for resident, _ in found}


def _measurements(dice: random.Random, count: int) -> list[list[dict[str, Any]]]:
    """For each of so many residents: a value, and what the meter said of it, some of it twice."""
    groups = []
    for number in range(count):
        value = _value(
            number,
            meal_context=dice.choice(_WORDS),
            resident_id=f"r-{number:02d}",
            boot_id=dice.choice(["a", None]),
        )
        said = [
            a_context(
                dice.choice(_WORDS),
                of=value,
                at=AT + timedelta(seconds=1 + second),
                **dice.choice([{}, {"resident_id": f"r-{number:02d}"}]),
            )
            for second in range(dice.randrange(4))
        ]
        groups.append([value, *said])
    return groups


def _should_be_flagged(group: list[dict[str, Any]]) -> bool:
    """The word captured last decides, if the meter said any; else the value's own."""
    value, *said = group
    words = [each["meal_context"] for each in said if each["meal_context"] != "unknown"]
    return bool((words or [value["meal_context"]])[-1] == "fasting")


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_and_any_repetition_ends_in_the_same_judgement(
    connection: Connection, database: Database, clock: TestClock, seed: int
) -> None:
    await enrol(connection)
    await prepare_ingest(connection)
    dice = random.Random(seed)  # noqa: S311 - repeatable
    groups = _measurements(dice, 60)
    sent = [item for group in groups for item in group]
    arriving = sent + dice.sample(sent, len(sent) // 3)
    dice.shuffle(arriving)
    bench = JudgeBench(connection, database, clock, plain=bool(seed % 2))

    told: Counter[str] = Counter()
    while arriving:
        some = [arriving.pop() for _ in range(min(len(arriving), dice.randrange(1, 9)))]
        (receipt,) = receipts_of(await bench.store(a_batch(*some), at=clock.now))
        assert receipt.stored + receipt.duplicate == len(some)
        told["duplicate"] += receipt.duplicate
        clock.pass_by(seconds=1)
        if dice.random() < 0.3:
            await bench.work()
    await bench.work()

    expected = {group[0]["resident_id"] for group in groups if _should_be_flagged(group)}
    assert await _flagged(bench) == expected
    assert 10 < len(expected) < 50
    assert told["duplicate"] > 0
    dispositions = await bench.dispositions()
    assert set(dispositions) == {UUID(item["id"]) for item in sent}
    totals = await bench.rows("SELECT sum(stored)::int, sum(duplicate)::int FROM gateway_day")
    counts = Counter(dispositions.values())
    assert totals == [(counts["stored"], counts["duplicate"])]


@pytest.mark.parametrize("first", ["value", "context"])
async def test_a_late_word_raises_and_takes_back(bench: JudgeBench, first: str) -> None:
    value = _value()
    fasting = a_context("fasting", of=value, at=AT + timedelta(seconds=1))
    for item in (value, fasting) if first == "value" else (fasting, value):
        await bench.send(item)
        await bench.settle(minutes=1)
    assert await _flagged(bench) == {"r-1"}

    await bench.send(a_context("random", of=value, at=AT + timedelta(seconds=2)))
    await bench.work()

    assert await _flagged(bench) == set()
    assert await bench.rows("SELECT status FROM alert") == [("cancelled",)]
    assert await bench.rows("SELECT DISTINCT meal_context FROM reading") == [("unknown",)]


async def test_a_persons_correction_wins_over_the_meter_whenever_it_was_made(
    bench: JudgeBench,
) -> None:
    value = _value()
    await bench.send(value)
    await bench.correct(value, meal_context="random")
    bench.clock.pass_by(minutes=1)
    await bench.send(a_context("fasting", of=value, at=bench.clock.now))
    await bench.work()

    assert await _flagged(bench) == set()


async def test_a_context_is_of_no_reading_of_somebody_else(bench: JudgeBench) -> None:
    """A meter without a boot id that began anew gives the same number to the next person."""
    await bench.send(_value(resident_id="r-2"), a_context(of=_value(), resident_id="r-1"))
    await bench.work()
    assert await _flagged(bench) == set()

    await bench.send(_value(resident_id="r-1", at=AT + timedelta(hours=1)))
    await bench.work()

    assert await _flagged(bench) == {"r-1"}


async def test_a_context_is_of_no_reading_taken_a_month_away(bench: JudgeBench) -> None:
    await bench.send(a_context(of=_value()))
    bench.clock.pass_by(days=31)
    await bench.send(_value(at=bench.clock.now))
    await bench.work()

    assert await _flagged(bench) == set()


async def test_a_pressure_has_no_meal(bench: JudgeBench) -> None:
    """A device that measures both and counts each by itself."""
    pressure = a_blood_pressure("128", device_id="both", device_sequence=7, arm="left")
    value = _value(device_id="both")
    await bench.send(pressure, a_context(of=value), value)
    await bench.work()

    assert await _flagged(bench) == {"r-1"}


async def test_the_same_word_under_another_id_is_a_duplicate(bench: JudgeBench) -> None:
    value = _value()
    said = [a_context(of=value, at=AT + timedelta(seconds=second)) for second in range(3)]
    other = a_context("random", of=value, at=AT + timedelta(seconds=9))

    await bench.send(value, said[0], said[1])
    (receipt,) = receipts_of(await bench.store(a_batch(said[2], said[0], other)))

    assert (receipt.stored, receipt.duplicate) == (2, 1)
    assert await bench.rows("SELECT DISTINCT duplicate_of FROM duplicate") == [
        (UUID(said[0]["id"]),)
    ]
    assert sorted((await bench.dispositions()).values()) == ["duplicate"] * 2 + ["stored"] * 3


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "careful"])
async def test_an_id_is_one_thing_only(connection: Connection, *, plain: bool) -> None:
    await enrol(connection)
    await prepare_ingest(connection)
    bench = WriterBench(connection, plain=plain)
    value = _value()
    context = a_context(of=value)
    await bench.store(a_batch(value, context))
    wrong = [
        {**context, "meal_context": "random"},
        {**context, "id": value["id"]},
        {**value, "id": context["id"], "device_sequence": 8},
    ]

    (receipt,) = receipts_of(await bench.store(a_batch(*wrong)))

    assert [refused.reason for refused in receipt.quarantined] == [Reason.ID_CONFLICT] * 3
    assert sorted((await bench.dispositions()).values()) == ["stored", "stored"]


async def test_a_context_and_a_reading_under_one_id_in_one_batch_are_a_conflict(
    connection: Connection,
) -> None:
    await enrol(connection)
    await prepare_ingest(connection)
    bench = WriterBench(connection)
    value = _value()

    (receipt,) = receipts_of(await bench.store(a_batch(value, a_context(of=value, id=value["id"]))))

    assert receipt.stored == 1
    assert [refused.reason for refused in receipt.quarantined] == [Reason.ID_CONFLICT]


async def test_a_context_that_commits_after_its_reading_was_judged_brings_the_judge_back(
    bench: JudgeBench, database: Database
) -> None:
    """No lock is held: the look for the reading comes after the COMMIT of the context."""
    value = _value()
    async with await connect(database.dsn, application_name="other", autocommit=True) as other:
        await prepare_ingest(other)
        beside = WriterBench(other)
        async with other.transaction():
            await beside.store(
                a_batch(a_context(of=value)), topic=_WEST
            )  # Does not see the reading.
            await bench.send(value)
            assert await bench.work() == 1
    assert await _flagged(bench) == set()

    assert await bench.work() == 1

    assert await _flagged(bench) == {"r-1"}


async def test_a_reading_that_commits_after_its_context_was_looked_for_is_judged_with_it(
    bench: JudgeBench, database: Database
) -> None:
    value = _value()
    async with await connect(database.dsn, application_name="other", autocommit=True) as other:
        await prepare_ingest(other)
        beside = WriterBench(other)
        async with other.transaction():
            await beside.store(a_batch(value), topic=_WEST)
            await bench.send(a_context(of=value))
            assert await bench.work() == 0  # The reading is not there for anybody else yet.

    assert await bench.work() == 1

    assert await _flagged(bench) == {"r-1"}


async def test_what_a_judge_marked_while_its_clock_was_ahead_waits_for_nobodys_clock(
    bench: JudgeBench,
) -> None:
    """Found by the schedule of faults with the seed 20261141."""
    value = _value()
    await bench.send(value)
    assert await bench.work() == 1
    await bench.send(a_context(of=value))

    await contexts.spread(bench.connection, now=bench.clock.now + timedelta(hours=3))

    assert await bench.work() == 1
    assert await _flagged(bench) == {"r-1"}


async def test_judges_share_the_contexts_and_look_for_each_once(
    bench: JudgeBench, database: Database
) -> None:
    values = [_value(number, resident_id=f"r-{number}") for number in range(40)]
    await bench.send(*values, *(a_context(of=value) for value in values))
    async with await connect(database.dsn, application_name="other", autocommit=True) as other:
        async with other.transaction():
            assert await due_work.take_contexts(other)
            assert await contexts.spread(bench.connection, now=AT) == 0  # In other hands.
        assert await bench.rows("SELECT count(*) FROM due_context") == [(0,)]


@pytest_asyncio.fixture
async def quarantine(connection: Connection, database: Database, tmp_path: Path) -> QuarantineBench:
    await enrol(connection)
    await prepare_ingest(connection)
    return QuarantineBench(connection, database.dsn, tmp_path)


async def _words_said(bench: WriterBench) -> list[Mapping[str, Any]]:
    return [said.changes for said in await amendments.fetch_said(bench.connection, ["r-1"])]


async def test_a_context_waits_for_a_reading_in_quarantine(quarantine: QuarantineBench) -> None:
    value = _value()
    await quarantine.refuse(value)
    await quarantine.send(a_context(of=value, at=AT + timedelta(seconds=1)))
    assert await _words_said(quarantine) == []
    assert quarantine.counts() == (1, 0, 1, 0)

    assert outcomes(await quarantine.replay()) == {"stored": 1}

    assert await _words_said(quarantine) == [{"meal_context": "fasting"}]
    assert quarantine.counts() == (2, 0, 0, 1)


async def test_a_context_in_quarantine_is_replayed_as_a_reading_is(
    quarantine: QuarantineBench,
) -> None:
    """A gateway newer than ingest sends a kind that is not known yet."""
    value = _value()
    said = [a_context(of=value, at=AT + timedelta(seconds=second)) for second in range(2)]
    await quarantine.send(value)
    await quarantine.refuse(*said, reason=Reason.UNKNOWN_KIND)
    assert quarantine.counts() == (1, 0, 2, 0)

    assert outcomes(await quarantine.replay()) == {"stored": 1, "duplicate": 1}

    assert await _words_said(quarantine) == [{"meal_context": "fasting"}] * 2
    assert await quarantine.rows("SELECT count(*) FROM due_context") == [(2,)]
    assert quarantine.counts() == (2, 1, 0, 2)


async def test_a_context_from_a_terminal_becomes_an_alert(
    processes: Processes, connection: Connection
) -> None:
    """Gateway, broker, ingest and judge as processes; the context is said before its value."""
    await enrol(connection, gateways={"gw-late": "east"})
    await processes.broker.forget_ingest_sessions(workers=1)
    processes.start_ingest()
    processes.start_judge()
    address = await asyncio.to_thread(processes.start_gateway, "gw-late", "east")
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    named = {"device_id": "m-1", "boot_id": "b", "device_sequence": 7}
    value = {"kind": "glucose", "glucose": 7.4, "unit": "mmol/L", "resident_id": "r-1"}
    for line in ({"kind": "glucose_context", "meal_context": "fasting"}, value):
        writer.write(json.dumps({**line, **named}).encode() + b"\n")
        async with asyncio.timeout(20):
            assert "taken" in json.loads(await reader.readline())
    writer.close()

    async with asyncio.timeout(30):
        while await _alerts(connection) != [("r-1", "SCREEN_GLU_HIGH", "7.4 mmol/L")]:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)
    totals = await (await connection.execute("SELECT sum(stored)::int FROM gateway_day")).fetchone()
    assert totals == (2,)


async def _alerts(connection: Connection) -> list[Any]:
    cursor = await connection.execute("SELECT resident_id, code, observed FROM alert")
    return await cursor.fetchall()
