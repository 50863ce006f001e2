"""What the tests of FHIR share: the independent checker, and JSON without binary fractions.

The checker is ``fhir.resources``: the structure definitions of R4B, which is R4 but for resources
that are not used here. The program never imports it.
"""

import json
from decimal import Decimal
from typing import Any

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
