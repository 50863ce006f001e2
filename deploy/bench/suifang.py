"""Our own way: the real ``suifang ingest``, as an operator starts it, with receipts on."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psycopg

from deploy.bench.contender import Watch
from deploy.bench.programs import Program
from deploy.bench.stack import BenchStack, Database
from ingest.settings import BrokerSettings

COMMAND: Final = Path(sys.executable).with_name("suifang")
_READY_S_MAX: Final = 30.0
_STORED: Final = "SELECT coalesce(sum(stored), 0)::bigint FROM gateway_day"


class _Stored:
    """Reads the totals that ingest writes in the transaction that they count."""

    def __init__(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        self._connection = connection
        self._seen_at_s = 0.0
        self._before = 0
        self._before = self.visible()

    def visible(self) -> int:
        """The readings of all transactions committed since it began to look."""
        row = self._connection.execute(_STORED).fetchone()
        self._seen_at_s = time.monotonic()
        return (int(str(row[0])) if row else 0) - self._before

    def seen_at_s(self) -> float:
        """When it was looked last."""
        return self._seen_at_s


class Suifang:
    """One or more ingest workers; judge and dispatcher beside them when asked for."""

    table = "reading"
    part = 1
    receipts = True

    def __init__(
        self,
        name: str = "suifang",
        *,
        workers: int = 1,
        judge: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._workers = workers
        self._judge = judge
        self._environment = dict(environment or {})

    def client_ids(self) -> list[str]:
        """Of every session that a worker has or had."""
        workers = [BrokerSettings(client_id=f"ingest-{n}") for n in range(max(self._workers, 2))]
        return [id_ for worker in workers for id_ in (*worker.live_ids, worker.backlog_id)]

    def watch(self, connection: "psycopg.Connection[tuple[object, ...]]", _readings: int) -> Watch:
        """By the totals of all gateways: 200 rows."""
        return _Stored(connection)

    @contextmanager
    def running(self, stack: BenchStack, database: Database) -> Iterator[dict[str, Program]]:
        """The workers, subscribed."""
        with ExitStack() as programs:
            found: dict[str, Program] = {}
            for number in range(self._workers):
                name = "ingest" if self._workers == 1 else f"ingest-{number}"
                found[name] = programs.enter_context(
                    Program(
                        name,
                        [COMMAND, "ingest"],
                        folder=stack.folder,
                        environment=self._settings(stack, database, number),
                    )
                )
            for program in found.values():
                program.wait_for(None, within_s=_READY_S_MAX)
            if self._judge:
                for name, setting in (
                    ("judge", "JUDGE_DB_DSN"),
                    ("dispatcher", "DISPATCHER_DB_DSN"),
                ):
                    found[name] = programs.enter_context(
                        Program(
                            name,
                            [COMMAND, name],
                            folder=stack.folder,
                            environment={setting: stack.stack.process_dsn(name, database.name)},
                        )
                    )
            yield found

    def _settings(self, stack: BenchStack, database: Database, number: int) -> dict[str, str]:
        return {
            "INGEST_DB_DSN": stack.stack.process_dsn("ingest", database.name),
            "INGEST_BROKER_PASSWORD": stack.ingest_password(),
            "INGEST_BROKER__HOST": stack.host,
            "INGEST_BROKER__PORT": str(stack.port),
            "INGEST_BROKER__CLIENT_ID": f"ingest-{number}",
            **self._environment,
        }
