"""Every process of an installation, a Prometheus that scrapes them, and the ways to hurt them.

The processes reach database and broker through proxies, which can be closed without disturbing
another test. Durations of the alerts are divided by ``DIVISOR``; thresholds are the shipped ones,
so what must be old is written with an old time.
"""

import asyncio
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import aiomqtt
import httpx
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import Jsonb

from deploy.backup.tools import RECEIVER as SLOT
from deploy.embedded import postgres
from gateway.wire.ids import new_id
from gateway.wire.status import SpoolStatus, Status, write_status
from gateway.wire.times import utc_now
from ingest.db import alerts
from ingest.db.alerts import AlertRow
from ingest.db.connections import Connection
from tests.builders import enrol
from tests.faults.proxy import FaultProxy
from tests.fix_broker import TestBroker
from tests.fix_db import Database
from tests.fix_ports import free_port
from tests.fix_processes import COMMAND, eventually
from tests.fix_prometheus import Prometheus, a_prometheus

DIVISOR: Final = 60
BOX, LOST_BOX, REAL_BOX = "monitored-1", "monitored-2", "monitored-3"
PROCESSES: Final = (
    *("ingest", "judge", "dispatcher", "deliver", "notify", "api", "gateway"),
    "backup",  # Who watches the shelf.
)
RECEIVER: Final = "receive"  # Of the log: it becomes PostgreSQL's own program, without metrics.
_COMMANDS: Final = {
    "backup": ("backup", "watch", "--every-s", "0.5"),
    RECEIVER: ("backup", "receive"),
    "take": ("backup", "take"),
}
_LOG_MB, _LOG_MB_MAX = 150, 256
_OUR_SLOT: Final = f"pg_replication_slots WHERE slot_name = '{SLOT}'"
_PASSWORDS: Final = {name: secrets.token_urlsafe(16) for name in (BOX, LOST_BOX, REAL_BOX)}


@dataclass(slots=True)
class Installation:
    """What runs, and what the tests do to it."""

    connection: Connection
    dsn: str  # Of the owner, past the proxy.
    broker: TestBroker
    to_database: FaultProxy
    to_broker: FaultProxy
    folder: Path
    settings: Mapping[str, Mapping[str, str]]
    ports: Mapping[str, int]
    client: httpx.AsyncClient
    prometheus: Prometheus = field(init=False)
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, *names: str) -> None:
        """Start processes as an operator does."""
        for name in names:
            with (self.folder / f"{name}.log").open("a") as log:
                self.running[name] = await asyncio.create_subprocess_exec(
                    COMMAND,
                    *_COMMANDS.get(name, (name,)),
                    env={**os.environ, **self.settings[name]},
                    stdout=log,
                    stderr=log,
                )

    async def await_all_up(self) -> None:
        """Wait until Prometheus reads every process."""
        async with asyncio.timeout(180):
            while len(found := await self.prometheus.query("up == 1")) < len(PROCESSES):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.25)
        assert len(found) == len(PROCESSES)

    async def kill(self, *names: str) -> None:
        """End processes by SIGKILL."""
        for name in names:
            process = self.running.pop(name)
            process.kill()
            await process.wait()

    async def take_backup(self) -> None:
        """A base backup, to its end."""
        await self.start("take")
        code = await self.running.pop("take").wait()
        assert code == 0, (self.folder / "take.log").read_text("utf-8")

    def write_log(self) -> None:
        """More than half of what the server keeps for the shelf."""
        self.as_superuser(
            f"SELECT count(pg_logical_emit_message(false, 'test', repeat('x', 1000000)))"  # noqa: S608
            f" FROM generate_series(1, {_LOG_MB}) AS n"
        )

    def as_superuser(self, statement: str) -> None:
        """One statement of the server's administrator."""
        stack = self.broker.stack
        dsn = stack._dsn(stack._layout(), postgres.SUPERUSER, "postgres")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(statement.encode())

    async def scrape(self, name: str) -> str:
        """What a process answers now."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            address = f"http://127.0.0.1:{self.ports[name]}/metrics"
            return (await client.get(address)).raise_for_status().text

    async def measure(self, line: bytes) -> str:
        """A terminal's line, taken by the real gateway; the reading's id."""
        port = self.ports["terminals"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(line + b"\n")
        async with asyncio.timeout(60):
            taken: str = json.loads(await reader.readline())["taken"]
        writer.close()
        return taken

    async def say(self, gateway: str, status: Status | None) -> None:
        """A gateway's status, retained by the broker; None takes it back."""
        payload = b"" if status is None else write_status(status)
        await self.publish(gateway, "status", payload, retain=True)

    async def publish(
        self, gateway: str, channel: str, *payloads: bytes, retain: bool = False
    ) -> None:
        """Messages with a gateway's own rights."""
        async with aiomqtt.Client(
            self.broker.host,
            self.broker.port,
            username=gateway,
            password=_PASSWORDS[gateway],
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=30,
        ) as client:
            topic = f"suifang/v1/east/{gateway}/{channel}"
            for payload in payloads:
                await client.publish(topic, payload, qos=1, retain=retain)

    async def tell(self, minutes_ago: float = 0) -> None:
        """An event for the feed, about nobody."""
        at = utc_now() - timedelta(minutes=minutes_ago)
        payload = Jsonb({"centre_id": "east", "team_id": "east-1"})
        await self.connection.execute(
            "INSERT INTO outbox (kind, payload, created_at) VALUES ('alert.raised', %s, %s)",
            (payload, at),
        )
        await self.connection.execute("NOTIFY outbox")

    async def raise_alert(self) -> UUID:
        """One that pages, of a team without anybody."""
        now = utc_now()
        anchor = new_id(now)
        row = AlertRow(
            id=anchor, resident_id="r-1", centre_id="east", condition="hypertension",
            code="BP_EMERGENCY", severity="critical", status="active", anchor_id=anchor,
            effective_at=now, raised_at=now, due=None, page=True, late=False, overdue_days=0,
            escalation=0, observed="186/112 mmHg", threshold=">= 180/110 mmHg", source="x",
            profile="wuzhou", profile_version="1", raised_by="judge", updated_at=now,
            anchor_kind="reading", explanation=None,
        )  # fmt: skip
        await alerts.insert_new(self.connection, [row])
        return row.id

    async def await_firing(self, *names: str, within_s: float = 180) -> None:
        """Wait until all of these have fired."""
        await self._await(lambda found: found >= set(names), self.prometheus.fired, within_s, names)

    async def await_calm(self, within_s: float = 240) -> None:
        """Wait until nothing fires any more."""
        await self._await(lambda found: not found, self.prometheus.firing, within_s, ("nothing",))

    async def _await(self, holds: Any, ask: Any, within_s: float, wanted: object) -> None:  # noqa: ANN401 - of alerts' names
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while not holds(found := await ask()):
            assert loop.time() < deadline, f"wanted {wanted}, found {sorted(found)}"
            await asyncio.sleep(0.25)


