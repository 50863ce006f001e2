"""Words for the display: of a reading taken just now, to the terminal where it was taken."""

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from gateway.identity import pseudonym
from gateway.wire.receipts import Receipts
from ingest.db.connections import Connection
from ingest.db.residents import DatedCondition
from ingest.deliveries import Settled
from ingest.prompts import PRESSURES_MAX, TEXTS
from tests.builders import AT, a_batch, a_blood_pressure, a_glucose, enrol
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.fix_processes import Processes
from tests.integration.judge_bench import open_bench
from tests.integration.writer_bench import WriterBench, receipts_of
from tests.roles import prepare_ingest

_PREGNANT = DatedCondition(condition="pregnant", since=AT.date() - timedelta(days=90))
_LATER = timedelta(minutes=3)


@pytest.fixture(params=[True, False], ids=["plain", "careful"])
async def bench(connection: Connection, request: pytest.FixtureRequest) -> WriterBench:
    await enrol(connection, _PREGNANT)
    await prepare_ingest(connection)
    return WriterBench(connection, plain=request.param)


def _said(settled: Settled) -> dict[str, str]:
    """Code by id of the reading."""
    found = [prompt for receipt in receipts_of(settled) for prompt in receipt.prompted]
    assert all(prompt.text == TEXTS[prompt.code] for prompt in found)
    return {str(prompt.id): prompt.code for prompt in found}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"systolic": "182"}, id="claimed"),
        pytest.param({"systolic": "182", "resident_id": None}, id="unclaimed"),
        pytest.param({"systolic": "141"}, id="pregnant"),
        pytest.param({"systolic": "182", "note": "not plain"}, id="careful"),
        pytest.param({"systolic": "182", "setting": "home"}, id="at-home"),
    ],
)
async def test_an_emergency_calls_for_staff_at_once(
    bench: WriterBench, fields: dict[str, Any]
) -> None:
    urgent = a_blood_pressure(**fields)
    settled = await bench.store(a_batch(a_glucose("5.6"), urgent), a_batch(a_glucose("5.7")))

    assert _said(settled) == {urgent["id"]: "call_staff"}
    first, second = receipts_of(settled)
    assert (len(first.prompted), len(second.prompted)) == (1, 0)


async def test_staff_are_called_although_the_alert_would_only_repeat(bench: WriterBench) -> None:
    for minute in range(3):
        at = AT + timedelta(minutes=minute)
        urgent = a_glucose("2.9", at=at)
        assert _said(await bench.store(a_batch(urgent), at=at)) == {urgent["id"]: "call_staff"}
    assert await bench.rows("SELECT count(*) FROM alert") == [(1,)]


@pytest.mark.parametrize("fields", [{}, {"stored_record": True}], ids=["late", "from-memory"])
async def test_nobody_is_told_of_what_is_not_just_now(
    bench: WriterBench, fields: dict[str, Any]
) -> None:
    fields = {"resident_id": "r-2", **fields}
    pair = [
        a_blood_pressure("182", **fields),
        a_blood_pressure("130", at=AT + timedelta(seconds=40), **fields),
        a_blood_pressure("150", at=AT + timedelta(seconds=80), **fields),
    ]
    at = AT + timedelta(seconds=80) + (timedelta(0) if "stored_record" in fields else _LATER)

    assert _said(await bench.store(a_batch(*pair), at=at)) == {}
    assert await bench.rows("SELECT count(*) FROM alert") == [(1,)]


async def test_the_second_of_two_that_differ_asks_for_a_third(bench: WriterBench) -> None:
    said = []
    for minute, systolic in enumerate(("130", "141", "135")):
        at = AT + timedelta(minutes=minute)
        reading = a_blood_pressure(systolic, at=at, resident_id="r-2")
        said.append(list(_said(await bench.store(a_batch(reading), at=at)).values()))

    assert said == [[], ["measure_again"], []]


