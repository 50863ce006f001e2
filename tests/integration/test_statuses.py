"""Promise: what a gateway says of itself last is in the database; nobody speaks for another.

The real broker with a gateway's own rights; the listener of an ingest worker.
"""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import date, datetime, timedelta
from typing import Any

import aiomqtt
import pytest
from pydantic import SecretStr

from gateway.wire.status import DeviceStatus, SpoolStatus, Status, write_status
from gateway.wire.times import utc_now
from ingest.db import enrolments
from ingest.db.connections import Connection
from ingest.metrics import IngestMetrics
from ingest.settings import BrokerSettings, IngestSettings
from ingest.statuses import StatusKeeper
from tests.builders import AT, enrol
from tests.fix_broker import TestBroker
from tests.fix_db import Database
from tests.fix_processes import eventually

PASSWORDS = {name: secrets.token_urlsafe(16) for name in ("status-1", "status-2")}
TOPIC = "suifang/v1/east/status-1/status"
SAID = Status(
    online=True,
    at=AT,
    version="1.2",
    problems=["battery_low"],
    spool=SpoolStatus(rows=7, bytes=2_000, rows_max=10, bytes_max=4_000, oldest_captured_at=AT),
    counters={"accepted": 120, "lost": 1},
    devices=[
        DeviceStatus(
            id="cuff",
            name="Cuff\0",
            last_seen=AT,
            battery_percent=15,
            clock_offset_s=-42,
            calibration_due=date(2026, 3, 20),
        ),
        DeviceStatus(id="meter", clock_offset_s=10**30),
    ],
)


@pytest.fixture
async def enrolled(connection: Connection, broker: TestBroker) -> AsyncIterator[None]:
    """A gateway of centre east; what it had the broker keep is taken back afterwards."""
    await enrol(connection, gateways={"status-1": "east"})
    broker.passwords |= PASSWORDS
    broker.stack.set_broker_users(PASSWORDS)  # Restarts it for the first test only.
    yield
    for name in PASSWORDS:
        for centre in ("east", "west"):
            await say(broker, b"", user=name, topic=f"suifang/v1/{centre}/{name}/status")


async def say(
    broker: TestBroker, payload: bytes, *, user: str = "status-1", topic: str = TOPIC
) -> None:
    """One retained message, with a gateway's rights."""
    async with a_gateway(broker, user) as client:
        await client.publish(topic, payload, qos=1, retain=True)


def a_gateway(broker: TestBroker, user: str, will: aiomqtt.Will | None = None) -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host,
        broker.port,
        username=user,
        password=broker.passwords[user],
        protocol=aiomqtt.ProtocolVersion.V5,
        will=will,
        timeout=10,
    )


@asynccontextmanager
async def listening(broker: TestBroker, database: Database) -> AsyncIterator[IngestMetrics]:
    """The listener, while the block runs."""
    settings = IngestSettings(
        db_dsn=SecretStr(database.dsn),
        broker_password=SecretStr(broker.password_of("ingest")),
        broker=BrokerSettings(host=broker.host, port=broker.port),
    )
    metrics = IngestMetrics()
    task = asyncio.create_task(StatusKeeper(settings, metrics, utc_now).run())
    try:
        yield metrics
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def row_of(connection: Connection, gateway: str = "status-1") -> dict[str, Any] | None:
    cursor = await connection.execute(
        "SELECT row_to_json(s)::text FROM gateway_status s WHERE gateway_id = %s", (gateway,)
    )
    row = await cursor.fetchone()
    return None if row is None else json.loads(row[0])


async def until(connection: Connection, **expected: object) -> dict[str, Any]:
    """The row, once these fields of it are so."""
    async with asyncio.timeout(20):
        while True:
            row = await row_of(connection)
            if row is not None and expected.items() <= row.items():
                return row
            await asyncio.sleep(0.02)


async def devices_of(connection: Connection) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(
        "SELECT device_id, name, last_seen, battery_percent, clock_offset_s, calibration_due"
        " FROM device_status ORDER BY device_id"
    )
    return await cursor.fetchall()