def a_status(*problems: str, online: bool = True) -> Status:
    """A gateway with a spool, and what it complains of."""
    spool = SpoolStatus(rows=3, bytes=900, rows_max=1_000, bytes_max=10**6)
    return Status(online=online, at=utc_now(), problems=list(problems), spool=spool)


@asynccontextmanager
async def an_installation(
    database: Database, connection: Connection, broker: TestBroker, folder: Path
) -> AsyncIterator[Installation]:
    """All processes, up and scraped; everything is ended afterwards."""
    await enrol(connection, gateways={BOX: "east", LOST_BOX: "east", REAL_BOX: "east"})
    broker.stack.set_broker_users(_PASSWORDS)
    await broker.forget_ingest_sessions()
    ports = {name: free_port() for name in (*PROCESSES, "http", "terminals")}
    async with AsyncExitStack() as stack:
        to_database = await _open(stack, FaultProxy(_port_of(database.dsn), mqtt=False, seed=1))
        to_broker = await _open(stack, FaultProxy(broker.port, mqtt=False, seed=1))
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['http']}", timeout=30)
        )
        ways = {"database": to_database.port, "broker": to_broker.port}
        settings = _settings(database, broker, {**ports, **ways}, folder)
        found = Installation(
            connection,
            database.dsn,
            broker,
            to_database,
            to_broker,
            folder,
            settings,
            ports,
            client,
        )
        _prepare_backups(found)
        stack.callback(_forget_backups, found)
        stack.push_async_callback(_end, found)
        found.prometheus = await stack.enter_async_context(
            a_prometheus(folder, ports, divisor=DIVISOR)
        )
        await found.start(*PROCESSES, RECEIVER)
        yield found
        for box in (BOX, LOST_BOX, REAL_BOX):
            await found.say(box, None)
    await broker.forget_ingest_sessions()


async def _end(found: Installation) -> None:
    await found.kill(*found.running)


def _shelf(found: Installation) -> Path:
    """Where the account of the server gets to."""
    return found.broker.stack._layout().root / "monitored-shelf"


def _prepare_backups(found: Installation) -> None:
    """The server is shared: it keeps little for this shelf, also when nobody tidies up."""
    shutil.rmtree(_shelf(found), ignore_errors=True)
    found.as_superuser(f"ALTER SYSTEM SET max_slot_wal_keep_size = '{_LOG_MB_MAX}MB'")
    found.as_superuser("SELECT pg_reload_conf()")


def _forget_backups(found: Installation) -> None:
    found.as_superuser(
        f"SELECT pg_terminate_backend(active_pid) FROM {_OUR_SLOT} AND active"  # noqa: S608 - ours
    )
    eventually(lambda: _dropped(found), within_s=120)
    found.as_superuser("ALTER SYSTEM RESET max_slot_wal_keep_size")
    found.as_superuser("SELECT pg_reload_conf()")
    shutil.rmtree(_shelf(found), ignore_errors=True)


