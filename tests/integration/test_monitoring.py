"""Promise: what is wrong is alerted, on real processes, and no longer when it is mended.

Every alert of ``deploy/prometheus/alerts.yml`` fires at least once and is resolved here. Made for
real: killed processes, closed ways to database and broker, a held lock, a full window, readings
that nobody can judge, receivers that are gone, people who cannot be reached, statuses over MQTT.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import aiomqtt
import httpx
import pytest
import pytest_asyncio
import yaml
from psycopg import AsyncConnection

from deploy.embedded.stack import Stack
from deploy.monitoring import catalogue, panels
from gateway.wire.times import utc_now
from ingest.db.connections import connect
from tests.builders import a_batch, a_blood_pressure
from tests.fix_broker import TestBroker
from tests.fix_db import cloned
from tests.fix_prometheus import SHIPPED
from tests.integration.monitoring_bench import (
    BOX,
    LOST_BOX,
    REAL_BOX,
    RECEIVER,
    Installation,
    a_status,
    an_installation,
)
from tests.integration.webhook_bench import BROKEN, GONE, OK, a_receiver

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
RULES = yaml.safe_load((SHIPPED / "alerts.yml").read_text("utf-8"))
ALERTS = {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}
EMERGENCY = (
    b'{"kind":"blood_pressure","device_id":"cuff","systolic":201,"diastolic":121,"unit":"mmHg"}'
)
OF_GATEWAYS = {
    "SuifangSpoolFilling": "spool_old",
    "SuifangReadingsLost": "readings_lost",
    "SuifangGatewayClockUnknown": "clock_unknown",
    "SuifangCertificateEnding": "certificate_ending",
    "SuifangDeviceNeedsCare": "battery_low",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(
    stack: Stack, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """All processes and a Prometheus, for the tests of this file."""
    broker = TestBroker(stack, stack.broker_host, stack.broker_port)
    folder: Path = tmp_path_factory.mktemp("monitoring")
    with cloned(stack, template_database) as database:
        async with (
            await connect(database.dsn, application_name="test", autocommit=True) as connection,
            an_installation(database, connection, broker, folder) as found,
        ):
            yield found


async def test_running_processes_expose_what_the_page_lists_and_nothing_else(
    installation: Installation,
) -> None:
    await installation.await_all_up()
    await installation.client.get("/v1/alerts")
    for process in catalogue.list_processes():
        text = await installation.scrape(process.name)
        exposed = set(re.findall(r"(?m)^# TYPE (suifang_\w+) ", text))
        created = {name for name in exposed if name.endswith("_created")}
        listed = {metric.name for metric in process.metrics}
        assert exposed - created - {"suifang_build_info"} == listed, process.name
        assert "r-1" not in text


async def test_a_reading_is_followed_by_its_id_from_the_terminal_to_a_webhook(
    installation: Installation,
) -> None:
    await installation.await_all_up()
    broker = installation.broker
    async with AsyncExitStack() as crew:
        receiver = await crew.enter_async_context(a_receiver())
        wanted = {"url": receiver.url(), "types": ["alert.raised"]}
        made = await installation.client.put("/v1/webhooks/traced", json=wanted)
        assert made.status_code == 201, made.text
        probe = await crew.enter_async_context(
            aiomqtt.Client(
                broker.host,
                broker.port,
                username="probe",
                password=broker.password_of("probe"),
                protocol=aiomqtt.ProtocolVersion.V5,
            )
        )
        await probe.subscribe(f"suifang/v1/east/{REAL_BOX}/readings", qos=1)
        told_one = asyncio.Event()

        async def hear(writer: asyncio.StreamWriter) -> None:
            writer.write(OK)
            told_one.set()

        receiver.otherwise = hear
        reading = UUID(await installation.measure(EMERGENCY))
        async with asyncio.timeout(60):
            message = await anext(aiter(probe.messages))
            await told_one.wait()
        said = dict(vars(message.properties)["UserProperty"])["traceparent"]
        await installation.client.delete("/v1/webhooks/traced")

    told = receiver.requests[0].headers["traceparent"]
    log = (installation.folder / "ingest.log").read_text("utf-8")
    assert said.split("-")[1] == told.split("-")[1] == reading.hex
    assert said.split("-")[2] != told.split("-")[2]
    assert f'"trace": "{reading.hex}", "event": "emergency_stored"' in log


@asynccontextmanager
async def listening(client: httpx.AsyncClient) -> AsyncIterator[None]:
    async with client.stream("GET", "/v1/alerts/stream") as response:
        assert response.status_code == 200
        yield


@asynccontextmanager
async def holding(dsn: str, *statements: str) -> AsyncIterator[None]:
    """Somebody's transaction stays open while the block runs."""
    async with await AsyncConnection.connect(dsn) as connection:
        for statement in statements:
            await connection.execute(statement.encode())
        yield
        await connection.rollback()


@asynccontextmanager
async def asking(client: httpx.AsyncClient, address: str, people: int) -> AsyncIterator[None]:
    """So many ask again and again, whatever they are answered."""

    async def ask() -> None:
        while True:
            await client.get(address)

    tasks = [asyncio.create_task(ask()) for _ in range(people)]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def hurt_by_messages(installation: Installation) -> None:
    """What comes over MQTT: too much of one gateway, what nobody can judge, sick gateways."""
    wrong = a_batch(*[a_blood_pressure(unit="furlong") for _ in range(250)])
    many = [a_batch(*[a_blood_pressure() for _ in range(500)]) for _ in range(6)]
    await installation.say(BOX, a_status(*OF_GATEWAYS.values()))
    await installation.say(LOST_BOX, a_status(online=False))
    await installation.publish(BOX, "readings", *many, wrong)


