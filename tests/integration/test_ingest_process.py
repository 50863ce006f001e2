"""One ingest process: how it ends, what it says of itself, what one mad gateway does to it."""

import asyncio
import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiomqtt
import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.wire.receipts import Receipt, parse_receipts
from ingest.db.connections import Connection
from ingest.settings import BrokerSettings
from tests.builders import AT, a_batch, a_blood_pressure, a_glucose, enrol
from tests.fix_broker import TestBroker
from tests.fix_db import Database
from tests.fix_processes import Processes, eventually

_GATEWAYS = {"gw-1": "east", "gw-2": "east"}

pytestmark = pytest.mark.usefixtures("enrolled")


@pytest.fixture
async def enrolled(connection: Connection, processes: Processes) -> None:
    """Two gateways of centre east, and no message of an earlier test."""
    await enrol(connection, gateways=_GATEWAYS)
    for name in _GATEWAYS:
        processes.broker.add_user(name)
    await processes.broker.forget_ingest_sessions()


@asynccontextmanager
async def _gateway(broker: TestBroker, name: str) -> AsyncIterator[aiomqtt.Client]:
    """A client with a gateway's rights that hears its receipts."""
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        identifier=name,
        username=name,
        password=broker.passwords[name],
        protocol=aiomqtt.ProtocolVersion.V5,
        timeout=10,
    ) as client:
        await client.subscribe(f"suifang/v1/east/{name}/receipts", qos=1)
        yield client


async def _next_receipts(client: aiomqtt.Client, count: int) -> list[Receipt]:
    found: list[Receipt] = []
    async with asyncio.timeout(20):
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            found += parse_receipts(message.payload).receipts
            if len(found) >= count:
                return found
    raise AssertionError


def _said(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    said: dict[str, Any] = json.loads(process.stdout.readline())
    return said


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _series(count: int, *, minute: int = 0) -> bytes:
    return a_batch(
        *(a_glucose(at=AT + timedelta(minutes=minute, seconds=second)) for second in range(count))
    )


async def test_asked_to_end_it_settles_what_it_has_taken_and_keeps_its_session(
    processes: Processes, database: Database, connection: Connection
) -> None:
    worker = processes.start_ingest()
    _said(worker)
    broker = processes.broker
    async with _gateway(broker, "gw-1") as client:
        await client.publish("suifang/v1/east/gw-1/readings", _series(200), qos=1)
        await _next_receipts(client, 1)
        async with connection.transaction():  # A transaction that cannot commit yet.
            await connection.execute("LOCK TABLE gateway_day IN ACCESS EXCLUSIVE MODE")
            for minute in (10, 20):
                batch = _series(50, minute=minute)
                await client.publish("suifang/v1/east/gw-1/readings", batch, qos=1)
            eventually(lambda: _waits_for_a_lock(database))
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=20) == 0
        processes.start_ingest()
        receipts = await _next_receipts(client, 2)
    assert sum(receipt.stored for receipt in receipts) == 100
    assert await _count(connection) == 300


async def test_told_to_end_while_the_database_hangs_it_ends_by_its_deadline_and_loses_nothing(
    processes: Processes, database: Database, connection: Connection
) -> None:
    worker = processes.start_ingest(INGEST_SHUTDOWN_S_MAX="1")
    _said(worker)
    async with _gateway(processes.broker, "gw-1") as client:
        async with connection.transaction():  # Held until the worker is gone.
            await connection.execute("LOCK TABLE gateway_day IN ACCESS EXCLUSIVE MODE")
            await client.publish("suifang/v1/east/gw-1/readings", _series(50), qos=1)
            eventually(lambda: _waits_for_a_lock(database))
            worker.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(worker.wait, 60)
        assert code == 0
        assert await _count(connection) == 0
        _said(processes.start_ingest())  # The broker has kept what nobody acknowledged.
        (receipt,) = await _next_receipts(client, 1)
    assert receipt.stored == 50


async def test_what_comes_while_the_writer_is_busy_shares_the_next_transaction(
    processes: Processes, database: Database, connection: Connection
) -> None:
    worker = processes.start_ingest(INGEST_OBSERVATION__PORT="0")
    address = _said(worker)["observation"]
    async with _gateway(processes.broker, "gw-1") as client:
        async with connection.transaction():
            await connection.execute("LOCK TABLE gateway_day IN ACCESS EXCLUSIVE MODE")
            await client.publish("suifang/v1/east/gw-1/readings", _series(1), qos=1)
            eventually(lambda: _waits_for_a_lock(database))
            for minute in range(10, 40):
                batch = _series(1, minute=minute)
                await client.publish("suifang/v1/east/gw-1/readings", batch, qos=1)
            eventually(lambda: _metric(address, "messages_received_total") == 31)
        receipts = await _next_receipts(client, 31)
        eventually(lambda: _metric(address, "messages_acknowledged_total") == 31)
    assert sum(receipt.stored for receipt in receipts) == 31
    assert _metric(address, "transactions_total") == 2


