"""All cases once more, from all that is stored, by the live engine.

After a changed profile or a repaired rule. It goes the judge's own way, resident by resident
under the same lock, so it runs beside live judges; what differs becomes events like any other
judgement's (raised, cancelled, changed), and nothing that was told is edited.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from ingest.db import residents
from ingest.db.connections import Connection
from ingest.db.errors import translated
from ingest.judge import Judge

RESIDENTS_PER_PAGE: Final = 500


@dataclass(slots=True)
class Rejudged:
    """What came of it."""

    residents: int = 0
    alerts_raised: int = 0
    alerts_changed: int = 0  # Cancelled ones apart.
    alerts_cancelled: int = 0
    cases_changed: int = 0
    skipped: int = 0  # Held by a live judge twice: that one judges them by the same rules.

    def as_record(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self)


async def rejudge(
    connection: Connection,
    judge: Judge,
    progress: Callable[[int], None],
    *,
    dry_run: bool = False,
) -> Rejudged:
    """Judge everybody again.

    Args:
        connection: In autocommit mode, outside a transaction.
        judge: With the profiles in force.
        progress: Told how many residents have been looked at since it was told last.
        dry_run: Take every change back; count only.

    Raises:
        DatabaseUnavailableError: What was judged stays judged; start again, it changes nothing
            twice.
    """
    found = Rejudged()
    last = ""
    busy: list[str] = []
    while True:
        with translated():
            ids = await residents.list_after(connection, last, RESIDENTS_PER_PAGE)
        if not ids:
            break
        busy += await _judge(connection, judge, ids, found, dry_run=dry_run)
        progress(len(ids))
        last = ids[-1]
    for low in range(0, len(busy), RESIDENTS_PER_PAGE):
        page = busy[low : low + RESIDENTS_PER_PAGE]
        found.skipped += len(await _judge(connection, judge, page, found, dry_run=dry_run))
    return found


async def _judge(
    connection: Connection, judge: Judge, ids: list[str], found: Rejudged, *, dry_run: bool
) -> list[str]:
    """Judge these residents; return those that somebody else held."""
    if dry_run:
        with translated():
            async with connection.transaction(force_rollback=True):
                outcome = await judge.judge_residents(connection, ids)
    else:
        outcome = await judge.judge_residents(connection, ids)
    found.residents += len(outcome.residents)
    for event in outcome.events:
        if event.kind == "case.changed":
            found.cases_changed += 1
        elif event.kind == "alert.raised":
            found.alerts_raised += 1
        elif event.payload["status"] == "cancelled":
            found.alerts_cancelled += 1
        else:
            found.alerts_changed += 1
    return sorted(set(ids) - set(outcome.residents))
