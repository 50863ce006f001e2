"""A server that may be destroyed: a stack of its own, its backups, and what sends to it."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from deploy.embedded import postgres
from deploy.embedded.postgres import Postgres
from deploy.embedded.stack import Stack
from gateway.counters import read_counters
from ingest.db import migrate
from ingest.db.connections import connect
from tests.builders import enrol
from tests.fix_broker import TestBroker
from tests.fix_db import Database
from tests.fix_ports import free_port
from tests.fix_processes import COMMAND, Processes, eventually
from tests.fix_stack import home_of

GATEWAY, CENTRE, DATABASE = "gateway-1", "east", "drilled"
SYNCHRONOUS = "ALTER SYSTEM SET synchronous_standby_names = 'suifang_wal'"


@dataclass
class Installation:
    """One server with its backups; everything ends with ``running``."""

    stack: Stack
    processes: Processes
    dsn: str
    address: str = ""
    ledgers: list[Path] = field(default_factory=list)
    _backup_dsn: str = ""

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return Postgres(self.stack._layout()).data

    @property
    def shelf(self) -> Path:
        """Where its backups are: where its account gets to, and not in its data folder."""
        return self.stack._layout().root / "shelf"

    @property
    def spool(self) -> Path:
        """Of the gateway."""
        return self.processes.folder / f"{GATEWAY}.spool"

    def backup(self, *arguments: str | Path) -> dict[str, Any]:
        """Run one command of ``suifang backup`` and return what it says."""
        said = self.try_backup(*arguments)
        assert said.returncode == 0, said.stderr
        return dict(json.loads(said.stdout))

    def try_backup(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run one, whether it works or not."""
        return subprocess.run(
            [COMMAND, "backup", *arguments, "--json"],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def receive_log(self) -> "subprocess.Popen[str]":
        """Start the receiver of the log, and have every commit wait for it."""
        process = self.start_receiver()
        self.as_superuser(SYNCHRONOUS)
        self.as_superuser("SELECT pg_reload_conf()")
        standby = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        eventually(lambda: self.as_superuser(standby) == [(1,)], within_s=120)
        return process

    def start_receiver(self) -> "subprocess.Popen[str]":
        """Start the receiver of the log; nobody waits for it."""
        process = subprocess.Popen(
            [COMMAND, "backup", "receive"],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.running.append(process)
        return process

    def start_watch(self) -> Callable[[str], float]:
        """Start the watch over the shelf; returns what one of its metrics is now, NaN: not yet."""
        port = free_port()
        command: list[str | Path] = [
            COMMAND,
            "backup",
            "watch",
            "--port",
            str(port),
            "--every-s",
            "0.2",
        ]
        process = subprocess.Popen(
            command, env=self._environment(), stderr=subprocess.DEVNULL, text=True
        )
        self.processes.running.append(process)

        def ask(name: str) -> float:
            try:
                text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
            except httpx.HTTPError:
                return float("nan")
            lines = (line.rpartition(" ") for line in text.splitlines())
            return next(float(value) for own, _, value in lines if own == f"suifang_backup_{name}")

        return ask

    def write_log(self, segments: int) -> None:
        """Have the server fill segments of its log."""
        for _ in range(segments):
            self.as_superuser("SELECT pg_logical_emit_message(false, 'test', 'filler')")
            self.as_superuser("SELECT pg_switch_wal()")

    def as_superuser(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement of the server's administrator."""
        dsn = self.stack._dsn(self.stack._layout(), postgres.SUPERUSER, "postgres")
        with psycopg.connect(dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def ask(self, statement: str) -> Any:  # noqa: ANN401 - one value of any type
        """One value of the database."""
        with psycopg.connect(self.dsn, autocommit=True, connect_timeout=5) as connection:
            row = connection.execute(statement.encode()).fetchone()
        return row[0] if row else None

    def send(self, name: str, seconds: float) -> int:
        """Let a fleet of terminals send to the gateway; returns how many were taken."""
        self.ledgers.append(self.processes.folder / name)
        said = subprocess.run(
            [
                *(COMMAND, "simulate", "fleet", "--gateway", f"{GATEWAY}={self.address}", "--json"),
                *("--ledger", str(self.ledgers[-1]), "--rate", "60", "--seconds", str(seconds)),
                *("--terminals", "6", "--seed", str(len(self.ledgers))),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert said.returncode == 0, said.stderr
        return int(json.loads(said.stdout)["taken"])

    def waiting(self) -> int:
        """Readings in the gateway's spool that nobody has confirmed."""
        return read_counters(self.spool).waiting

    def destroy_database(self) -> None:
        """Pull the plug, and burn the disk with the data on it."""
        self.stack.signal("postgres", signal.SIGKILL)
        shutil.rmtree(self.data)

    def reconcile(self) -> dict[str, Any]:
        """Everything that was taken, against the spool and the database."""
        arguments = [part for path in self.ledgers for part in ("--ledger", str(path))]
        said = subprocess.run(
            [COMMAND, "reconcile", *arguments, "--spool", str(self.spool), "--json"],
            env={**os.environ, "SUIFANG_DB_DSN": self.dsn},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert said.stdout, said.stderr
        return dict(json.loads(said.stdout))

    def _environment(self) -> dict[str, str]:
        self._backup_dsn = self._backup_dsn or self.stack.backup_dsn()
        return {
            **os.environ,
            "SUIFANG_HOME": str(self.stack.home),
            "SUIFANG_BACKUP_SHELF": str(self.shelf),
            "SUIFANG_BACKUP_DSN": self._backup_dsn,
        }


@contextmanager
def running(
    folder: Path, make_schema: Callable[[str], None] = migrate.upgrade
) -> Iterator[Installation]:
    """Database and broker of their own, migrated; erased at the end."""
    checkout = Stack.of_checkout()
    os.environ["SUIFANG_PACKAGES"] = str(checkout.fetch())
    stack = Stack.of_checkout(home_of(checkout, "drill"))
    stack.erase()
    stack.up()
    try:
        dsn = stack.create_database(DATABASE)
        make_schema(dsn)
        broker = TestBroker(stack, stack.broker_host, stack.broker_port)
        processes = Processes(Database(DATABASE, dsn, stack), broker, folder)
        try:
            yield Installation(stack, processes, dsn)
        finally:
            _end(Installation(stack, processes, dsn))
    finally:
        stack.erase()


def _end(installation: Installation) -> None:
    """Without the receiver nobody's last commit may wait for it: that would hold the server up."""
    with suppress(psycopg.OperationalError):
        installation.as_superuser("ALTER SYSTEM RESET synchronous_standby_names")
        installation.as_superuser("SELECT pg_reload_conf()")
    installation.processes.stop_all()


async def enrol_gateway(installation: Installation) -> None:
    """Make the gateway and its centre known."""
    async with await connect(
        installation.dsn, application_name="test", autocommit=True
    ) as connection:
        await enrol(connection, gateways={GATEWAY: CENTRE})
