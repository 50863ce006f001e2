"""Promise: the key of the audit log's seals is replaced while the API answers, and the log holds.

Whoever has a key that was replaced, and the database, can change nothing unseen; a key that is not
there any more is said, never passed over.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from api.audit import queries
from api.audit.chain import make_seal
from api.audit.cli import app as audit_cli
from api.audit.log import AuditLog
from api.audit.settings import AuditSettings
from api.database import Database
from api.settings import ApiSettings
from gateway.wire.times import utc_now
from ingest.db.connections import Connection
from ingest.db.keyring import KeyFileError, Keyring, add_key, read_keyring
from ingest.keys_cli import app as keys_cli
from tests.fix_db import Database as Fresh
from tests.fix_processes import eventually
from tests.integration.api_processes import an_api
from tests.integration.security_world import SEEN, build_world

DOCTOR = SEEN["doctor of n1"][0]
AUDIT = {"API_AUDIT__SEAL_MS": "50"}


@pytest.fixture
async def owner(connection: Connection) -> Connection:
    """The owner's connection, in a database with a world."""
    await build_world(connection)
    return connection


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A key file with one key."""
    path = tmp_path / "audit.key"
    add_key(path, "old")
    return path


@pytest.fixture
async def api(database: Fresh) -> AsyncIterator[Database]:
    """The API's way into that database."""
    async with Database(ApiSettings(db_dsn=SecretStr(database.dsn))) as opened:
        yield opened


async def run(cli: Any, *arguments: str | Path) -> dict[str, Any]:  # noqa: ANN401 - typer's
    words = [*map(str, arguments), "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, cli, words)
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if found.get("holds", True) else 1)
    return found


async def verify(database: Fresh, file: Path | None, *arguments: str) -> dict[str, Any]:
    named: list[str | Path] = [] if file is None else ["--key-file", file]
    return await run(audit_cli, "verify", *named, *arguments, "--database", database.dsn)


async def until_sealed_with(database: Fresh, file: Path, key_id: str) -> dict[str, Any]:
    """What ``verify`` finds once that key made the last seal and nothing waits for one."""
    async with asyncio.timeout(60):
        while True:
            found = await verify(database, file)
            if found["holds"] and key_id in found["keys"] and not found["unsealed"]:
                return found
            await asyncio.sleep(0.05)


async def until(holds: Callable[[], bool]) -> None:
    """Wait in a thread; what is awaited has no event."""
    await asyncio.to_thread(eventually, holds, within_s=60)


def count_seals(database: Fresh) -> int:
    with psycopg.connect(database.dsn) as connection:
        row = connection.execute("SELECT count(*) FROM audit_seal").fetchone()
    return 0 if row is None else int(row[0])


def a_log(api: Database, dsn: str, file: Path | None) -> AuditLog:
    audit = AuditSettings(key_file=file)
    return AuditLog(ApiSettings(db_dsn=SecretStr(dsn), audit=audit), api, utc_now)


async def note(log: AuditLog) -> None:
    """One entry, and its seal if this log makes one."""
    writer = asyncio.create_task(log._run_writer())
    await log.saw(DOCTOR, "page", ["anna"])
    writer.cancel()
    await asyncio.wait([writer])
    await log.seal_once()


def keep_only(file: Path, *ids: str) -> None:
    """Take keys out of a file."""
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if line.partition(":")[0] in ids))


async def test_a_running_api_takes_the_new_key_and_every_answer_is_given(
    database: Fresh, owner: Connection, file: Path
) -> None:
    """A real API, asked all the time; its log began without a key, and goes through two."""
    answers: list[int] = []
    asking = True
    assert not owner.closed

    async with an_api(database, **AUDIT) as plain:
        assert (await plain.client.get("/v1/residents/anna/readings")).status_code == 200
        await until(lambda: count_seals(database) > 0)
    async with an_api(database, API_AUDIT__KEY_FILE=str(file), **AUDIT) as one:

        async def ask() -> None:
            while asking:
                answers.append((await one.client.get("/v1/residents/anna/readings")).status_code)
                await asyncio.sleep(0.01)

        asker = asyncio.create_task(ask())
        before = await until_sealed_with(database, file, "old")
        await run(keys_cli, "new", file, "--id", "new")
        after = await until_sealed_with(database, file, "new")
        seen = len(answers)
        await until(lambda: len(answers) > seen)
        asking = False
        await asker

    assert set(answers) == {200}
    assert after["keys"].keys() == {"old", "new"}
    assert after["seals"] > sum(after["keys"].values())  # Those without a key hold, too.
    assert (await verify(database, file, "--head", before["head"]))["holds"]