@pytest.mark.parametrize(
    ("first", "second", "asks"),
    [
        pytest.param(("130", "80"), ("140", "90"), False, id="by-exactly-ten"),
        pytest.param(("130", "80"), ("132", "91"), True, id="the-lower-side"),
        pytest.param(("141", "80"), ("130", "80"), True, id="downwards"),
        pytest.param(("17.33", "10.7"), ("18.66", "10.7"), False, id="kpa-by-9.98"),
        pytest.param(("17.33", "10.7"), ("18.67", "10.7"), True, id="kpa-by-10.05"),
    ],
)
async def test_too_far_apart_is_more_than_ten_on_either_side(
    bench: WriterBench, first: tuple[str, str], second: tuple[str, str], *, asks: bool
) -> None:
    unit = "kPa" if "." in first[0] else "mmHg"
    pair = [
        a_blood_pressure(*values, at=at, unit=unit, resident_id="r-2")
        for values, at in ((first, AT), (second, AT + timedelta(minutes=1)))
    ]
    settled = await bench.store(a_batch(*pair), at=AT + timedelta(minutes=1))

    assert _said(settled) == ({pair[1]["id"]: "measure_again"} if asks else {})


def _a_visit(dice: random.Random, resident: str) -> list[dict[str, Any]]:
    """One to four pressures of one resident, some minutes apart, some at home."""
    at, visit = AT, []
    for _ in range(dice.randrange(1, 5)):
        visit.append(
            a_blood_pressure(
                str(dice.randrange(110, 150)),
                str(dice.randrange(66, 88)),
                at=at,
                resident_id=resident,
                device_id=f"bp-{resident}",
                arm=dice.choice(["left", "right", None]),
                setting=dice.choice(["office", "office", "office", "home"]),
            )
        )
        at += timedelta(seconds=dice.choice([30, 300, 600, 601, 1_100]))
    return visit


async def test_what_asks_for_a_third_is_what_the_rules_say(
    connection: Connection, database: Database, clock: TestClock
) -> None:
    """Sessions that end with two readings: asked at once here, found in all history there."""
    bench = await open_bench(connection, database, clock)
    dice = random.Random(7)  # noqa: S311 - repeatable
    visits = {f"r-{n:02d}": _a_visit(dice, f"r-{n:02d}") for n in range(60)}
    arriving = sorted(
        (reading for visit in visits.values() for reading in visit),
        key=lambda reading: str(reading["captured_at"]),
    )
    asked: set[str] = set()
    while arriving:
        now = arriving[0]["captured_at"]
        together = [reading for reading in arriving if reading["captured_at"] == now]
        del arriving[: len(together)]
        bench.clock.now = AT.fromisoformat(now)
        for some in (together[::2], together[1::2]):
            if some:
                asked |= _said(await bench.store(a_batch(*some), at=bench.clock.now)).keys()
    bench.clock.pass_by(hours=2)

    outcome = await bench.judge.judge_residents(bench.connection, sorted(visits))

    assert outcome.verdict is not None
    judged = outcome.verdict.judged
    first = judged.readings.ids.view("V16")[judged.judgement.third_reading].tolist()
    expected = {str(_next_in_office(visits, UUID(bytes=id_))) for id_ in first}
    assert expected <= asked
    assert asked - expected == {id_ for id_ in asked if _was_followed(visits, id_)}
    assert len(expected) > 5


def _office(visits: dict[str, list[dict[str, Any]]], id_: str) -> tuple[list[dict[str, Any]], int]:
    for visit in visits.values():
        office = [reading for reading in visit if reading["setting"] == "office"]
        for place, reading in enumerate(office):
            if reading["id"] == id_:
                return office, place
    raise AssertionError(id_)


def _next_in_office(visits: dict[str, list[dict[str, Any]]], id_: UUID) -> str:
    office, place = _office(visits, str(id_))
    return str(office[place + 1]["id"])


def _was_followed(visits: dict[str, list[dict[str, Any]]], id_: str) -> bool:
    """Whether a third one came in the same session, as it was asked for."""
    office, place = _office(visits, id_)
    times = [AT.fromisoformat(reading["captured_at"]) for reading in office[place : place + 2]]
    return len(times) == 2 and times[1] - times[0] <= timedelta(minutes=10)


