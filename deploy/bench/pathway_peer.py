"""The peer Pathway, see ``pathway_program``: in an environment of its own, or not at all.

Its settings are the best of a search by hand (documented in the note of the benchmark): commits
every 200 ms, a snapshot with each of them, logging off; the broker's window is the shipped one.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from deploy.bench.contender import Watch
from deploy.bench.errors import BenchError
from deploy.bench.programs import Program
from deploy.bench.stack import BenchStack, Database
from deploy.bench.visibility import StillTable

INTERPRETER: Final = Path(sys.prefix).with_name(".venv-bench") / "bin" / "python"
SETTINGS: Final[dict[str, Any]] = {"autocommit_ms": 200, "snapshot_ms": 0, "mode": "PERSISTING"}
_PROGRAM: Final = Path(__file__).with_name("pathway_program.py")
_CLIENT_ID: Final = "bench-pathway"
_READY_S_MAX: Final = 60.0
_ASK_S_MAX: Final = 60.0
_SETTLE_S: Final = 1.0
# Pathway writes no uuid, numeric and text[]; ``id`` it keeps for itself; ``time`` and ``diff``
# it wants. What the message does not say is a default here, which costs it nothing.
_TABLE: Final = """
CREATE TABLE pathway_reading (LIKE reading);
ALTER TABLE pathway_reading RENAME id TO reading_id;
ALTER TABLE pathway_reading
    ALTER reading_id TYPE text,
    ALTER systolic TYPE bigint, ALTER diastolic TYPE bigint, ALTER glucose TYPE double precision,
    ALTER content_hash SET DEFAULT 0, ALTER centre_id SET DEFAULT 'centre-1',
    ALTER gateway_id SET DEFAULT 'gw-001', ALTER stored_record SET DEFAULT false,
    ALTER time_suspect SET DEFAULT false, ALTER status SET DEFAULT '{}',
    ADD time bigint NOT NULL, ADD diff smallint NOT NULL"""


def require_pathway() -> str:
    """The version that is installed. Raises ``BenchError``, which says how to get it."""
    how = "run: make bench-peers"
    if not INTERPRETER.exists():
        msg = f"Pathway is not installed ({INTERPRETER} is missing); {how}"
        raise BenchError(msg)
    asked = "from importlib.metadata import version; print(version('pathway'))"
    said = subprocess.run(
        [INTERPRETER, "-c", asked], capture_output=True, text=True, check=False, timeout=_ASK_S_MAX
    )
    if said.returncode:
        msg = f"{INTERPRETER} has no Pathway; {how}"
        raise BenchError(msg)
    return said.stdout.strip()


class Pathway:
    """One process with persistence on, its table without any key."""

    name = "pathway_persisted"
    table = "pathway_reading"
    part = 1
    receipts = False

    def client_ids(self) -> list[str]:
        """Its one session."""
        return [_CLIENT_ID]

    def watch(self, connection: "psycopg.Connection[tuple[object, ...]]", _readings: int) -> Watch:
        """By its table."""
        return StillTable(connection, self.table)

    @contextmanager
    def running(self, stack: BenchStack, database: Database) -> Iterator[dict[str, Program]]:
        """The process, subscribed."""
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            connection.execute(_TABLE)
        given = conninfo_to_dict(database.dsn)
        address = f"ingest:{stack.ingest_password()}@{stack.host}:{stack.port}"
        with TemporaryDirectory(prefix="persisted-", dir=stack.folder) as folder:
            settings = {
                **SETTINGS,
                "uri": f"mqtt://{address}?client_id={_CLIENT_ID}",
                "postgres": {
                    name: given[name] for name in ("host", "port", "user", "password", "dbname")
                },
                "table": self.table,
                "folder": folder,
            }
            log = _broker_log(stack)
            since_bytes = log.stat().st_size
            with Program(
                "pathway",
                [INTERPRETER, _PROGRAM],
                folder=stack.folder,
                environment={"BENCH_PATHWAY": json.dumps(settings)},
            ) as program:
                _wait_subscribed(log, program, since_bytes=since_bytes)
                yield {"pathway": program}


def _broker_log(stack: BenchStack) -> Path:
    found = {each.name: each.log for each in stack.stack.status().services}
    log = found["broker"]
    if log is None:
        msg = "the broker has no log, which alone tells when Pathway is connected"
        raise BenchError(msg)
    return log


def _wait_subscribed(log: Path, program: Program, *, since_bytes: int) -> None:
    """Until the broker has its session: it says nothing itself."""
    deadline = time.monotonic() + _READY_S_MAX
    while time.monotonic() < deadline:
        program.require_running()
        with log.open("rb") as file:
            file.seek(since_bytes)
            if f" as {_CLIENT_ID} ".encode() in file.read():
                # It subscribes right after its connection. Were it later, the broker would say
                # of the first messages that nobody hears them, and the turn would not count.
                time.sleep(_SETTLE_S)
                return
        time.sleep(0.1)
    msg = f"Pathway did not connect within {_READY_S_MAX:.0f} s; see {program.log}"
    raise BenchError(msg)
