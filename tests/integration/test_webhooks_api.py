"""Promise: a subscription is its owner's alone, its secret is shown once, writing twice is once."""

import asyncio
import json
import sys
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from api.app import create_app
from api.auth.permissions import Role
from api.database import Database as ApiDatabase
from api.settings import ApiSettings
from api.webhooks import examples
from ingest.db.connections import Connection
from tests.fix_db import Database
from tests.integration.api_processes import NOW, tell
from tests.integration.registry_bench import make_key_file
from tests.integration.security_world import a_principal
from tests.integration.webhook_bench import Bench, Receiver, a_bench, a_receiver

URL = "https://hooks.example.org/suifang"
DOCUMENT = create_app(
    ApiSettings(db_dsn=SecretStr("postgresql://nobody@localhost/none")), lambda: NOW
).openapi()


@pytest.fixture
async def bench(database: Database, connection: Connection) -> AsyncIterator[Bench]:
    async with a_bench(database, connection) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as listening:
        yield listening


async def put(bench: Bench, id_: str = "w", **body: Any) -> Any:  # noqa: ANN401 - JSON
    return await bench.client.put(f"/v1/webhooks/{id_}", json={"url": URL, **body})


async def rotate(bench: Bench, name: str) -> Any:  # noqa: ANN401 - JSON
    return await bench.client.post("/v1/webhooks/w/secrets", json={"id": name})


async def test_the_same_twice_is_once_and_the_secret_is_shown_once(bench: Bench) -> None:
    await tell(bench.connection, None, 5)
    made = await put(bench, types=["case.changed", "alert.raised"], description="desk")
    bench.clock.pass_by(hours=1)
    again = await put(bench, types=["alert.raised", "case.changed"], description="desk")
    read = await bench.client.get("/v1/webhooks/w")
    listed = await bench.client.get("/v1/webhooks")

    assert (made.status_code, again.status_code) == (201, 200)
    assert made.headers["cache-control"] == "no-store"
    secret = made.json()["secret"]
    assert len(b64decode(secret.removeprefix("whsec_"))) == 32
    assert {**made.json(), "secret": None} == again.json() == read.json()
    assert listed.json() == {"items": [read.json()], "next_cursor": None}
    assert (read.json()["after"], read.json()["head"]) == (5, 5)  # It begins now.