async def test_many_at_once_are_not_asked_about(bench: WriterBench) -> None:
    pairs = [
        a_blood_pressure(systolic, at=AT + timedelta(seconds=second), resident_id=f"p-{number}")
        for number in range(PRESSURES_MAX)
        for second, systolic in enumerate(("120", "140"))
    ]
    settled = await bench.store(a_batch(*pairs), at=AT + timedelta(seconds=2))

    assert _said(settled) == {}
    assert len(await bench.rows("SELECT id FROM reading")) == len(pairs)


async def test_a_receipt_with_words_is_what_the_contract_would_write(bench: WriterBench) -> None:
    settled = await bench.store(a_batch(a_blood_pressure("182"), a_glucose("2.9")))

    (message,) = settled.messages
    receipts = Receipts(receipts=receipts_of(settled))
    assert len(receipts.receipts[0].prompted) == 2
    assert json.loads(message.payload) == json.loads(receipts.model_dump_json())


# --- over the real broker and the real processes ---------------------------------------------

ANN, BOB = "99000019490101001X", "990000198002290036"  # Area code 990000: nobody's.


class _Kiosk:
    """A shared terminal."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, *lines: dict[str, Any]) -> list[dict[str, Any]]:
        self._writer.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        return [await self.hear() for _ in lines]

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            heard: dict[str, Any] = json.loads(await self._reader.readline())
        return heard

    def leave(self) -> None:
        self._writer.close()


def _measured(systolic: int, diastolic: int = 80) -> dict[str, Any]:
    values = {"systolic": systolic, "diastolic": diastolic, "unit": "mmHg"}
    return {"kind": "blood_pressure", "device_id": "bp-1", **values}


def _a_card(number: str) -> dict[str, Any]:
    return {"session": "open", "card_number": number}


async def _taken(kiosk: _Kiosk, *lines: dict[str, Any]) -> Sequence[str]:
    return [reply["taken"] for reply in await kiosk.say(*lines) if "taken" in reply]


async def test_words_come_back_to_the_terminal_and_to_nobody_else(
    processes: Processes, connection: Connection
) -> None:
    await enrol(connection, gateways={"gw-kiosk": "east"})
    await processes.broker.forget_ingest_sessions(workers=1)
    processes.start_ingest()
    address = await asyncio.to_thread(processes.start_gateway, "gw-kiosk", "east")
    host, port = address.rsplit(":", 1)
    kiosk = _Kiosk(*await asyncio.open_connection(host, int(port)))
    beside = _Kiosk(*await asyncio.open_connection(host, int(port)))
    await beside.say({"prompts": "on"})

    await kiosk.say(_a_card(ANN))
    (first,) = await _taken(kiosk, _measured(130))
    await _until_stored(connection, 1)
    (second,) = await _taken(kiosk, _measured(150))
    assert await kiosk.hear() == {
        "prompt": "measure_again",
        "text": TEXTS["measure_again"],
        "for": second,
    }

    (gone,) = await _taken(kiosk, _measured(182, 100), {"session": "close"})
    await _until_stored(connection, 3)
    await kiosk.say(_a_card(BOB))
    (urgent,) = await _taken(kiosk, _measured(183, 101))
    assert await kiosk.hear() == {
        "prompt": "call_staff",
        "text": TEXTS["call_staff"],
        "for": urgent,
    }
    assert await beside.say({"prompts": "off"}) == [{"prompts": "off"}]
    kiosk.leave()
    beside.leave()

    rows = await (await connection.execute("SELECT id::text, resident_id FROM reading")).fetchall()
    ann, bob = (pseudonym(b"k" * 32, number) for number in (ANN, BOB))
    assert dict(rows) == {first: ann, second: ann, gone: ann, urgent: bob}


async def _until_stored(connection: Connection, count: int) -> None:
    async with asyncio.timeout(30):
        while True:
            cursor = await connection.execute("SELECT count(*) FROM reading")
            if (await cursor.fetchone()) == (count,):
                return
            await asyncio.sleep(0.05)
