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

JSON = {"Content-Type": "application/json"}
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
        broken = await client.post("/body", content=b"{", headers=JSON)
        assert_is_problem(broken, 422)


@pytest.mark.parametrize(
    ("address", "field", "value", "remedy"),
    [
        ("/v1/cases?team=a&team=b", "team", "a", "may be given once only"),
        ("/v1/cases?limit=1&overdue=true&limit=2", "limit", "1", "may be given once only"),
        ("/fhir/Patient?_count=1&_count=2", "_count", "1", "may be given once only"),
        ("/v1/indicators", "period", "(missing)", "is needed"),
        ("/v1/indicators?period=2026-Q5", "period", "2026-Q5", "2026-Q3"),
        ("/v1/alerts?after=1&cursor=x", "cursor", "x", "feed_number"),
        ("/v1/contracts/a%20b", "id", "(not shown)", "1 to 128 characters"),
        ("/v1/exports/followups?from=9999-12-30&to=9999-12-31", "to", "9999-12-31", "9999-12-30"),
    ],
)
async def test_what_is_asked_twice_missing_or_misshapen_says_so_in_words(
    address: str, field: str, value: str, remedy: str
) -> None:
    async with a_client() as client:
        response = await client.get(address)

    assert response.status_code == 400, response.text
    if address.startswith("/fhir"):
        assert remedy in response.json()["issue"][0]["diagnostics"]
        return
    (wrong,) = response.json()["errors"]
    assert (wrong["field"], wrong["value"]) == (field, value)
    assert remedy in wrong["remedy"]


async def test_a_parameter_that_takes_several_may_be_given_twice() -> None:
    async with a_client() as client:
        twice = await client.get("/v1/events?after=0&type=case.changed&type=alert.raised")

    assert twice.status_code == 503  # No database; nothing was refused before.


@pytest.mark.parametrize(
    ("content", "headers", "status", "field", "remedy"),
    [
        (b"{", {}, 422, "body", "is no JSON"),
        (b'{"number": 1,}', {}, 422, "body", "at character 1"),
        (b"", {}, 422, "body", "is needed"),
        (b"[]", {}, 422, "body", "must be a JSON object"),
        (b"{}", {}, 422, "number", "is needed"),
        (b'{"number": 1}', {"Content-Type": "text/plain"}, 415, None, "application/json"),
        (b'{"number": 1}', {"Content-Type": ""}, 415, None, "application/json"),
        (b"\x1f\x8b", {"Content-Encoding": "gzip"}, 415, None, "gzip"),
    ],
)
async def test_a_body_that_cannot_be_read_says_why(
    content: bytes, headers: dict[str, str], status: int, field: str | None, remedy: str
) -> None:
    async with a_client() as client:
        sent = {**JSON, **headers}
        problem = assert_is_problem(
            await client.post("/body", content=content, headers=sent), status
        )

    assert remedy in problem["detail"]
    assert [wrong["field"] for wrong in problem.get("errors", ())] == [field] * (field is not None)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ('{"name": "Zhang", "id_number": "110101194901010013"}', "text/plain"),
        (
            '{"name": "Zhang", "id_number": "110101194901010013"}',
            "application/x-www-form-urlencoded",
        ),
        ('"Zhang 110101194901010013"', "application/json"),
        ('["Zhang", "110101194901010013"]', "application/json"),
    ],
)
async def test_a_body_is_never_repeated_as_a_whole(content: str, kind: str) -> None:
    async with a_client() as client:
        answer = await client.put(
            "/v1/residents/r-1", content=content, headers={"Content-Type": kind}
        )

    assert answer.status_code in {415, 422}
    assert "Zhang" not in answer.text
    assert "110101" not in answer.text


@pytest.mark.parametrize("path", ["/fhir/Foo", "/fhir/Patient/x/$everything"])
async def test_an_unknown_address_of_fhir_names_what_fhir_can_do(path: str) -> None:
    async with a_client() as client:
        answer = await client.get(path)

    assert answer.status_code == 404
    assert "/fhir/metadata" in answer.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize("content", [b'{"number": "\xff"}', b"[" * 30_000 + b"]" * 30_000])
async def test_bytes_that_no_reader_takes_are_the_senders_fault(content: bytes) -> None:
    async with a_client() as client:
        problem = assert_is_problem(await client.post("/body", content=content, headers=JSON), 400)

    assert "UTF-8" in problem["detail"]


async def test_a_body_too_large_is_the_same_problem_whether_its_length_was_told_or_not() -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 30_000

    async with a_client() as client:
        told = await client.post("/body", content=b"x" * 90_000, headers=JSON)
        untold = await client.post("/body", content=drip(), headers=JSON)

    assert assert_is_problem(told, 413) == assert_is_problem(untold, 413)
