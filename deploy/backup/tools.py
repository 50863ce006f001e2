"""PostgreSQL's own programs, of the server's version, run as who may read the backups.

A password travels in the environment of the program that needs it, never on a command line.
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploy.backup.errors import BackupError
from deploy.backup.shelf import position_of
from deploy.embedded.binaries import find_host_postgres
from deploy.embedded.folders import Account, choose_account, recall_layout
from deploy.embedded.packages import Packages
from deploy.embedded.stack import Stack

RECEIVER: Final = "suifang_wal"
"""Slot and application name of who receives the log: what ``synchronous_standby_names`` names."""
TAKER: Final = "suifang_base"
"""Application name of who takes a base backup: no commit may count as received because of it."""
_SAID_CHARACTERS_MAX: Final = 600
_SIZE: Final = re.compile(r"(\d+)(kB|MB|GB|TB)?")
_UNIT_BYTES: Final = {"": 1024**2, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_VERSION_UNIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Server:
    """The server that an address leads to."""

    system: str  # Identifier of the cluster: of which server something is a backup.
    timeline: int
    position: int  # Bytes of log that it had written.
    major: int


@dataclass(frozen=True, slots=True)
class Slot:
    """The receiver's slot at the server."""

    exists: bool
    received: int | None  # Bytes of log; None: what comes next is kept no longer.


@dataclass(frozen=True, slots=True)
class Tools:
    """A folder of programs and the account they run as."""

    folder: Path
    account: Account

    @classmethod
    def of_major(cls, major: int) -> "Tools":
        """The host's, else those of the private stack.

        Raises:
            BackupError: There are none of that version.
        """
        found = find_host_postgres(major)
        if found is None and (layout := recall_layout(Stack.of_checkout().home)) is not None:
            found = Packages(layout.packages).postgres()
        folder = found.folder if found else Path(f"/usr/lib/postgresql/{major}/bin")
        if (found and found.major != major) or not (folder / "pg_basebackup").is_file():
            msg = f"no programs of PostgreSQL {major} here: apt install postgresql-client-{major}"
            raise BackupError(msg)
        return cls(folder, choose_account())

    def command(self, program: str, *arguments: str | Path) -> list[str]:
        """A command line of one of the programs."""
        return [str(self.folder / program), *map(str, arguments)]

    def run(
        self, command: Sequence[str], *, dsn: str | None = None, loud: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end. It may take hours: it reports progress, and is stopped by a signal.

        Args:
            command: Of a program here, or of the system.
            dsn: Whose password it needs.
            loud: Its own progress goes to stderr.

        Raises:
            BackupError: It failed; the end of what it said.
        """
        done = subprocess.run(  # noqa: S603 - PostgreSQL's programs; the arguments are ours
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if loud else subprocess.PIPE,
            text=True,
            errors="replace",
            cwd="/",
            env=environment(dsn),
            umask=0o077,
            check=False,
            **self.demoted,
        )
        if done.returncode != 0:
            said = (done.stdout + (done.stderr or "")).strip()[-_SAID_CHARACTERS_MAX:]
            msg = f"{Path(command[0]).name} failed: {said or 'its own words stand above'}"
            raise BackupError(msg)
        return done

    @property
    def demoted(self) -> dict[str, Any]:
        """Whom ``subprocess`` shall run a program as, when we are root."""
        if not self.account.dropped:
            return {}
        return {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give a file or folder to the account."""
        if self.account.dropped:
            os.chown(path, self.account.uid, self.account.gid)


def environment(dsn: str | None) -> Mapping[str, str]:
    """Nearly empty, so that no setting of the caller's shell reaches a program."""
    found = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    password = conninfo_to_dict(dsn).get("password") if dsn else None
    return found | {"PGPASSWORD": str(password)} if password else found


def without_password(dsn: str, application_name: str) -> str:
    """What may stand on a command line. A backup is of the whole server, so no database, either."""
    parts = conninfo_to_dict(dsn)
    for name in ("password", "dbname"):
        parts.pop(name, None)
    return make_conninfo("", **(parts | {"application_name": application_name}))


def ask_server(dsn: str) -> Server:
    """Ask the server who it is, over a connection of the kind that backups use.

    Raises:
        BackupError: It cannot be reached, or does not let us in.
    """
    row, major = _ask(dsn, "IDENTIFY_SYSTEM")
    return Server(
        system=_text(row[0]),
        timeline=int(_text(row[1])),
        position=position_of(_text(row[2])),
        major=major,
    )


def ask_slot(dsn: str) -> Slot:
    """Ask how far the log was received. Ours is made to keep the log from its first moment on.

    Raises:
        BackupError: The server cannot be reached, or does not let us in.
    """
    row, _ = _ask(dsn, f"READ_REPLICATION_SLOT {RECEIVER}")
    return Slot(
        exists=row[0] is not None,
        received=None if row[1] is None else position_of(_text(row[1])),
    )


def ask_kept_bytes_max(dsn: str) -> float:
    """Ask how much log the server keeps for a slot, bytes; infinity: as much as its disk holds.

    Raises:
        BackupError: The server cannot be reached, or does not let us in.
    """
    row, _ = _ask(dsn, "SHOW max_slot_wal_keep_size")
    return read_size(_text(row[0]))


def read_size(text: str) -> float:
    """Bytes of a size as PostgreSQL shows one that it counts in megabytes; -1 is no limit.

    >>> read_size("16GB"), read_size("-1")
    (17179869184, inf)
    """
    found = _SIZE.fullmatch(text)
    return int(found[1]) * _UNIT_BYTES[found[2] or ""] if found else float("inf")


def make_slot(dsn: str) -> None:
    """Make the receiver's slot. From now on the log is kept for it (pg_receivewal's own is not so).

    Raises:
        BackupError: The server cannot be reached, has one, or has no room for it.
    """
    _ask(dsn, f"CREATE_REPLICATION_SLOT {RECEIVER} PHYSICAL RESERVE_WAL")


def _ask(dsn: str, command: LiteralString) -> tuple[tuple[Any, ...], int]:
    """One row of the replication protocol, and the server's major version."""
    try:
        with psycopg.connect(
            dsn, replication="true", autocommit=True, connect_timeout=10
        ) as connection:
            row = connection.execute(command).fetchone()
            major = connection.info.server_version // _VERSION_UNIT
    except psycopg.Error as error:
        msg = f"the server does not let a backup in ({' '.join(str(error).split())})"
        raise BackupError(msg) from error
    if row is None:
        msg = f"the server does not answer {command}"
        raise BackupError(msg)
    return row, major


def _text(value: object) -> str:
    """What the replication protocol says comes without types, as bytes."""
    return value.decode("ascii") if isinstance(value, bytes) else str(value)
