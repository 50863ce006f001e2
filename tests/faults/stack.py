"""The harness's own broker and database: killed, frozen, starved and restarted at will.

A stack apart from every other one of the checkout, made afresh and erased at the end; two
harnesses of one checkout take turns.
"""

import fcntl
import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from deploy.embedded import postgres
from deploy.embedded.broker import Broker
from deploy.embedded.errors import ServiceError, StackError
from deploy.embedded.postgres import Postgres
from deploy.embedded.processes import Identity, identify
from deploy.embedded.stack import Stack
from ingest.db import migrate
from tests.faults.small_disk import SmallDisk
from tests.faults.workload import GATEWAYS
from tests.fix_stack import home_of

_TEMPLATE: Final = "faults_template"
_TABLESPACE: Final = "small_disk"
_START_S_MAX: Final = 60.0


class FaultStack:
    """The running stack and what only a fault may do to it. All calls block."""

    def __init__(self, stack: Stack, disk: SmallDisk) -> None:
        self._stack = stack
        self.disk = disk
        self._passwords = {gateway: secrets.token_urlsafe(16) for gateway in GATEWAYS}

    @property
    def broker_port(self) -> int:
        """Of the broker itself, behind every proxy."""
        return self._stack.broker_port

    def password_of(self, user: str) -> str:
        """At the broker."""
        return self._passwords.get(user) or self._stack.broker_password(user)

    def dsn(self, database: str) -> str:
        """The owner's."""
        return self._stack.dsn(database)

    def process_dsn(self, process: str, database: str) -> str:
        """Of one process, which can do its own work only."""
        return self._stack.process_dsn(process, database)

    def superuser_dsn(self, database: str) -> str:
        """For what the owner may not do: end sessions, take connections away."""
        return self._stack._dsn(self._stack._layout(), postgres.SUPERUSER, database)

    def prepare(self) -> None:
        """Users, the small disk and the migrated template."""
        self._stack.set_broker_users(self._passwords)
        if self.disk.mount(self._stack._layout().account):
            self._execute(
                sql.SQL("CREATE TABLESPACE {} OWNER {} LOCATION {}").format(
                    sql.Identifier(_TABLESPACE),
                    sql.Identifier(postgres.OWNER),
                    sql.Literal(str(self.disk.tablespace)),
                )
            )
        migrate.upgrade(self._stack.create_database(_TEMPLATE))

    def make_database(self, name: str) -> None:
        """A fresh database with the schema, on the small disk where there is one."""
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} {}").format(
            sql.Identifier(name),
            sql.Identifier(postgres.OWNER),
            sql.Identifier(_TEMPLATE),
            sql.SQL(f"TABLESPACE {_TABLESPACE}" if self.disk.mounted else ""),
        )
        self._execute(statement)

    def drop_database(self, name: str) -> None:
        """Delete it, whoever is still connected."""
        self._stack.drop_database(name)

    def forget_messages(self) -> None:
        """An empty broker: no session and no message of an earlier run."""
        with suppress(StackError):
            self.signal("broker", signal.SIGKILL)
        for file in Broker(self._stack._layout()).data.iterdir():
            file.unlink()
        self.start("broker")

    def signal(self, service: str, number: signal.Signals) -> None:
        """Signal the broker or the postmaster. Raises ``StackError`` when it does not run."""
        self._stack.signal(service, number)

    def start(self, service: str) -> None:
        """Start a service again, however long its predecessor takes to end."""
        deadline = time.monotonic() + _START_S_MAX
        while True:
            try:
                self._stack.start(service)
            except ServiceError:
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def stop(self, service: str) -> None:
        """Stop a service gently."""
        self._stack.stop(service)

    def postmaster(self) -> Identity | None:
        """The server process."""
        return Postgres(self._stack._layout()).identity

    def backends_of(self, database: str, application: str) -> list[Identity]:
        """The server's processes that work for some of our processes (LIKE pattern)."""
        with self.as_superuser("postgres") as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name LIKE %s",
                (database, application),
            ).fetchall()
        found = [identify(row[0]) for row in rows]
        return [each for each in found if each is not None]

    def limit_queues(self, messages_max: int | None) -> None:
        """Let the broker hold so few messages for a session (None: as shipped); restarts it."""
        file = Broker(self._stack._layout()).data.parent / "conf" / "shared" / "overflow.conf"
        if messages_max is None:
            if not file.exists():
                return
            file.unlink()
        else:
            file.write_text(f"max_queued_messages {messages_max}\nsys_interval 1\n", "ascii")
            file.chmod(0o644)
        self.stop("broker")
        self.start("broker")

    def heal(self) -> None:
        """Both services run and answer, there is room, nothing is limited."""
        self.disk.free()
        for service in ("postgres", "broker"):
            with suppress(StackError):
                self.signal(service, signal.SIGCONT)
            self.start(service)
        self.limit_queues(None)

    def erase(self) -> None:
        """Stop and delete everything."""
        self._stack.down()
        self.disk.unmount()
        self._stack.erase()

    @contextmanager
    def as_superuser(self, database: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        """An autocommit connection that may do anything."""
        dsn = self.superuser_dsn(database)
        with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
            yield connection

    def _execute(self, statement: sql.Composed) -> None:
        with self.as_superuser("postgres") as connection:
            connection.execute(statement)


@contextmanager
def a_stack() -> Iterator[FaultStack]:
    """The stack, up and empty; erased on leaving. Waits for another harness of this checkout."""
    checkout = Stack.of_checkout()
    os.environ["SUIFANG_PACKAGES"] = str(checkout.fetch())
    home = home_of(checkout, "faults")
    stack = Stack.of_checkout(home)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _erase_remains(stack)
        status = stack.up()
        assert status.root is not None
        found = FaultStack(stack, SmallDisk(Path(status.root) / "small-disk"))
        try:
            found.prepare()
            yield found
        finally:
            found.erase()


def _erase_remains(stack: Stack) -> None:
    """What a killed harness left."""
    root = stack.status().root
    if root is not None:
        FaultStack(stack, SmallDisk(root / "small-disk")).erase()
