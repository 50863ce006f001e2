"""Tells one subscription what is due: reads as its owner, notes who is seen, signs, sends.

    load ──▶ is its owner still entitled? ──▶ a page of the feed, as the owner ──▶ audit log
         ◀── progress, one event at a time ◀── attempt ◀── signature by every secret in force ◀─┘

It must never tell an event before the one below it, nor one that its owner may not read. A failure
ends the turn; what was told is noted before the next is sent, so a killed process repeats at most
the one under way, under the same ``webhook-id``.
"""

import random
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from api.audit import queries as audit
from api.audit.queries import Note
from api.database import Database
from api.events.queries import Item, Page, list_visible
from api.webhooks import progress
from api.webhooks.addresses import Resolver, look_up, read_networks
from api.webhooks.metrics import DeliverMetrics
from api.webhooks.owners import is_still_entitled, read_reach
from api.webhooks.progress import Subscription
from api.webhooks.retries import judge_failure
from api.webhooks.sender import Answer, Sender, make_tls_context, open_sender
from api.webhooks.settings import DeliverSettings
from api.webhooks.signing import sign
from gateway.wire.times import Clock
from gateway.wire.traces import TRACEPARENT, make_span, write_traceparent
from ingest.db.keyring import BrokenSealError, Keyring, UnknownKeyError, read_keyring
from ingest.db.webhook_secrets import open_sealed

_log = structlog.get_logger()
_NOT_ENTITLED: Final = "its owner has no API key any more that reaches the same"
_PRUNED: Final = (
    "events up to {} are not kept any more: read the lists again, then replay from there"
)


@dataclass(slots=True)
class Delivery:
    """Everything a turn needs; made once by the process."""

    settings: DeliverSettings
    database: Database
    clock: Clock
    metrics: DeliverMetrics = field(default_factory=DeliverMetrics)
    resolver: Resolver = look_up
    _tls: ssl.SSLContext = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._tls = make_tls_context(self.settings.ca_file)

    async def serve(self, number: int) -> int:
        """Tell one subscription what waits, for ``batches_max`` batches; how many events it was.

        Raises:
            UnavailableError: The database is away; what was told is noted or told again.
            KeyFileError: There is none where settings say, or it is no key file.
        """
        told = 0
        for _ in range(self.settings.batches_max):
            batch = await self._serve_batch(number)
            if batch is None:
                break
            told += batch
        return told

    async def _serve_batch(self, number: int) -> int | None:
        """One batch; None when the turn is over."""
        at = self.clock()
        async with self.database.reading_as_process() as connection:
            found = await progress.load(connection, number, at=at)
            if found is None:
                return None
            entitled = await is_still_entitled(connection, found.owner, found.reach, at=at)
            sealed = await progress.list_secrets(connection, number, at=at)
        if not entitled:
            await self._fail(found, Answer(_NOT_ENTITLED), because="owner")
            return None
        keyring = self._read_keyring()
        try:
            secrets = [open_sealed(keyring, number, each) for each in sealed]
        except (UnknownKeyError, BrokenSealError) as error:  # Others' may well be opened.
            await self._fail(found, Answer(f"its secret cannot be opened: {error}"), because=None)
            return None
        return await self._tell(found, secrets)

    async def _tell(self, found: Subscription, secrets: list[bytes]) -> int | None:
        """Send a page of events; None when the turn is over."""
        page = await self._read(found)
        if not page.items:
            return await self._pass(found, page)
        async with open_sender(
            found.url,
            tls=self._tls,
            allowed=read_networks(self.settings.allowed_networks),
            resolver=self.resolver,
            answer_s_max=self.settings.answer_ms_max / 1_000,
        ) as sender:
            for item in page.items:
                answer = await self._attempt(sender, found, item, secrets)
                if not answer.is_success:
                    await self._fail(found, answer, because="gone" if answer.gone else None)
                    return None
                if not await self._note_delivered(found, item.number):
                    return None
                found = found._replace(after=item.number, failures=0)
        await self._pass(found, page)
        return len(page.items)

    async def _read(self, found: Subscription) -> Page:
        """What its owner may see and wants, next; after a failure one event, to try."""
        owner = read_reach(found.owner, found.reach)
        page = await list_visible(
            self.database,
            owner,
            after=found.after,
            limit=1 if found.failures else self.settings.batch_max,
            scan_max=self.settings.scan_rows_max,
            kinds=found.kinds,
        )
        if found.after < page.floor:
            return replace(page, items=[])  # To tell these would be to skip others.
        seen = sorted({item.resident_id for item in page.items if item.resident_id})
        if seen:
            note = Note(self.clock(), found.owner, "read", "webhook", seen, [found.id])
            await self.database.write_as_process(audit.write([note]))
        return page

    async def _attempt(
        self, sender: Sender, found: Subscription, item: Item, secrets: list[bytes]
    ) -> Answer:
        body = item.text.encode()
        headers = sign(
            secrets, message_id=f"evt_{found.number}_{item.number}", at=self.clock(), body=body
        )
        if item.reading_id is not None:
            headers[TRACEPARENT] = write_traceparent(UUID(item.reading_id), make_span())
        answer = await sender.post(body, headers)
        self.metrics.attempts.labels("delivered" if answer.is_success else "failed").inc()
        return answer

    async def _note_delivered(self, found: Subscription, upto: int) -> bool:
        async with self.database.writing_as_process() as connection:
            return await progress.note_delivered(connection, found, upto=upto, at=self.clock())

    async def _pass(self, found: Subscription, page: Page) -> int | None:
        """Move on past what is not its own; None when there is no more, or it stands elsewhere.

        Never past what is gone: then its owner says where to go on.
        """
        if found.after < page.floor:
            await self._fail(found, Answer(_PRUNED.format(page.floor)), because="pruned")
            return None
        moved = True
        if page.next_after > found.after:
            async with self.database.writing_as_process() as connection:
                moved = await progress.note_passed(connection, found, upto=page.next_after)
        return 0 if moved and not page.is_at_end else None

    async def _fail(self, found: Subscription, answer: Answer, *, because: str | None) -> None:
        at = self.clock()
        verdict = judge_failure(
            self.settings.retry,
            failures=found.failures + 1,
            failing_since=found.failing_since or at,
            at=at,
            asked_s=answer.retry_after_s,
            dice=random.random(),  # noqa: S311 - jitter
        )
        because = because or ("failing" if verdict.parked else None)
        async with self.database.writing_as_process() as connection:
            await progress.note_failed(
                connection,
                found,
                problem=answer.problem,
                next_at=verdict.next_at,
                parked_because=because,
                at=at,
            )
        known = {"webhook": found.number, "problem": answer.problem, "failures": found.failures + 1}
        if because is None:
            _log.info("webhook_failed", next_at=verdict.next_at.isoformat(), **known)
        else:
            _log.error("webhook_parked", because=because, **known)

    def _read_keyring(self) -> Keyring | None:
        path: Path | None = self.settings.key_file
        return None if path is None else read_keyring(path)
