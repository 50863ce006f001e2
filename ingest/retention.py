"""Retention: whose readings are old enough is folded into a checkpoint, then whole chunks go.

    announce ──▶ fold, resident by resident ──▶ forget duplicate keys ──▶ drop chunk by chunk
    (writers)    (judge, checkpoint, hold back)                          (count, drop)

Every step can be killed and is simply done again. Writers hear of the edge first: after that
nothing is stored in front of it. Then each resident is judged once more on everything, and in
the same transaction the past is closed: from there on the judge works from the checkpoint, and
what still matters in front of the edge is moved to ``reading_held``. A chunk is dropped only
when nobody is left whose past is not closed, and what was in it is counted in the same
transaction, so that the conservation sum never breaks.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from ingest.db import checkpoints, due_work, retention, storing
from ingest.db.connections import Connection
from ingest.db.errors import translated
from ingest.db.retention import Chunk
from ingest.judge import Judge
from ingest.retirement import retire

RESIDENTS_PER_PAGE: Final = 200
"""Of one transaction; an amendment waits for it, and writers for the amendment."""
KEYS_PER_PAGE: Final = 10_000
_SWEEPS_MAX: Final = 20
_WAIT_S: Final = 0.5


class RetentionBlockedError(Exception):
    """Somebody's past cannot be closed now; nothing was dropped. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would do."""

    edge: datetime  # Of whole chunks.
    chunks: int
    readings: int
    residents: int

    def as_record(self) -> dict[str, Any]:
        """JSON types only."""
        return {**asdict(self), "edge": self.edge.isoformat()}


@dataclass(slots=True, kw_only=True)
class Done:
    """What a run did."""

    edge: datetime
    residents: int = 0
    held: int = 0
    released: int = 0
    keys: int = 0
    chunks: int = 0
    retired: int = 0  # Readings that were dropped.

    def as_record(self) -> dict[str, Any]:
        """JSON types only."""
        return {**asdict(self), "edge": self.edge.isoformat()}


async def plan(connection: Connection, before: datetime) -> Plan:
    """Say what keeping readings from ``before`` on would mean. Changes nothing."""
    with translated():
        edge = max(
            await retention.align(connection, before), await retention.fetch_edge(connection)
        )
        chunks = await retention.list_chunks(connection, edge)
        counted, residents = await retention.count_ahead(connection, edge)
    return Plan(edge=edge, chunks=len(chunks), readings=counted, residents=residents)


class Retention:
    """One run."""

    def __init__(
        self, connection: Connection, judge: Judge, progress: Callable[[str, int, int], None]
    ) -> None:
        """Prepare a run.

        Args:
            connection: In autocommit mode, outside a transaction.
            judge: With the profiles in force; its clock is the run's.
            progress: Told the step, how much of it is done and how much there is.
        """
        self._connection = connection
        self._judge = judge
        self._progress = progress

    async def run(self, before: datetime) -> Done:
        """Let go what lies in whole chunks before ``before``, and is not held back.

        Raises:
            RetentionBlockedError: Nothing was lost; run it again.
            DatabaseUnavailableError: What was done is done; run it again.
        """
        with translated():
            if not await retention.begin_run(self._connection):
                msg = "another run of retention is at work: wait for it to end"
                raise RetentionBlockedError(msg)
            try:
                return await self._run(before)
            finally:
                if not self._connection.closed and not self._connection.broken:
                    await retention.end_run(self._connection)

    async def _run(self, before: datetime) -> Done:
        with translated():
            wanted = await retention.align(self._connection, before)
        if wanted == retention.NO_EDGE:  # Nothing came yet.
            return Done(edge=wanted)
        edge = await self.announce(wanted)
        done = Done(edge=edge)
        await self.fold(done)
        await self.forget_keys(done)
        with translated():
            chunks = await retention.list_chunks(self._connection, edge)
        for number, chunk in enumerate(chunks):
            self._progress("dropping chunks", number, len(chunks))
            await self.drop(chunk, done)
        return done

    async def announce(self, edge: datetime) -> datetime:
        """Tell the writers; returns the edge in force, which never goes back."""
        with translated():
            async with self._connection.transaction():
                return await retention.announce(self._connection, edge, at=self._judge.clock())

    async def fold(self, done: Done) -> None:
        """Close the past of everybody who has readings in front of the edge."""
        for _ in range(_SWEEPS_MAX):
            with translated():
                many = await retention.list_concerned(self._connection, done.edge)
            if not many:
                return
            folded = await self._sweep(many, done)
            if not folded:
                await asyncio.sleep(_WAIT_S)  # All of them are being judged by somebody.
        msg = "some residents are always being judged by somebody: run retention again later"
        raise RetentionBlockedError(msg)

    async def _sweep(self, many: int, done: Done) -> int:
        last, looked_at, before = "", 0, done.residents
        while True:
            with translated():
                ids = await retention.page_concerned(self._connection, last, RESIDENTS_PER_PAGE)
            if not ids:
                return done.residents - before
            await self._fold_page(ids, done)
            looked_at += len(ids)
            self._progress("folding residents", looked_at, many)
            last = ids[-1]

    async def _fold_page(self, ids: list[str], done: Done) -> None:
        """Judge them, and close their past on what was judged; amendments wait meanwhile."""
        with translated():
            await due_work.ensure(self._connection, ids)  # Not inside: judges would wait.
            async with self._connection.transaction():
                await storing.let_amenders_wait(self._connection)
                outcome = await self._judge.judge_residents(self._connection, ids)
                if outcome.verdict is None:
                    return
                retired = await asyncio.to_thread(retire, outcome.verdict, edge=done.edge)
                await retention.hold(self._connection, retired.held)
                released = await retention.release(self._connection, retired.released)
                await checkpoints.save(self._connection, retired.checkpoints)
        done.residents += len(retired.checkpoints)
        done.held += len(retired.held)
        done.released += released
        done.retired += released

    async def forget_keys(self, done: Done) -> None:
        """Forget the duplicate keys of what goes, some thousands at a time."""
        last: tuple[str, str, str] | None = ("", "", "")
        while last is not None:
            with translated():
                last, forgotten = await retention.forget_keys(self._connection, last, KEYS_PER_PAGE)
            done.keys += forgotten
            self._progress("forgetting keys", done.keys, done.keys)

    async def drop(self, chunk: Chunk, done: Done) -> None:
        """Drop one chunk and count it, unless somebody came in between whose past is open."""
        for _ in range(_SWEEPS_MAX):
            dropped = await self._try_to_drop(chunk, done)
            if dropped:
                done.chunks += 1
                return
            await self.fold(done)
            await asyncio.sleep(_WAIT_S)
        msg = "a back-test or a reconcile keeps looking at old readings: run retention again later"
        raise RetentionBlockedError(msg)

    async def _try_to_drop(self, chunk: Chunk, done: Done) -> bool:
        with translated():
            counts = await retention.count_readings(self._connection, chunk)
            async with self._connection.transaction():
                if not await retention.may_drop_chunks(self._connection):
                    return False
                await storing.keep_out_writers(self._connection)
                if await retention.is_anybody_left(self._connection, done.edge):
                    return False
                await retention.drop_chunk(self._connection, chunk, counts)
        done.retired += sum(counts.values())
        return True
