"""The benchmark's own broker and database: its own home, its own users, fresh databases.

Nothing that a turn leaves behind may touch the next one: each gets a database cloned from a
template (schema, places, residents), and the sessions at the broker are ended in between.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from deploy.bench.connections import forget_session
from deploy.bench.errors import BenchError
from deploy.bench.settings import BenchSettings
from deploy.embedded.errors import NotReadyError
from deploy.embedded.sole import sole_stack
from deploy.embedded.stack import Stack
from gateway.wire.times import Clock
from ingest.db import migrate, residents
from ingest.db.connections import connect
from simulators.load.traffic import list_residents, list_sites

_TEMPLATE: Final = "bench_template"
_PREFIX: Final = "bench_"
_PASSWORD_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Database:
    """One turn's database."""

    name: str
    dsn: str


@dataclass(slots=True)
class BenchStack:
    """Where the services are. Made by ``running``."""

    stack: Stack
    settings: BenchSettings
    folder: Path
    passwords: dict[str, str] = field(default_factory=dict)
    _made: int = 0

    @property
    def host(self) -> str:
        """Of the broker."""
        return self.stack.broker_host

    @property
    def port(self) -> int:
        """Of the broker."""
        return self.stack.broker_port

    def pid_of(self, service: str) -> int:
        """The process of ``postgres`` or ``broker``."""
        found = {each.name: each.pid for each in self.stack.status().services}
        return found[service] or 0

    def require_running(self, services: Sequence[str]) -> None:
        """Raise ``BenchError`` when one of these services has ended."""
        for service in self.stack.status().services:
            if service.name in services and not service.running:
                msg = f"{service.name} ended; see {service.log}"
                raise BenchError(msg)

    def ingest_password(self) -> str:
        """Of the broker's user for everybody who reads readings."""
        return self.stack.broker_password("ingest")

    @contextmanager
    def fresh_database(self, contender: str) -> Iterator[Database]:
        """A clone of the template; dropped afterwards (which also makes a checkpoint)."""
        self._made += 1
        name = f"{_PREFIX}{contender}_{self._made}"
        self.stack.drop_database(name)
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(_TEMPLATE)
        )
        with psycopg.connect(self.stack.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement)
        try:
            yield Database(name, self.stack.dsn(name))
        finally:
            with suppress(NotReadyError):  # A server that is gone; its next start clears it away.
                self.stack.drop_database(name)

    def forget_sessions(self, client_ids: Sequence[str]) -> None:
        """End what earlier turns left at the broker, with the messages in it."""
        for client_id in client_ids:
            forget_session(
                self.host, self.port, client_id, user="ingest", password=self.ingest_password()
            )


@contextmanager
def running(
    settings: BenchSettings,
    clock: Clock,
    report: Callable[[str], None],
    *,
    afresh: bool = False,
) -> Iterator[BenchStack]:
    """The stack up, users made, template ready; see ``sole_stack``."""
    with sole_stack(
        settings.home, checkout=settings.checkout, report=report, afresh=afresh
    ) as stack:
        folder = settings.home / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        for log in folder.glob("*.log"):
            log.unlink()
        found = BenchStack(stack, settings, folder)
        report("making the gateways' users")
        sites = list_sites(settings.gateways, settings.centres)
        found.passwords = {
            site.gateway_id: secrets.token_urlsafe(_PASSWORD_BYTES) for site in sites
        }
        stack.set_broker_users(found.passwords)
        report("making the database template")
        _make_template(stack, settings, clock)
        yield found


def _make_template(stack: Stack, settings: BenchSettings, clock: Clock) -> None:
    for name in stack.list_databases():
        if name.startswith(_PREFIX):
            stack.drop_database(name)
    dsn = stack.create_database(_TEMPLATE)
    migrate.upgrade(dsn)
    asyncio.run(_load(dsn, settings, clock))


async def _load(dsn: str, settings: BenchSettings, clock: Clock) -> None:
    """Places and residents, known before their readings come, as they are in a city."""
    sites = list_sites(settings.gateways, settings.centres)
    centres = sorted({site.centre_id for site in sites})
    population = residents.Population(
        centres=[residents.Centre(id=centre, name=centre) for centre in centres],
        gateways=[
            residents.GatewayRecord(id=site.gateway_id, centre_id=site.centre_id) for site in sites
        ],
    )
    async with await connect(dsn, application_name="bench-load", autocommit=True) as connection:
        await residents.load(connection, population, at=clock())
        await residents.insert_stubs(connection, list_residents(settings.residents), at=clock())
        await connection.execute("VACUUM ANALYZE")
