"""Promise: requests are counted by the route that answered, and no label value is without bound."""

from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest
from pydantic import SecretStr

from api.app import create_app
from api.metrics import GATEWAY_STATES, PROBLEMS, ApiMetrics
from api.settings import ApiSettings
from gateway.status import StatusProblem

SETTINGS = ApiSettings(
    db_dsn=SecretStr("host=127.0.0.1 port=1"), authentication="off", db_wait_ms_max=10
)


@pytest.fixture
def app() -> FastAPI:
    """An API without a database."""
    return create_app(SETTINGS, lambda: datetime(2026, 3, 2, tzinfo=UTC))


async def routes_after(app: FastAPI, *requests: tuple[str, str]) -> set[tuple[str, ...]]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        for method, address in requests:
            await client.request(method, address)
    metrics: ApiMetrics = app.state.services.metrics
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"])
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "suifang_api_request_seconds_count"
    }


async def test_a_route_is_its_template_and_never_an_address(app: FastAPI) -> None:
    found = await routes_after(
        app,
        ("GET", "/healthz"),
        ("GET", "/v1/residents/residents/timeline"),
        ("GET", "/v1/residents/r-1/timeline"),
        ("GET", "/v1/alerts/00000000-0000-7000-8000-000000000000"),
        ("GET", "/fhir/Patient/r-1"),
        ("GET", "/console/residents/r-1"),
        ("GET", "/console/nowhere/r-1"),
        ("GET", "/v1/r-1"),
        ("BREW", "/healthz"),
    )

    assert {(method, route) for method, route, _ in found} == {
        ("GET", "/healthz"),
        ("GET", "/v1/residents/{resident_id}/timeline"),
        ("GET", "/v1/alerts/{alert_id}"),
        ("GET", "/fhir/Patient/{id}"),
        ("GET", "/console/residents/{resident_id}"),
        ("GET", "/console/*"),
        ("GET", "unmatched"),
        ("other", "/healthz"),
    }
    assert ("GET", "/healthz", "200") in found
    assert ("other", "/healthz", "405") in found
    assert b"r-1" not in generate_latest(app.state.services.metrics.registry)


async def test_every_route_of_the_document_is_told_by_the_same_template(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    plain = [path for path in paths if "{" not in path and "get" in paths[path]]

    found = await routes_after(app, *(("GET", path) for path in plain if "stream" not in path))

    assert {route for _, route, _ in found} == {path for path in plain if "stream" not in path}


def test_the_problems_are_those_that_gateways_name() -> None:
    assert set(PROBLEMS) == set(StatusProblem)


def test_a_problem_or_state_that_is_gone_goes_back_to_nought(app: FastAPI) -> None:
    metrics: ApiMetrics = app.state.services.metrics
    metrics.show_fleet({"online": 3, "silent": 1}, {"clock_unknown": 2, "haunted": 4})
    metrics.show_fleet({"online": 4}, {"haunted": 1})

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    states = {state: value("suifang_api_gateways", state=state) for state in GATEWAY_STATES}
    assert states == {"online": 4, "silent": 0, "offline": 0, "unheard": 0}
    assert value("suifang_api_gateway_problems", problem="clock_unknown") == 0
    assert value("suifang_api_gateway_problems", problem="other") == 1
    assert value("suifang_api_gateway_problems", problem="haunted") is None
