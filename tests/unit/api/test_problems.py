"""Promise: every error is application/problem+json that says what to do, and never a trace.

No database is there: what is refused here is refused before one is asked.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, SecretStr

from api.app import create_app
from api.settings import ApiSettings

SETTINGS = ApiSettings(db_dsn=SecretStr("host=127.0.0.1 port=1"), authentication="off")


class Body(BaseModel):
    """Something to send."""

    number: int


def an_app() -> FastAPI:
    app = create_app(SETTINGS, lambda: datetime(2026, 3, 2, tzinfo=UTC))

    @app.get("/boom")
    async def fail() -> None:
        secret = "host=10.0.0.1 password=secret"
        raise RuntimeError(secret)

    @app.post("/body")
    async def take(body: Body) -> Body:
        return body

    return app


@asynccontextmanager
async def a_client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(an_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


def assert_is_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:suifang:problem:")
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == response.request.url.path
    return problem


@pytest.mark.parametrize(
    ("address", "field", "value"),
    [
        ("/v1/cases?cursor=nonsense", "cursor", "nonsense"),
        ("/v1/alerts?cursor=%FF%00", "cursor", "�\x00"),
        ("/v1/cases?limit=0", "limit", "0"),
        ("/v1/cases?limit=501", "limit", "501"),
        ("/v1/cases?limit=many", "limit", "many"),
        ("/v1/cases?condition=flu", "condition", "flu"),
        ("/v1/cases?overdue=perhaps", "overdue", "perhaps"),
        ("/v1/cases?due_before=2026-02-30", "due_before", "2026-02-30"),
        ("/v1/cases?team=", "team", ""),
        ("/v1/cases?team=a%00b", "team", "a\x00b"),
        ("/v1/cases?teem=east", "teem", "east"),
        ("/v1/alerts?status=open", "status", "open"),
        ("/v1/alerts?severity=loud", "severity", "loud"),
        ("/v1/residents/a%00b/readings", "resident_id", "(not shown)"),
        ("/v1/residents/r/readings?from=2026-03-02", "from", "2026-03-02"),
        ("/v1/residents/r/readings?to=2026-03-02T09:00:00", "to", "2026-03-02T09:00:00"),
        (
            "/v1/residents/r/readings?from=2026-03-02T09:00:00Z&to=2026-03-01T09:00:00Z",
            "from",
            "2026-03-02T09:00:00+00:00",
        ),
        ("/v1/residents/r/readings?kind=pulse", "kind", "pulse"),
    ],
)
async def test_a_bad_value_names_itself_its_field_and_the_remedy(
    address: str, field: str, value: str
) -> None:
    async with a_client() as client:
        problem = assert_is_problem(await client.get(address), 400)

    (wrong,) = problem["errors"]
    assert (wrong["field"], wrong["value"]) == (field, value)
    assert wrong["remedy"]


async def test_several_bad_values_are_named_at_once() -> None:
    async with a_client() as client:
        problem = assert_is_problem(await client.get("/v1/cases?limit=0&condition=flu"), 400)

    assert {wrong["field"] for wrong in problem["errors"]} == {"limit", "condition"}


async def test_a_very_long_value_is_cut() -> None:
    async with a_client() as client:
        problem = assert_is_problem(await client.get("/v1/cases?condition=" + "x" * 5_000), 400)

    assert len(problem["errors"][0]["value"]) <= 200


@pytest.mark.parametrize(
    "address", ["/nowhere", "/v1", "/v1/cases/", "/docs", "/redoc", "/v2/cases"]
)
async def test_an_unknown_address_is_a_problem(address: str) -> None:
    async with a_client() as client:
        assert_is_problem(await client.get(address), 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_can_be_written(method: str) -> None:
    async with a_client() as client:
        for address in ("/v1/cases", "/v1/alerts", "/v1/residents/r/readings", "/"):
            response = await client.request(method, address)
            assert_is_problem(response, 405)
            assert response.headers["allow"] == "GET"


async def test_a_fault_of_ours_tells_nothing_of_its_inside() -> None:
    async with a_client() as client:
        response = await client.get("/boom")

    assert_is_problem(response, 500)
    assert "secret" not in response.text
    assert "RuntimeError" not in response.text


async def test_only_a_body_that_does_not_validate_is_422() -> None:
    async with a_client() as client:
        problem = assert_is_problem(await client.post("/body", json={"number": "x"}), 422)
        assert problem["errors"][0]["field"] == "number"
        assert_is_problem(await client.post("/body", content=b"{"), 422)