def _dropped(found: Installation) -> bool:
    try:
        found.as_superuser(f"SELECT pg_drop_replication_slot(slot_name) FROM {_OUR_SLOT}")  # noqa: S608 - ours
    except psycopg.errors.ObjectInUse:
        return False
    return True


async def _open(stack: AsyncExitStack, proxy: FaultProxy) -> FaultProxy:
    await proxy.open()
    stack.push_async_callback(proxy.close)
    return proxy


def _port_of(dsn: str) -> int:
    return int(str(conninfo_to_dict(dsn)["port"]))


def _settings(
    database: Database,
    broker: TestBroker,
    ports: Mapping[str, int],
    folder: Path,
) -> dict[str, dict[str, str]]:
    def dsn(process: str) -> str:
        return make_conninfo(database.dsn_of(process), host="127.0.0.1", port=ports["database"])

    return {
        "ingest": {
            "INGEST_DB_DSN": dsn("ingest"),
            "INGEST_BROKER__PORT": str(ports["broker"]),
            "INGEST_BROKER_PASSWORD": broker.password_of("ingest"),
            "INGEST_BROKER__RECEIVE_WINDOW": "50",  # Full soon.
            "INGEST_BROKER__RECONNECT_S_MAX": "1",
            "INGEST_BATCH__MESSAGES_MAX": "50",
            "INGEST_THROTTLE__READINGS_PER_S": "2000",
            "INGEST_THROTTLE__BURST_READINGS": "2000",
            "INGEST_DATABASE_RETRY_S_MAX": "0.5",
            "INGEST_OBSERVATION__PORT": str(ports["ingest"]),
        },
        "judge": {
            "JUDGE_DB_DSN": dsn("judge"),
            "JUDGE_DATABASE_RETRY_S_MAX": "0.5",
            "JUDGE_OBSERVATION__PORT": str(ports["judge"]),
        },
        "dispatcher": {
            "DISPATCHER_DB_DSN": dsn("dispatcher"),
            "DISPATCHER_RETRY_MS_MAX": "500",
            "DISPATCHER_METRICS__PORT": str(ports["dispatcher"]),
        },
        "deliver": {
            "DELIVER_DB_DSN": dsn("deliver"),
            "DELIVER_ALLOWED_NETWORKS": '["127.0.0.0/8"]',
            "DELIVER_METRICS__PORT": str(ports["deliver"]),
        },
        "notify": {
            "NOTIFY_DB_DSN": dsn("notify"),
            "NOTIFY_EMAIL__HOST": "127.0.0.1",
            "NOTIFY_EMAIL__SENDER": "suifang@centre.example",
            "NOTIFY_METRICS__PORT": str(ports["notify"]),
        },
        "api": {
            "API_DB_DSN": dsn("api"),
            "API_AUTHENTICATION": "off",
            "API_PORT": str(ports["http"]),
            "API_DB_CONNECTIONS_MAX": "3",
            "API_STATEMENT_MS_MAX": "2000",
            "API_DB_WAIT_MS_MAX": "10000",
            "API_FEED__LISTENERS_MAX": "2",
            "API_OPERATIONS__SAMPLE_S": "0.5",
            "API_WEBHOOKS__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
            "API_METRICS__PORT": str(ports["api"]),
        },
        "gateway": _settings_of_the_gateway(ports, folder),
        **dict.fromkeys(_COMMANDS, _settings_of_backups(broker, ports)),
    }


def _settings_of_backups(broker: TestBroker, ports: Mapping[str, int]) -> dict[str, str]:
    stack = broker.stack
    return {
        "SUIFANG_HOME": str(stack.home),
        "SUIFANG_BACKUP_SHELF": str(stack._layout().root / "monitored-shelf"),
        "SUIFANG_BACKUP_DSN": stack.backup_dsn(),
        "SUIFANG_BACKUP_METRICS_PORT": str(ports["backup"]),
    }


def _settings_of_the_gateway(ports: Mapping[str, int], folder: Path) -> dict[str, str]:
    key = folder / "pseudonym.key"
    key.touch(mode=0o600)
    key.write_bytes(b"k" * 32)
    return {
        "GATEWAY_ID": REAL_BOX,
        "GATEWAY_CENTRE": "east",
        "GATEWAY_BROKER_HOST": "127.0.0.1",
        "GATEWAY_BROKER_PORT": str(ports["broker"]),
        "GATEWAY_BROKER_PASSWORD": _PASSWORDS[REAL_BOX],
        "GATEWAY_SPOOL": str(folder / "gateway.spool"),
        "GATEWAY_PSEUDONYM_KEY_FILE": str(key),
        "GATEWAY_CLOCK_SYNCHRONISED": "true",
        "GATEWAY_METRICS_PORT": str(ports["gateway"]),
        "GATEWAY_LISTEN_PORT": str(ports["terminals"]),
    }
