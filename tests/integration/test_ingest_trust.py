"""What ingest takes, and from whom, when gateways come with certificates and mean no good."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.wire.receipts import Receipt, parse_receipts
from gateway.wire.times import utc_now
from ingest.db import enrolments
from ingest.db.connections import Connection
from tests.builders import AT, a_batch, a_glucose, enrol
from tests.certificates import a_context, an_identity
from tests.fix_broker import TestBroker
from tests.fix_processes import Processes

V5 = aiomqtt.ProtocolVersion.V5


@asynccontextmanager
async def a_gateway(broker: TestBroker, context: ssl.SSLContext) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(
        broker.host,
        broker.stack.broker_tls_port,
        tls_context=context,
        protocol=V5,
        timeout=10,
    ) as client:
        yield client


@pytest.fixture
async def names(connection: Connection, broker: TestBroker) -> tuple[str, str]:
    """Two enrolled gateways of centre east, and no message of an earlier test."""
    found = f"good-{uuid4().hex[:8]}", f"evil-{uuid4().hex[:8]}"
    await enrol(connection, gateways=dict.fromkeys(found, "east"))
    await broker.forget_ingest_sessions()
    return found


async def next_receipt(client: aiomqtt.Client) -> Receipt:
    async with asyncio.timeout(20):
        message = await anext(aiter(client.messages))
    assert isinstance(message.payload, bytes)
    (receipt,) = parse_receipts(message.payload).receipts
    return receipt


async def wait_subscribed(processes: Processes, **settings: str) -> None:
    worker = processes.start_ingest(0, **settings)
    assert worker.stdout is not None
    said = await asyncio.to_thread(worker.stdout.readline)
    assert "subscribed" in json.loads(said)


@pytest.mark.parametrize("channel", ["readings", "backlog"])
async def test_a_gateway_cannot_take_away_what_ingest_should_get(
    processes: Processes, names: tuple[str, str], tmp_path: Path, channel: str
) -> None:
    """In the workers' group it would get, and the broker then drop, its share of all readings."""
    broker, (good, evil) = processes.broker, names
    authority = broker.stack.authority.load()
    await wait_subscribed(processes)
    async with (
        a_gateway(broker, a_context(an_identity(tmp_path, authority, evil))) as thief,
        a_gateway(broker, a_context(an_identity(tmp_path, authority, good))) as gateway,
    ):
        for group in ("ingest", "ingest-0", "all"):
            for wanted in (channel, "+"):
                await thief.subscribe(f"$share/{group}/suifang/v1/+/+/{wanted}", qos=1)
        await gateway.subscribe(f"suifang/v1/east/{good}/receipts", qos=1)
        for minute in range(12):
            batch = a_batch(a_glucose(at=AT + timedelta(minutes=minute)))
            await gateway.publish(f"suifang/v1/east/{good}/{channel}", batch, qos=1)
            assert (await next_receipt(gateway)).stored == 1


async def test_what_a_revoked_gateway_sends_on_its_old_connection_is_not_taken(
    processes: Processes, connection: Connection, names: tuple[str, str], tmp_path: Path
) -> None:
    """From the moment that the revocation is in the database, whatever the broker still lets in."""
    broker, (_, evil) = processes.broker, names
    await wait_subscribed(processes)
    context = a_context(an_identity(tmp_path, broker.stack.authority.load(), evil))
    topic = f"suifang/v1/east/{evil}"
    async with a_gateway(broker, context) as gateway:
        await gateway.subscribe(f"{topic}/receipts", qos=1)
        await gateway.publish(f"{topic}/readings", a_batch(a_glucose(at=AT)), qos=1)
        assert (await next_receipt(gateway)).stored == 1

        await enrolments.revoke(connection, evil, because="stolen", at=utc_now())
        for minute in range(1, 6):
            batch = a_batch(a_glucose(at=AT + timedelta(minutes=minute)))
            await gateway.publish(f"{topic}/readings", batch, qos=1)
        async with asyncio.timeout(20):
            while await refused_of(connection, evil) < 5:  # noqa: ASYNC110 - rows have no event
                await asyncio.sleep(0.05)

        cursor = await connection.execute("SELECT count(*) FROM reading")
        assert await cursor.fetchone() == (1,)


