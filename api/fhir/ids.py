"""Ids of ours as FHIR takes them (letters, digits, hyphen, dot; 1 to 64), and back, exactly.

What FHIR does not allow is written as a dot and two hexadecimal digits for each byte, and so is
the dot itself: every id has one spelling, and one spelling one id.
"""

import re
from typing import Final

CHARACTERS_MAX: Final = 64  # FHIR R4, 2.24.0.1, id.
_PLAIN: Final = re.compile(r"[A-Za-z0-9-]")
_SPELLED: Final = re.compile(r"(?:[A-Za-z0-9-]|\.[0-9A-F]{2}){1,64}")


def to_fhir(text: str) -> str | None:
    """The spelling of an id; None when it would be longer than FHIR allows.

    >>> to_fhir("AA:7F.b")
    'AA.3A7F.2Eb'
    """
    spelled = "".join(
        character
        if _PLAIN.fullmatch(character)
        else "".join(f".{byte:02X}" for byte in character.encode())
        for character in text
    )
    return spelled if 0 < len(spelled) <= CHARACTERS_MAX else None


def from_fhir(spelled: str) -> str | None:
    """The id that is spelled so; None when none is.

    >>> from_fhir("AA.3A7F.2Eb")
    'AA:7F.b'
    """
    if not _SPELLED.fullmatch(spelled):
        return None
    raw = re.sub(
        rb"\.([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), spelled.encode()
    )
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return text if "\x00" not in text and to_fhir(text) == spelled else None


def reference(resource_type: str, id_: str, system: str) -> dict[str, object]:
    """A Reference: by address where the id can be one, and always by identifier."""
    spelled = to_fhir(id_)
    found: dict[str, object] = {
        "type": resource_type,
        "identifier": {"system": system, "value": id_},
    }
    return found if spelled is None else {"reference": f"{resource_type}/{spelled}", **found}
