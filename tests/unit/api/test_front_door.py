"""Promise: every answer carries the headers, and too much is refused before any route sees it."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from fastapi import Request
from pydantic import SecretStr

from api.app import create_app
from api.deprecation import deprecated
from api.headers import HEADERS
from api.limits import LimitSettings
from api.settings import ApiSettings

LIMITS = LimitSettings(body_bytes_max=1_000, address_burst=3, address_per_s=0.01)


def a_client(address: str = "127.0.0.1", *, scheme: str = "http") -> httpx.AsyncClient:
    app = create_app(
        ApiSettings(db_dsn=SecretStr("host=127.0.0.1 port=1"), limits=LIMITS),
        lambda: datetime(2026, 3, 2, tzinfo=UTC),
    )

    @app.post("/count")
    async def count(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    going = deprecated(since=date(2026, 3, 2), sunset=date(2027, 3, 2), instead="/v1/new")

    @app.get("/old/{number}", **going)
    async def old(number: int) -> dict[str, int]:
        return {"number": number}

    @app.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError

    transport = httpx.ASGITransport(app, client=(address, 1), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://api")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/nowhere", 404), ("/v1/cases", 401), ("/bug", 500), (f"/{'x' * 9_000}", 414)],
)
async def test_every_answer_has_the_security_headers(path: str, status: int) -> None:
    async with a_client() as client:
        response = await client.get(path)

    assert response.status_code == status
    assert HEADERS.items() <= {name: response.headers.get(name) for name in HEADERS}.items()
    assert "strict-transport-security" not in response.headers
    assert "server" not in response.headers


async def test_over_tls_it_says_to_stay_there() -> None:
    async with a_client(scheme="https") as client:
        assert (await client.get("/")).headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize(("path", "status"), [("/old/7", 200), ("/old/seven", 400)])
async def test_an_operation_that_is_to_go_says_so_in_every_answer(path: str, status: int) -> None:
    async with a_client() as client:
        response = await client.get(path)
        other = await client.get("/")
        document = (await client.get("/openapi.json")).json()

    assert response.status_code == status
    assert response.headers["deprecation"] == "@1772409600"
    assert response.headers["sunset"] == "Tue, 02 Mar 2027 00:00:00 GMT"
    assert response.headers["link"] == '</v1/new>; rel="deprecation"'
    assert not {"deprecation", "sunset"} & {*other.headers}
    assert document["paths"]["/old/{number}"]["get"]["deprecated"] is True


def test_nobody_is_given_less_than_three_months() -> None:
    with pytest.raises(ValueError, match="nobody could follow"):
        deprecated(since=date(2026, 3, 2), sunset=date(2026, 5, 30), instead="/v1/new")


async def in_pieces(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 100):
        yield b"x" * 100


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(
    ("total", "kind", "status"),
    [(1_000, "application/json", 200), (1_100, "application/json", 413), (1_100, "text/csv", 413)],
)
async def test_a_body_is_counted_whatever_it_declares(
    total: int, kind: str, status: int, *, declared: bool
) -> None:
    content: Any = b"x" * total if declared else in_pieces(total)
    async with a_client() as client:
        response = await client.post("/count", content=content, headers={"content-type": kind})

    assert response.status_code == status
    if status == 413:
        assert response.headers["content-type"] == "application/problem+json"


async def test_an_address_that_asks_too_often_is_told_when_to_come_back() -> None:
    async with a_client("192.0.2.1") as client:
        found = [await client.get("/healthz") for _ in range(4)]

    assert [response.status_code for response in found] == [200, 200, 200, 429]
    assert int(found[-1].headers["retry-after"]) > 0
    assert found[-1].json()["type"] == "urn:suifang:problem:too-many-requests"