async def refused_of(connection: Connection, gateway: str) -> int:
    cursor = await connection.execute(
        "SELECT count(*) FROM quarantine WHERE gateway_id = %s AND reason = 'unknown_gateway'"
        " AND NOT settles",
        (gateway,),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def test_a_new_gateway_is_taken_at_once(
    processes: Processes, connection: Connection, names: tuple[str, str], tmp_path: Path
) -> None:
    """No minute of refusals between its enrolment and ingest's next look at the register."""
    broker, fresh = processes.broker, f"new-{uuid4().hex[:8]}"
    await wait_subscribed(processes)
    context = a_context(an_identity(tmp_path, broker.stack.authority.load(), fresh))
    await enrol(connection, gateways=dict.fromkeys((*names, fresh), "east"))
    async with a_gateway(broker, context) as gateway:
        await gateway.subscribe(f"suifang/v1/east/{fresh}/receipts", qos=1)
        await gateway.publish(f"suifang/v1/east/{fresh}/readings", a_batch(a_glucose()), qos=1)
        assert (await next_receipt(gateway)).stored == 1


async def test_a_session_of_an_earlier_version_gets_each_message_once(
    processes: Processes, connection: Connection, names: tuple[str, str], tmp_path: Path
) -> None:
    """Its old subscription, in the group that everybody can guess, would stay for ever."""
    broker, good = processes.broker, names[0]
    expiry = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    expiry.SessionExpiryInterval = 600
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        identifier="ingest-0",
        username="ingest",
        password=broker.password_of("ingest"),
        protocol=V5,
        clean_start=True,
        properties=expiry,
    ) as former:
        await former.subscribe("$share/ingest/suifang/v1/+/+/readings", qos=1)
    await wait_subscribed(processes)
    context = a_context(an_identity(tmp_path, broker.stack.authority.load(), good))
    async with a_gateway(broker, context) as gateway:
        await gateway.subscribe(f"suifang/v1/east/{good}/receipts", qos=1)
        for minute in range(12):
            batch = a_batch(a_glucose(at=AT + timedelta(minutes=minute)))
            await gateway.publish(f"suifang/v1/east/{good}/readings", batch, qos=1)
            await next_receipt(gateway)
    cursor = await connection.execute("SELECT sum(stored), sum(redelivered) FROM gateway_day")
    assert await cursor.fetchone() == (12, 0)


@asynccontextmanager
async def a_broker_elsewhere(broker: TestBroker, folder: Path, name: str) -> AsyncIterator[int]:
    """The broker behind TLS, without client certificates; yields the port on localhost."""
    made = broker.stack.authority.make_server([name], at=utc_now())
    for file, text in (("server.pem", made.certificate), ("server.key", made.key)):
        (folder / file).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")

    async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(broker.host, broker.port)
        await asyncio.gather(pipe(reader, outer), pipe(inner, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_ingest_reaches_a_broker_elsewhere_over_tls(
    processes: Processes, connection: Connection, names: tuple[str, str], tmp_path: Path
) -> None:
    broker, good = processes.broker, names[0]
    authority = broker.stack.authority
    async with a_broker_elsewhere(broker, tmp_path, "localhost") as port:
        settings = {
            "INGEST_BROKER__HOST": "localhost",
            "INGEST_BROKER__PORT": str(port),
            "INGEST_BROKER__CA_FILE": str(authority.certificate),
        }
        await wait_subscribed(processes, **settings)
        context = a_context(an_identity(tmp_path, authority.load(), good))
        async with a_gateway(broker, context) as gateway:
            await gateway.subscribe(f"suifang/v1/east/{good}/receipts", qos=1)
            topic = f"suifang/v1/east/{good}/readings"
            await gateway.publish(topic, a_batch(a_glucose()), qos=1)
            assert (await next_receipt(gateway)).stored == 1
        await asyncio.to_thread(processes.stop_all)
    cursor = await connection.execute("SELECT count(*) FROM reading")
    assert await cursor.fetchone() == (1,)


async def test_ingest_tells_no_password_to_a_broker_of_another_name(
    processes: Processes, tmp_path: Path
) -> None:
    broker = processes.broker
    async with a_broker_elsewhere(broker, tmp_path, "elsewhere.example") as port:
        processes.start_ingest(
            INGEST_BROKER__HOST="localhost",
            INGEST_BROKER__PORT=str(port),
            INGEST_BROKER__CA_FILE=str(broker.stack.authority.certificate),
        )
        log = tmp_path / "ingest-0.log"
        async with asyncio.timeout(20):
            while "broker_unreachable" not in log.read_text():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.05)
        assert "ostname mismatch" in log.read_text()
        assert "broker_connected" not in log.read_text()
        await asyncio.to_thread(processes.stop_all)
