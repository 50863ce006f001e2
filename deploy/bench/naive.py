"""The peer that one usually writes, see ``naive_program``."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from deploy.bench.contender import Watch
from deploy.bench.programs import Program
from deploy.bench.stack import BenchStack, Database
from deploy.bench.visibility import StillTable

_CLIENT_ID = "bench-naive"
_TABLE = """
CREATE TABLE naive_reading (LIKE reading);
ALTER TABLE naive_reading ADD PRIMARY KEY (id)"""
_READY_S_MAX = 30.0


class Naive:
    """One process, its table with the columns of ours and its id as the only key."""

    name = "naive"
    table = "naive_reading"
    receipts = False

    def __init__(self, part: int) -> None:
        self.part = part

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
        settings = {
            "dsn": database.dsn,
            "table": self.table,
            "host": stack.host,
            "port": stack.port,
            "client_id": _CLIENT_ID,
            "password": stack.ingest_password(),
        }
        with Program(
            "naive",
            [sys.executable, "-m", "deploy.bench.naive_program"],
            folder=stack.folder,
            environment={"BENCH_NAIVE": json.dumps(settings)},
        ) as program:
            program.wait_for("subscribed", within_s=_READY_S_MAX)
            yield {"naive": program}
