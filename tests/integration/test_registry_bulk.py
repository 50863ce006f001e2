"""Promise: a whole register at once is each line by itself: same checks, same result as PUT.

Whatever is wrong with one line, the others are written; sent again nothing changes; a client that
reads nothing before it has sent everything does not block.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.registry.lines import LineReader
from api.registry.outcomes import Spool
from ingest.db.connections import Connection
from tests.fix_db import Database
from tests.integration.api_processes import an_api
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

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with a_registry(
        database.dsn,
        key_file=make_key_file(tmp_path),
        pseudonym_key_file=make_pseudonym_key(tmp_path),
        bulk={"rows_per_transaction": 3, "line_bytes_max": 2_000},
    ) as client:
        await put_places(client)
        yield client


async def send(client: httpx.AsyncClient, *lines: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON, or bytes that are none
    """Outcomes of these lines, and the counts."""
    content = b"\n".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
    )
    response = await client.post("/v1/residents/bulk", content=content, headers=NDJSON)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in response.text.splitlines()]


async def test_a_line_that_is_wrong_holds_no_other_one_up(client: httpx.AsyncClient) -> None:
    *outcomes, counts = await send(
        client,
        {"id": "r-1", **RESIDENT},
        {"id": "r-2", "team_id": "nobody"},
        b"{not json",
        b"",
        {"id": "r-3", "sex": "m"},
        {"id": "r-4", "conditions": [{"condition": "diabetes", "since": "2020-01-01"}]},
        b"x" * 3_000,
        {"id": "r-5", "personal": {"name": "某某", "id_number": ID_NUMBER}},
        {"id": RESIDENT_ID, "personal": {"name": "某某", "id_number": ID_NUMBER}},
        {"team_id": "n1"},
        {"id": "r-1", **RESIDENT},
        {"id": "r-1", "team_id": "s1"},
    )

    told = [
        (line["line"], line["outcome"], line.get("problem", {}).get("field")) for line in outcomes
    ]
    assert told == [
        (1, "created", None),
        (2, "refused", "team_id"),
        (3, "refused", "line"),
        (5, "refused", "sex"),
        (6, "created", None),
        (7, "refused", "line"),
        (8, "refused", "id"),
        (9, "created", None),
        (10, "refused", "id"),
        (11, "unchanged", None),
        (12, "changed", None),
    ]
    assert counts == {"lines": 11, "created": 3, "changed": 1, "unchanged": 1, "refused": 6}
    assert "某" not in json.dumps(outcomes, ensure_ascii=False)
    assert (await client.get("/v1/residents/r-1")).json()["version"] == 2
    assert (await client.get("/v1/residents/r-2")).status_code == 404
    who = await client.get(f"/v1/residents/{RESIDENT_ID}/personal-data")
    assert who.json()["name"] == "某某"


async def test_sent_again_nothing_changes(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    lines = [{"id": f"r-{n}", **RESIDENT, "personal": {"name": f"某{n}"}} for n in range(10)]
    await send(client, *lines)
    await connection.execute("DELETE FROM due_mark")

    *outcomes, counts = await send(client, *lines)

    assert counts["unchanged"] == 10
    assert {line["version"] for line in outcomes} == {1}
    cursor = await connection.execute("SELECT count(*) FROM due_mark")
    assert await cursor.fetchone() == (0,)


async def test_a_line_may_name_the_version_it_replaces(client: httpx.AsyncClient) -> None:
    await put(client, "residents/r-1", RESIDENT, 201)

    *outcomes, _ = await send(
        client,
        {"id": "r-1", "team_id": "s1", "version": 7},
        {"id": "r-2", "version": 1},
        {"id": "r-3", "version": 0},
        {"id": "r-1", "team_id": "s1", "version": 1},
    )

    assert [line["outcome"] for line in outcomes] == ["refused", "refused", "created", "changed"]
    assert outcomes[0]["problem"]["reason"] == "precondition"


async def test_another_kind_of_body_is_refused_before_anything_is_read(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post("/v1/residents/bulk", json=[RESIDENT])

    assert response.status_code == 415
    assert response.json()["type"] == "urn:suifang:problem:unsupported-media-type"


async def test_an_empty_body_counts_nothing(client: httpx.AsyncClient) -> None:
    assert await send(client) == [
        {"lines": 0, "created": 0, "changed": 0, "unchanged": 0, "refused": 0}
    ]


async def test_two_registers_at_once_end_in_one_of_them_each(client: httpx.AsyncClient) -> None:
    def register(team: str) -> list[dict[str, Any]]:
        ids = range(30) if team == "n1" else reversed(range(30))
        return [{"id": f"r-{n:02}", "team_id": team} for n in ids]

    answers = await asyncio.gather(*(send(client, *register(team)) for team in ("n1", "s1") * 2))

    assert [answer[-1]["refused"] for answer in answers] == [0] * 4
    assert sum(answer[-1]["created"] for answer in answers) == 30
    for n in range(30):
        history = (await client.get(f"/v1/residents/r-{n:02}/history")).json()["items"]
        teams = [version["content"]["team_id"] for version in history]
        assert all(one != other for one, other in itertools.pairwise(teams))


async def test_who_sends_everything_before_reading_anything_does_not_block(
    database: Database,
) -> None:
    """Outcomes of 30,000 lines are more than all the buffers between two processes hold."""
    async with an_api(database) as api:
        body = "".join(f'{{"id": "r-{n:06}", "sex": "x"}}\n' for n in range(30_000)).encode()
        address = api.client.base_url
        reader, writer = await asyncio.open_connection(address.host, address.port)
        head = (
            f"POST /v1/residents/bulk HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
        )
        async with asyncio.timeout(120):
            writer.write(head.encode())
            for low in range(0, len(body), 65_536):
                writer.write(body[low : low + 65_536])
                await writer.drain()
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert answer.count(b'"refused"') == 30_001
    assert b'"lines":30000' in answer


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_lines_are_the_same_however_the_stream_is_cut(size: int) -> None:
    text = b'{"a": 1}\n\n  \r\n{"b": 2}\r\n' + b"y" * 40 + b"\nlast"
    reader = LineReader(bytes_max=20)

    found = [
        line for low in range(0, len(text), size) for line in reader.feed(text[low : low + size])
    ]
    found += reader.end()

    assert [(line.number, line.content) for line in found] == [
        (1, b'{"a": 1}'),
        (4, b'{"b": 2}'),
        (5, None),
        (6, b"last"),
    ]


async def test_a_spool_gives_back_what_it_was_given_beyond_its_memory() -> None:
    spool = Spool()
    parts = [bytes([number % 256]) * 10_000 for number in range(300)]
    for part in parts[:150]:
        spool.append(part)
    found = await spool.read()
    for part in parts[150:]:
        spool.append(part)
    spool.end()
    while more := await spool.read():
        found += more
    spool.close()

    assert found == b"".join(parts)
