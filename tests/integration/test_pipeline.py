"""From a terminal's line to the database over the real broker, whatever is killed on the way."""

import asyncio
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import aiomqtt
import psycopg
import pytest

from gateway.counters import read_counters, waiting_ids
from ingest.db.connections import Connection
from tests.builders import a_batch, a_glucose, enrol
from tests.fix_broker import TestBroker
from tests.fix_db import Database
from tests.fix_processes import Processes, eventually

_DISPOSITIONS = (
    "SELECT id FROM reading UNION ALL SELECT id FROM duplicate"
    " UNION ALL SELECT reading_id FROM quarantine WHERE settles"
)

pytestmark = pytest.mark.usefixtures("enrolled")


def _settled(database: Database) -> list[UUID]:
    """Every id with a disposition, once per disposition."""
    with psycopg.connect(database.dsn) as connection:
        return [row[0] for row in connection.execute(_DISPOSITIONS).fetchall()]


def _lines(count: int, *, start: int = 0) -> Iterator[bytes]:
    """What a glucose meter says; each tenth value is no number."""
    for number in range(start, start + count):
        value = "Hi" if number % 10 == 9 else 5.6
        line = {
            "kind": "glucose",
            "device_id": "glu-1",
            "device_sequence": number,
            "boot_id": "b",
            "card_number": f"CARD-{number % 20}",
            "glucose": value,
            "unit": "mmol/L",
            "meal_context": "fasting",
        }
        yield json.dumps(line).encode() + b"\n"


def _speak(address: str, lines: Iterator[bytes]) -> list[UUID]:
    """Send lines, pipelined, and return the ids the gateway has taken."""
    host, _, port = address.rpartition(":")
    data = list(lines)
    with socket.create_connection((host, int(port)), timeout=30) as link:
        sender = threading.Thread(target=link.sendall, args=(b"".join(data),))
        sender.start()
        with link.makefile("rb") as answers:
            ids = [UUID(json.loads(answers.readline())["taken"]) for _ in data]
        sender.join()
    return ids


def _is_ready(process: "subprocess.Popen[str]") -> bool:
    assert process.stdout is not None
    return "subscribed" in json.loads(process.stdout.readline())


@pytest.fixture
async def enrolled(connection: Connection, processes: Processes) -> None:
    """Gateway gw-1 of centre east, and no message of an earlier test."""
    await enrol(connection)
    await processes.broker.forget_ingest_sessions()


async def test_a_terminal_s_readings_end_in_the_database_and_leave_the_spool(
    processes: Processes, database: Database, tmp_path: Path
) -> None:
    assert _is_ready(processes.start_ingest())
    address = processes.start_gateway("gw-1", "east")

    ids = await asyncio.to_thread(_speak, address, _lines(1_000))

    spool = tmp_path / "gw-1.spool"
    eventually(lambda: read_counters(spool).waiting == 0)
    counters = read_counters(spool)
    assert (counters.confirmed_stored, counters.confirmed_quarantined) == (900, 100)
    assert sorted(_settled(database)) == sorted(ids)


@pytest.mark.slow
async def test_nothing_is_lost_or_doubled_when_ingest_is_killed_again_and_again(
    processes: Processes, database: Database, tmp_path: Path
) -> None:
    worker = processes.start_ingest()
    assert _is_ready(worker)
    address = processes.start_gateway("gw-1", "east", GATEWAY_RESEND_S_MIN="1")
    ids: list[UUID] = []

    for turn in range(6):
        ids += await asyncio.to_thread(_speak, address, _lines(500, start=500 * turn))
        await asyncio.sleep(0.03 * turn)  # Somewhere between published, committed and acknowledged.
        worker.kill()
        worker.wait(timeout=10)
        worker = processes.start_ingest()

    spool = tmp_path / "gw-1.spool"
    eventually(lambda: read_counters(spool).waiting == 0, within_s=60)
    assert sorted(_settled(database)) == sorted(ids)
    assert len(ids) == 3_000


@pytest.mark.slow
async def test_nothing_is_lost_when_broker_and_database_are_killed(
    processes: Processes, database: Database, tmp_path: Path
) -> None:
    assert _is_ready(processes.start_ingest())
    address = processes.start_gateway("gw-1", "east", GATEWAY_RESEND_S_MIN="1")
    stack, ids = processes.broker.stack, list[UUID]()

    for turn, service in enumerate(["broker", "postgres", "broker"]):
        ids += await asyncio.to_thread(_speak, address, _lines(500, start=500 * turn))
        stack.signal(service, signal.SIGKILL)
        ids += await asyncio.to_thread(_speak, address, _lines(100, start=10_000 + 100 * turn))
        stack.start(service)

    spool = tmp_path / "gw-1.spool"
    eventually(lambda: read_counters(spool).waiting == 0, within_s=90)
    assert sorted(_settled(database)) == sorted(ids)


