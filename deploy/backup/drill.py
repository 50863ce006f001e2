"""Rehearses the restore: into a folder of its own, started, looked at, and thrown away.

It touches no running server: the restored one listens on a socket in that folder only, and only
its own account may reach it. What it tells is what a real restore would take.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from deploy.backup.errors import BackupError
from deploy.backup.restoring import Restored, restore
from deploy.backup.shelf import Shelf
from deploy.backup.timelines import choose
from deploy.backup.tools import Tools

_CONF: Final = Path(__file__).parents[1] / "postgresql" / "postgresql.conf"
_SUPERUSER: Final = "postgres"
_RECOVER_S_MAX: Final = 24 * 3_600
_LOOK_S: Final = 0.2
_LOG: Final = "server.log"
_LOOK: Final = """
SELECT (SELECT version_num FROM alembic_version) AS revision,
       (SELECT count(*) FROM stored_reading) AS readings,
       (SELECT max(received_at) FROM stored_reading) AS newest,
       (SELECT count(*) FROM amendment WHERE gateway_id IS NOT NULL AND NOT repeats) AS contexts,
       (SELECT coalesce(sum(readings), 0) FROM gateway_retired) AS retired,
       (SELECT coalesce(sum(stored), 0) FROM gateway_day) AS stored"""


@dataclass(frozen=True, slots=True)
class Found:
    """What one restored database holds."""

    database: str
    revision: str
    readings: int
    newest_received_at: datetime | None
    conserved: bool  # Rows and the totals that were committed with them agree.


@dataclass(frozen=True, slots=True)
class Drilled:
    """What the rehearsal found, and how long it took."""

    restored: Restored
    recover_seconds: float
    log_bytes: int  # On the shelf; recovery reads what lies behind the base backup.
    databases: Sequence[Found]
    checksums_verified: bool

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        base = self.restored.base
        return {
            "base": base.folder.name,
            "base_bytes": base.bytes,
            "take_seconds": base.seconds,
            "data_bytes": self.restored.bytes,
            "log_bytes": self.log_bytes,
            "extract_seconds": self.restored.extract_seconds,
            "verify_seconds": self.restored.verify_seconds,
            "recover_seconds": self.recover_seconds,
            "instant": self.restored.instant.isoformat() if self.restored.instant else None,
            "timeline": self.restored.timeline,
            "checksums_verified": self.checksums_verified,
            "databases": [
                {
                    "database": found.database,
                    "revision": found.revision,
                    "readings": found.readings,
                    "newest_received_at": found.newest_received_at
                    and found.newest_received_at.isoformat(),
                    "conserved": found.conserved,
                }
                for found in self.databases
            ],
        }


def drill(
    shelf: Shelf,
    instant: datetime | None,
    *,
    scratch: Path | None,
    report: Callable[[str], None],
    timeline: int | None = None,
) -> Drilled:
    """Restore, start, look, verify all checksums, and throw it away.

    Args:
        shelf: Where the backups are.
        instant: Up to which; None: to the end of what was received.
        scratch: Below which there is room for the whole database; None: the system's temporary one.
        report: Is told each step.
        timeline: Which to follow; None: the newest.

    Raises:
        BackupError: Some step failed: then so would the real restore.
    """
    base, _ = choose(shelf, instant, timeline)
    tools = Tools.of_major(base.major)
    folder = Path(tempfile.mkdtemp(prefix="suifang-drill-", dir=scratch))
    tools.own(folder)
    data = folder / "data"
    try:
        report(f"restoring {base.folder.name}")
        restored = restore(shelf, data, instant, report=report, timeline=timeline)
        report("recovering")
        began_s = time.monotonic()
        _start(tools, folder, data)
        try:
            _wait_until_recovered(tools, folder, data)
            recover_seconds = round(time.monotonic() - began_s, 1)
            report("looking")
            found = _look(folder)
        finally:
            with suppress(BackupError):  # It ended already: why is what is being raised.
                tools.run(tools.command("pg_ctl", "stop", "-D", data, "-m", "fast", "-w"))
        report("verifying checksums")
        tools.run(tools.command("pg_checksums", "--check", "--pgdata", data))
        return Drilled(restored, recover_seconds, shelf.log().bytes, found, checksums_verified=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(tools: Tools, folder: Path, data: Path) -> None:
    """Start on a socket in a folder closed to others; not waiting for its recovery."""
    access = folder / "hba.conf"
    access.write_text("local all all trust\n", "ascii")
    conf = folder / "postgresql.conf"
    conf.write_text(_CONF.read_text("utf-8"), "utf-8")
    for path in (access, conf):
        tools.own(path)
    settings = {
        "config_file": conf,
        "hba_file": access,
        "data_directory": data,
        "listen_addresses": "",
        "unix_socket_directories": folder,
        "shared_buffers": "64MB",
        "max_wal_senders": "0",
        "synchronous_standby_names": "",
        "archive_mode": "off",
    }
    options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    start = ("start", "-W", "-D", data, "-l", folder / _LOG, "-o", options)
    tools.run(tools.command("pg_ctl", *start))


def _wait_until_recovered(tools: Tools, folder: Path, data: Path) -> None:
    deadline = time.monotonic() + _RECOVER_S_MAX
    while time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        with suppress(psycopg.OperationalError):  # It lets nobody in before.
            psycopg.connect(_address(folder, "postgres")).close()
            return
        try:
            tools.run(tools.command("pg_ctl", "status", "-D", data))
        except BackupError as error:
            said = (folder / _LOG).read_text("utf-8", "replace").splitlines()
            why = next((line for line in said if "] FATAL" in line), "its log says nothing")
            msg = f"the restored server does not start: {why}"
            raise BackupError(msg) from error
    msg = "the restored server does not come to the end of its recovery"
    raise BackupError(msg)


def _address(folder: Path, database: str) -> str:
    return make_conninfo("", host=str(folder), user=_SUPERUSER, dbname=database)


def _look(folder: Path) -> list[Found]:
    with psycopg.connect(_address(folder, "postgres")) as connection:
        names = [
            str(row[0])
            for row in connection.execute(
                "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
            )
        ]
    found = [
        each
        for name in sorted(names)
        if (each := _look_into(_address(folder, name), name)) is not None
    ]
    if not found:
        msg = "the restored server holds no database of Suifang's"
        raise BackupError(msg)
    return found


def _look_into(address: str, name: str) -> Found | None:
    """What a database holds; None where it is not one of ours."""
    with psycopg.connect(address, row_factory=dict_row) as connection:
        known = connection.execute("SELECT to_regclass('alembic_version') AS ours").fetchone()
        row = connection.execute(_LOOK).fetchone() if known and known["ours"] else None
    if row is None:
        return None
    return Found(
        database=name,
        revision=row["revision"],
        readings=row["readings"],
        newest_received_at=row["newest"],
        conserved=row["readings"] + row["contexts"] + row["retired"] == row["stored"],
    )
