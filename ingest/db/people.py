"""SQL for ``indicator_person``: what figures count of a person, folded into one row.

Whoever changes what is folded leaves a mark by a trigger (``due_indicator``). Of whom there is a
mark the row is not read: figures fold those anew (``indicator_standing``). So figures are exact
whether or not anybody settles; the more is settled, the faster they are.
"""

from typing import Final

from ingest.db.connections import Connection

RESIDENTS_MAX: Final = 2_000  # Of one turn, and what the last mark taken brings beyond.
_SETTLE: Final = "SELECT settle_people(%s)"


async def settle(connection: Connection, *, residents_max: int = RESIDENTS_MAX) -> int:
    """Fold anew those marked longest ago; how many. 0 also while somebody else does it.

    One statement, committed by itself outside a transaction.
    """
    row = await (await connection.execute(_SETTLE, (residents_max,))).fetchone()
    return int(row[0]) if row else 0