async def test_a_key_takes_over_at_once_though_nobody_asks(
    api: Database, database: Fresh, owner: Connection, file: Path
) -> None:
    assert not owner.closed
    log = a_log(api, database.dsn, file)
    await note(log)
    add_key(file, "new")
    too_early = await verify(database, file)
    assert await log.seal_once() == 0
    assert await log.seal_once() == 0
    found = await verify(database, file)

    assert "not by the key in force, 'new'" in too_early["faults"][0]["fault"]
    assert (found["holds"], found["keys"], found["gone"]) == (True, {"old": 1, "new": 1}, 0)


async def test_whoever_has_not_the_key_makes_no_seal_and_another_api_does(
    api: Database, database: Fresh, owner: Connection, file: Path, tmp_path: Path
) -> None:
    assert not owner.closed
    behind = tmp_path / "behind.key"
    shutil.copy2(file, behind)
    left_behind, without = a_log(api, database.dsn, behind), a_log(api, database.dsn, None)
    await note(left_behind)
    add_key(file, "new")
    ahead = a_log(api, database.dsn, file)
    await note(ahead)
    for log in (left_behind, without):
        await note(log)
    waiting = await verify(database, file)
    await ahead.seal_once()
    found = await verify(database, file)

    assert (waiting["holds"], waiting["unsealed"]) == (True, 2)
    assert (found["holds"], found["unsealed"], found["keys"]) == (True, 0, {"old": 1, "new": 2})


async def test_a_lost_key_is_said_and_what_still_holds_its_seals(
    api: Database, database: Fresh, owner: Connection, file: Path
) -> None:
    assert not owner.closed
    log = a_log(api, database.dsn, file)
    for _ in range(3):
        await note(log)
    add_key(file, "new")
    await note(log)
    await note(log)
    without_file = await verify(database, None)
    keep_only(file, "new")
    found = await verify(database, file)

    assert not found["holds"]
    (fault,) = found["faults"]
    assert "key 'old' made 3 seals, 1 to 3, and is not here" in fault["fault"]
    assert "As they are now they were when seal 5 was made" in fault["fault"]
    assert [each["fault"].split()[1] for each in without_file["faults"]] == ["'old'", "'new'"]
    keep_only(file)
    with pytest.raises(KeyFileError):
        a_log(api, database.dsn, file)


@pytest.mark.parametrize("thief", [(n, key) for n in (1, 2, 3) for key in ("old", None)], ids=str)
async def test_with_a_replaced_key_and_the_database_nothing_can_be_made_again(
    api: Database, database: Fresh, owner: Connection, file: Path, thief: tuple[int, str | None]
) -> None:
    """The key got out and was replaced. Its thief cuts the log and goes on under it, or none."""
    kept, forged_with = thief
    log = a_log(api, database.dsn, file)
    await note(log)
    await note(log)
    add_key(file, "new")
    await note(log)
    assert (await verify(database, file))["seals"] == 3
    await owner.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_stays")
    await owner.execute("DELETE FROM audit_entry WHERE seal > %s", (kept,))
    await owner.execute("DELETE FROM audit_seal WHERE number > %s", (kept,))
    stolen = None if forged_with is None else Keyring({"old": read_keyring(file).keys["old"]})
    async with api.writing_as_process() as connection:
        last = await queries.fetch_last_seal(connection)
        seal = make_seal(last, [], sealed_at=utc_now(), keys=stolen)
        await queries.insert_seal(connection, seal, [])

    assert not (await verify(database, file))["holds"]


async def test_a_log_made_again_without_any_key_is_found(
    api: Database, database: Fresh, owner: Connection, file: Path
) -> None:
    assert not owner.closed
    await note(a_log(api, database.dsn, None))

    assert (await verify(database, None))["holds"]
    assert not (await verify(database, file))["holds"]
