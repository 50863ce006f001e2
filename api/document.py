"""What FastAPI's OpenAPI document does not say right by itself.

Problems have a media type of their own; a parameter in an address or a header is never null; what
is null in an example stays in it; and which methods an address really has is asked by whoever is
refused one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, cast

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

PROBLEM: Final = "application/problem+json"
_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_NULL: Final = {"type": "null"}


def refine(document: dict[str, Any]) -> dict[str, Any]:
    """The document put right, in place."""
    for path, operation in list_operations(document):
        for code in {"4XX", "5XX"}.intersection(operation["responses"]):
            if is_fhir(path):
                continue  # OperationOutcomes, which say their media type themselves.
            response = operation["responses"][code]
            response["content"] = {PROBLEM: next(iter(response["content"].values()))}
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _without_null(parameter["schema"])
    return document


def keep_nulls(document: dict[str, Any], routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Put the examples of answers back as they are written, in place: FastAPI drops every null."""
    for route in iter_route_contexts(routes):
        if not getattr(route, "include_in_schema", False):
            continue
        for code, response in getattr(route, "responses", {}).items():
            for media, content in response.get("content", {}).items():
                if "example" not in content:
                    continue
                for method in route.methods or ():
                    operation = document["paths"][route.path_format][method.lower()]
                    shown = operation["responses"][str(code)]["content"][media]
                    shown["example"] = content["example"]
    return document


def is_fhir(path: str) -> bool:
    """Whether an address speaks FHIR, errors included."""
    return path == "/fhir" or path.startswith("/fhir/")


def list_operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation with its path."""
    for path, methods in document["paths"].items():
        yield from ((path, operation) for name, operation in methods.items() if name in _METHODS)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is there or left out; left out is what null would mean."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != _NULL]
    if not kinds or len(kinds) == len(schema["anyOf"]):
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})}


def list_methods(document: Mapping[str, Any], path: str) -> list[str]:
    """The methods of the address with the fewest parameters that this path fits; upper case."""
    return sorted(name.upper() for name in _find_operations(document, path) if name in _METHODS)


def list_single(document: Mapping[str, Any], path: str, method: str) -> set[str]:
    """Parameters of the query that an operation takes once; none where there is no operation."""
    operation = _find_operations(document, path).get(method.lower(), {})
    return {
        parameter["name"]
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and not _is_list(parameter["schema"])
    }


def _is_list(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "array" or any(map(_is_list, schema.get("anyOf", ())))


def _find_operations(document: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    found = [template for template in document["paths"] if _pattern_of(template).fullmatch(path)]
    if not found:
        return {}
    plainest: str = min(found, key=lambda template: template.count("{"))
    return cast("Mapping[str, Any]", document["paths"][plainest])


@lru_cache(maxsize=1_000)
def _pattern_of(template: str) -> "re.Pattern[str]":
    literals = re.split(r"\{[^}]*\}", template)
    return re.compile("[^/]+".join(map(re.escape, literals)))
