"""Promise: who saw or changed whom is written down before it is shown, and stays as it was written.

Tampering is done as the owner of the tables, with the guard trigger off: what an administrator
could do.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg import errors
from pydantic import SecretStr
from typer.testing import CliRunner

from api.app import create_app
from api.audit.cli import app as audit_cli
from api.audit.log import AuditLog
from api.audit.settings import AuditSettings
from api.auth.permissions import Role
from api.auth.principal import Principal
from api.auth.settings import AuthSettings
from api.database import Database
from api.errors import UnavailableError
from api.settings import ApiSettings
from gateway.wire.times import utc_now
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError
from tests.fix_db import Database as Fresh
from tests.integration.running_api import running
from tests.integration.security_world import NOW, SEEN, build_world
from tests.tokens import ISSUER, Signer

SIGNER = Signer()
DOCTOR = SEEN["doctor of n1"][0]


@pytest.fixture
async def owner(connection: Connection) -> Connection:
    """The owner's connection, in a database with a world."""
    await build_world(connection)
    return connection


@pytest.fixture
async def api(database: Fresh) -> AsyncIterator[Database]:
    """The API's way into that database."""
    async with Database(ApiSettings(db_dsn=SecretStr(database.dsn))) as opened:
        yield opened


def a_log(api: Database, dsn: str, **settings: Any) -> AuditLog:  # noqa: ANN401 - of any type
    audit = AuditSettings(**settings)
    return AuditLog(ApiSettings(db_dsn=SecretStr(dsn), audit=audit), api, utc_now)


@pytest.fixture
async def log(api: Database, database: Fresh) -> AsyncIterator[AuditLog]:
    """One that writes; sealing is done by hand."""
    found = a_log(api, database.dsn, sealed_entries_max=3)
    writer = asyncio.create_task(found._run_writer())
    yield found
    writer.cancel()
    await asyncio.wait([writer])


async def entries(owner: Connection) -> list[tuple[Any, ...]]:
    cursor = await owner.execute(
        "SELECT e.subject, e.action, e.object, ARRAY(SELECT resident_id FROM audit_handle "
        "WHERE handle = ANY(e.handles) ORDER BY 1), e.things FROM audit_entry e ORDER BY e.id"
    )
    return await cursor.fetchall()