async def hurt_by_work_that_is_held_up(installation: Installation, sick: AsyncExitStack) -> None:
    """A held resident, two sick receivers, an alert without anybody, all listeners' places."""
    connection, client = installation.connection, installation.client
    due = utc_now() - timedelta(minutes=30)
    await connection.execute("INSERT INTO resident_fold VALUES ('r-1', '-infinity')")
    await connection.execute("INSERT INTO due_timer VALUES ('r-1', %s)", (due,))
    held = "SELECT FROM resident_fold FOR UPDATE"
    await sick.enter_async_context(holding(installation.dsn, held))
    for name, answer in {"gone": GONE, "broken": BROKEN}.items():
        receiver = await sick.enter_async_context(a_receiver())
        receiver.otherwise = answer
        made = await client.put(f"/v1/webhooks/{name}", json={"url": receiver.url()})
        assert made.status_code == 201, made.text
    await installation.tell()
    await installation.raise_alert()
    for _ in range(2):
        await sick.enter_async_context(listening(client))


async def hurt_by_dead_processes(installation: Installation) -> None:
    """The feed's and the notifier's, with work that has waited for five minutes."""
    await installation.kill("dispatcher", "notify")
    await installation.tell(minutes_ago=5)
    await installation.raise_alert()
    look = "UPDATE alert_attention SET look_at = %s"
    await installation.connection.execute(look, (utc_now() - timedelta(minutes=5),))


async def hurt_by_a_shelf_without_a_receiver(installation: Installation) -> None:
    """Nobody took a base backup yet, and the log that is written does not come."""
    await installation.kill(RECEIVER)
    installation.write_log()


async def mend(installation: Installation) -> None:
    """Everything that is not mended by the end of a block."""
    await installation.start(RECEIVER)
    await installation.take_backup()
    for proxy in (installation.to_database, installation.to_broker):
        proxy.calm()
    await installation.connection.execute("UPDATE alert SET status = 'resolved'")
    await installation.connection.execute("DELETE FROM webhook")
    for box in (BOX, LOST_BOX):
        await installation.say(box, a_status())
    await installation.start("dispatcher", "notify")


async def test_every_alert_fires_for_a_real_cause_and_is_resolved_when_it_is_mended(
    installation: Installation,
) -> None:
    client = installation.client
    await installation.await_all_up()
    async with AsyncExitStack() as sick:
        await hurt_by_work_that_is_held_up(installation, sick)
        await hurt_by_messages(installation)
        await installation.await_firing(
            *("SuifangWebhookParked", "SuifangWebhookRetrying", "SuifangListenersFull"),
            "SuifangNobodyTold",
            *("SuifangQuarantineGrowing", "SuifangGatewayThrottled", "SuifangJudgeBehind"),
            *("SuifangGatewaySilent", "SuifangManyGatewaysSilent", *OF_GATEWAYS),
        )

    await hurt_by_dead_processes(installation)
    await hurt_by_a_shelf_without_a_receiver(installation)
    tables = "LOCK TABLE indicator_closing, reading IN ACCESS EXCLUSIVE MODE"
    async with holding(installation.dsn, tables), asking(client, "/v1/indicators/periods", 6):
        one_each = [a_batch(a_blood_pressure()) for _ in range(300)]
        await installation.publish(BOX, "readings", *one_each)
        await installation.await_firing(
            *("SuifangProcessDown", "SuifangFeedLagging", "SuifangNotifierLagging"),
            *("SuifangApiFailing", "SuifangApiSlow", "SuifangApiPoolShort", "SuifangIngestBehind"),
        )

    for proxy in (installation.to_database, installation.to_broker):
        proxy.weather.refuses = True
        proxy.cut()
    await installation.await_firing(
        *("SuifangDatabaseUnavailable", "SuifangNobodyDelivers", "SuifangBrokerUnreachable"),
        *("SuifangBackupNeeded", "SuifangBackupLogBehind", "SuifangBackupLogPiling"),
    )

    await mend(installation)
    await installation.await_all_up()
    await installation.await_calm()
    assert await installation.prometheus.fired() == ALERTS


MAY_BE_EMPTY = {  # While all is well, and nobody was told anything.
    *("Alerts that fire", "What gateways complain of", "Messages to people"),
    "Webhooks: attempts",
}


async def test_every_query_of_the_dashboards_is_answered(installation: Installation) -> None:
    await installation.await_all_up()
    await installation.say(BOX, a_status())
    await installation.publish(BOX, "readings", a_batch(a_blood_pressure()))
    for dashboard in panels.DASHBOARDS:
        for panel in dashboard.panels:
            for expression, legend in panel.queries:
                asked = expression.replace("$__rate_interval", "2m")
                found = await installation.prometheus.query(asked)
                async with asyncio.timeout(60):  # A rate needs two scrapes.
                    while not found and panel.title not in MAY_BE_EMPTY:
                        await asyncio.sleep(0.5)
                        found = await installation.prometheus.query(asked)
                for label in re.findall(r"{{(\w+)}}", legend):
                    assert all(label in each["metric"] for each in found), f"{asked}: {label}"
