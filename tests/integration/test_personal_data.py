"""Promise: names and ID numbers are stored sealed, shown one at a time, and can be erased for ever.

A ciphertext belongs to one resident and one field; a key is rotated without touching a name; what
was erased no key opens, not even on a copy that was taken before.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from gateway.wire.pseudonyms import pseudonym
from ingest.db import personal
from ingest.db.connections import Connection
from ingest.db.keyring import BrokenSealError, KeyFileError, Keyring, read_keyring
from ingest.keys_cli import app as keys_app
from tests.fix_db import Database
from tests.integration.registry_bench import (
    ID_NUMBER,
    RESIDENT,
    RESIDENT_ID,
    a_registry,
    make_key_file,
    make_pseudonym_key,
    put,
    put_places,
)

NAME = "某某某"
NAMED = {**RESIDENT, "personal": {"name": NAME, "id_number": ID_NUMBER}}
WHERE = f"residents/{RESIDENT_ID}"
WHO = f"/v1/{WHERE}/personal-data"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return make_key_file(tmp_path)


@pytest.fixture
async def client(
    database: Database, tmp_path: Path, key_file: Path
) -> AsyncIterator[httpx.AsyncClient]:
    async with a_registry(
        database.dsn, key_file=key_file, pseudonym_key_file=make_pseudonym_key(tmp_path)
    ) as client:
        await put_places(client)
        yield client


async def keys(*arguments: str, exit_code: int = 0) -> Any:  # noqa: ANN401 - JSON
    """What ``suifang keys`` says."""
    said = await asyncio.to_thread(CliRunner().invoke, keys_app, arguments)
    assert said.exit_code == exit_code, said.output
    return json.loads(said.stdout)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def replace(path: Path, text: str) -> None:
    """As somebody would by hand; the time tells that it is another file."""
    path.write_text(text)
    os.utime(path, ns=(1, 1))


def keep_newest(path: Path) -> None:
    replace(path, path.read_text().splitlines()[0] + "\n")


def everything_stored(dsn: str) -> str:
    """Every row of every table, as text."""
    found = []
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        for (table,) in tables:
            query = f'SELECT t::text FROM "{table}" t'  # noqa: S608 - names of our own tables
            found += [str(row[0]) for row in connection.execute(query.encode()).fetchall()]
    return "\n".join(found)


async def test_a_name_is_read_back_alone_and_is_nowhere_in_clear(
    client: httpx.AsyncClient, database: Database
) -> None:
    written = await put(client, WHERE, NAMED, 201)
    shown = await client.get(WHO)

    assert shown.json() == {
        "resident_id": RESIDENT_ID,
        "name": NAME,
        "id_number": ID_NUMBER,
        "erased_at": None,
    }
    assert shown.headers["Cache-Control"] == "no-store"
    others = [written, await client.get(f"/v1/{WHERE}"), await client.get("/v1/residents")]
    others.append(await client.get(f"/v1/{WHERE}/history"))
    for answer in others:
        assert NAME not in answer.text
        assert ID_NUMBER not in answer.text
    assert written.json()["personal_data"] == "sealed"
    stored = everything_stored(database.dsn)
    assert RESIDENT_ID in stored
    for secret in (NAME, ID_NUMBER, NAME.encode().hex(), ID_NUMBER.encode().hex()):
        assert secret not in stored


async def test_left_out_a_name_stays_and_the_same_name_is_no_new_version(
    client: httpx.AsyncClient,
) -> None:
    await put(client, WHERE, NAMED, 201)

    assert (await put(client, WHERE, NAMED, 200)).json()["version"] == 1
    assert (await put(client, WHERE, RESIDENT, 200)).json()["version"] == 1
    changed = {**RESIDENT, "personal": {"name": "另某", "id_number": ID_NUMBER}}
    assert (await put(client, WHERE, changed, 200)).json()["version"] == 2
    assert (await client.get(WHO)).json()["name"] == "另某"
    emptied = {**RESIDENT, "personal": {}}
    assert (await put(client, WHERE, emptied, 200)).json()["version"] == 3
    assert (await client.get(WHO)).json()["name"] is None


@pytest.mark.parametrize(
    ("body", "id_", "field"),
    [
        ({"id_number": "990000194901010011"}, RESIDENT_ID, "personal.id_number"),
        ({"id_number": "9900001949010100"}, RESIDENT_ID, "personal.id_number"),
        ({"id_number": "99000019490230001X"}, RESIDENT_ID, "personal.id_number"),
        ({"id_number": ID_NUMBER}, "r-another", "id"),
    ],
    ids=str,
)
async def test_an_id_number_that_cannot_be_right_is_refused_and_not_repeated(
    client: httpx.AsyncClient, body: dict[str, str], id_: str, field: str
) -> None:
    response = await put(client, f"residents/{id_}", {**RESIDENT, "personal": body}, 422)

    assert response.json()["errors"][0]["field"] == field
    assert body["id_number"] not in response.text


@pytest.mark.parametrize(
    ("change", "field"),
    [({"birth_date": "1949-01-02"}, "birth_date"), ({"sex": "female"}, "sex")],
    ids=str,
)
async def test_the_record_must_agree_with_the_id_number(
    client: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    response = await put(client, WHERE, {**NAMED, **change}, 422)

    assert response.json()["errors"][0]["field"] == field


async def test_an_id_of_a_pseudonym_key_that_was_replaced_stays_good(
    database: Database, tmp_path: Path, key_file: Path
) -> None:
    before, other = make_pseudonym_key(tmp_path), tmp_path / "other-key"
    current = tmp_path / "current-key"
    for path, key in ((current, b"c" * 32), (other, b"x" * 32)):
        path.touch(mode=0o600)
        path.write_bytes(key)
    files = {"pseudonym_key_file": current, "pseudonym_key_files_before": (before,)}
    async with a_registry(database.dsn, key_file=key_file, **files) as client:
        await put_places(client)
        await put(client, WHERE, NAMED, 201)
        await put(client, f"residents/{pseudonym(b'c' * 32, ID_NUMBER)}", NAMED, 201)
        refused = await put(client, f"residents/{pseudonym(b'x' * 32, ID_NUMBER)}", NAMED, 422)
        replace(current, "x" * 32)  # A running API reads it again.
        await put(client, f"residents/{pseudonym(b'x' * 32, ID_NUMBER)}", NAMED, 201)

    assert refused.json()["errors"][0]["field"] == "id"


async def test_a_body_that_does_not_validate_repeats_no_name(client: httpx.AsyncClient) -> None:
    for wrong in (
        {**RESIDENT, "name": NAME},
        {**RESIDENT, "personal": {"name": NAME, "nick": NAME}},
        {**RESIDENT, "personal": [NAME]},
        {**RESIDENT, "personal": {"name": [NAME]}},
        {**NAMED, "conditions": [{}]},
        {**NAMED, "conditions": [{"condition": NAME, "since": "x"}], "sex": "m"},
    ):
        response = await put(client, WHERE, wrong, 422)
        shown = json.dumps(response.json(), ensure_ascii=False)
        assert ID_NUMBER not in shown
        if "condition" not in shown:
            assert NAME not in shown


async def test_what_was_erased_no_key_opens_and_nothing_brings_back(
    client: httpx.AsyncClient, connection: Connection, key_file: Path, database: Database
) -> None:
    await put(client, WHERE, NAMED, 201)
    keyring = read_keyring(key_file)
    cursor = await connection.execute(
        "SELECT k.wrapped, s.name, s.id_number FROM resident_key k JOIN resident_sealed s"
        " USING (resident_id)"
    )
    (_, name, number) = (await cursor.fetchall())[0]

    for _ in range(2):
        assert (await client.delete(WHO)).status_code == 204

    told = (await client.get(WHO)).json()
    assert (told["name"], told["id_number"]) == (None, None)
    assert told["erased_at"] is not None
    stored = everything_stored(database.dsn)
    assert name.hex() not in stored
    for key in keyring.keys.values():  # The copy of a sealed field, with all keys there are.
        for sealed in (name, number):
            row = personal._Row("k1", None, None, 1, sealed, None)
            with pytest.raises(BrokenSealError):
                personal._open(key, RESIDENT_ID, row)
    assert (await put(client, WHERE, NAMED, 409)).json()["type"].endswith("personal-data-erased")
    kept = (await put(client, WHERE, RESIDENT, 200)).json()
    assert (kept["personal_data"], kept["version"]) == ("erased", 2)
    assert kept["conditions"] == RESIDENT["conditions"]
    assert (await client.delete("/v1/residents/nobody/personal-data")).status_code == 404


async def test_who_was_never_named_can_be_erased_before_a_name_comes(
    client: httpx.AsyncClient,
) -> None:
    await put(client, WHERE, RESIDENT, 201)
    await client.delete(WHO)

    await put(client, WHERE, NAMED, 409)


async def test_a_ciphertext_moved_to_another_place_does_not_open(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    await put(client, WHERE, NAMED, 201)
    await connection.execute("UPDATE resident_sealed SET name = id_number, id_number = name")

    assert (await client.get(WHO)).status_code == 500

    await connection.execute("UPDATE resident_sealed SET name = id_number, id_number = name")
    assert (await client.get(WHO)).status_code == 200
    await connection.execute("UPDATE resident_sealed SET generation = 2")
    assert (await client.get(WHO)).status_code == 500


async def test_a_rotation_wraps_all_keys_again_and_changes_no_name(
    client: httpx.AsyncClient, key_file: Path, database: Database, connection: Connection
) -> None:
    await put(client, WHERE, NAMED, 201)
    await put(client, "residents/r-2", {"personal": {"name": NAME}}, 201)
    await put(client, "residents/r-3", {"personal": {"name": NAME}}, 201)
    await client.delete("/v1/residents/r-3/personal-data")
    sealed = "SELECT resident_id, name FROM resident_sealed ORDER BY 1"
    before = await (await connection.execute(sealed)).fetchall()
    arguments = [str(key_file), "--database", database.dsn, "--json"]

    assert (await keys("new", str(key_file), "--id", "k2", "--json"))["key_id"] == "k2"
    assert mode_of(key_file) == 0o600
    assert await keys("rotate", *arguments) == {
        "key_id": "k2",
        "rewrapped": 2,
        "webhook_secrets": 0,
    }
    assert (await keys("rotate", *arguments))["rewrapped"] == 0
    status = await keys("status", *arguments)
    assert status == {
        "current": "k2",
        "residents": {"k2": 2},
        "webhook_secrets": {},
        "missing": [],
    }

    assert await (await connection.execute(sealed)).fetchall() == before
    keep_newest(key_file)
    assert (await client.get(WHO)).json()["name"] == NAME


async def test_a_key_that_is_not_in_the_file_is_a_fault_of_the_deployment(
    client: httpx.AsyncClient, key_file: Path, database: Database
) -> None:
    await put(client, WHERE, NAMED, 201)
    replace(key_file, "other:" + "ab" * 32 + "\n")

    assert (await client.get(WHO)).json()["type"].endswith("no-key")
    assert (await put(client, WHERE, NAMED, 503)).json()["type"].endswith("no-key")
    arguments = [str(key_file), "--database", database.dsn, "--json"]
    assert (await keys("status", *arguments, exit_code=1))["missing"] == ["k1"]


async def test_without_a_key_file_names_are_refused_and_the_rest_is_written(
    database: Database,
) -> None:
    async with a_registry(database.dsn) as client:
        await put_places(client)
        await put(client, WHERE, NAMED, 503)
        await put(client, WHERE, RESIDENT, 201)
        assert (await client.get(WHO)).status_code == 503


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        ("", 0o600, "no key"),
        ("k1:abcd", 0o600, "line 1"),
        ("k1:" + "ab" * 32 + "\nk1:" + "cd" * 32, 0o600, "line 2"),
        ("k1:" + "ab" * 32, 0o644, "chmod 600"),
    ],
)
def test_a_key_file_that_cannot_be_used_says_why_and_never_what_is_in_it(
    tmp_path: Path, text: str, mode: int, problem: str
) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(mode)

    with pytest.raises(KeyFileError, match=problem) as found:
        read_keyring(path)

    assert "abab" not in str(found.value)
    assert "ab" not in repr(Keyring({"k1": b"\xab" * 32})).replace("bytes", "")
