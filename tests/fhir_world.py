"""What the tests of FHIR share: the independent checker, and JSON without binary fractions.

The checker is ``fhir.resources``: the structure definitions of R4B, which is R4 but for resources
that are not used here. The program never imports it.
"""

import json
from decimal import Decimal
from typing import Any

import httpx
from fhir.resources.R4B import get_fhir_model_class

Json = dict[str, Any]


def check(resource: Json) -> None:
    """Refuse what is no such resource, in every element at any depth, and empty lists."""
    model = get_fhir_model_class(resource["resourceType"])
    model.model_validate(json.loads(json.dumps(resource, default=_number)))
    _no_empty(resource)


def _number(value: object) -> float | int:
    assert isinstance(value, Decimal)
    return float(value)


def _no_empty(value: object) -> None:
    assert value not in ("", [], {}, None)
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            _no_empty(child)


def exact(text: str) -> Json:
    """JSON whose numbers keep every digit."""
    found: Json = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    return found


def resources_in(bundle: Json) -> list[Json]:
    """What a page holds."""
    return [entry["resource"] for entry in bundle.get("entry", [])]


async def ask(
    client: httpx.AsyncClient,
    path: str,
    expected: int = 200,
    /,
    **asked: Any,  # noqa: ANN401 - parameters are of any type
) -> Json:
    """One answer of ``/fhir``, checked; its numbers with their digits."""
    response = await client.get(f"/fhir/{path}", params=asked or None)
    assert response.status_code == expected, response.text
    assert response.headers["content-type"].startswith("application/fhir+json")
    found = exact(response.text)
    check(found)
    return found


async def found_in(client: httpx.AsyncClient, name: str, **asked: Any) -> list[str]:  # noqa: ANN401
    """The ids that a search finds."""
    return [each["id"] for each in resources_in(await ask(client, name, **asked))]
