"""Promise: whatever the API offers to those who use it, the typed client can ask for.

Every method is called, with every kind of thing it takes, against an API that knows nothing; what
it asked for is compared with the committed document. A new route without a method is found here.
"""

import inspect
import json
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import BaseModel

from api.client import ProblemError, Suifang
from api.client.care import _RECORDS
from api.client.suifang import _OUT, _PATHS
from api.followups.schemas import Body
from api.problems import MEDIA_TYPE
from api.registry import schemas
from api.registry.lines import (
    CentreLine,
    ContractLine,
    PackageLine,
    ResidentLine,
    StaffLine,
    TeamLine,
)

_DOCUMENT = Path(__file__).parents[3] / "docs/openapi.json"
# Other software speaks these: browsers, monitors, gateways, FHIR clients. `follow` is the stream.
_NOT_OURS = re.compile(
    r"/|/(fhir|healthz|readyz)(/.*)?|/v1/gateway-(enrolments|renewals)|/v1/alerts/stream"
)
_METHODS = ("get", "put", "post", "delete", "patch")


def offered() -> dict[tuple[str, str], re.Pattern[str]]:
    """Operations of the document, by method and path, and what an address of theirs looks like."""
    paths = json.loads(_DOCUMENT.read_text("utf-8"))["paths"]
    return {
        (method.upper(), path): re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        for path, operations in paths.items()
        for method in _METHODS
        if method in operations and not _NOT_OURS.fullmatch(path)
    }


def things(kind: Any) -> Sequence[Any]:  # noqa: ANN401 - an annotation
    """One of each that a parameter of this kind takes."""
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)
    if typing.get_origin(kind) is type:
        return list(_PATHS)
    if typing.get_origin(kind) is not None and typing.get_origin(kind) is not Iterable:
        return [each for part in typing.get_args(kind) for each in things(part)]
    bodies: list[Any] = list(_RECORDS)
    day = date(2026, 1, 5)
    contract = ContractLine(id="x", resident_id="x", package_id="x", since=day)
    known: dict[Any, Sequence[Any]] = {
        str: ["x"],
        int: [7],
        UUID: [UUID(int=7)],
        Iterable[ResidentLine]: [[ResidentLine.model_construct(id="x")]],
        Iterable[ContractLine]: [[contract]],
        Iterable[CentreLine]: [[CentreLine(id="x", name="x")]],
        Iterable[TeamLine]: [[TeamLine(id="x", name="x", centre_id="x")]],
        Iterable[StaffLine]: [[StaffLine(id="x", centre_id="x", role="doctor", since=day)]],
        Iterable[PackageLine]: [[PackageLine(id="x", name="x")]],
        schemas.Content: [each.model_construct() for each in _OUT],
        Body: [each.model_construct() for each in bodies],
    }
    if kind in known:
        return known[kind]
    assert issubclass(kind, BaseModel), kind
    return [kind.model_construct()]


def call_everything(client: Suifang) -> Iterator[str]:
    """Call every public method with every kind of thing; yields what was called."""
    for name, method in inspect.getmembers(client, inspect.ismethod):
        if name.startswith("_") or name == "close":
            continue
        hints = typing.get_type_hints(method)
        needed = [
            each
            for each in inspect.signature(method).parameters.values()
            if each.default is each.empty and each.kind is not each.VAR_KEYWORD
        ]
        for values in product(*(things(hints[each.name]) for each in needed)):
            with pytest.raises(ProblemError):
                next(method(*values))  # What is no iterator was refused before.
            yield name


def test_every_operation_of_the_document_has_a_method() -> None:
    asked: list[tuple[str, str]] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path))
        problem = {"type": "x", "title": "x", "status": 404, "detail": "x", "instance": "x"}
        return httpx.Response(404, json=problem, headers={"Content-Type": MEDIA_TYPE})

    with Suifang("http://api", "key", transport=httpx.MockTransport(refuse)) as client:
        called = list(call_everything(client))

    operations = offered()
    missing = {
        (method, path)
        for (method, path), address in operations.items()
        if not any(m == method and address.fullmatch(asked_path) for m, asked_path in asked)
    }
    strange = [
        each
        for each in asked
        if not any(m == each[0] and a.fullmatch(each[1]) for (m, _), a in operations.items())
    ]
    assert len(called) == len(asked)
    assert missing == set()
    assert strange == []
