"""A JSON object a line: what lines there are, how a stream is cut into them, and their check. Pure.

It must never hold more than a line and a batch, and never let one line that is wrong hold up
another one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, NamedTuple, TypeAlias

import msgspec
from pydantic import BaseModel, Field, ValidationError

from api.registry import schemas
from api.remedies import BODY, NOT_SHOWN, describe
from ingest.db.entities import ID_PATTERN, ExternalId

LINE: Final = "line"
"""The field of a refusal that is about a line as a whole."""


class _Named(BaseModel):
    """What a line has beside a body of ``PUT``."""

    id: ExternalId
    version: Annotated[
        int | None, Field(ge=0, description="The one it replaces; 0: only if there is none")
    ] = None


class CentreLine(_Named, schemas.CentreIn):
    """One line: a body of ``PUT`` with its id, and the version it replaces, if that matters."""


class TeamLine(_Named, schemas.TeamIn):
    """The same of a team."""


class StaffLine(_Named, schemas.StaffIn):
    """The same of somebody who works at a centre."""


class PackageLine(_Named, schemas.PackageIn):
    """The same of a package."""


class ResidentLine(_Named, schemas.ResidentIn):
    """The same of a resident."""


class ContractLine(_Named, schemas.ContractIn):
    """The same of a contract."""


AnyLine: TypeAlias = CentreLine | TeamLine | StaffLine | PackageLine | ResidentLine | ContractLine


class Line(NamedTuple):
    """One line of the request; no content: it was longer than a line may be."""

    number: int
    content: bytes | None


@dataclass(slots=True)
class LineReader:
    """Cuts a stream into lines, holding one at most."""

    bytes_max: int
    _rest: bytearray = field(default_factory=bytearray)
    _too_long: bool = False
    _number: int = 0

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that this chunk completes; blank ones are counted and left out."""
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            yield from self._finish(part)
        self._rest += rest
        if len(self._rest) > self.bytes_max:
            self._rest.clear()
            self._too_long = True

    def end(self) -> Iterator[Line]:
        """The last line, if no line end follows it."""
        yield from self._finish(b"")

    def _finish(self, part: bytes) -> Iterator[Line]:
        content = bytes(self._rest + part).strip()
        too_long = self._too_long or len(content) > self.bytes_max
        self._rest.clear()
        self._too_long = False
        self._number += 1
        if too_long:
            yield Line(self._number, None)
        elif content:
            yield Line(self._number, content)


class Parsed(NamedTuple):
    """A line that can be written, or why not."""

    number: int
    content: AnyLine | None
    problem: dict[str, str] | None
    id: str | None = None  # Of a line that cannot be written, if that much can be read.


def parse(lines: Sequence[Line], bytes_max: int, model: type[AnyLine]) -> list[Parsed]:
    """Check lines one by one. Pure."""
    return [_parse(line, bytes_max, model) for line in lines]


def _parse(line: Line, bytes_max: int, model: type[AnyLine]) -> Parsed:
    if line.content is None:
        return Parsed(line.number, None, invalid(LINE, NOT_SHOWN, f"longer than {bytes_max} bytes"))
    try:
        return Parsed(line.number, model.model_validate_json(line.content), None)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field_, value, remedy = describe({**first, "loc": (BODY, *first["loc"])})
        wrong = invalid(LINE if field_ == BODY else field_, value, remedy)
        return Parsed(line.number, None, wrong, _find_id(line.content))


def _find_id(content: bytes) -> str | None:
    try:
        return _IDS.decode(content).id
    except msgspec.MsgspecError:
        return None


class _WithId(msgspec.Struct):
    """What is read of a line to say whose it was."""

    id: Annotated[str, msgspec.Meta(pattern=ID_PATTERN)]


_IDS: Final = msgspec.json.Decoder(_WithId)


def invalid(field_: str, value: str, remedy: str) -> dict[str, str]:
    """Why a line is refused, as its outcome tells it."""
    return {"reason": "invalid", "field": field_, "value": value, "remedy": remedy}