async def test_no_receipt_and_no_acknowledgement_before_commit(
    processes: Processes, database: Database, tmp_path: Path
) -> None:
    """A lock keeps the transaction open: the gateway must go on holding its readings."""
    assert _is_ready(processes.start_ingest())
    address = processes.start_gateway("gw-1", "east")
    spool = tmp_path / "gw-1.spool"

    with psycopg.connect(database.dsn) as blocker:
        blocker.execute("LOCK TABLE reading IN SHARE MODE")
        ids = await asyncio.to_thread(_speak, address, _lines(20))
        await asyncio.sleep(1.5)
        assert waiting_ids(spool) == set(ids)
        blocker.rollback()
    eventually(lambda: read_counters(spool).waiting == 0)

    assert sorted(_settled(database)) == sorted(ids)


async def test_a_poisoned_message_is_acknowledged_and_holds_nobody_up(
    processes: Processes, broker: TestBroker, database: Database
) -> None:
    password = broker.add_user("gw-1")  # Restarts the broker, so before the worker.
    assert _is_ready(processes.start_ingest())
    good = a_glucose()
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        username="gw-1",
        password=password,
        protocol=aiomqtt.ProtocolVersion.V5,
        timeout=5,
    ) as client:
        for payload in (b"", b"{", b"\xff" * 1_000, b'{"schema":9}', a_batch(good)):
            await client.publish("suifang/v1/east/gw-1/readings", payload, qos=1)
        await client.publish("suifang/v1/west/gw-1/readings", a_batch(a_glucose()), qos=1)

    def kept() -> dict[str, Any]:
        with psycopg.connect(database.dsn) as connection:
            return dict(
                connection.execute("SELECT reason, count(*) FROM quarantine GROUP BY 1").fetchall()
            )

    expected = {"malformed_json": 3, "unknown_schema": 1, "wrong_topic": 1}
    eventually(lambda: kept() == expected)
    assert UUID(good["id"]) in _settled(database)


async def test_a_second_worker_of_the_same_name_ends_the_first_with_a_clear_word(
    processes: Processes, tmp_path: Path
) -> None:
    first = processes.start_ingest()
    assert _is_ready(first)

    assert _is_ready(processes.start_ingest())

    assert first.wait(timeout=10) == 2
    assert "took over ingest-0" in (tmp_path / "ingest-0.log").read_text()


async def test_a_wrong_password_is_one_line_and_exit_2(
    processes: Processes, tmp_path: Path
) -> None:
    process = processes.start_ingest(INGEST_BROKER_PASSWORD="wrong")

    assert process.wait(timeout=20) == 2
    last = (tmp_path / "ingest-0.log").read_text().splitlines()[-1]
    assert last.startswith("suifang: the broker refused the session")


async def test_stopping_is_clean_and_the_broker_keeps_what_comes_meanwhile(
    processes: Processes, database: Database, tmp_path: Path
) -> None:
    processes.broker.add_user("gw-1")
    worker = processes.start_ingest()
    assert _is_ready(worker)
    worker.terminate()
    assert worker.wait(timeout=10) == 0
    address = processes.start_gateway("gw-1", "east")
    ids = await asyncio.to_thread(_speak, address, _lines(50))
    await asyncio.sleep(0.5)

    processes.start_ingest()

    eventually(lambda: read_counters(tmp_path / "gw-1.spool").waiting == 0)
    assert sorted(_settled(database)) == sorted(ids)


async def test_a_broker_that_forgets_the_shared_subscription_delays_only_seconds(
    processes: Processes, database: Database, broker: TestBroker, tmp_path: Path
) -> None:
    """Mosquitto 2.0.21 does, over a restart, until the worker is back: its PUBACK says so."""
    worker = processes.start_ingest()
    assert _is_ready(worker)
    worker.terminate()
    assert worker.wait(timeout=10) == 0
    address = processes.start_gateway("gw-1", "east")
    broker.stack.stop("broker")
    broker.stack.start("broker")
    ids = await asyncio.to_thread(_speak, address, _lines(50))
    await asyncio.sleep(1.5)

    processes.start_ingest()

    eventually(lambda: read_counters(tmp_path / "gw-1.spool").waiting == 0)
    assert sorted(_settled(database)) == sorted(ids)
