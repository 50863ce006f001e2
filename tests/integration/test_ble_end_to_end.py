"""From a virtual device's memory to a row in the database, through four processes.

``suifang simulate terminals`` | HCI over TCP | ``suifang gateway`` | MQTT | ``suifang ingest``,
each started by command with its settings in the environment, as an operator would.
"""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.counters import read_counters
from gateway.identity import pseudonym
from ingest.db.connections import Connection
from tests.builders import enrol
from tests.fix_db import Database
from tests.fix_processes import COMMAND, Processes, eventually

RECORDS = 30
CARD = "99000019490101001X"


@pytest.fixture
async def enrolled(connection: Connection, processes: Processes) -> None:
    """A gateway of centre east, and no message of an earlier test."""
    await enrol(connection, gateways={"gw-ble": "east"})
    await processes.broker.forget_ingest_sessions()


def start_room(processes: Processes, *options: str) -> dict[str, str]:
    """Start virtual terminals; what a gateway has to have set to hear them."""
    with (processes.folder / "room.log").open("w") as log:
        room = subprocess.Popen(
            [COMMAND, "simulate", "terminals", "--json", "--records", str(RECORDS), *options],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=dict(os.environ),
        )
    processes.running.append(room)
    assert room.stdout is not None
    said: dict[str, Any] = json.loads(room.stdout.readline())
    environment: dict[str, str] = said["environment"]
    return environment


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def counted(database: Database) -> dict[str, int]:
    return dict(rows(database, "SELECT kind::text, count(*) FROM stored_reading GROUP BY kind"))


HASTY = {
    "GATEWAY_BLE_REST_MS": "50",
    "GATEWAY_BLE_BACKOFF_MS_MIN": "50",
    "GATEWAY_BLE_POLL_MS": "500",
}


def sequences(database: Database) -> list[tuple[str, int]]:
    found = rows(
        database,
        "SELECT device_id, device_sequence FROM stored_reading WHERE kind = 'glucose'",
    )
    return sorted(found)


@pytest.mark.usefixtures("enrolled")
async def test_memories_become_rows_once_though_links_break_and_the_gateway_is_killed(
    processes: Processes, database: Database
) -> None:
    room = start_room(
        processes,
        *("--cuffs", "0", "--meters", "2", "--pause-ms", "5", "--malformed", "--secured"),
        *("--break-after", "9", "--break-after", "0", "--break-after", "17"),
        *("--clock-off", "86400"),
    )
    processes.start_ingest()
    spool = processes.folder / "gw-ble.spool"
    for accepted in (5, 25):
        processes.start_gateway("gw-ble", "east", **room, **HASTY)
        eventually(lambda wanted=accepted: read_counters(spool).accepted > wanted)  # type: ignore[misc]
        processes.running[-1].send_signal(signal.SIGKILL)
        processes.running[-1].wait(timeout=10)
    processes.start_gateway("gw-ble", "east", **room, **HASTY)

    devices = ("ble-c05f00000200", "ble-c05f00000201")
    eventually(lambda: counted(database) == {"glucose": 2 * RECORDS}, within_s=60)
    eventually(lambda: read_counters(spool).waiting == 0)
    assert sequences(database) == [(device, n) for device in devices for n in range(RECORDS)]
    reasons = {reason for (reason,) in rows(database, "SELECT reason::text FROM quarantine")}
    assert reasons == {"undecodable"}
    hours = {
        int(off)
        for (off,) in rows(
            database,
            "SELECT round(extract(epoch FROM device_now - captured_at) / 3600) FROM stored_reading",
        )
    }
    assert 24 in hours
    assert hours <= {0, 24}  # After its clock was set.


