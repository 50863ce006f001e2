"""The private stack as one thing: up, down, status, databases, broker users.

It must never start, stop, signal or write to anything it did not make. Invariants: one command
at a time (a lock the kernel frees); every step may be cut short and repeated; passwords are made
once, kept 0600, and never on a command line, in an environment or in a log.
"""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from deploy.embedded import broker, broker_tls, logins, postgres
from deploy.embedded.broker import Broker
from deploy.embedded.errors import (
    NotReadyError,
    ServiceError,
    StackError,
)
from deploy.embedded.folders import (
    Layout,
    Report,
    hold_lock,
    make_folder,
    make_home,
    read_object,
    recall_layout,
    settle_layout,
)
from deploy.embedded.passwords import recall_or_make_password, recall_password
from deploy.embedded.ports import LOOPBACK, PortMemory
from deploy.embedded.postgres import Postgres
from deploy.embedded.processes import send_signal, wait_gone
from deploy.embedded.programs import find_broker, find_postgres
from deploy.embedded.services import as_text, describe, keep_trying, note_versions, recall_port
from deploy.embedded.status import StackStatus
from deploy.pki.folder import AuthorityFolder
from gateway.wire.times import utc_now

SERVICES: Final = (postgres.NAME, broker.NAME)
_DATABASE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_CREATE_TRIES_S_MAX: Final = 30.0
_KILL_S_MAX: Final = 10.0


def silent(_step: str) -> None:
    """Report nothing."""


