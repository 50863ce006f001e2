"""Promise: what would break a client is found, and what would not is let through."""

import copy
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from api.compatibility import find_breaks
from api.document import list_methods
from api.publish import FILE, as_text

PATH = "/v1/things/{id}"
DOCUMENT: dict[str, Any] = {
    "paths": {
        PATH: {
            "put": {
                "parameters": [
                    {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}},
                    {"in": "query", "name": "limit", "schema": {"type": "integer"}},
                    {"in": "query", "name": "kind", "schema": {"enum": ["a", "b"]}},
                ],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}
                },
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Out"}}
                        }
                    }
                },
            }
        }
    },
    "components": {
        "schemas": {
            "In": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "since": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "sex": {"type": "string", "enum": ["female", "male"]},
                    "parts": {"type": "array", "items": {"type": "integer"}},
                },
            },
            "Out": {
                "type": "object",
                "required": ["version", "name"],
                "properties": {
                    "version": {"type": "integer"},
                    "name": {"type": "string"},
                    "state": {"type": "string", "enum": ["open", "closed"]},
                },
            },
        }
    },
}


class Parts(NamedTuple):
    """What a change is made to: the operation, its body's schema and its answer's."""

    operation: dict[str, Any]
    asked: dict[str, Any]
    given: dict[str, Any]


Change = Callable[[Parts], object]

BREAKING: dict[str, tuple[Change, str]] = {
    "operation": (lambda p: p.operation.pop("responses"), "answers 200 no more"),
    "parameter gone": (lambda p: p.operation["parameters"].pop(1), "query limit: is gone"),
    "parameter needed": (
        lambda p: p.operation["parameters"][1].update(required=True),
        "query limit: is needed now",
    ),
    "new needed parameter": (
        lambda p: p.operation["parameters"].append(
            {"in": "query", "name": "new", "required": True, "schema": {}}
        ),
        "query new: is new and needed",
    ),
    "parameter's type": (
        lambda p: p.operation["parameters"][1].update(schema={"type": "boolean"}),
        "query limit: takes integer no more",
    ),
    "parameter's words": (
        lambda p: p.operation["parameters"][2].update(schema={"enum": ["a"]}),
        "query kind: takes b no more",
    ),
    "field gone from a request": (
        lambda p: p.asked["properties"].pop("since"),
        "body.since: is gone",
    ),
    "field needed": (lambda p: p.asked["required"].append("sex"), "body.sex: is needed now"),
    "null taken no more": (
        lambda p: p.asked["properties"].update(since={"type": "string"}),
        "body.since: takes null no more",
    ),
    "a word taken no more": (
        lambda p: p.asked["properties"]["sex"]["enum"].remove("male"),
        "body.sex: takes male no more",
    ),
    "items of another type": (
        lambda p: p.asked["properties"]["parts"].update(items={"type": "string"}),
        "body.parts[]: takes integer no more",
    ),
    "field gone from an answer": (
        lambda p: p.given["properties"].pop("state"),
        "200.state: is gone",
    ),
    "answer not always there": (
        lambda p: p.given["required"].remove("name"),
        "200.name: is not always there now",
    ),
    "answer may be null": (
        lambda p: p.given["properties"].update(name={"type": ["string", "null"]}),
        "200.name: may be null now",
    ),
    "another media type": (
        lambda p: p.operation["responses"]["200"].update(content={"text/csv": {"schema": {}}}),
        "200 is application/json no more",
    ),
}
ADDITIVE: dict[str, Change] = {
    "optional parameter": lambda p: p.operation["parameters"].append(
        {"in": "query", "name": "new", "schema": {"type": "string"}}
    ),
    "optional field": lambda p: p.asked["properties"].update(new={"type": "string"}),
    "a field needed no more": lambda p: p.asked["required"].remove("name"),
    "a word more": lambda p: p.asked["properties"]["sex"]["enum"].append("unknown"),
    "an answer's field": lambda p: p.given["properties"].update(new={"type": "string"}),
    "an answer's word": lambda p: p.given["properties"]["state"]["enum"].append("lost"),
    "an answer's field always there": lambda p: p.given["required"].append("state"),
    "a status": lambda p: p.operation["responses"].update({"202": {"description": "later"}}),
}


def changed(change: Change) -> dict[str, Any]:
    new = copy.deepcopy(DOCUMENT)
    schemas = new["components"]["schemas"]
    change(Parts(new["paths"][PATH]["put"], schemas["In"], schemas["Out"]))
    new["paths"][PATH]["put"].setdefault("responses", {})
    return new


@pytest.mark.parametrize("name", BREAKING)
def test_what_breaks_a_client_is_told_with_its_place(name: str) -> None:
    change, told = BREAKING[name]

    assert find_breaks(DOCUMENT, changed(change)) == [f"PUT {PATH}: {told}"]


@pytest.mark.parametrize("name", ADDITIVE)
def test_what_is_added_breaks_nobody(name: str) -> None:
    assert find_breaks(DOCUMENT, changed(ADDITIVE[name])) == []


def test_every_operation_that_goes_is_missed() -> None:
    document = json.loads(FILE.read_text("utf-8"))
    operations = sum(len(methods) for methods in document["paths"].values())

    assert len(find_breaks(document, {**document, "paths": {}})) == operations > 40
    assert find_breaks(document, document) == []


def test_the_text_has_one_leaf_a_line_and_sorted_keys() -> None:
    assert as_text({"b": [1, {"d": 1, "c": 2}], "a": 1}).splitlines()[1:3] == [
        ' "a": 1,',
        ' "b": [',
    ]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/residents/r-1", ["GET", "PUT"]),
        ("/v1/residents/bulk", ["POST"]),
        ("/v1/residents/r-1/personal-data", ["DELETE", "GET"]),
        ("/nowhere", []),
    ],
)
def test_the_methods_of_an_address_are_those_of_its_plainest_path(
    path: str, methods: list[str]
) -> None:
    assert list_methods(json.loads(FILE.read_text("utf-8")), path) == methods
