"""Promise: the OpenAPI document shows every operation of ``/fhir`` with a valid example."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from api.app import create_app
from api.settings import ApiSettings
from tests.fhir_world import check

_SETTINGS = ApiSettings(db_dsn=SecretStr("postgresql://nobody@localhost/none"))
DOCUMENT = create_app(_SETTINGS, lambda: datetime(2026, 3, 16, tzinfo=UTC)).openapi()
OPERATIONS = [
    (path, method)
    for path, operations in DOCUMENT["paths"].items()
    if path.startswith("/fhir")
    for method in operations
]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_shows_what_it_takes_and_gives(path: str, method: str) -> None:
    operation = DOCUMENT["paths"][path][method]

    assert operation["summary"]
    assert operation["description"]
    shown: list[Any] = [operation.get("requestBody", {})]
    shown += [response for code, response in operation["responses"].items() if code != "304"]
    for part in shown:
        for media, content in part.get("content", {}).items():
            assert media == "application/fhir+json"
            check(content["example"])
    named = {parameter["name"] for parameter in operation.get("parameters", [])}
    assert ("_count" in named) == (operation["operationId"].startswith("fhir_search"))
