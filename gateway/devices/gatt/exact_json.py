"""JSON whose numbers are ``Decimal`` or ``int``, written with all their digits.

The standard library knows no ``Decimal``; going through ``float`` would change what was measured.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | Decimal | str | int | None"
"""A ``bool`` is an ``int``."""


def write_json(value: Json) -> str:
    """One line of JSON; a ``Decimal`` becomes a plain literal, ``12.50`` stays ``12.50``.

    >>> write_json({"a": Decimal("12.50"), "b": [Decimal("3.6E+3"), True, None]})
    '{"a":12.50,"b":[3600,true,null]}'
    """
    if isinstance(value, Decimal):
        return write_number(value)
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        members = (f"{json.dumps(name)}:{write_json(part)}" for name, part in value.items())
        return "{" + ",".join(members) + "}"
    return "[" + ",".join(write_json(part) for part in value) + "]"


def write_number(value: Decimal) -> str:
    """A JSON number without exponent. Raises ``ValueError`` on what is no number."""
    if not value.is_finite():
        msg = f"{value} is no JSON number"
        raise ValueError(msg)
    return f"{value:f}"
