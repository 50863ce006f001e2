"""SQL of the change feed as one principal may see it. Reads only.

Row-level security decides what is seen. So that little to see costs little, no page looks at more
than a window of numbers; then its end is where one goes on. Numbers become visible in order and
without gaps (``api.dispatcher``), so nothing can appear behind that end later.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

from api.auth.principal import Principal
from api.database import Database
from api.feed import ENDS, Ends
from api.round_trip import Statement

_VISIBLE: Final = b"""
SELECT o.number, o.kind, o.payload ->> 'resident_id' AS resident_id,
       coalesce(o.payload ->> 'anchor_reading_id', o.payload ->> 'reading_id') AS reading_id,
       json_build_object('number', o.number, 'type', o.kind, 'timestamp', o.created_at,
                         'data', o.payload)::text AS text
FROM outbox o
WHERE o.number > %(after)s AND o.number <= %(upto)s
  AND (%(kinds)s::text[] IS NULL OR o.kind = ANY (%(kinds)s))
ORDER BY o.number
LIMIT %(limit)s"""


class Item(NamedTuple):
    """One event; ``text`` is all of it as JSON, as it was written."""

    number: int
    kind: str
    resident_id: str | None
    reading_id: str | None  # That it rests on, which is also its trace.
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is seen above a number, and where to go on."""

    items: list[Item]
    next_after: int
    head: int
    floor: int  # Events up to this number are gone.

    @property
    def is_at_end(self) -> bool:
        """Whether there was nothing further to look at."""
        return self.next_after >= self.head

    def as_json(self) -> bytes:
        """The answer; events are passed on, not read and written again."""
        items = ",".join(item.text for item in self.items)
        text = f'{{"items":[{items}],"next_after":{self.next_after},"head":{self.head}}}'
        return text.encode()


async def list_visible(
    database: Database,
    principal: Principal,
    *,
    after: int,
    limit: int,
    scan_max: int,
    kinds: Collection[str] | None = None,
) -> Page:
    """The first events above ``after`` that a principal may see.

    Args:
        database: Where they are.
        principal: Who asks.
        after: A number, at most the head.
        limit: At most so many events.
        scan_max: At most so many numbers are looked at.
        kinds: Only these; None: all.

    Cost: one round trip, one index scan of the window.
    """
    asked = {
        "after": after,
        "upto": after + scan_max,
        "limit": limit,
        "kinds": kinds and sorted(kinds),
    }
    ends, found = await database.find(principal, ENDS, Statement(_VISIBLE, asked))
    floor, head = Ends(**ends.row(0))
    items = list(map(Item._make, found.rows))
    upto = max(after, min(after + scan_max, head))
    if len(items) == limit:
        upto = items[-1].number
    return Page(items=items, next_after=upto, head=head, floor=floor)