async def test_a_broker_that_restarts_finds_the_session_kept_and_delivers_again(
    processes: Processes, database: Database, connection: Connection
) -> None:
    """Nobody publishes twice here: what comes again comes from the worker's own session."""
    worker = processes.start_ingest(INGEST_OBSERVATION__PORT="0")
    address = _said(worker)["observation"]
    broker = processes.broker
    async with connection.transaction():
        await connection.execute("LOCK TABLE gateway_day IN ACCESS EXCLUSIVE MODE")
        async with _gateway(broker, "gw-1") as client:
            await client.publish("suifang/v1/east/gw-1/readings", _series(7), qos=1)
            eventually(lambda: _waits_for_a_lock(database))
        broker.stack.stop("broker")
        broker.stack.start("broker")
        eventually(lambda: _metric(address, "broker_losses_total") > 0)
        eventually(lambda: _metric(address, "messages_received_total") == 2, within_s=60)
    eventually(lambda: _metric(address, "messages_acknowledged_total") == 1)
    row = await (
        await connection.execute("SELECT sum(stored), sum(redelivered) FROM gateway_day")
    ).fetchone()
    assert row == (7, 7)
    assert await _count(connection) == 7


async def test_its_log_says_what_is_wrong_and_nothing_of_anybody(processes: Processes) -> None:
    worker = processes.start_ingest(
        INGEST_THROTTLE__READINGS_PER_S="1", INGEST_THROTTLE__BURST_READINGS="2000"
    )
    _said(worker)
    person, typed = "r-5ec4e75ec4e75ec4e75ec4e7", "typed-by-somebody"
    urgent = a_blood_pressure("231", "131", resident_id=person)
    bad = [
        {**a_glucose(resident_id=person), "unit": typed},
        {**a_glucose(resident_id=person), "note": f"{typed} \u0000"},
        {**a_blood_pressure(resident_id=person), "diastolic": "x"},
    ]
    async with _gateway(processes.broker, "gw-1") as client:
        for payload in (a_batch(urgent, *bad), a_batch(urgent).replace(b"{", b"{{", 1)):
            await client.publish("suifang/v1/east/gw-1/readings", payload, qos=1)
        for minute in range(10, 60, 10):  # More than its share: said in the log.
            batch = _series(500, minute=minute)
            await client.publish("suifang/v1/east/gw-1/readings", batch, qos=1)
        log = next(processes.folder.glob("ingest-*.log"))
        eventually(lambda: "gateway_throttled" in log.read_text())
        processes.broker.stack.signal("postgres", signal.SIGKILL)
        try:
            await client.publish("suifang/v1/east/gw-1/readings", _series(1, minute=90), qos=1)
            eventually(lambda: "database_unavailable" in log.read_text())
        finally:
            processes.broker.stack.start("postgres")
    text = log.read_text()

    assert "emergency_stored" in text, text
    assert worker.poll() is None
    assert not [each for each in (person, typed, "231/131") if each in text]


def _metric(address: str, name: str) -> float:
    """The sum of a counter over its labels."""
    lines = _get(f"{address}/metrics")[1].splitlines()
    return sum(float(x.rpartition(" ")[2]) for x in lines if x.startswith(f"suifang_ingest_{name}"))


def _waits_for_a_lock(database: Database) -> bool:
    with psycopg.connect(database.dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE d.datname = current_database() AND NOT l.granted"
        ).fetchone()
    return row is not None and row[0] > 0


async def _count(connection: Connection) -> int:
    row = await (await connection.execute("SELECT count(*) FROM reading")).fetchone()
    return int(row[0]) if row else 0


async def test_it_is_ready_only_while_readings_can_pass_and_counts_what_it_settles(
    processes: Processes,
) -> None:
    worker = processes.start_ingest(INGEST_OBSERVATION__PORT="0")
    address = _said(worker)["observation"]
    eventually(lambda: _get(f"{address}/readyz")[0] == 200)
    async with _gateway(processes.broker, "gw-1") as client:
        wrong = a_glucose(unit="furlong")
        await client.publish("suifang/v1/east/gw-1/backlog", a_batch(a_glucose(), wrong), qos=1)
        await _next_receipts(client, 1)

    def scraped() -> str:
        return _get(f"{address}/metrics")[1]

    eventually(lambda: 'messages_acknowledged_total{session="ingest-0-backlog"} 1.0' in scraped())
    assert 'suifang_ingest_readings_total{disposition="stored"} 1.0' in scraped()
    assert 'suifang_ingest_readings_total{disposition="quarantined"} 1.0' in scraped()
    assert "r-1" not in scraped()  # Nobody's pseudonym.

    processes.broker.stack.signal("postgres", signal.SIGKILL)
    try:
        async with _gateway(processes.broker, "gw-1") as client:
            await client.publish("suifang/v1/east/gw-1/readings", _series(3, minute=9), qos=1)
            eventually(lambda: _get(f"{address}/readyz")[0] == 503)
            assert "database" in _get(f"{address}/readyz")[1]
    finally:
        processes.broker.stack.start("postgres")
    eventually(lambda: _get(f"{address}/readyz")[0] == 200)


