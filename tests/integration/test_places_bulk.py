"""Promise: centres, teams, staff and packages come at once as they come one by one."""

import json
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.auth.permissions import Role
from tests.fix_db import Database
from tests.integration.api_desk import a_desk
from tests.integration.registry_bench import NOW, PLACES, a_registry, put_places
from tests.integration.security_world import a_principal

STAFF: Final = {
    "staff/d-1": {"centre_id": "north", "role": "doctor", "since": "2024-07-01", "team_ids": ["n1"]}
}
WHOLE: Final = {**PLACES, **STAFF}
KINDS: Final = ("centres", "teams", "packages", "staff")


def lines_of(kind: str) -> list[dict[str, Any]]:
    """What ``WHOLE`` has of a kind, as lines."""
    named = ((path.split("/"), body) for path, body in WHOLE.items())
    return [{"id": id_, **body} for (path, id_), body in named if path == kind]


def read(response: httpx.Response) -> tuple[list[dict[str, Any]], dict[str, int]]:
    assert response.status_code == 200, response.text
    *outcomes, counts = [json.loads(line) for line in response.text.splitlines()]
    assert counts["lines"] == len(outcomes)
    return outcomes, counts


async def send(
    client: httpx.AsyncClient, kind: str, *lines: dict[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    content = "\n".join(map(json.dumps, lines))
    headers = {"Content-Type": "application/x-ndjson"}
    return read(await client.post(f"/v1/{kind}/bulk", content=content, headers=headers))


async def test_all_of_a_place_comes_at_once_and_again_is_no_new_version(
    database: Database,
) -> None:
    async with a_registry(database.dsn) as client:
        for status in ("created", "unchanged"):
            for kind in KINDS:
                outcomes, _ = await send(client, kind, *lines_of(kind))
                assert {each["outcome"] for each in outcomes} == {status}
        for path, body in WHOLE.items():
            stands = (await client.get(f"/v1/{path}")).json()
            assert body.items() <= stands.items()
            again = await client.put(f"/v1/{path}", json=body)
            assert (again.status_code, again.json()) == (200, stands)


@pytest.mark.parametrize(
    ("kind", "wrong", "field", "value"),
    [
        ("centres", {"name": "West", "profile": "nowhere"}, "profile", "nowhere"),
        ("packages", {"name": "Best", "profile": "nowhere"}, "profile", "nowhere"),
        ("teams", {"name": "W1", "centre_id": "west"}, "centre_id", "west"),
        ("staff", {**STAFF["staff/d-1"], "team_ids": ["n1", "w1"]}, "team_ids", "w1"),
        ("staff", {**STAFF["staff/d-1"], "until": "2024-06-30"}, "until", "2024-06-30"),
        ("teams", {"name": "N1", "centre_id": "north", "version": 3}, "version", "0"),
    ],
)
async def test_what_is_wrong_is_named_and_holds_no_other_one_up(
    database: Database, kind: str, wrong: dict[str, Any], field: str, value: str
) -> None:
    async with a_registry(database.dsn) as client:
        await put_places(client)
        good = {**lines_of(kind)[0], "id": "also"}
        outcomes, counts = await send(client, kind, {"id": "new", **wrong}, good)

        problem = outcomes[0]["problem"]
        assert (outcomes[0]["id"], problem["field"], problem["value"]) == ("new", field, value)
        assert problem["remedy"]
        assert (counts["refused"], counts["created"]) == (1, 1)
        assert (await client.get(f"/v1/{kind}/new")).status_code == 404
        assert (await client.get(f"/v1/{kind}/also")).status_code == 200


async def test_a_centre_writes_its_own_places_only(database: Database, tmp_path: Path) -> None:
    system = a_principal(Role.CONTRACT_SYSTEM)
    north = a_principal(Role.CENTRE_ADMIN, centres="north")
    headers = {"Content-Type": "application/x-ndjson"}
    async with a_desk(database.dsn, lambda: NOW, tmp_path) as desk:
        for path, body in WHOLE.items():
            (await desk.ask(system, "PUT", f"/v1/{path}", json=body)).raise_for_status()
        before = [(await desk.get(system, f"/v1/{path}")).json() for path in PLACES]
        tried: dict[str, list[dict[str, Any]]] = {
            "centres": [{"id": "south", "name": "Mine"}, {"id": "east", "name": "New"}],
            "teams": [
                {"id": "s1", "name": "Mine", "centre_id": "north"},
                {"id": "n2", "name": "New", "centre_id": "north"},
                {"id": "s2", "name": "New", "centre_id": "south"},
            ],
            "staff": [{**STAFF["staff/d-1"], "id": "d-2", "centre_id": "south"}],
            "packages": [{"id": "plain", "name": "Mine"}],
        }
        told = {}
        for kind, lines in tried.items():
            content = "\n".join(map(json.dumps, lines))
            address = f"/v1/{kind}/bulk"
            answer = await desk.ask(north, "POST", address, content=content, headers=headers)
            told[kind] = [each["outcome"] for each in read(answer)[0]]

        assert told == {
            "centres": ["refused", "refused"],
            "teams": ["refused", "created", "refused"],
            "staff": ["refused"],
            "packages": ["refused"],
        }
        assert [(await desk.get(system, f"/v1/{path}")).json() for path in PLACES] == before
