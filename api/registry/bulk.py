"""``POST /v1/{collection}/bulk``: lines are written, and each is told what came of it.

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
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect

from api.auth.principal import Principal
from api.errors import ForbiddenError, RefusedContentError, UnavailableError
from api.registry.kinds import Collection
from api.registry.lines import AnyLine, Line, LineReader, Parsed, invalid, parse
from api.registry.outcomes import Spool
from api.registry.reach import require_own_place
from api.registry.writing import as_tuples, keys_at_hand, require_profile
from api.remedies import redact
from api.services import Services
from api.settings import BulkSettings
from ingest.db.registry import Authorship, Outcome, Refusal

_WAIT_S: Final = 0.1  # Before the second attempt; doubled before each further one.


def _in_rounds(parsed: Sequence[Parsed]) -> Iterator[list[Parsed]]:
    """Cut where an id comes again: in one statement only the last of two would count."""
    batch: list[Parsed] = []
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


def _refuse_profiles(parsed: Sequence[Parsed], directory: Path | None) -> list[Parsed]:
    """Refuse the lines whose profile is not there. Cost: reads files, once a profile."""
    named = {getattr(each.content, "profile", None) for each in parsed}
    wrong = {}
    for profile in named:
        try:
            require_profile(profile, directory)
        except RefusedContentError as error:
            wrong[profile] = invalid(error.field, error.value, error.remedy)
    return [
        Parsed(each.number, None, wrong[profile], each.content.id)
        if each.content and (profile := getattr(each.content, "profile", None)) in wrong
        else each
        for each in parsed
    ]


@dataclass(slots=True, kw_only=True)
class BulkWriter:
    """Writes the lines of one request on behalf of one principal."""

    running: Services
    principal: Principal
    collection: Collection
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
                parsed = await asyncio.to_thread(self._check, lines)
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

    def _check(self, lines: Sequence[Line]) -> list[Parsed]:
        model = self.collection.line
        parsed = parse(lines, self._settings.line_bytes_max, model)
        if "profile" in model.model_fields:
            return _refuse_profiles(parsed, self.running.settings.profile_directory)
        return parsed

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

    async def _write_parsed(self, parsed: Sequence[Parsed]) -> None:
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
                for record in records:
                    await require_own_place(tuples, self.principal, self.collection.kind, record)
                outcomes = await self.collection.save(tuples, records, by, sealing)
        return {outcome.id: outcome for outcome in outcomes}

    def _tell(self, line: dict[str, Any]) -> None:
        self.spool.append(_ENCODER.encode(line) + b"\n")


_ENCODER: Final = msgspec.json.Encoder()


def _tell(parsed: Parsed, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    if parsed.content is None:
        known = {} if parsed.id is None else {"id": redact(parsed.id)}
        return {"line": parsed.number, **known, "outcome": "refused", "problem": parsed.problem}
    outcome = outcomes[parsed.content.id]
    told = {"line": parsed.number, "id": outcome.id, "outcome": outcome.status}
    refusal: Refusal | None = outcome.refusal
    if refusal is not None:
        return {**told, "problem": refusal._asdict()}
    return {**told, "version": outcome.version}