async def test_it_is_not_there_once_it_was_deleted(bench: Bench) -> None:
    await put(bench)
    deleted = await bench.client.delete("/v1/webhooks/w")

    assert deleted.status_code == 204
    for method, path, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/secrets", {"id": "x"}),
        ("POST", "/replay", {"after": 0}),
    ):
        answer = await bench.client.request(method, f"/v1/webhooks/w{path}", json=body)
        assert answer.status_code == 404
    cursor = await bench.connection.execute("SELECT count(*) FROM webhook_secret")
    assert await cursor.fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "nowhere"}, "url"),
        ({"url": "https://u:p@hooks.example.org"}, "url"),
        ({"url": "x" * 2_001}, "url"),
        ({"types": ["alert.lost"]}, "types.0"),
        ({"types": []}, "types"),
        ({"description": "x" * 501}, "description"),
        ({"description": "\x00"}, "description"),
        ({"secret": "mine"}, "secret"),
    ],
)
async def test_what_cannot_be_is_named(bench: Bench, body: dict[str, Any], field: str) -> None:
    response = await put(bench, **body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field


async def test_there_is_room_for_so_many_and_a_refused_one_leaves_nothing(bench: Bench) -> None:
    for number in range(3):
        assert (await put(bench, f"w{number}")).status_code == 201
    refused = await put(bench, "w3")
    kept = await put(bench, "w2", description="still mine")

    assert (refused.status_code, kept.status_code) == (422, 200)
    assert (await bench.client.get("/v1/webhooks/w3")).status_code == 404


async def test_two_who_make_the_same_at_once_make_one(bench: Bench) -> None:
    answers = await asyncio.gather(*(put(bench) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert sum(answer.json()["secret"] is not None for answer in answers) == 1


async def test_a_page_goes_on_where_the_one_before_ended(bench: Bench) -> None:
    for id_ in ("b", "a", "c"):
        await put(bench, id_)
    first = (await bench.client.get("/v1/webhooks?limit=2")).json()
    cursor = first["next_cursor"]
    second = (await bench.client.get(f"/v1/webhooks?limit=2&cursor={cursor}")).json()

    assert [item["id"] for item in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next_cursor"] is None


# --- secrets -------------------------------------------------------------------------------------


async def test_after_a_rotation_both_secrets_sign_for_a_day(
    bench: Bench, receiver: Receiver
) -> None:
    old = (await bench.subscribe(receiver.url()))["secret"]
    rotated = await rotate(bench, "2026-04")
    new = rotated.json()["secret"]
    again = await rotate(bench, "2026-04")
    await tell(bench.connection, None)
    await bench.turn()
    bench.clock.pass_by(hours=24)
    await tell(bench.connection, None)
    await bench.turn()
    during, after = receiver.requests

    assert (rotated.status_code, again.status_code, again.json()["secret"]) == (201, 200, None)
    assert bench.verify(new, after)
    bench.clock.pass_by(hours=-24)
    assert bench.verify(old, during) == bench.verify(new, during)
    assert len(during.headers["webhook-signature"].split(" ")) == 2
    assert len(after.headers["webhook-signature"].split(" ")) == 1


async def test_not_more_than_five_secrets_are_good_at_a_time(bench: Bench) -> None:
    await put(bench)
    for name in "abcd":
        assert (await rotate(bench, name)).status_code == 201
    assert (await rotate(bench, "e")).status_code == 422
    bench.clock.pass_by(hours=24)
    assert (await rotate(bench, "e")).status_code == 201
    assert [each["id"] for each in (await bench.standing())["secrets"]] == ["e", "d"]


async def test_secrets_are_sealed_and_sealed_again_when_the_key_is_rotated(
    database: Database, connection: Connection, receiver: Receiver, tmp_path: Path
) -> None:
    key_file = make_key_file(tmp_path)
    async with a_bench(database, connection, key_file=key_file) as bench:
        secret = (await bench.subscribe(receiver.url()))["secret"]
        plain = b64decode(secret.removeprefix("whsec_"))
        before = await stored(connection)
        await run_keys(key_file, "new", "--id", "k2")
        told = json.loads(await run_keys(key_file, "rotate", "--json", dsn=database.dsn))
        after = await stored(connection)
        await tell(connection, None)
        assert await bench.turn() == 1
        bench.verify(secret, receiver.requests[0])

    assert (before[0][0], after[0][0], told["webhook_secrets"]) == ("k1", "k2", 1)
    assert plain not in before[0][1]
    assert plain not in after[0][1]


async def stored(connection: Connection) -> list[tuple[str, bytes]]:
    cursor = await connection.execute("SELECT key_id, content FROM webhook_secret")
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def run_keys(key_file: Path, command: str, *more: str, dsn: str = "") -> str:
    code = "from ingest.keys_cli import app; app()"
    options = ["--database", dsn] if dsn else []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, command, *options, str(key_file), *more),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


# --- changes -------------------------------------------------------------------------------------


async def test_a_switched_off_one_is_told_nothing_and_catches_up_when_it_is_on(
    bench: Bench, receiver: Receiver
) -> None:
    await bench.subscribe(receiver.url())
    off = await put(bench, url=receiver.url(), enabled=False)
    await tell(bench.connection, None, 2)
    assert await bench.turn() == 0
    assert off.json()["state"] == "disabled"
    await put(bench, url=receiver.url())

    assert await bench.turn() == 2


async def test_a_replay_tells_again_under_the_same_ids(bench: Bench, receiver: Receiver) -> None:
    await bench.subscribe(receiver.url())
    await tell(bench.connection, None, 3)
    await bench.turn()
    beyond = await bench.replay(4)
    again = await bench.replay(1)
    await bench.turn()
    ids = [request.headers["webhook-id"] for request in receiver.requests]

    assert (beyond.status_code, again.json()["after"]) == (422, 1)
    assert receiver.numbers == [1, 2, 3, 2, 3]
    assert ids[3:] == ids[1:3]


async def test_nobody_sees_another_ones_and_both_may_use_the_same_name(
    bench: Bench, database: Database
) -> None:
    await put(bench)
    await bench.connection.execute("UPDATE webhook SET owner = 'client:another'")

    assert (await bench.client.get("/v1/webhooks/w")).status_code == 404
    assert (await bench.client.get("/v1/webhooks")).json()["items"] == []
    assert (await bench.client.delete("/v1/webhooks/w")).status_code == 404
    assert (await put(bench)).status_code == 201
    stranger = a_principal(Role.CONTRACT_SYSTEM, kind="machine")
    settings = ApiSettings(db_dsn=SecretStr(database.dsn_of("api")))
    async with ApiDatabase(settings) as api, api.reading(stranger) as connection:
        for table in ("webhook", "webhook_secret"):
            cursor = await connection.execute(f"SELECT count(*) AS n FROM {table}")  # noqa: S608 - two words
            assert await cursor.fetchone() == {"n": 0}


async def test_who_changes_one_is_on_record(bench: Bench) -> None:
    await put(bench)
    await tell(bench.connection, None)
    cursor = await bench.connection.execute(
        "SELECT subject, action, object, things FROM audit_entry"
    )

    assert await cursor.fetchall() == [("local", "insert", "webhook", ["w"])]


@pytest.mark.parametrize(
    ("model", "example"),
    [
        ("WebhookIn", examples.BODY),
        ("WebhookOut", examples.ANSWER),
        ("WebhookOut", examples.MADE),
        ("WebhookOut", examples.ROTATED),
        ("WebhookPage", examples.PAGE),
    ],
)
def test_examples_fit_their_schemas(model: str, example: object) -> None:
    components = DOCUMENT["components"]
    schema = {"$ref": f"#/components/schemas/{model}", "components": components}

    Draft202012Validator(schema).validate(example)
