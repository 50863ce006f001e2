"""Reading elements of a resource that somebody else wrote, each with its path.

JSON as ``gateway.wire.readings.parse_json`` gives it: numbers are ``int`` or ``Decimal``.
Invariant: whatever the shape, the outcome is a value or an ``Unmappable``, never another error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from gateway.wire.times import parse_instant

_SHOWN_MAX: Final = 100
IDENTIFIERS_MAX: Final = 10
TEXT_MAX: Final = 200


class Unmappable(ValueError):  # noqa: N818 - what it is, not what went wrong
    """An element that cannot be stored as it is written.

    Attributes:
        path: FHIRPath of the element.
        value: As it was written, cut; empty where it may name somebody.
        remedy: What would be right.
    """

    def __init__(self, *, path: str, value: object, remedy: str) -> None:
        self.path = path
        self.value = "" if isinstance(value, dict | list) else str(value)[:_SHOWN_MAX]
        self.remedy = remedy
        super().__init__(f"{path}: {self.value!r}: {remedy}")


@dataclass(frozen=True, slots=True)
class Element:
    """One JSON object, and where it stands."""

    path: str
    content: Mapping[str, Any]

    @classmethod
    def of(cls, path: str, value: object) -> "Element":
        """Take a JSON object. Raises ``Unmappable``."""
        if not isinstance(value, dict):
            raise Unmappable(path=path, value=value, remedy="must be an object")
        return cls(path, value)

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return self.content.get(name) is not None

    def element(self, name: str) -> "Element":
        """An object inside. Raises ``Unmappable``."""
        return Element.of(f"{self.path}.{name}", self.content.get(name))

    def elements(self, name: str, at_most: int = 100) -> list["Element"]:
        """A list of objects inside; absent is empty. Raises ``Unmappable``."""
        found = self.content.get(name)
        path = f"{self.path}.{name}"
        if found is None:
            return []
        if not isinstance(found, list) or len(found) > at_most:
            raise Unmappable(path=path, value=found, remedy=f"must be a list of at most {at_most}")
        return [Element.of(f"{path}[{at}]", one) for at, one in enumerate(found)]

    def text(self, name: str) -> str | None:
        """A text inside; absent is None. Raises ``Unmappable``."""
        found = self.content.get(name)
        if found is None:
            return None
        storable = isinstance(found, str) and 0 < len(found) <= TEXT_MAX and "\x00" not in found
        if not storable:
            raise Unmappable(
                path=f"{self.path}.{name}", value=found, remedy=f"must be text of 1 to {TEXT_MAX}"
            )
        return str(found)

    def need(self, name: str) -> str:
        """A text that must be there. Raises ``Unmappable``."""
        found = self.text(name)
        if found is None:
            raise Unmappable(path=f"{self.path}.{name}", value="", remedy="is needed")
        return found

    def instant(self, name: str) -> datetime:
        """An instant with its offset. Raises ``Unmappable``."""
        text = self.need(name)
        try:
            return parse_instant(text)
        except ValueError as error:
            path = f"{self.path}.{name}"
            raise Unmappable(
                path=path, value=text, remedy="must be a date with time and offset"
            ) from error

    def number(self, name: str) -> int | Decimal:
        """A number, exact. Raises ``Unmappable``."""
        found = self.content.get(name)
        if isinstance(found, int | Decimal) and not isinstance(found, bool):
            return found
        raise Unmappable(path=f"{self.path}.{name}", value=found, remedy="must be a number")

    def refuse(self, *names: str, remedy: str) -> None:
        """Refuse what would change the meaning of the rest. Raises ``Unmappable``."""
        for name in names:
            if self.has(name):
                raise Unmappable(
                    path=f"{self.path}.{name}", value=self.content[name], remedy=remedy
                )

    def codes(self, system: str) -> list[str]:
        """The codes of one system in a CodeableConcept. Raises ``Unmappable``."""
        return [one.need("code") for one in self.elements("coding") if one.text("system") == system]

    def identifiers(self) -> list[tuple[str, str]]:
        """What has both a system and a value, in order. Raises ``Unmappable``."""
        found = []
        for one in self.elements("identifier", IDENTIFIERS_MAX):
            system, value = one.text("system"), one.text("value")
            if system is not None and value is not None:
                found.append((system, value))
        return found
