"""``POST /v1/residents/bulk``, ``/v1/contracts/bulk``: a JSON object a line, an outcome a line.

Lines are checked as ``PUT`` checks its body, and written by the same function, a thousand in a
transaction. A line that is refused holds no other one up. Outcomes come in the order of the lines;
the last line counts them, and its absence says that the end was not reached: send all of it again,
what is there already is ``unchanged``. Memory is bounded by one batch and one line.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec
from fastapi import APIRouter, Header, Request
from pydantic import Field, ValidationError
from starlette.requests import ClientDisconnect

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.errors import ForbiddenError, UnavailableError, UnsupportedContentError
from api.registry import examples
from api.registry.kinds import COLLECTIONS, Save
from api.registry.outcomes import OutcomeStream, Spool
from api.registry.schemas import ContractIn, ResidentIn
from api.registry.writing import as_tuples, keys_at_hand
from api.remedies import BODY, NOT_SHOWN, describe, redact
from api.services import Running, Services
from api.settings import BulkSettings
from ingest.db.entities import ID_PATTERN, ExternalId
from ingest.db.registry import Authorship, Outcome, Refusal

router = APIRouter()

STREAMS: Final = frozenset({"/v1/residents/bulk", "/v1/contracts/bulk"})
"""Addresses whose bodies have no bound as a whole: they are read line by line."""
LINE: Final = "line"
"""The field of a refusal that is about a line as a whole."""
NDJSON: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_WAIT_S: Final = 0.1  # Before the second attempt; doubled before each further one.


Version = Annotated[int | None, Field(ge=0, description="0: only if there is none")]


class ResidentLine(ResidentIn):
    """One line: a body of ``PUT`` with its id, and the version it replaces, if that matters."""

    id: ExternalId
    version: Version = None


class ContractLine(ContractIn):
    """The same of a contract."""

    id: ExternalId
    version: Version = None


AnyLine: TypeAlias = ResidentLine | ContractLine


class Register(NamedTuple):
    """What lines are of, and how they are written."""

    line: type[AnyLine]
    save: Save


_SAVES: Final = {each.kind: each.save for each in COLLECTIONS}
RESIDENTS: Final = Register(ResidentLine, _SAVES["resident"])
CONTRACTS: Final = Register(ContractLine, _SAVES["contract"])


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


class _Parsed(NamedTuple):
    """A line that can be written, or why not."""

    number: int
    content: AnyLine | None
    problem: dict[str, str] | None
    id: str | None = None  # Of a line that cannot be written, if that much can be read.


def parse(lines: Sequence[Line], bytes_max: int, model: type[AnyLine]) -> list[_Parsed]:
    """Check lines one by one. Pure."""
    return [_parse(line, bytes_max, model) for line in lines]


def _parse(line: Line, bytes_max: int, model: type[AnyLine]) -> _Parsed:
    if line.content is None:
        return _Parsed(
            line.number, None, _invalid(LINE, NOT_SHOWN, f"longer than {bytes_max} bytes")
        )
    try:
        return _Parsed(line.number, model.model_validate_json(line.content), None)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field_, value, remedy = describe({**first, "loc": (BODY, *first["loc"])})
        wrong = _invalid(LINE if field_ == BODY else field_, value, remedy)
        return _Parsed(line.number, None, wrong, _find_id(line.content))


def _find_id(content: bytes) -> str | None:
    try:
        return _IDS.decode(content).id
    except msgspec.MsgspecError:
        return None


class _WithId(msgspec.Struct):
    """What is read of a line to say whose it was."""

    id: Annotated[str, msgspec.Meta(pattern=ID_PATTERN)]


_IDS: Final = msgspec.json.Decoder(_WithId)


def _invalid(field_: str, value: str, remedy: str) -> dict[str, str]:
    return {"reason": "invalid", "field": field_, "value": value, "remedy": remedy}


def _in_rounds(parsed: Sequence[_Parsed]) -> Iterator[list[_Parsed]]:
    """Cut where an id comes again: in one statement only the last of two would count."""
    batch: list[_Parsed] = []
    seen: set[str] = set()
    for each in parsed:
        if each.content is not None:
            if each.content.id in seen:
                yield batch
                batch, seen = [], set()
            seen.add(each.content.id)
        batch.append(each)
    if batch:
        yield batch


@dataclass(slots=True, kw_only=True)
class BulkWriter:
    """Writes the lines of one request on behalf of one principal."""

    running: Services
    principal: Principal
    register: Register
    spool: Spool
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def _settings(self) -> BulkSettings:
        return self.running.settings.bulk

    async def run(self, chunks: AsyncIterator[bytes]) -> None:
        """Read to the end, write batch by batch, spool the outcomes and at last the counts."""
        writing: asyncio.Task[None] | None = None
        try:
            # While the database writes one batch, the next one is read and checked.
            async for lines in self._batches(chunks):
                parsed = await asyncio.to_thread(
                    parse, lines, self._settings.line_bytes_max, self.register.line
                )
                if writing is not None:
                    await writing
                writing = asyncio.create_task(self._write_parsed(parsed), name="bulk batch")
            if writing is not None:
                await writing
        except ClientDisconnect:
            return  # Nobody reads any more; what is committed stays.
        except UnavailableError as error:
            self._tell({"stopped": error.msg})
            return
        finally:
            if writing is not None and not writing.done():
                writing.cancel()
        names = ("created", "changed", "unchanged", "refused")
        self._tell({"lines": self.counts.total(), **{name: self.counts[name] for name in names}})

    async def _batches(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[list[Line]]:
        """Lines, as many as go into one transaction."""
        reader = LineReader(self._settings.line_bytes_max)
        rows_max = self._settings.rows_per_transaction
        waiting: list[Line] = []
        async for chunk in chunks:
            waiting.extend(reader.feed(chunk))
            while len(waiting) >= rows_max:
                yield waiting[:rows_max]
                del waiting[:rows_max]
        waiting.extend(reader.end())
        if waiting:
            yield waiting

    async def _write_parsed(self, parsed: Sequence[_Parsed]) -> None:
        for batch in _in_rounds(parsed):
            outcomes = await self._write_each([each.content for each in batch if each.content])
            told = [_tell(each, outcomes) for each in batch]
            self.counts.update(line["outcome"] for line in told)
            self.spool.append(b"".join(_ENCODER.encode(line) + b"\n" for line in told))

    async def _try_often(self, contents: Sequence[AnyLine]) -> dict[str, Outcome]:
        """Write one batch; a deadlock or a database that restarts is worth another attempt."""
        for attempt in range(1, self._settings.attempts_max):
            try:
                return await self._write(contents)
            except UnavailableError:
                wait_s = _WAIT_S * 2**attempt * random.uniform(0.5, 1)  # noqa: S311 - jitter
                await asyncio.sleep(wait_s)
        return await self._write(contents)

    async def _write_each(self, contents: Sequence[AnyLine]) -> dict[str, Outcome]:
        """Write one batch; where somebody may not be seen or placed, the others one by one."""
        try:
            return await self._try_often(contents)
        except ForbiddenError as error:
            if len(contents) == 1:
                refusal = Refusal("not_visible", "id", contents[0].id, error.msg)
                return {contents[0].id: Outcome(contents[0].id, "refused", 0, refusal)}
            half = len(contents) // 2
            first = await self._write_each(contents[:half])
            return {**first, **await self._write_each(contents[half:])}

    async def _write(self, contents: Sequence[AnyLine]) -> dict[str, Outcome]:
        if not contents:
            return {}
        at = self.running.clock()
        versions = {each.id: each.version for each in contents if each.version is not None}

        def permits(id_: str, version: int, same: bool) -> bool:  # noqa: FBT001 - ``registry.Permits``
            return same or versions.get(id_, version) == version

        by = Authorship(author=self.principal.subject, at=at, permits=permits)
        sealing = self.running.keys.sealing()
        records = [each.to_record(each.id) for each in contents]
        async with self.running.database.writing(self.principal, at=at) as connection:
            with as_tuples(connection) as tuples, keys_at_hand():
                outcomes = await self.register.save(tuples, records, by, sealing)
        return {outcome.id: outcome for outcome in outcomes}

    def _tell(self, line: dict[str, Any]) -> None:
        self.spool.append(_ENCODER.encode(line) + b"\n")


_ENCODER: Final = msgspec.json.Encoder()


def _tell(parsed: _Parsed, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    if parsed.content is None:
        known = {} if parsed.id is None else {"id": redact(parsed.id)}
        return {"line": parsed.number, **known, "outcome": "refused", "problem": parsed.problem}
    outcome = outcomes[parsed.content.id]
    told = {"line": parsed.number, "id": outcome.id, "outcome": outcome.status}
    refusal: Refusal | None = outcome.refusal
    if refusal is not None:
        return {**told, "problem": refusal._asdict()}
    return {**told, "version": outcome.version}


def _described(lines: str, outcomes: str) -> dict[str, Any]:
    """What the document says of both addresses."""
    return {
        "response_class": OutcomeStream,
        "responses": {
            200: {
                "description": "One outcome a line, in order; at last the counts",
                "content": {"application/x-ndjson": {"example": outcomes}},
            },
        },
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "description": "One JSON object a line: a body of PUT with `id`, and `version` if "
                "it matters which one it replaces",
                "content": {"application/x-ndjson": {"example": lines}},  # No schema says lines.
            }
        },
    }


Writer: TypeAlias = Annotated[Principal, require(Permission.RESIDENTS_WRITE)]
ContentType: TypeAlias = Annotated[str, Header(max_length=200, include_in_schema=False)]
IdempotencyKey: TypeAlias = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=200, description="Not needed: send it again"),
]


@router.post(
    "/residents/bulk",
    operation_id="write_residents",
    tags=["residents"],
    **_described(examples.BULK_LINES, examples.BULK_OUTCOMES),
)
async def write_residents(
    running: Running,
    principal: Writer,
    request: Request,
    content_type: ContentType = "",
    _: IdempotencyKey = None,
) -> OutcomeStream:
    """Write many residents at once; each line is written or refused by itself.

    Sending all of it again is safe at any time: what stands already is `unchanged` and is no new
    version. A last line with the counts says that everything was read; `stopped` instead of it
    says why not. What was written until then stays.
    """
    return _stream(running, principal, request, content_type, RESIDENTS)


@router.post(
    "/contracts/bulk",
    operation_id="write_contracts",
    tags=["contracts"],
    **_described(examples.BULK_CONTRACTS, examples.BULK_CONTRACT_OUTCOMES),
)
async def write_contracts(
    running: Running,
    principal: Writer,
    request: Request,
    content_type: ContentType = "",
    _: IdempotencyKey = None,
) -> OutcomeStream:
    """Write many contracts at once; each line is written or refused by itself.

    As with residents, who must be there first, as must the packages.
    """
    return _stream(running, principal, request, content_type, CONTRACTS)


def _stream(
    running: Services,
    principal: Principal,
    request: Request,
    content_type: str,
    register: Register,
) -> OutcomeStream:
    if content_type.partition(";")[0].strip().lower() not in NDJSON:
        msg = "send one JSON object a line, as Content-Type: application/x-ndjson"
        raise UnsupportedContentError(msg)

    async def work(spool: Spool) -> None:
        writer = BulkWriter(running=running, principal=principal, register=register, spool=spool)
        await writer.run(request.stream())

    return OutcomeStream(work)