class Stack:
    """PostgreSQL with TimescaleDB and Mosquitto of one checkout. Cheap to make, holds no state."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @classmethod
    def of_checkout(cls, home: Path | None = None) -> "Stack":
        """The stack below ``home``: by default ``SUIFANG_HOME``, else this checkout's ``.suifang``.

        The checkout is the nearest folder above that holds a ``pyproject.toml``, else right here.
        """
        said = os.environ.get("SUIFANG_HOME")
        chosen = home or (Path(said) if said else _find_checkout() / ".suifang")
        return cls(chosen.expanduser().resolve())

    # --- all of it -----------------------------------------------------------------------------

    def up(self, report: Report = silent) -> StackStatus:
        """Start what does not run yet; the first time, fetch and make everything."""
        make_home(self.home)
        with self._locked(report):
            layout = settle_layout(self.home)
            make_folder(layout.records, layout.account)
            self._start_postgres(layout, report)
            self._start_broker(layout, report)
            return self.status()

    def fetch(self, report: Report = silent) -> Path:
        """Have the programs ready and start nothing; returns where unpacked ones are kept.

        Another stack of the same checkout can share them by ``SUIFANG_PACKAGES``.
        """
        make_home(self.home)
        with self._locked(report):
            layout = settle_layout(self.home)
            find_postgres(layout, Postgres(layout).made_by(), report)
            find_broker(layout, report)
            return layout.packages

    def down(self, report: Report = silent) -> StackStatus:
        """Stop what runs. Data, ports and passwords stay."""
        if recall_layout(self.home) is None:
            return self.status()
        with self._locked(report):
            layout = self._layout()
            report("stopping the broker")
            Broker(layout).stop()
            report("stopping PostgreSQL")
            Postgres(layout).stop()
            return self.status()

    def status(self) -> StackStatus:
        """What runs now. Changes nothing and waits for nobody."""
        layout = recall_layout(self.home)
        versions = {} if layout is None else read_object(layout.root / "versions.json")
        return StackStatus(
            home=self.home,
            root=None if layout is None else layout.root,
            services=tuple(describe(layout, name, versions) for name in SERVICES),
            timescaledb=as_text(versions.get("timescaledb")),
        )

    def erase(self, report: Report = silent) -> None:
        """Stop everything and delete the services' folder, data and passwords included."""
        self.down(report)
        layout = recall_layout(self.home)
        if layout is None:
            return
        with self._locked(report):
            shutil.rmtree(layout.root)
            (self.home / "stack.json").unlink(missing_ok=True)

    # --- one service ---------------------------------------------------------------------------

    def start(self, service: str) -> None:
        """Start one service again, on the same port and data. Nothing happens when it runs."""
        _require_service(service)
        with self._locked(silent):
            if service == postgres.NAME:
                self._start_postgres(self._layout(), silent)
            else:
                self._start_broker(self._layout(), silent)

    def stop(self, service: str) -> None:
        """Stop one service, gently first. Nothing happens when it does not run."""
        _require_service(service)
        with self._locked(silent):
            layout = self._layout()
            (Postgres(layout) if service == postgres.NAME else Broker(layout)).stop()

    def signal(self, service: str, signum: int) -> None:
        """Signal the process we started, and no other. For fault tests: ``SIGKILL``, ``SIGSTOP``.

        After ``SIGKILL`` it is gone when this returns: a ``start`` right behind would otherwise
        still find it running and do nothing.

        Raises:
            NotReadyError: It does not run.
            ServiceError: It is killed and yet does not end.
        """
        _require_service(service)
        layout = self._layout()
        process = Postgres(layout) if service == postgres.NAME else Broker(layout)
        found = process.identity
        if found is None or not send_signal(found, signum):
            what = f"{service} does not run"
            raise NotReadyError(what)
        if signum == signal.SIGKILL and not wait_gone(found, _KILL_S_MAX):
            raise ServiceError(service, "does not end though killed", process.newest_log())

    # --- databases -----------------------------------------------------------------------------

    def dsn(self, database: str) -> str:
        """Connection address of a database for its owner, who is no superuser. Holds a password."""
        return self._dsn(self._layout(), postgres.OWNER, database)

    def process_dsn(self, process: str, database: str) -> str:
        """Connection address of a database for one process, which can do its own work only.

        Args:
            process: One of ``logins.ROLES``. Its login is made, or brought up to date.
            database: One that is migrated: migrations make the roles.
        """
        login = logins.name_of(process)
        with self._locked(silent):
            layout = self._layout()
            superuser = self._dsn(layout, postgres.SUPERUSER, "postgres")
            password = recall_or_make_password(layout, f"postgres.{login}")
            logins.make_login(superuser, postgres.OWNER, process, password)
        return self._dsn(layout, login, database)

    def backup_dsn(self) -> str:
        """Connection address for ``suifang backup``. Its login is made, or brought up to date."""
        with self._locked(silent):
            layout = self._layout()
            superuser = self._dsn(layout, postgres.SUPERUSER, "postgres")
            password = recall_or_make_password(layout, f"postgres.{logins.BACKUP}")
            logins.make_backup_login(superuser, password)
        return self._dsn(layout, logins.BACKUP, "postgres")

    def create_database(self, name: str) -> str:
        """Make a database with TimescaleDB in it, unless it exists; returns its ``dsn``."""
        layout = self._layout()
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template1").format(
            sql.Identifier(_require_database(name)), sql.Identifier(postgres.OWNER)
        )
        deadline = time.monotonic() + _CREATE_TRIES_S_MAX
        while True:
            try:
                self._as_superuser(layout, statement)
            except psycopg.errors.DuplicateDatabase:
                break
            except psycopg.errors.ObjectInUse as error:  # Somebody looks at template1.
                if time.monotonic() > deadline:
                    msg = f"template1 stays in use, so {name} cannot be made. Close what uses it"
                    raise StackError(msg) from error
                time.sleep(0.1)
            else:
                break
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Delete a database and cut its connections. Nothing happens when there is none."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._as_superuser(
            self._layout(), statement.format(sql.Identifier(_require_database(name)))
        )

    def list_databases(self) -> list[str]:
        """Databases that are ours, that is: neither PostgreSQL's own nor templates of its."""
        statement = sql.SQL(
            "SELECT datname FROM pg_database WHERE datname NOT IN "
            "('postgres', 'template0', 'template1') ORDER BY datname"
        )
        return [str(row[0]) for row in self._as_superuser(self._layout(), statement)]

    # --- broker --------------------------------------------------------------------------------

    @property
    def broker_host(self) -> str:
        """Where the broker listens."""
        return LOOPBACK

    @property
    def broker_port(self) -> int:
        """The broker's remembered port."""
        return recall_port(self._layout(), broker.NAME)

    @property
    def broker_tls_port(self) -> int:
        """The remembered port for gateways with a certificate."""
        return recall_port(self._layout(), broker_tls.PORT_NAME)

    @property
    def authority(self) -> AuthorityFolder:
        """What signs the broker's certificate, and whose certificates the broker accepts."""
        return Broker(self._layout()).tls.authority

    def broker_password(self, user: str) -> str:
        """Password of a fixed user (``broker.FIXED_USERS``), made on the first start."""
        if user not in broker.FIXED_USERS:
            msg = f"Only {', '.join(broker.FIXED_USERS)} have remembered passwords, not {user!r}"
            raise StackError(msg)
        return recall_password(self._layout(), f"broker.{user}")

    def set_broker_users(self, passwords: Mapping[str, str]) -> None:
        """Add gateways, or change their passwords, and restart the broker so that it knows them.

        Everybody is disconnected for some tens of milliseconds and comes back by itself; no
        session and no message is lost.

        Args:
            passwords: By user name, which for a gateway is its gateway id.
        """
        if reserved := sorted(set(passwords) & set(broker.FIXED_USERS)):
            msg = f"Reserved for Suifang itself: {', '.join(reserved)}. Name the gateway otherwise"
            raise StackError(msg)
        with self._locked(silent):
            layout = self._layout()
            server = Broker(layout)
            if server.set_users(passwords, find_broker(layout)) and server.identity is not None:
                server.stop()
                self._start_broker(layout, silent)

    def set_revocations(self, crl: str) -> None:
        """Give the broker a new revocation list and restart it: it reads lists at its start only.

        Args:
            crl: Of the stack's authority, PEM.

        Raises:
            ValueError: That is no revocation list.
        """
        with self._locked(silent):
            layout = self._layout()
            server = Broker(layout)
            server.tls.set_revocations(crl)
            if server.identity is not None:
                server.stop()
                self._start_broker(layout, silent)

    # --- inside --------------------------------------------------------------------------------

    @contextmanager
    def _locked(self, report: Report) -> Iterator[None]:
        if not self.home.is_dir():
            what = f"There is no stack in {self.home}"
            raise NotReadyError(what)
        with hold_lock(self.home / "stack.lock", report):
            yield

    def _layout(self) -> Layout:
        layout = recall_layout(self.home)
        if layout is None:
            what = f"There is no stack in {self.home}"
            raise NotReadyError(what)
        return layout

    def _dsn(self, layout: Layout, role: str, database: str) -> str:
        password = recall_password(layout, f"postgres.{role}")
        port = recall_port(layout, postgres.NAME)
        return f"postgresql://{role}:{password}@{LOOPBACK}:{port}/{database}"

    def _as_superuser(
        self, layout: Layout, statement: sql.SQL | sql.Composed
    ) -> list[tuple[object, ...]]:
        dsn = self._dsn(layout, postgres.SUPERUSER, "postgres")
        try:
            with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
                cursor = connection.execute(statement)
                return cursor.fetchall() if cursor.description else []
        except psycopg.OperationalError as error:
            if isinstance(error, psycopg.errors.ObjectInUse):
                raise
            what = f"PostgreSQL does not answer ({str(error).strip()})"
            raise NotReadyError(what) from error

    def _start_postgres(self, layout: Layout, report: Report) -> None:
        server = Postgres(layout)
        superuser = recall_or_make_password(layout, f"postgres.{postgres.SUPERUSER}")
        owner = recall_or_make_password(layout, f"postgres.{postgres.OWNER}")

        def ready(port: int) -> bool:
            return server.wait_ready(
                f"postgresql://{postgres.SUPERUSER}:{superuser}@{LOOPBACK}:{port}/postgres"
            )

        if server.identity is not None and ready(recall_port(layout, postgres.NAME)):
            if server.is_settled():
                return
            programs = find_postgres(layout, server.made_by())
        else:
            programs = find_postgres(layout, server.made_by(), report)
            if server.made_by() is None:
                report("making the database")
            server.make(programs, superuser)
            report(f"starting PostgreSQL {programs.version}, TimescaleDB {programs.timescaledb}")
            keep_trying(layout, postgres.NAME, lambda port: server.launch(programs, port), ready)
        server.settle(self._dsn(layout, postgres.SUPERUSER, "{}"), owner, programs)
        seen = {postgres.NAME: programs.version, "timescaledb": programs.timescaledb}
        note_versions(layout, seen | {"postgres.origin": programs.origin})

    def _start_broker(self, layout: Layout, report: Report) -> None:
        server = Broker(layout)
        memory = PortMemory(layout.ports_file)
        if memory.recall(broker_tls.PORT_NAME) is None:
            server.stop()  # It was started by a version without TLS.
        if server.identity is not None and server.wait_ready(recall_port(layout, broker.NAME)):
            return
        programs = find_broker(layout, report)
        server.make(utc_now())
        wanted = {
            user: recall_or_make_password(layout, f"broker.{user}") for user in broker.FIXED_USERS
        }
        if not server.users() >= wanted.keys():
            server.set_users(wanted, programs)
        report(f"starting Mosquitto {programs.version}")

        def launch(port: int) -> None:
            server.launch(programs, port, memory.claim(broker_tls.PORT_NAME))

        keep_trying(layout, broker.NAME, launch, server.wait_ready)
        note_versions(layout, {broker.NAME: programs.version, "broker.origin": programs.origin})


def _find_checkout() -> Path:
    here = Path.cwd()
    marked = (each for each in (here, *here.parents) if (each / "pyproject.toml").is_file())
    return next(marked, here)


def _require_service(name: str) -> None:
    if name not in SERVICES:
        msg = f"No service {name!r}. There are: {', '.join(SERVICES)}"
        raise StackError(msg)


def _require_database(name: str) -> str:
    if not _DATABASE.fullmatch(name):
        msg = f"Not a usable database name: {name!r}. Use small letters, digits and _"
        raise StackError(msg)
    return name
