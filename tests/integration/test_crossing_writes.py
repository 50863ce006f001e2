"""Promise: nobody changes anything about another's resident, by whatever route, id or body.

What is tried is whole: the first test does all of it to one's own, and it is done.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api.auth.principal import Principal
from ingest.db.connections import Connection, connect
from tests.fix_db import Database as Fresh
from tests.integration.crossing_writes import (
    BESIDE,
    Write,
    fingerprints,
    ids_about,
    new_id,
    writes_about,
)
from tests.integration.running_api import running
from tests.integration.security_world import ALL_RESIDENTS, SEEN, build_world
from tests.integration.test_crossing_teams import (
    NOBODY,
    Desk,
    forbidden_texts,
    texts_in,
    token_of,
    world,
)

__all__ = ["world"]
LAST = ("/merge", "/personal-data")  # After these there is nothing more to do to somebody.
# Good, and in conflict with what stands: she was never unclaimed, and her contract runs.
REFUSED = {("claim", 409), ("merge", 409)}
DOERS = ("doctor of n1", "admin of north", "contract system")


@pytest.fixture
async def desk(world: Fresh, tmp_path: Path) -> AsyncIterator[Desk]:
    """Where they all try, on the world that stays as it is."""
    found = Desk(world.dsn, tmp_path)
    async with running(found.app), found.client:
        yield found


async def send(desk: Desk, who: Principal, write: Write) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token_of(who)}"}
    return await desk.client.request(write.method, write.path, json=write.body, headers=headers)


async def test_done_to_ones_own_each_is_done(
    database: Fresh, connection: Connection, tmp_path: Path
) -> None:
    await build_world(connection)
    mine, refused = Desk(database.dsn, tmp_path), {}
    async with running(mine.app), mine.client:
        writes = [*writes_about(mine.app.openapi(), "anna")]
        for write in sorted(writes, key=lambda each: each.path.endswith(LAST)):
            answers = [await send(mine, SEEN[name][0], write) for name in DOERS]
            if not any(answer.is_success for answer in answers):
                refused[write.words] = answers[-1].status_code

    assert len(writes) > 20
    assert {(words.rpartition("/")[2], status) for words, status in refused.items()} == REFUSED


@pytest.mark.parametrize("name", SEEN)
async def test_nothing_is_done_to_another_ones(desk: Desk, world: Fresh, name: str) -> None:
    who, own, at_centre, _ = SEEN[name]
    document, strange = desk.app.openapi(), forbidden_texts(name)
    async with await connect(world.dsn, application_name="test", autocommit=True) as connection:
        before = await fingerprints(connection)
        for stranger in sorted(ALL_RESIDENTS - own - at_centre):
            for write in writes_about(document, stranger):
                response = await send(desk, who, write)
                told = {*texts_in(response.json())}
                if (write.method, response.status_code) == ("PUT", 422):
                    told -= {str(write.body and write.body.get("resident_id"))}  # As it was sent.
                    assert write.path == f"/v1/contracts/contract-{stranger}"
                else:
                    assert response.status_code in {403, 404}, write.words
                assert not told & strange, write.words
        assert await fingerprints(connection) == before


def references(resident: str) -> list[Write]:
    """Writes to anna, or of what is new, whose body names somebody or something of somebody."""
    ids, anna, at = ids_about(resident), ids_about("anna"), "2026-03-16T10:00:00Z"
    visit = {"at": at, "condition": "hypertension", "mode": "home"}
    return [
        Write("PUT", "/v1/residents/anna/merge", {"into": resident, "reason": "x"}),
        Write(
            "PUT",
            f"/v1/readings/{anna['reading_id']}/claim",
            {"resident_id": resident, "reason": "x"},
        ),
        Write(
            "PUT",
            f"/v1/readings/{anna['reading_id']}/amendments/{ids['amendment_id']}/undo",
            {"reason": "x"},
        ),
        Write(
            "PUT",
            "/v1/contracts/a-new-one",
            {"resident_id": resident, "package_id": "basic", "since": "2026-01-01"},
        ),
        Write(
            "PUT",
            f"/v1/residents/anna/visits/{new_id()}",
            {**visit, "reading_ids": [ids["reading_id"]]},
        ),
        Write(
            "PUT",
            f"/v1/residents/anna/visits/{new_id()}",
            {**visit, "replaces": ids["record_id"]},
        ),
        Write(
            "PUT",
            f"/v1/residents/anna/withdrawals/{new_id()}",
            {"at": at, "replaces": ids["record_id"], "note": "x"},
        ),
    ]


@pytest.mark.parametrize("name", ["doctor of n1", "admin of north"])
async def test_naming_another_ones_is_answered_like_naming_nobody(
    desk: Desk, world: Fresh, name: str
) -> None:
    who, own, at_centre, _ = SEEN[name]
    async with await connect(world.dsn, application_name="test", autocommit=True) as connection:
        before = await fingerprints(connection)
        for stranger in sorted(ALL_RESIDENTS - own - at_centre):
            for write, nobody in zip(references(stranger), references(NOBODY), strict=True):
                answer, other = await send(desk, who, write), await send(desk, who, nobody)
                assert answer.status_code == other.status_code >= 400, write.words
                assert plain(answer.text, stranger) == plain(other.text, NOBODY), write.words
        assert await fingerprints(connection) == before


def plain(text: str, resident: str) -> str:
    """An answer without the ids that were asked about."""
    for kind, id_ in ids_about(resident).items():
        text = text if kind == "number" else text.replace(id_, kind)
    return re.sub(r"019caab0-[0-9a-f-]+", "new", text)


async def test_every_write_is_about_somebody_or_known_not_to_be(desk: Desk) -> None:
    document = desk.app.openapi()
    writes = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "get" and operation.get("security")
    }

    assert writes > BESIDE
    for words in writes - BESIDE:
        assert re.search(r"\{(resident|reading|alert)_id\}|/(residents|contracts)/\{id\}", words)
