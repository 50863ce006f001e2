"""Marks for the judge, one by one: whoever writes something that the rules read leaves them.

Apart from ``due_work``, which is the judge's and ingest's: the API writes marks without numpy.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from ingest.db.connections import Connection


async def mark(connection: Connection, marks: Mapping[tuple[str, str], datetime]) -> None:
    """Append one mark per (resident, kind of news) with the arrival it speaks of. Never commits.

    A blood pressure waits for its session to close; whatever else there is to know does not.
    """
    if not marks:
        return
    await connection.execute(
        "INSERT INTO due_mark (resident_id, kind, marked_at)"
        " SELECT * FROM unnest(%b::text[], %b::text[], %b::timestamptz[])",
        ([key[0] for key in marks], [key[1] for key in marks], list(marks.values())),
    )


async def mark_all(
    connection: Connection, residents: Sequence[str], kind: str, *, at: datetime
) -> None:
    """Append one mark of the same news for each of these. Never commits."""
    if residents:
        await connection.execute(
            "INSERT INTO due_mark (resident_id, kind, marked_at)"
            " SELECT id, %s, %s FROM unnest(%b::text[]) AS id",
            (kind, at, list(residents)),
        )
