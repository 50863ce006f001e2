"""Promise: what the contract system writes is kept whole, once, with its history.

A stale write fails, a repeated one changes nothing, what cannot be stored says which field is
wrong.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ingest.db.connections import Connection
from tests.fix_db import Database
from tests.integration.registry_bench import (
    NOW,
    PLACES,
    RESIDENT,
    Clock,
    a_registry,
    put,
    put_places,
)

CONTRACT = {"resident_id": "r-1", "package_id": "plain", "since": "2026-01-05"}


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with a_registry(database.dsn) as client:
        await put_places(client)
        yield client


def field_of(response: httpx.Response, status: int = 422) -> str:
    """The offending field of a problem."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"].startswith("urn:suifang:problem:")
    field: str = problem["errors"][0]["field"]
    return field


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *PLACES.items(),
        (
            "staff/d-1",
            {
                "centre_id": "north",
                "role": "doctor",
                "since": "2024-07-01",
                "until": None,
                "team_ids": ["n1"],
                "subject": "s-1",
            },
        ),
        ("residents/r-1", RESIDENT),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_written_is_read_back_with_its_version(
    client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    written = await put(client, path, body)
    again = await put(client, path, body, 200)
    read = await client.get(f"/v1/{path}")

    assert written.json() == again.json() == read.json()
    assert read.json().items() >= body.items()
    assert read.json()["version"] == 1
    assert read.headers["ETag"] == written.headers["ETag"] == '"1"'
    same = await client.get(f"/v1/{path}", headers={"If-None-Match": '"1"'})
    assert same.status_code == 304
    assert not same.content


async def test_every_version_says_who_when_and_what(database: Database) -> None:
    clock = Clock()
    async with a_registry(database.dsn, clock) as client:
        await put_places(client)
        first = await put(client, "residents/r-1", RESIDENT, 201)
        assert first.headers["Location"] == "/v1/residents/r-1"
        clock.pass_by(days=1)
        await put(client, "residents/r-1", {**RESIDENT, "team_id": "s1"}, 200)

        page = (await client.get("/v1/residents/r-1/history?limit=1")).json()
        (newest,) = page["items"]
        more = await client.get(f"/v1/residents/r-1/history?cursor={page['next_cursor']}")
        (oldest,) = more.json()["items"]

    assert (newest["version"], oldest["version"]) == (2, 1)
    assert (newest["author"], newest["at"][:10]) == ("local", "2026-03-17")
    assert [each["content"]["team_id"] for each in (newest, oldest)] == ["s1", "n1"]
    assert more.json()["next_cursor"] is None


async def test_of_many_writers_with_one_etag_exactly_one_wins(client: httpx.AsyncClient) -> None:
    await put(client, "residents/r-1", RESIDENT, 201)
    days = [f"1950-01-{day:02}" for day in range(1, 17)]

    answers = await asyncio.gather(
        *(
            put(client, "residents/r-1", {**RESIDENT, "birth_date": day}, If_Match='"1"')
            for day in days
        )
    )

    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert {answer.status_code for answer in answers} == {200, 412}
    assert (await client.get("/v1/residents/r-1")).json() == won[0].json()
    assert won[0].json()["version"] == 2


async def test_of_many_writers_who_create_exactly_one_wins(client: httpx.AsyncClient) -> None:
    bodies = [{**RESIDENT, "birth_date": f"1950-01-{day:02}"} for day in range(1, 17)]

    answers = await asyncio.gather(
        *(put(client, "residents/r-1", body, If_None_Match="*") for body in bodies)
    )

    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 15


async def test_a_retry_whose_answer_was_lost_succeeds(client: httpx.AsyncClient) -> None:
    await put(client, "teams/n1", {"name": "New", "centre_id": "north"}, 200, If_Match='"1"')

    again = await put(
        client, "teams/n1", {"name": "New", "centre_id": "north"}, 200, If_Match='"1"'
    )

    assert again.headers["ETag"] == '"2"'


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_Match": "*"}, 200),
        ({"If_Match": '"7", "1"'}, 200),
        ({"If_Match": 'W/"1"'}, 412),
        ({"If_Match": '"7"'}, 412),
        ({"If_None_Match": "*"}, 412),
        ({"If_None_Match": '"7"'}, 200),
        ({"If_Match": "1"}, 400),
        ({"If_Match": '"1'}, 400),
    ],
    ids=str,
)
async def test_conditions_mean_what_http_says(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    await put(client, "centres/north", {"name": "Other"}, status, **headers)
    if status == 412:
        assert (await client.get("/v1/centres/north")).json()["name"] == "North"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("teams/x", {"name": "X", "centre_id": "nowhere"}, "centre_id"),
        ("residents/x", {"team_id": "nobody"}, "team_id"),
        ("residents/x", {"sex": "m"}, "sex"),
        ("residents/x", {"birth_date": "1949-02-30"}, "birth_date"),
        ("residents/x", {"names": "X"}, "names"),
        ("residents/x", {"conditions": [{"condition": "flu", "since": "2020-01-01"}]},
         "conditions.0.condition"),
        ("residents/x", {"conditions": [
            {"condition": "diabetes", "since": "2020-01-02", "until": "2020-01-01"}]},
         "conditions.0.until"),
        ("residents/x", {"conditions": [{"condition": "diabetes", "since": "2020-01-02"}] * 2},
         "conditions"),
        ("contracts/x", {**CONTRACT, "resident_id": "nobody"}, "resident_id"),
        ("contracts/x", {**CONTRACT, "package_id": "nothing"}, "package_id"),
        ("packages/x", {"name": "X", "profile": "wuzho"}, "profile"),
        ("packages/x", {"name": "X", "followups_per_year": -1}, "followups_per_year"),
        ("staff/x", {"centre_id": "north", "role": "doctor", "since": "2026-01-01",
                     "team_ids": ["nobody"]}, "team_ids"),
        ("centres/x", {"name": "a\x00b"}, "name"),
        ("centres/x", {}, "name"),
    ],
    ids=str,
)  # fmt: skip
async def test_what_cannot_be_stored_names_its_field(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], field: str
) -> None:
    await put(client, "residents/r-1", RESIDENT, 201)

    assert field_of(await put(client, path, body)) == field
    assert (await client.get(f"/v1/{path}")).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"until": "2026-01-04"}, "until"),
        ({"ended_on": "2026-02-01"}, "end_reason"),
        ({"end_reason": "moved"}, "ended_on"),
        ({"followed_as": "renewal"}, "follows"),
        ({"follows": "c-1", "followed_as": "renewal"}, "follows"),
    ],
    ids=str,
)
async def test_a_contract_whose_parts_do_not_fit_is_refused(
    client: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    await put(client, "residents/r-1", RESIDENT, 201)

    assert field_of(await put(client, "contracts/c-1", {**CONTRACT, **change})) == field


@pytest.mark.parametrize("number", ["99000019490101001X", "99000019490101001x", "990000490101001"])
async def test_an_id_number_is_no_address_and_is_not_repeated(
    client: httpx.AsyncClient, number: str
) -> None:
    response = await put(client, f"residents/{number}", RESIDENT, 400)

    assert number not in response.text or len(number) < 18
    assert "pseudonym" in response.text


async def test_a_resident_whom_only_a_terminal_met_is_not_there_until_it_is_written(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    await connection.execute(
        "INSERT INTO resident (id, stub, created_at) VALUES ('r-9', true, %s)", (NOW,)
    )
    assert (await client.get("/v1/residents/r-9")).status_code == 404

    await put(client, "residents/r-9", RESIDENT, 201, If_None_Match="*")

    cursor = await connection.execute("SELECT stub, team_id FROM resident WHERE id = 'r-9'")
    assert await cursor.fetchall() == [(False, "n1")]


async def test_lists_give_everything_once_in_order_and_filter(client: httpx.AsyncClient) -> None:
    ids = [f"r-{number:02}" for number in range(25)]
    for number, id_ in enumerate(reversed(ids)):
        team = "n1" if number % 2 else "s1"
        await put(client, f"residents/{id_}", {"team_id": team}, 201)

    seen: list[str] = []
    address = "/v1/residents?limit=4"
    while True:
        page = (await client.get(address)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        address = f"/v1/residents?limit=4&cursor={page['next_cursor']}"
    south = (await client.get("/v1/residents?centre=south")).json()["items"]

    assert seen == ids
    assert {item["team_id"] for item in south} == {"s1"}
    assert len(south) == 13
    assert (await client.get("/v1/residents?town=x")).status_code == 400
