"""What every resource says of its version, and how instants are written."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from api.fhir.codes import Json

EXACT: Final = msgspec.json.Encoder(decimal_format="number")
"""A Decimal is written with exactly its digits; it never passes through a binary fraction."""


def instant(at: datetime) -> str:
    """A FHIR instant in UTC, to the microsecond where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def meta(version: int | str, updated_at: datetime | None, profile: str | None = None) -> Json:
    """The Meta of a resource."""
    return {
        "versionId": str(version),
        **({} if updated_at is None else {"lastUpdated": instant(updated_at)}),
        **({} if profile is None else {"profile": [profile]}),
    }


def moment_version(at: datetime) -> str:
    """The version of what keeps no count: the microsecond of its last change."""
    return str(int(at.timestamp()) * 1_000_000 + at.microsecond)


def digest_version(resource: Json) -> str:
    """The version of what does not even keep that: its content."""
    return hashlib.sha256(EXACT.encode(resource)).hexdigest()[:16]


def quantity(value: Decimal, unit: str, ucum: str) -> Json:
    """A Quantity with exactly the digits and the unit that were reported."""
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": ucum}