@pytest.mark.usefixtures("enrolled")
async def test_the_last_word_is_kept_whole_with_its_devices(
    broker: TestBroker, database: Database, connection: Connection
) -> None:
    async with listening(broker, database):
        await say(broker, write_status(SAID))
        row = await until(connection, online=True)
        devices = await devices_of(connection)
        later = SAID.model_copy(update={"devices": SAID.devices[1:], "counters": {}})
        await say(broker, write_status(later))
        await until(connection, accepted=None)
        left = await devices_of(connection)

    assert (row["spool_rows"], row["spool_rows_max"], row["accepted"], row["lost"]) == (
        7,
        10,
        120,
        1,
    )
    assert (row["version"], row["problems"]) == ("1.2", ["battery_low"])
    assert devices == [
        ("cuff", "Cuff\N{REPLACEMENT CHARACTER}", AT, 15, -42, date(2026, 3, 20)),
        ("meter", "", None, None, 2**63 - 1, None),
    ]
    assert left == devices[1:]


@pytest.mark.usefixtures("enrolled")
async def test_who_is_cut_off_is_away_and_what_it_said_stays(
    broker: TestBroker, database: Database, connection: Connection
) -> None:
    will = aiomqtt.Will(TOPIC, write_status(Status(online=False)), qos=1, retain=True)
    async with listening(broker, database):
        with suppress(aiomqtt.MqttError):
            async with a_gateway(broker, "status-1", will) as client:
                await client.publish(TOPIC, write_status(SAID), qos=1, retain=True)
                heard = await until(connection, online=True)
                line = client._client.socket()
                assert isinstance(line, socket.socket)
                line.shutdown(socket.SHUT_RDWR)  # No goodbye.
        row = await until(connection, online=False)

    assert row["spool_rows"] == 7
    assert row["heard_at"] > heard["heard_at"]
    assert len(await devices_of(connection)) == 2


@pytest.mark.usefixtures("enrolled")
async def test_what_the_broker_had_kept_was_said_when_the_gateway_says(
    broker: TestBroker, database: Database, connection: Connection
) -> None:
    await say(broker, write_status(SAID))
    async with listening(broker, database):
        row = await until(connection, online=True)
        await say(broker, write_status(SAID.model_copy(update={"version": "2"})))
        later = await until(connection, version="2")

    assert datetime.fromisoformat(row["heard_at"]) == AT
    assert datetime.fromisoformat(later["heard_at"]) > utc_now() - timedelta(minutes=1)


@pytest.mark.usefixtures("enrolled")
async def test_strangers_the_revoked_and_nonsense_change_nothing(
    broker: TestBroker, database: Database, connection: Connection
) -> None:
    evil = write_status(SAID.model_copy(update={"version": "evil"}))
    async with listening(broker, database) as metrics:
        await say(broker, write_status(SAID))
        # What gateways of other tests had the broker keep comes before this, and is not counted.
        await say(broker, write_status(SAID.model_copy(update={"version": "1.2-fence"})))
        await until(connection, version="1.2-fence")
        await say(broker, write_status(SAID))
        await until(connection, version="1.2")
        refused = metrics.statuses.labels("refused")
        others = refused._value.get()
        await say(broker, evil, user="status-2", topic=TOPIC)  # The broker drops it.
        await say(broker, evil, user="status-2", topic="suifang/v1/east/status-2/status")
        await say(broker, evil, topic=TOPIC.replace("east", "west"))
        for nonsense in (b"\xff", b"[]", b'{"schema":2,"online":true}', b'{"online":"maybe"}'):
            await say(broker, nonsense)
        await asyncio.to_thread(eventually, lambda: refused._value.get() == others + 6)
        await enrolments.revoke(connection, "status-1", because="stolen", at=utc_now())
        await say(broker, evil)
        await asyncio.to_thread(eventually, lambda: refused._value.get() == others + 7)
        assert await row_of(connection, "status-2") is None

    row = await row_of(connection)
    assert row is not None
    assert row["version"] == "1.2"


@pytest.mark.usefixtures("enrolled")
async def test_of_two_workers_one_listens_and_the_other_takes_over(
    broker: TestBroker, database: Database, connection: Connection
) -> None:
    async with listening(broker, database) as second:
        async with listening(broker, database) as first:
            await say(broker, write_status(SAID))
            await until(connection, online=True)
            kept = [metrics.statuses.labels("kept")._value.get() for metrics in (first, second)]
        await say(broker, write_status(SAID.model_copy(update={"version": "2"})))
        await until(connection, version="2")

    assert sorted(kept) == [0, 1]
