"""The database, asked as each process would ask it: versions, settings, roles, schema, clock.

It reads only, and works as nobody but who the process would be. Its words are ours or PostgreSQL's
own; a connection string is never shown.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import psycopg

from deploy.doctor.findings import Finding, failed, fine, warned
from deploy.doctor.processes import Settings
from gateway.wire.times import Clock
from ingest.db import migrate, revisions
from ingest.db.connections import Connection, ProcessRole, connect
from ingest.db.errors import DatabaseError

_AREA: Final = "database"
ROLES: Final[Mapping[str, str]] = {
    "ingest": ProcessRole.INGEST,
    "judge": ProcessRole.JUDGE,
    "dispatcher": ProcessRole.DISPATCH,
    "deliver": ProcessRole.DELIVER,
    "notify": ProcessRole.NOTIFY,
    "api": "suifang_api_process",
}
POSTGRES_MIN: Final = 150_000  # As PostgreSQL writes its own version.
TIMESCALE_MIN: Final = (2, 11)
_CONNECTIONS_MIN: Final = 50
_CLOCK_APART_S_MAX: Final = 2.0
_WAITING: Final = "SELECT waiting_since FROM notify_lag(%s)"
_WAITING_S_MAX: Final = 60.0  # As SuifangNotifierLagging.
_FACTS: Final = """
SELECT current_setting('server_version_num')::int,
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
       (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())"""
"""The last is its clock at our login, a moment ago."""
_WANTED: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "fsync": (frozenset({"on"}), "readings that were acknowledged would be lost"),
    "full_page_writes": (frozenset({"on"}), "a power cut could tear pages"),
    "synchronous_commit": (
        frozenset({"on", "remote_apply", "remote_write", "local"}),
        "readings that were acknowledged would be lost",
    ),
    "password_encryption": (frozenset({"scram-sha-256"}), "passwords would be kept weakly"),
}
"""What deploy/postgresql/postgresql.conf says, as far as safety rests on it."""


async def check_database(settings: Settings, owner: str | None, clock: Clock) -> list[Finding]:
    """Every process's way in; then what one of them sees of the server.

    Args:
        settings: Of the processes.
        owner: The schema owner's connection string (``--database``), if given.
        clock: Ours, which is compared with the database's.
    """
    findings = []
    addresses = {name: each.db_dsn.get_secret_value() for name, each in settings.items()}
    for name, dsn in addresses.items():
        findings.append(await _check_way_in(name, dsn))
    reachable = [owner, *addresses.values()]
    for dsn in [each for each in reachable if each is not None]:
        try:
            async with await connect(
                dsn, application_name="suifang-doctor", autocommit=True
            ) as open_:
                findings.extend(await _check_server(open_, clock))
        except DatabaseError:
            continue  # Told above, process by process.
        break
    reads_revision = owner or addresses.get("api")
    if reads_revision is not None:
        findings.append(await _check_schema(reads_revision, is_owner=owner is not None))
    if "api" in addresses:
        findings += await _check_telling(addresses["api"], clock(), by_whom="notify" in settings)
    return findings


async def _check_way_in(name: str, dsn: str) -> Finding:
    """Log in as the process does, and become what it becomes."""
    role = ROLES[name]
    try:
        async with await connect(dsn, application_name="suifang-doctor", autocommit=True) as open_:
            await open_.execute("SELECT set_config('role', %s, false)", (role,))
            user = open_.info.user
    except psycopg.errors.InvalidParameterValue:
        return failed(_AREA, name, f"there is no role {role}", "suifang migrate up")
    except psycopg.errors.InsufficientPrivilege:
        remedy = f"GRANT {role} TO that login (docs/security.md, the database)"
        return failed(_AREA, name, f"its login may not work as {role}", remedy)
    except DatabaseError as error:
        remedy = f"correct {name.upper()}_DB_DSN, or start the database"
        return failed(_AREA, name, _first_line(error), remedy)
    return fine(_AREA, name, f"{user} logs in and works as {role}")


async def _check_server(connection: Connection, clock: Clock) -> list[Finding]:
    row = await (await connection.execute(_FACTS)).fetchone()
    if row is None:
        return []
    version, timescale, their_time = row
    apart_s = abs((their_time - clock()).total_seconds())
    findings = [_judge_postgres(int(version)), judge_timescale(timescale)]
    for name, (good, because) in _WANTED.items():
        found = await (await connection.execute("SELECT current_setting(%s)", (name,))).fetchone()
        value = "" if found is None else str(found[0])
        if value in good:
            findings.append(fine(_AREA, name, f"{name} = {value}"))
        else:
            remedy = f"set {name} = on as deploy/postgresql/postgresql.conf says, then reload"
            remedy = remedy if "on" in good else remedy.replace("= on", f"= {min(good)}")
            findings.append(failed(_AREA, name, f"{name} = {value}: {because}", remedy))
    found = await (await connection.execute("SHOW max_connections")).fetchone()
    connections = 0 if found is None else int(found[0])
    if connections < _CONNECTIONS_MIN:
        remedy = "max_connections = 100 in postgresql.conf, then restart it"
        findings.append(warned(_AREA, "max_connections", f"{connections} at most", remedy))
    else:
        findings.append(fine(_AREA, "max_connections", f"{connections} at most"))
    if apart_s > _CLOCK_APART_S_MAX:
        told = f"its clock and this machine's are {apart_s:.0f} s apart"
        findings.append(warned(_AREA, "clock", told, "let both follow a time server"))
    else:
        findings.append(fine(_AREA, "clock", f"within {apart_s:.1f} s of this machine's"))
    return findings


def _judge_postgres(version: int) -> Finding:
    told = f"PostgreSQL {version // 10_000}.{version % 10_000}"
    if version < POSTGRES_MIN:
        return failed(_AREA, "postgresql", told, "upgrade to PostgreSQL 15 or later")
    return fine(_AREA, "postgresql", told)


def judge_timescale(version: str | None) -> Finding:
    """Whether the extension is there and new enough."""
    if version is None:
        remedy = "install TimescaleDB for this server, then suifang migrate up"
        return failed(_AREA, "timescaledb", "TimescaleDB is not in this database", remedy)
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if parts < TIMESCALE_MIN:
        remedy = "install a later TimescaleDB, then ALTER EXTENSION timescaledb UPDATE"
        return failed(_AREA, "timescaledb", f"TimescaleDB {version}", remedy)
    return fine(_AREA, "timescaledb", f"TimescaleDB {version}")


async def _check_schema(dsn: str, *, is_owner: bool) -> Finding:
    remedy = 'stop the processes, then suifang migrate up --database "$DSN"'
    newest = revisions.newest()
    try:
        if is_owner:
            found = await asyncio.to_thread(migrate.current, dsn)
        else:
            found = await _read_revision(dsn)
    except (DatabaseError, psycopg.Error) as error:
        return failed(_AREA, "schema", _first_line(error), remedy)
    if found == newest:
        return fine(_AREA, "schema", f"at {found}, the newest")
    told = f"the schema is at {found or 'nothing yet'}, this program wants {newest}"
    return failed(_AREA, "schema", told, remedy)


async def _read_revision(dsn: str) -> str | None:
    async with await connect(dsn, application_name="suifang-doctor", autocommit=True) as open_:
        await open_.execute("SELECT set_config('role', %s, false)", (ROLES["api"],))
        row = await (await open_.execute("SELECT version_num FROM alembic_version")).fetchone()
        return None if row is None else str(row[0])


async def _check_telling(dsn: str, now: datetime, *, by_whom: bool) -> list[Finding]:
    """Whether alerts that page wait; where nobody runs a notifier this is the one who says so."""
    try:
        async with await connect(dsn, application_name="suifang-doctor", autocommit=True) as open_:
            await open_.execute("SELECT set_config('role', %s, false)", (ROLES["api"],))
            row = await (await open_.execute(_WAITING, (now,))).fetchone()
    except (DatabaseError, psycopg.Error):
        return []  # Told above: no way in, or no schema.
    since = None if row is None else row[0]
    waited_s = 0.0 if since is None else (now - since).total_seconds()
    if waited_s <= _WAITING_S_MAX:
        return [fine(_AREA, "telling", "no alert that pages waits to be told")]
    told = f"an alert that pages has waited to be told since {since:%Y-%m-%dT%H:%MZ}"
    if by_whom:
        remedy = "start suifang notify, or see its log (docs/runbooks/nobody-told.md)"
        return [failed(_AREA, "telling", told, remedy)]
    remedy = "set a channel and start suifang notify (docs/alerts.md); until then watch the console"
    return [warned(_AREA, "telling", f"{told}, and nobody runs a notifier", remedy)]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
