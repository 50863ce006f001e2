"""The change feed as a client sees it: events in order, each once, for ever.

Keep ``Told.next_after`` once you have dealt with the event, and begin again from there: after a
fall of yours nothing is missing, and at most the last event comes a second time.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from api.client.transport import Transport

_WAIT_S: Final = 25  # Below what the API allows, and below the patience of proxies.
_PAGE: Final = 200


class Told(BaseModel):
    """One event. Types that this version does not know come, too: pass them by."""

    model_config = ConfigDict(frozen=True)

    number: int
    type: str
    timestamp: datetime
    data: dict[str, Any]

    @property
    def next_after(self) -> int:
        """What to begin after, next time."""
        return self.number


class _Page(BaseModel):
    items: list[Told]
    next_after: int
    head: int


def follow(
    transport: Transport, *, after: int, types: Sequence[str], until_head: bool
) -> Iterator[Told]:
    """Events above ``after``; at the end it waits for more, or ends with ``until_head``.

    One page at most is held. Errors are those of ``Transport.ask``; asking again goes on.
    """
    while True:
        query = {
            "after": after,
            "limit": _PAGE,
            "wait_s": 0 if until_head else _WAIT_S,
            "type": list(types) or None,
        }
        answer = transport.ask("GET", "/v1/events", query=query)
        page = _Page.model_validate_json(answer.content)
        yield from page.items
        after = page.next_after
        if until_head and after >= page.head:
            return
