"""Opaque cursors: the key of the last row seen, so that paging never counts rows.

A cursor names its resource and is refused by every other one. It carries no secret and no
promise beyond this: the rows after that key, in that resource's order.
"""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Final, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from api.errors import BadParameterError

PAGE_ROWS_MAX: Final = 500
CURSOR_CHARACTERS_MAX: Final = 300
NUMBER_MAX: Final = 2**63 - 1  # bigint

Number = Annotated[int, Field(ge=0, le=NUMBER_MAX)]


def _require_storable(text: str) -> str:
    if "\x00" in text:
        msg = "must not hold a NUL character"
        raise ValueError(msg)
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_require_storable)]
KeyT = TypeVar("KeyT")


class PageQuery(BaseModel):
    """What every list takes. A parameter it does not know is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cursor: Annotated[
        str | None,
        Field(description="`next_cursor` of the page before", max_length=CURSOR_CHARACTERS_MAX),
    ] = None
    limit: Annotated[int, Field(ge=1, le=PAGE_ROWS_MAX)] = 100


class Cursor(Generic[KeyT]):
    """Reads and writes the cursors of one resource.

    >>> numbers = Cursor("cases", TypeAdapter(int))
    >>> numbers.read(numbers.write(7))
    7
    """

    def __init__(self, resource: str, key: TypeAdapter[KeyT]) -> None:
        self._resource = resource
        self._key = key

    def write(self, key: KeyT) -> str:
        """The cursor that continues after ``key``."""
        content = [self._resource, self._key.dump_python(key, mode="json")]
        raw = json.dumps(content, separators=(",", ":")).encode()
        return urlsafe_b64encode(raw).rstrip(b"=").decode()

    def read(self, text: str | None) -> KeyT | None:
        """The key inside ``text``; None for no cursor. Raises ``BadParameterError``."""
        if text is None:
            return None
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            content = json.loads(urlsafe_b64decode(padded))
            resource, key = content
            if resource == self._resource:
                return self._key.validate_python(key)
        except (binascii.Error, ValueError, TypeError, RecursionError, ValidationError) as error:
            raise self._refusal(text) from error
        raise self._refusal(text)

    def _refusal(self, text: str) -> BadParameterError:
        return BadParameterError(
            field="cursor",
            value=text,
            remedy=f"not a cursor of {self._resource}; pass back next_cursor of the page before "
            "unchanged, or leave it out to start again",
        )