def run(database: Fresh, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(audit_cli, [*arguments, "--database", database.dsn, "--json"])
    found: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, found


async def verify(database: Fresh, *arguments: str) -> dict[str, Any]:
    code, found = await asyncio.to_thread(run, database, "verify", *arguments)
    assert code == (0 if found["holds"] else 1)
    return found


# --- what is written -----------------------------------------------------------------------------


async def test_a_change_is_noted_in_its_own_transaction_whoever_forgets_to(
    api: Database, owner: Connection
) -> None:
    contracts = SEEN["contract system"][0]
    async with api.writing(contracts, at=NOW) as connection:
        await connection.execute("UPDATE resident SET sex = 'male' WHERE id IN ('anna', 'ben')")
        await connection.execute("UPDATE resident SET sex = 'male' WHERE id = 'nobody'")
        await connection.execute("INSERT INTO team VALUES ('n3', 'north', 'N3')")
    with pytest.raises(UnstorableError):  # noqa: PT012 - the transaction is the point
        async with api.writing(contracts, at=NOW) as connection:
            await connection.execute("UPDATE resident SET sex = 'male' WHERE id = 'carl'")
            await connection.execute("UPDATE resident SET sex = 'other'")

    assert await entries(owner) == [
        (contracts.subject, "update", "resident", ["anna", "ben"], []),
        (contracts.subject, "insert", "team", [], ["n3"]),
    ]
    cursor = await owner.execute("SELECT DISTINCT at FROM audit_entry")
    assert await cursor.fetchall() == [(NOW,)]


async def test_what_no_person_does_is_not_noted(owner: Connection) -> None:
    await owner.execute("UPDATE resident SET sex = 'male'")  # As ingest and the judge would.

    assert await entries(owner) == []


async def test_a_page_is_noted_before_it_is_shown(
    database: Fresh, owner: Connection, tmp_path: Path
) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_bytes(SIGNER.jwks())
    settings = ApiSettings(
        db_dsn=SecretStr(database.dsn), auth=AuthSettings(issuer=ISSUER, jwks_file=keys)
    )
    app = create_app(settings, lambda: NOW)
    headers = {"Authorization": f"Bearer {SIGNER.sign()}"}
    async with (
        running(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api", headers=headers, timeout=20
        ) as client,
    ):
        for path in ("/v1/cases", "/v1/alerts", "/v1/residents/anna/readings"):
            (await client.get(path)).raise_for_status()
        assert (await client.get("/v1/residents/carl/readings")).status_code == 404
        assert (await client.get("/v1/cases?condition=hypertension")).json()["items"] == []
        found = await entries(owner)
        await owner.execute("ALTER TABLE audit_entry RENAME TO away")
        refused = await client.get("/v1/cases")
        await owner.execute("ALTER TABLE away RENAME TO audit_entry")

    assert found == [
        ("someone", "read", "list_cases", ["anna"], []),
        ("someone", "read", "list_alerts", ["anna"], []),
        ("someone", "read", "list_readings", ["anna"], []),
    ]
    assert refused.status_code == 503
    assert "anna" not in refused.text


async def test_many_reads_at_once_share_a_transaction_and_each_has_its_entry(
    log: AuditLog, owner: Connection
) -> None:
    await asyncio.gather(*(log.saw(DOCTOR, f"page {n}", ["anna", None]) for n in range(200)))
    cursor = await owner.execute("SELECT count(*), count(DISTINCT xmin::text) FROM audit_entry")
    row = await cursor.fetchone()

    assert row is not None
    assert row[0] == 200
    assert row[1] < 20


async def test_when_nobody_writes_the_read_is_refused_in_time(
    api: Database, database: Fresh
) -> None:
    stuck = a_log(api, database.dsn, write_ms_max=50)

    with pytest.raises(UnavailableError):
        await stuck.saw(DOCTOR, "page", ["anna"])


@pytest.mark.parametrize("role", ["suifang_api", "suifang_api_all", "suifang_api_process"])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_entry",
        "UPDATE audit_entry SET subject = 'x'",
        "TRUNCATE audit_entry",
        (
            "INSERT INTO audit_entry (at, subject, action, object, handles, things) "
            "VALUES ('2026-01-01', 'x', 'x', 'x', '{}', '{}')"
        ),
        "UPDATE audit_seal SET hash = ''",
        "DELETE FROM audit_seal",
        "DELETE FROM audit_handle",
        "UPDATE audit_handle SET resident_id = 'x'",
        "UPDATE audit_handle_epoch SET epoch = gen_random_uuid()",
    ],
)
async def test_no_role_of_the_api_can_take_anything_back(
    owner: Connection, role: str, statement: str
) -> None:
    await owner.execute(f"SET ROLE {role}".encode())

    with pytest.raises(errors.InsufficientPrivilege):
        await owner.execute(statement.encode())


async def test_even_the_owner_is_stopped_by_mistake(log: AuditLog, owner: Connection) -> None:
    await log.saw(DOCTOR, "page", ["anna"])
    await log.seal_once()
    for statement in ("DELETE FROM audit_entry", "UPDATE audit_entry SET seal = NULL"):
        with pytest.raises(errors.InsufficientPrivilege):
            await owner.execute(statement.encode())


@pytest.mark.parametrize("name", SEEN)
async def test_only_the_auditor_reads_it(
    api: Database, log: AuditLog, owner: Connection, name: str
) -> None:
    assert owner.closed is False
    await log.saw(DOCTOR, "page", ["anna"])
    who: Principal = SEEN[name][0]
    async with api.reading(who) as connection:
        cursor = await connection.execute("SELECT FROM audit_entry, audit_handle")

    assert cursor.rowcount == (1 if Role.AUDITOR in who.roles else 0)


# --- what was written stays ----------------------------------------------------------------------


@pytest.fixture
async def sealed(log: AuditLog, owner: Connection) -> Connection:
    """Nine entries under three seals, and the guard off."""
    for n in range(9):
        await log.saw(DOCTOR, f"page {n}", ["anna", "ben"])
    assert [await log.seal_once() for _ in range(4)] == [3, 3, 3, 0]
    await owner.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_stays")
    return owner