@pytest.mark.usefixtures("enrolled")
async def test_what_cuffs_give_away_becomes_rows_though_links_break_and_the_gateway_restarts(
    processes: Processes, database: Database
) -> None:
    room = start_room(
        processes,
        *("--cuffs", "2", "--meters", "0", "--pause-ms", "5"),
        *("--break-after", "9", "--break-after", "0", "--break-after", "3"),
    )
    processes.start_ingest()
    spool = processes.folder / "gw-ble.spool"
    for accepted in (5, 25):
        processes.start_gateway("gw-ble", "east", **room, **HASTY)
        eventually(lambda wanted=accepted: read_counters(spool).accepted > wanted)  # type: ignore[misc]
        processes.running[-1].send_signal(signal.SIGTERM)
        assert processes.running[-1].wait(timeout=20) == 0
    processes.start_gateway("gw-ble", "east", **room, **HASTY)

    eventually(lambda: counted(database) == {"blood_pressure": 2 * RECORDS}, within_s=60)
    eventually(lambda: read_counters(spool).waiting == 0)
    found = rows(database, "SELECT count(DISTINCT (device_id, measured_at)) FROM stored_reading")
    assert found == [(2 * RECORDS,)]


@pytest.mark.usefixtures("enrolled")
async def test_late_contexts_reach_the_database_and_name_values_that_are_there(
    processes: Processes, database: Database
) -> None:
    room = start_room(
        processes, "--cuffs", "0", "--meters", "1", "--late-contexts", "--live-every", "1"
    )
    processes.start_ingest()
    processes.start_gateway("gw-ble", "east", **room, **HASTY)

    joined = (
        "SELECT DISTINCT device_sequence FROM amendment a JOIN stored_reading r"
        " USING (device_id, device_sequence)"
        " WHERE a.kind = 'context' AND a.boot_id IS NOT DISTINCT FROM r.boot_id"
    )
    eventually(lambda: len(rows(database, joined)) > 5, within_s=60)
    assert not rows(database, "SELECT * FROM quarantine")


@pytest.mark.usefixtures("enrolled")
async def test_a_card_at_a_terminal_claims_what_a_bluetooth_cuff_measures_then(
    processes: Processes, database: Database
) -> None:
    """What the cuff held before the card was read is nobody's; what it measures then is claimed."""
    room = start_room(processes, "--cuffs", "1", "--meters", "0", "--live-every", "1")
    processes.start_ingest()
    address = processes.start_gateway("gw-ble", "east", **room, **HASTY)
    eventually(lambda: counted(database).get("blood_pressure", 0) >= RECORDS)
    assert not rows(database, "SELECT * FROM stored_reading WHERE resident_id IS NOT NULL")

    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as terminal:
        order = {"session": "open", "card_number": CARD, "devices": ["ble-c05f00000100"]}
        terminal.sendall(json.dumps(order).encode() + b"\n")
        answer = json.loads(terminal.makefile().readline())
        assert answer["session"] == "opened"
        mine = "SELECT resident_id FROM stored_reading WHERE resident_id IS NOT NULL"
        eventually(lambda: len(rows(database, mine)) > 2, within_s=60)

    assert {resident for (resident,) in rows(database, mine)} == {pseudonym(b"k" * 32, CARD)}
    assert len(rows(database, "SELECT * FROM stored_reading")) > RECORDS + 2
    number = CARD.encode()
    for file in processes.folder.iterdir():
        assert number not in file.read_bytes()


async def test_a_room_that_is_not_there_is_said_and_not_waited_for(
    processes: Processes, tmp_path: Path
) -> None:
    environment = {
        "GATEWAY_ID": "gw-x",
        "GATEWAY_CENTRE": "east",
        "GATEWAY_BROKER_HOST": "127.0.0.1",
        "GATEWAY_SPOOL": str(tmp_path / "x.spool"),
        "GATEWAY_BLE_ENABLED": "yes",
        "GATEWAY_BLE_BACKEND": "simulators.terminals.radio:open_radio",
        "SIMULATE_RADIO": "127.0.0.1:1",
    }
    process = processes.start("gateway", environment)

    assert process.wait(timeout=30) != 0
    log = next(processes.folder.glob("gateway-*.log")).read_text()
    assert "suifang simulate terminals" in log
