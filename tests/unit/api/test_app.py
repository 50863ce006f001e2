"""Promise: the front door says what there is, and nothing it serves comes from another host."""

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.settings import ApiSettings
from gateway.wire.enrolment import ENROLMENTS_PATH, RENEWALS_PATH

SETTINGS = ApiSettings(db_dsn=SecretStr("host=127.0.0.1 port=1"), authentication="off")


async def get(address: str) -> httpx.Response:
    app = create_app(SETTINGS, lambda: datetime(2026, 3, 2, tzinfo=UTC))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        return await client.get(address)


PAGES = {"/openapi.json", "/console/"}  # Not in the document.


@pytest.fixture
async def document() -> dict[str, Any]:
    found: dict[str, Any] = (await get("/openapi.json")).json()
    return found


async def test_the_root_links_to_addresses_that_exist(document: dict[str, Any]) -> None:
    root = (await get("/")).json()

    assert root["name"] == "suifang"
    assert root["version"]
    links, paths = set(root["links"].values()) - PAGES, set(document["paths"]) - {"/"}
    assert links <= paths
    below = {path for link in links for path in paths if path.startswith(f"{link}/")}
    fhir = {path for path in paths if path.startswith("/fhir")}  # Its metadata lists them.
    assert links | below | fhir == paths


async def test_alive_needs_no_database() -> None:
    assert (await get("/healthz")).json() == {"status": "alive"}


async def test_every_operation_promises_problems(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        media = "application/fhir+json" if path.startswith("/fhir") else "application/problem+json"
        for operation in operations.values():
            responses = operation["responses"]
            assert "422" not in responses  # Among the 4XX.
            for code in ("4XX", "5XX"):
                assert list(responses[code]["content"]) == [media]


async def test_whatever_writes_asks_for_a_permission_to_write(document: dict[str, Any]) -> None:
    proved_otherwise = {
        ("post", ENROLMENTS_PATH),
        ("post", RENEWALS_PATH),
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "get" or (method, path) in proved_otherwise:
                continue
            scopes = [scope for each in operation["security"] for scope in each["bearer"]]
            assert any(scope.endswith(":write") for scope in scopes), (method, path)


async def test_the_document_names_no_host(document: dict[str, Any]) -> None:
    systems = r"http://(loinc\.org|snomed\.info|(terminology\.)?hl7\.org|unitsofmeasure\.org)\b"
    named = re.sub(systems, "", str(document))
    named = re.sub(r"https://(host/path|hooks\.example\.org)\b", "", named)  # Nobody's.
    assert not re.search(r"https?://", named)  # Code systems have names that look so.


async def test_measured_values_are_documented_as_numbers(document: dict[str, Any]) -> None:
    glucose = document["components"]["schemas"]["ReadingOut"]["properties"]["glucose"]

    assert {"type": "number"} in glucose["anyOf"]


async def test_every_alert_is_documented_to_carry_its_ground(document: dict[str, Any]) -> None:
    ground = {"observed", "threshold", "source", "profile", "profile_version"}

    assert ground <= set(document["components"]["schemas"]["AlertOut"]["required"])
