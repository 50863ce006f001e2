"""What people saw is written down before they see it; what waits together is written together.

    routes ── saw() ──▶ bounded queue ──▶ writer: one transaction for all that wait ──▶ routes go on
                                          sealer: every few seconds, one API of all

Changes are not written here: triggers note them in their own transaction. It must never let an
answer out whose entry is not committed: if that cannot be done the answer is 503. Invariants: the
queue is bounded; one batch is under way at a time, so that a busy API pays one commit for many
reads; only committed entries are sealed, each once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from api.audit import queries
from api.audit.chain import make_seal
from api.audit.handles import KnownHandles
from api.audit.queries import Note
from api.audit.seal_keys import SealKeys
from api.auth.principal import Principal
from api.database import Database
from api.errors import UnavailableError
from api.settings import ApiSettings
from gateway.wire.times import Clock

_log = structlog.get_logger()
_TRIES_MAX: Final = 5  # The first finds out as of when, or that a handle is gone; the next writes.


@dataclass(frozen=True, slots=True)
class _Waiting:
    note: Note
    written: "asyncio.Future[None]"


class AuditLog:
    """Writer and sealer of one API process. ``run`` must be running for ``saw`` to return."""

    def __init__(self, settings: ApiSettings, database: Database, clock: Clock) -> None:
        self._settings = settings.audit
        self._retry_after_s = settings.retry_after_s
        self._database = database
        self._clock = clock
        self._keys = SealKeys(settings.audit.key_file)
        self._handles = KnownHandles(settings.audit.handles_max)
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(maxsize=settings.audit.waiting_max)

    async def saw(
        self,
        principal: Principal,
        what: str,
        residents: Iterable[str | None],
        *,
        things: Iterable[str] = (),
    ) -> None:
        """Note that somebody is about to see these residents; committed when it returns.

        Call it outside of a transaction: it needs a connection of its own. Nobody seen is
        nothing to note. Bounded by ``write_ms_max``.

        Raises:
            UnavailableError: It could not be noted, so nothing may be shown.
        """
        named = sorted({resident for resident in residents if resident is not None})
        listed = list(things)
        if not named and not listed:
            return
        note = Note(self._clock(), principal.subject, "read", what, named, listed)
        waiting = _Waiting(note, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(self._settings.write_ms_max / 1_000):
                await self._queue.put(waiting)
                await waiting.written
        except (TimeoutError, UnavailableError) as error:
            msg = "the audit log cannot be written just now, so nothing is shown; try again"
            raise UnavailableError(msg, retry_after_s=self._retry_after_s) from error

    async def run(self) -> None:
        """Write and seal for ever. Any error but a lost database is a bug and ends it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_writer(), name="audit writer")
            tasks.create_task(self._run_sealer(), name="audit sealer")

    async def _run_writer(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._settings.batch_max and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            wanted = [each for each in batch if not each.written.done()]  # Others gave up.
            problem: UnavailableError | None = None
            try:
                await self._write([each.note for each in wanted])
            except UnavailableError as error:
                problem = error
            for each in wanted:
                if each.written.done():
                    continue
                if problem is None:
                    each.written.set_result(None)
                else:
                    each.written.set_exception(problem)

    async def _write(self, notes: Sequence[Note]) -> None:
        """Commit the entries, in the order of the notes."""
        for _ in range(_TRIES_MAX):
            statement, unknown = queries.write_known(notes, self._handles)
            [said] = await self._database.write_as_process(statement)
            is_written = said["as_of"] == self._handles.as_of
            self._handles.learn(said["as_of"], unknown if is_written else [], said["handles"] or [])
            if is_written:
                return
        msg = "handles of residents are taken away all the time"
        raise UnavailableError(msg, retry_after_s=self._retry_after_s)

    async def _run_sealer(self) -> None:
        while True:
            try:
                while await self.seal_once() == self._settings.sealed_entries_max:
                    pass
            except UnavailableError as error:
                _log.warning("the audit log is not sealed just now", reason=error.msg)
            await asyncio.sleep(self._settings.seal_ms / 1_000)

    async def seal_once(self) -> int:
        """Seal the oldest entries that have none, at most ``sealed_entries_max``; how many.

        A key that is new in the file takes over at once, with or without entries. Whoever has not
        got the key that made the last seal makes none: keys never go back.
        """
        async with self._database.writing_as_process() as connection:
            if not await queries.lock_sealing(connection):
                return 0
            keys = self._keys.current()
            last = await queries.fetch_last_seal(connection)
            made_with = None if last is None else last.key_id
            if made_with is not None and (keys is None or made_with not in keys.keys):
                _log.warning(
                    "the audit log is sealed by others: this API has not their key",
                    key_id=made_with,
                    remedy="give it the key file that they have",
                )
                return 0
            entries = await queries.fetch_unsealed(connection, self._settings.sealed_entries_max)
            takes_over = last is not None and keys is not None and made_with != keys.current_id
            if entries or takes_over:
                seal = make_seal(last, entries, sealed_at=self._clock(), keys=keys)
                await queries.insert_seal(connection, seal, entries)
            return len(entries)