async def test_untouched_it_holds_and_erasing_a_resident_breaks_nothing(
    database: Fresh, sealed: Connection
) -> None:
    before = await verify(database)
    await sealed.execute("DELETE FROM audit_handle WHERE resident_id = 'anna'")
    after = await verify(database, "--head", before["head"])
    _, listed = await asyncio.to_thread(run, database, "list", "--limit", "1")

    assert before == after
    assert (before["seals"], before["entries"], before["unsealed"]) == (3, 9, 0)
    (entry,) = listed["entries"]
    assert (entry["residents"], entry["residents_count"]) == (["ben"], 2)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit_entry SET subject = 'somebody-else' WHERE id = 5",
        "UPDATE audit_entry SET at = at + INTERVAL '1 microsecond' WHERE id = 5",
        "UPDATE audit_entry SET object = 'x' WHERE id = 9",
        "UPDATE audit_entry SET handles = '{}' WHERE id = 1",
        "UPDATE audit_entry SET things = '{x}' WHERE id = 1",
        "DELETE FROM audit_entry WHERE id = 5",
        "DELETE FROM audit_entry WHERE seal = 2",
        "DELETE FROM audit_entry WHERE id IN (SELECT max(id) FROM audit_entry)",
        "UPDATE audit_entry SET seal = 3 WHERE id = 6",
        "UPDATE audit_entry SET seal = NULL WHERE id = 9",
        (
            "INSERT INTO audit_entry (at, subject, action, object, handles, things, seal) "
            "SELECT at, subject, action, object, handles, things, seal FROM audit_entry "
            "WHERE id = 4"
        ),
        # Two entries change places.
        (
            "UPDATE audit_entry "
            "SET object = CASE object WHEN 'page 3' THEN 'page 4' ELSE 'page 3' END "
            "WHERE object IN ('page 3', 'page 4')"
        ),
        # A seal goes with its entries; the ones behind it move up.
        "DELETE FROM audit_entry WHERE seal = 2; DELETE FROM audit_seal WHERE number = 2",
        "UPDATE audit_seal SET entries = 2 WHERE number = 3; DELETE FROM audit_entry WHERE id = 9",
        (
            "UPDATE audit_seal SET until = '2000-01-01' WHERE number = 2; "
            "DELETE FROM audit_entry WHERE seal = 2"
        ),
        "UPDATE audit_seal SET content = previous WHERE number = 2",
    ],
)
async def test_whatever_is_changed_missing_or_moved_is_found(
    database: Fresh, sealed: Connection, tampering: str
) -> None:
    for statement in tampering.split("; "):
        await sealed.execute(statement.encode())

    assert not (await verify(database))["holds"]


async def test_a_log_cut_off_at_its_end_is_found_by_a_head_noted_before(
    database: Fresh, sealed: Connection
) -> None:
    head = (await verify(database))["head"]
    await sealed.execute("DELETE FROM audit_entry WHERE seal = 3")
    await sealed.execute("DELETE FROM audit_seal WHERE number = 3")

    assert not (await verify(database, "--head", head))["holds"]


async def test_sealers_at_once_make_one_chain(
    api: Database, database: Fresh, log: AuditLog, owner: Connection
) -> None:
    others = [a_log(api, database.dsn, sealed_entries_max=2) for _ in range(4)]

    async def seal_on(sealer: AuditLog) -> None:
        for _ in range(30):
            await sealer.seal_once()

    await asyncio.gather(
        *(log.saw(DOCTOR, f"page {n}", ["anna"]) for n in range(60)), *map(seal_on, others)
    )
    while await others[0].seal_once():
        pass
    found = await verify(database)

    assert (found["holds"], found["entries"], found["unsealed"]) == (True, 60, 0)
    assert owner.closed is False


async def test_only_what_is_older_than_half_a_year_may_go_and_the_chain_holds(
    database: Fresh, log: AuditLog, owner: Connection
) -> None:
    for days in (200, 200, 200, 10):
        note_at = utc_now() - timedelta(days=days)
        log._clock = lambda at=note_at: at  # type: ignore[misc]  # the test's clock
        await log.saw(DOCTOR, "page", ["anna"])
    assert [await log.seal_once(), await log.seal_once()] == [3, 1]
    refused = await asyncio.to_thread(
        CliRunner().invoke, audit_cli, ["prune", "--keep-days", "182", "--database", database.dsn]
    )
    code, pruned = await asyncio.to_thread(run, database, "prune", "--keep-days", "183")
    found = await verify(database)

    assert refused.exit_code == 2
    assert (code, pruned) == (0, {"entries": 3})
    assert (found["holds"], found["gone"], found["entries"]) == (True, 1, 1)
    assert owner.closed is False
