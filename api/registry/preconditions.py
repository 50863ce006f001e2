"""ETags of versions, and what ``If-Match`` and ``If-None-Match`` make of them (RFC 9110, 13.1).

An ETag is the version in quotes. A retried ``PUT`` whose content already stands is a success
whatever ``If-Match`` says (13.1.1 allows it): a lost answer then costs nothing.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Header

from api.errors import BadParameterError

_TAGS: Final = re.compile(r'\s*(?:W/)?"[^"]*"\s*(?:,\s*(?:W/)?"[^"]*"\s*)*')
_PATTERN: Final = rf"^(\s*\*\s*|{_TAGS.pattern})$"
_STRONG: Final = re.compile(r'(?<!W/)"(\d{1,9})"')
_ANY_STRENGTH: Final = re.compile(r'"(\d{1,9})"')

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=200,
        json_schema_extra={"pattern": _PATTERN},
        description='Only if this version still stands, as `"3"`; `*`: only if it is there',
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        max_length=200,
        json_schema_extra={"pattern": _PATTERN},
        description='`*`: only if it is not there; of a GET: 304 if this version stands, as `"3"`',
    ),
]


def etag(version: int) -> str:
    """The ETag of a version."""
    return f'"{version}"'


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a request asks of the version that stands. Raises ``BadParameterError``."""

    if_match: str | None
    if_none_match: str | None

    def __post_init__(self) -> None:
        for name, value in (("If-Match", self.if_match), ("If-None-Match", self.if_none_match)):
            if value is not None and value.strip() != "*" and not _TAGS.fullmatch(value):
                raise BadParameterError(
                    field=name, value=value, remedy='send an ETag in its quotes, as "3", or *'
                )

    def permits(self, _: str, version: int, same: bool) -> bool:  # noqa: FBT001 - ``registry.Permits``
        """Whether the version that stands may be written; 0: nothing stands."""
        if self.if_match is not None and not same and not self._matches(version):
            return False
        return self.if_none_match is None or not _is_among(
            self.if_none_match, _ANY_STRENGTH, version
        )

    def is_known(self, version: int) -> bool:
        """Whether a reader has this version already."""
        return self.if_none_match is not None and _is_among(
            self.if_none_match, _ANY_STRENGTH, version
        )

    def _matches(self, version: int) -> bool:
        return self.if_match is not None and _is_among(self.if_match, _STRONG, version)


def _is_among(header: str, tags: re.Pattern[str], version: int) -> bool:
    if header.strip() == "*":
        return version > 0
    return str(version) in tags.findall(header)
