"""Promise: every operation has examples, and they are what it takes and gives."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from api.app import create_app
from api.registry import examples
from api.registry.kinds import COLLECTIONS, Collection
from api.settings import ApiSettings
from tests.fix_db import Database
from tests.integration.registry_bench import NOW, a_registry, put

DOCUMENT = create_app(
    ApiSettings(db_dsn=SecretStr("postgresql://nobody@localhost/none")), lambda: NOW
).openapi()
JSON = frozenset({"application/json", "application/fhir+json"})
# The root and the probes say everything in their schemas; the stream does not end, and api.md and
# docs/asyncapi.json show it.
SHOW_NOTHING = {"/", "/healthz", "/readyz", "/v1/alerts/stream"}
WITHOUT_SCHEMA = {  # JSON Schema knows no lines.
    *((f"/v1/{each.path}/bulk", "post", "body") for each in COLLECTIONS),
}
OPERATIONS = [
    (path, method) for path, operations in DOCUMENT["paths"].items() for method in operations
]


class Shown(NamedTuple):
    """What an operation takes or gives in one media type."""

    where: str  # "body", or a status
    media: str
    content: dict[str, Any]

    def examples(self) -> list[Any]:
        """All that it shows: its own, or those of its schema."""
        if "example" in self.content:
            return [self.content["example"]]
        if "examples" in self.content:
            return [each["value"] for each in self.content["examples"].values()]
        name = self.content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        found = DOCUMENT["components"]["schemas"].get(name, {}).get("examples", [])
        return list(found)


def shown_by(operation: dict[str, Any]) -> Iterator[Shown]:
    """Everything that an operation takes, or gives when it succeeds."""
    taken = {"body": operation.get("requestBody", {})}
    given = {code: each for code, each in operation["responses"].items() if code.startswith("2")}
    for where, each in (taken | given).items():
        for media, content in each.get("content", {}).items():
            yield Shown(where, media, content)


def test_the_operations_are_found() -> None:
    assert len(OPERATIONS) > 100
    assert {f"/v1/{collection.path}" for collection in COLLECTIONS} < {
        path for path, _ in OPERATIONS
    }
    assert (
        sum(1 for each in OPERATIONS for _ in shown_by(DOCUMENT["paths"][each[0]][each[1]])) > 150
    )
    assert DOCUMENT["openapi"].startswith("3.1")


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_shows_what_it_takes_and_gives_and_it_fits(path: str, method: str) -> None:
    operation = DOCUMENT["paths"][path][method]

    assert operation["summary"]
    assert operation["description"]
    for each in shown_by(operation):
        examples = each.examples()
        assert examples or path in SHOW_NOTHING
        if (path, method, each.where) in WITHOUT_SCHEMA or path in SHOW_NOTHING:
            continue
        schema = {**each.content["schema"], "components": DOCUMENT["components"]}
        for example in examples:
            Draft202012Validator(schema).validate(example)
            assert each.media in JSON or isinstance(example, str)


@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda each: each.path)
def test_the_document_shows_what_is_null_too(collection: Collection) -> None:
    shown = DOCUMENT["paths"][f"/v1/{collection.path}"]["get"]["responses"]["200"]["content"]

    assert shown["application/json"]["example"] == examples.page(collection.kind)
    assert examples.page(collection.kind)["next_cursor"] is None


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
    """The second is refused as it is shown; the first stands already."""
    for collection in COLLECTIONS:
        lines, told = examples.bulk(collection.kind)
        response = await client.post(
            f"/v1/{collection.path}/bulk",
            content=lines,
            headers={"Content-Type": "application/x-ndjson"},
        )
        outcomes = [json.loads(line) for line in response.text.splitlines()]
        shown = [json.loads(line) for line in told.splitlines()]
        assert outcomes[0] == {**shown[0], "outcome": "unchanged"}
        assert outcomes[1] == shown[1]
        assert outcomes[2] == {**shown[2], "created": 0, "unchanged": 1}
