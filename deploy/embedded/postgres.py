"""The private PostgreSQL with TimescaleDB: made once, started, asked, stopped.

It listens on loopback TCP only (no Unix socket: its path may not be longer than 107 bytes).
Invariants: a data folder is whole or absent; the role ``suifang`` that owns the databases is no
superuser; TimescaleDB is part of ``template1``, because only a superuser could add it later.
"""

import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from deploy.embedded.binaries import PostgresBinaries
from deploy.embedded.errors import ServiceError, StateError
from deploy.embedded.folders import Layout, make_folder, write_private
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.processes import (
    Identity,
    is_alive,
    read_boot_id,
    read_record,
    run_as,
    spawn,
    stop,
    tail,
)

NAME: Final = "postgres"
OWNER: Final = "suifang"
SUPERUSER: Final = "postgres"
_SHIPPED: Final = Path(__file__).parents[1] / "postgresql"
_INIT_S_MAX: Final = 120.0
_START_S_MAX: Final = 60.0  # Replaying the log after a crash takes time.
# SIGINT is a fast shutdown (clients are cut, data is written), SIGQUIT an immediate one.
_STOP: Final = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))


class Postgres:
    """One data folder and the server on it. Call what changes it with the stack's lock held."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._folder = layout.root / NAME
        self.data = self._folder / "data"
        self.log = self._folder / "log" / "server.log"
        self._record = layout.records / f"{NAME}.record"
        self._settled = self._folder / "settled"

    @property
    def identity(self) -> Identity | None:
        """The server process; None when it does not run."""
        found = read_record(self._record)
        return found if is_alive(found) else None

    def made_by(self) -> int | None:
        """Which PostgreSQL made the data folder; None before there is one."""
        try:
            return int((self.data / "PG_VERSION").read_text("ascii"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            msg = f"{self.data} is no data folder of PostgreSQL; move it away"
            raise StateError(msg) from error

    def make(self, binaries: PostgresBinaries, superuser_password: str) -> None:
        """Make the data folder, unless there is one. A half-made one is thrown away."""
        account = self._layout.account
        make_folder(self._folder, account, passable=True)
        make_folder(self._folder / "conf", account, passable=True)
        make_folder(self._folder / "log", account, services=True)
        make_folder(self._folder / "making", account, services=True)
        if self.data.exists():
            return
        self._settled.unlink(missing_ok=True)
        for remains in (self._folder / "making").iterdir():  # Its maker may still be ending.
            shutil.rmtree(remains, ignore_errors=True)
        fresh = self._folder / "making" / secrets.token_hex(4)
        password = self._folder / "conf" / "superuser"
        write_private(password, superuser_password + "\n", account)
        try:
            answer = run_as(
                account,
                [
                    binaries.folder / "initdb",
                    *("--username", SUPERUSER, "--pwfile", password, "--auth", "scram-sha-256"),
                    *("--encoding", "UTF8", "--data-checksums"),
                    *_locale(binaries),
                    *("--pgdata", fresh),
                ],
                timeout_s=_INIT_S_MAX,
            )
        except subprocess.TimeoutExpired as error:
            raise ServiceError(NAME, "cannot make its data folder in time", fresh) from error
        finally:
            password.unlink(missing_ok=True)
        if answer.returncode != 0:
            raise ServiceError(
                NAME, "cannot make its data folder", fresh, (answer.stdout + answer.stderr).strip()
            )
        fresh.rename(self.data)

    def launch(self, binaries: PostgresBinaries, port: int) -> None:
        """Start the server on the data folder; ``wait_ready`` says when it answers."""
        if binaries.major != self.made_by():
            msg = (
                f"{self.data} was made by PostgreSQL {self.made_by()}, here is {binaries.version}. "
                f"Install PostgreSQL {self.made_by()} with TimescaleDB, or move the folder away"
            )
            raise StateError(msg)
        self._forget_lock_of_another_boot()
        conf = self._folder / "conf"
        for name in ("postgresql.conf", "pg_hba.conf"):
            text = (_SHIPPED / name).read_text("utf-8")
            write_private(conf / name, text, self._layout.account)
        settings = {
            "config_file": conf / "postgresql.conf",
            "hba_file": conf / "pg_hba.conf",
            "data_directory": self.data,
            "listen_addresses": LOOPBACK,
            "port": port,
            "unix_socket_directories": "",
            "logging_collector": "on",
            "log_directory": self._folder / "log",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        spawn(
            NAME,
            [binaries.folder / "postgres", "-D", self.data, *options],
            record=self._record,
            log=self.log,
            account=self._layout.account,
        )

    def wait_ready(self, dsn: str) -> bool:
        """Wait until *this* server answers. False when it ended instead (port taken, no memory).

        Raises:
            ServiceError: It runs but does not answer in time.
        """
        deadline = time.monotonic() + _START_S_MAX
        while time.monotonic() < deadline:
            if self.identity is None:
                return False
            try:
                with psycopg.connect(dsn, connect_timeout=2, autocommit=True) as connection:
                    connection.execute("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        raise ServiceError(NAME, "does not answer", self.newest_log(), self.why())

    def settle(self, dsn: str, owner_password: str, binaries: PostgresBinaries) -> None:
        """Make the owner and TimescaleDB in ``template1``; bring older databases up to date.

        Every step may be repeated. Done once per version of TimescaleDB.

        Args:
            dsn: The superuser's, with ``{}`` in place of the database.
            owner_password: What the role ``suifang`` will use.
            binaries: The programs that run.
        """
        mark = f"{binaries.timescaledb}\n"
        if self._settled.exists() and self._settled.read_text("ascii") == mark:
            return
        with psycopg.connect(dsn.format("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER])
            verb = "ALTER" if known.fetchone() else "CREATE"
            # The next statement holds the password: it must not be logged, slow or failed.
            connection.execute("SET log_min_duration_statement = -1")
            connection.execute("SET log_min_error_statement = panic")
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {}").format(
                    sql.SQL(verb), sql.Identifier(OWNER), sql.Literal(owner_password)
                )
            )
            databases = [
                str(row[0])
                for row in connection.execute("SELECT datname FROM pg_database WHERE datallowconn")
            ]
        with psycopg.connect(dsn.format("template1"), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        for database in databases:
            _update_extension(dsn.format(database), binaries.timescaledb)
        write_private(self._settled, mark)

    def is_settled(self) -> bool:
        """Whether ``settle`` once came to its end."""
        return self._settled.exists()

    def why(self) -> str:
        """The last lines of what it wrote, for an error message."""
        return tail(self.newest_log())

    def stop(self) -> None:
        """Stop the server, gently first. Nothing happens when it does not run."""
        found = self.identity
        if found is not None and not stop(found, _STOP):
            raise ServiceError(NAME, "does not stop", self.newest_log(), self.why())

    def newest_log(self) -> Path:
        """The log written to last: the collector's once it runs, else what came before it."""
        logs = sorted(self.log.parent.glob("*.log"), key=lambda each: each.stat().st_mtime)
        return logs[-1] if logs else self.log

    def _forget_lock_of_another_boot(self) -> None:
        """Remove ``postmaster.pid`` when it is older than this boot.

        Its number may belong to another program of ours by now, and PostgreSQL would then
        refuse to start. Within one boot it stays: it guards against a server still ending.
        """
        found = read_record(self._record)
        if found is not None and found.boot_id != read_boot_id():
            (self.data / "postmaster.pid").unlink(missing_ok=True)


def _locale(binaries: PostgresBinaries) -> Sequence[str]:
    """C.UTF-8 by PostgreSQL itself where it can: an upgrade of the C library re-sorts nothing."""
    if binaries.major >= 17:  # noqa: PLR2004 - the first with the builtin provider
        return (
            "--locale",
            "C.UTF-8",
            "--locale-provider",
            "builtin",
            "--builtin-locale",
            "C.UTF-8",
        )
    return ("--locale", "C.UTF-8")


def _update_extension(dsn: str, version: str) -> None:
    # The first statement of a fresh session, as TimescaleDB demands.
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone()
    if row is None or row[0] == version:
        return
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER EXTENSION timescaledb UPDATE")