async def test_a_mad_gateway_waits_for_its_receipts_and_nobody_else_does(
    processes: Processes, connection: Connection
) -> None:
    worker = processes.start_ingest(
        INGEST_THROTTLE__READINGS_PER_S="400",
        INGEST_THROTTLE__BURST_READINGS="2000",
        INGEST_OBSERVATION__PORT="0",
    )
    address = _said(worker)["observation"]
    broker = processes.broker
    async with _gateway(broker, "gw-1") as mad, _gateway(broker, "gw-2") as calm:
        for minute in range(10, 80, 10):  # 3,500 readings where 2,000 may come at once.
            batch = _series(500, minute=minute)
            await mad.publish("suifang/v1/east/gw-1/readings", batch, qos=1)
        late = asyncio.create_task(_next_receipts(mad, 7))
        eventually(lambda: "receipts_throttled_total 0.0" not in _get(f"{address}/metrics")[1])
        await calm.publish("suifang/v1/east/gw-2/readings", _series(2, minute=99), qos=1)
        await _next_receipts(calm, 1)
        held = not late.done()
        receipts = await late
    assert held  # The mad gateway's own receipts came after the calm one's.
    assert sum(receipt.stored for receipt in receipts) == 3_500
    assert await _count(connection) == 3_502


async def test_an_emergency_behind_a_dead_worker_reaches_the_other_by_the_gateways_resend(
    processes: Processes, connection: Connection
) -> None:
    """The dead one's session still holds its share of the subscription at the broker."""
    dead, alive = processes.start_ingest(0), processes.start_ingest(1)
    _said(dead)
    _said(alive)
    dead.send_signal(signal.SIGSTOP)  # Stopped, not closed: the broker goes on sending to it.
    async with _gateway(processes.broker, "gw-1") as client:
        urgent = a_blood_pressure("210", "120")
        batch = a_batch(urgent)
        async with asyncio.timeout(30):
            receipts: list[Receipt] = []
            while not receipts:  # As a gateway does, only sooner.
                await client.publish("suifang/v1/east/gw-1/readings", batch, qos=1)
                try:
                    async with asyncio.timeout(1):
                        receipts = await _next_receipts(client, 1)
                except TimeoutError:
                    continue
    row = await (await connection.execute("SELECT count(*) FROM alert")).fetchone()
    assert row == (1,)
    dead.kill()  # What it was sent waits for its return, and is known then.
    revived = processes.start_ingest(0)
    _said(revived)
    await _until_quiet(connection)
    assert await _count(connection) == 1


async def _until_quiet(connection: Connection) -> None:
    """Until the total of what was settled again has stopped growing."""
    before, same = -1, 0
    while same < 5:
        cursor = await connection.execute("SELECT coalesce(sum(redelivered), 0) FROM gateway_day")
        row = await cursor.fetchone()
        now = int(row[0]) if row else 0
        same = same + 1 if now == before else 0
        before = now
        await asyncio.sleep(0.1)


def _has_session(broker: TestBroker, client_id: str) -> bool:
    """Whether the broker keeps a session of this name. Asking ends it."""
    found: list[bool] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5)
    client.username_pw_set("ingest", broker.password_of("ingest"))
    client.on_connect = lambda *given: found.append(given[2].session_present)
    client.connect(broker.host, broker.port, clean_start=False)
    client.loop_start()
    try:
        eventually(lambda: bool(found))
    finally:
        client.disconnect()
        client.loop_stop()
    return found[0]


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_worker_that_leaves_settles_its_share_and_ends_its_sessions(
    processes: Processes, database: Database, connection: Connection, *, leaves: bool
) -> None:
    """Scaled in: nothing waits for a name that never comes back, and nothing was lost with it."""
    staying = processes.start_ingest(0)
    _said(staying)
    going = processes.start_ingest(1, INGEST_BROKER__LEAVE_ON_STOP=str(leaves).lower())
    _said(going)
    broker = processes.broker
    async with _gateway(broker, "gw-1") as client:
        async with connection.transaction():  # Both have a share that cannot commit yet.
            await connection.execute("LOCK TABLE gateway_day IN ACCESS EXCLUSIVE MODE")
            for minute in range(20):
                batch = _series(10, minute=minute)
                await client.publish("suifang/v1/east/gw-1/readings", batch, qos=1)
            eventually(lambda: _waits_for_a_lock(database))
            going.send_signal(signal.SIGTERM)
        assert going.wait(timeout=60) == 0
        if leaves:  # All of it, without another worker under its name.
            assert sum(each.stored for each in await _next_receipts(client, 20)) == 200
            for minute in range(30, 40):
                batch = _series(1, minute=minute)
                await client.publish("suifang/v1/east/gw-1/readings", batch, qos=1)
            assert sum(each.stored for each in await _next_receipts(client, 10)) == 10
    names = BrokerSettings(client_id="ingest-1")
    kept = [_has_session(broker, name) for name in (*names.live_ids, names.backlog_id)]
    assert kept == [not leaves] * 3
