"""Promise: every operation of the register has examples, and they are what it takes and gives."""

from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from api.app import create_app
from api.followups.routes import KINDS
from api.registry import examples
from api.registry.kinds import COLLECTIONS, Collection
from api.settings import ApiSettings
from tests.fix_db import Database
from tests.integration.registry_bench import NOW, a_registry, put

DOCUMENT = create_app(
    ApiSettings(db_dsn=SecretStr("postgresql://nobody@localhost/none")), lambda: NOW
).openapi()
_PATHS = (*(f"/v1/{collection.path}" for collection in COLLECTIONS),)
OPERATIONS = [
    (path, method)
    for path, operations in DOCUMENT["paths"].items()
    if path.startswith(_PATHS)
    and not path.endswith(("/readings", "/timeline", "/merge", "/followups"))
    for method in operations
]


def test_the_operations_are_found() -> None:
    beside = 3 + 2 * 2  # Contacts of staff; duty hours of centres and teams.
    assert len(OPERATIONS) == 4 * len(COLLECTIONS) + 3 + len(KINDS) + 2 + beside
    assert DOCUMENT["openapi"].startswith("3.1")


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_shows_what_it_takes_and_gives(path: str, method: str) -> None:
    operation = DOCUMENT["paths"][path][method]

    assert operation["summary"]
    assert operation["description"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        assert content.get("examples") or content.get("example")
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            for content in response.get("content", {}).values():
                assert content["example"]


@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda each: each.path)
def test_examples_fit_their_schemas(collection: Collection) -> None:
    for model, example in (
        (collection.body, examples.body(collection.kind)),
        (collection.out, examples.answer(collection.kind)),
        (collection.page, examples.page(collection.kind)),
    ):
        schema = {
            "$ref": f"#/components/schemas/{model.__name__}",
            "components": DOCUMENT["components"],
        }
        Draft202012Validator(schema).validate(example)


async def test_the_examples_can_be_sent_one_after_another(database: Database) -> None:
    async with a_registry(database.dsn) as client:
        for collection in COLLECTIONS:
            kind = collection.kind
            path = f"{collection.path}/{examples.IDS[kind]}"
            written = await put(client, path, examples.body(kind), 201)
            told = written.json()
            shown = {**examples.answer(kind), "changed_at": told["changed_at"]}
            shown |= {"changed_by": told["changed_by"]}
            if kind == "resident":
                shown["personal_data"] = "none"
            assert told == shown
        await _send_lines(client)


async def _send_lines(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/v1/residents/bulk",
        content=examples.BULK_LINES,
        headers={"Content-Type": "application/x-ndjson"},
    )
    outcomes: list[Any] = response.text.splitlines()
    assert len(outcomes) == len(examples.BULK_OUTCOMES.splitlines())
    assert outcomes[1] == examples.BULK_OUTCOMES.splitlines()[1]
