"""A whole selection of quarantined items, portion by portion: replayed, or dropped.

Bounded: a page of numbers, a portion of payloads. What is filed meanwhile is left out. Whatever
ends it, each portion has happened as a whole or not at all, and the same again goes on.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

from ingest.db import quarantine, quarantine_items
from ingest.db.connections import Connection
from ingest.db.errors import DatabaseUnavailableError, translated
from ingest.db.quarantine_items import Handle, Selection
from ingest.outcomes import Outcome, Replayed, Tally
from ingest.replay import Replayer

ITEMS_PER_PORTION: Final = 200
BYTES_PER_PORTION: Final = 4_000_000
_ITEMS_PER_PAGE: Final = 2_000
_TRIES: Final = 5


async def replay_all(
    connection: Connection,
    replayer: Replayer,
    selection: Selection,
    progress: Callable[[int], None],
    *,
    dry_run: bool = False,
) -> Tally:
    """Replay a whole selection, portion by portion, in order of numbers.

    What is filed meanwhile is left out. In a dry run each portion is judged as if it were the
    only one.

    Args:
        connection: Prepared (``readings.prepare``), in autocommit mode, outside a transaction.
        replayer: With the deployment's profile.
        selection: Which items.
        progress: Told how many items have been looked at since it was told last.
        dry_run: Say what would happen; change nothing.

    Raises:
        DatabaseUnavailableError: What was replayed stays replayed; start again.
    """
    tally = Tally()
    named = set(selection.numbers)
    dropped = selection.scope == "unreplayed"
    with translated():
        _, upto = await quarantine_items.measure(connection, selection)
    after = 0
    while True:
        with translated():
            page = await quarantine_items.list_handles(
                connection, selection, after=after, upto=upto, limit=_ITEMS_PER_PAGE
            )
        if not page:
            never = sorted(named)
            tally.add(Replayed(number, Outcome.SKIPPED) for number in never)
            return tally
        named.difference_update(handle.number for handle in page)
        for numbers in _cut(page):
            done = await _replay_patiently(
                connection, replayer, numbers, dropped=dropped, dry_run=dry_run
            )
            tally.add(done)
            progress(len(numbers))
        after = page[-1].number


async def drop_all(
    connection: Connection,
    selection: Selection,
    progress: Callable[[int], None],
    *,
    author: str,
    because: str,
    at: datetime,
) -> int:
    """Drop a whole selection, page by page, each its own transaction; return how many were open.

    Args:
        connection: In autocommit mode, outside a transaction.
        selection: Which items.
        progress: Told how many items have been looked at since it was told last.
        author: Who decides.
        because: Why.
        at: The clock.

    Raises:
        DatabaseUnavailableError: What was dropped stays dropped; start again.
    """
    dropped = after = 0
    with translated():
        _, upto = await quarantine_items.measure(connection, selection)
        while page := await quarantine_items.list_handles(
            connection, selection, after=after, upto=upto, limit=_ITEMS_PER_PAGE
        ):
            numbers = [handle.number for handle in page]
            dropped += await quarantine.drop(
                connection, numbers, author=author, because=because, at=at
            )
            progress(len(page))
            after = page[-1].number
    return dropped


async def _replay_patiently(
    connection: Connection,
    replayer: Replayer,
    numbers: Sequence[int],
    *,
    dropped: bool,
    dry_run: bool,
) -> list[Replayed]:
    """Try again where the connection stands: a lock or a deadlock with ingest passes."""
    for failures in range(1, _TRIES):
        try:
            return await replayer.replay(connection, numbers, dropped=dropped, dry_run=dry_run)
        except DatabaseUnavailableError:
            if connection.closed:
                raise
            wait_s = 0.05 * 2**failures * random.uniform(0.5, 1)  # noqa: S311 - jitter
            await asyncio.sleep(wait_s)
    return await replayer.replay(connection, numbers, dropped=dropped, dry_run=dry_run)


def _cut(page: Iterable[Handle]) -> Iterator[list[int]]:
    """Portions of readings, bounded by number and bytes; each whole message alone."""
    portion: list[int] = []
    size = 0
    for is_message, handles in groupby(page, key=lambda handle: handle.is_message):
        for handle in handles:
            full = len(portion) == ITEMS_PER_PORTION or size + handle.payload_bytes > (
                BYTES_PER_PORTION
            )
            if portion and (is_message or full):
                yield portion
                portion, size = [], 0
            portion.append(handle.number)
            size += handle.payload_bytes
        if portion:
            yield portion
            portion, size = [], 0
