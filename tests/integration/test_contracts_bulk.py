"""Promise: contracts at once are each line by itself, as residents are; nobody is born tomorrow."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.fix_db import Database
from tests.integration.registry_bench import RESIDENT, a_registry, put_places

NDJSON = {"Content-Type": "application/x-ndjson"}
CONTRACT = {"resident_id": "r-1", "package_id": "plain", "since": "2026-01-05"}


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with a_registry(database.dsn, bulk={"rows_per_transaction": 3}) as client:
        await put_places(client)
        (await client.put("/v1/residents/r-1", json=RESIDENT)).raise_for_status()
        yield client


async def send(
    client: httpx.AsyncClient, path: str, *lines: dict[str, Any]
) -> list[dict[str, Any]]:
    content = "\n".join(map(json.dumps, lines))
    response = await client.post(f"/v1/{path}/bulk", content=content, headers=NDJSON)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


async def test_contracts_come_at_once_and_a_wrong_one_holds_no_other_one_up(
    client: httpx.AsyncClient,
) -> None:
    lines = (
        {"id": "k-1", **CONTRACT},
        {"id": "k-2", **CONTRACT, "resident_id": "nobody"},
        {"id": "k-3", **CONTRACT, "package_id": "nothing"},
        {"id": "k-4", "resident_id": "r-1", "package_id": "plain"},
        {"id": "k-5", **CONTRACT, "until": "2025-01-01"},
        {"id": "k-1", **CONTRACT, "until": "2026-12-31", "version": 7},
        {"id": "k-1", **CONTRACT, "until": "2026-12-31", "version": 1},
    )
    *outcomes, counts = await send(client, "contracts", *lines)

    told = [
        (each["id"], each["outcome"], each.get("problem", {}).get("field")) for each in outcomes
    ]
    assert told == [
        ("k-1", "created", None),
        ("k-2", "refused", "resident_id"),
        ("k-3", "refused", "package_id"),
        ("k-4", "refused", "since"),
        ("k-5", "refused", "until"),
        ("k-1", "refused", "version"),
        ("k-1", "changed", None),
    ]
    assert counts == {"lines": 7, "created": 1, "changed": 1, "unchanged": 0, "refused": 5}
    stands = (await client.get("/v1/contracts/k-1")).json()
    assert (stands["version"], stands["until"]) == (2, "2026-12-31")


async def test_a_contract_that_ends_by_bulk_closes_as_one_that_ends_by_put(
    client: httpx.AsyncClient,
) -> None:
    ended = {"ended_on": "2026-03-01", "end_reason": "moved"}
    await send(client, "contracts", {"id": "k-1", **CONTRACT})
    await send(client, "contracts", {"id": "k-1", **CONTRACT, **ended})

    (record,) = (await client.get("/v1/residents/r-1/followups")).json()["items"]
    assert (record["kind"], record["reason"]) == ("closure", "moved")


@pytest.mark.parametrize("born", ["2026-03-17", "2049-01-01", "1869-12-31", "0001-01-01"])
async def test_a_birth_date_that_nobody_alive_has_is_refused(
    client: httpx.AsyncClient, born: str
) -> None:
    wrong = {**RESIDENT, "birth_date": born}
    put = await client.put("/v1/residents/r-2", json=wrong)
    line, _ = await send(client, "residents", {"id": "r-2", **wrong})
    today = await client.put("/v1/residents/r-3", json={**RESIDENT, "birth_date": "2026-03-16"})

    assert put.status_code == 422
    assert put.json()["errors"][0]["field"] == line["problem"]["field"] == "birth_date"
    assert line["problem"]["value"] == born
    assert today.status_code == 201
