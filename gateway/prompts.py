"""Words for a terminal's display, from a receipt back to where the reading was taken.

A prompt is for whoever took that reading, and for nobody else: it is dropped when it comes
late, when its terminal is gone or its person may be. It repeats nothing of the reading.
Dropped is counted, never an error: the alert behind a prompt goes its own way.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias
from uuid import UUID

from gateway.wire.receipts import Prompted

_LOG = logging.getLogger(__name__)
_READINGS_MAX: Final = 4_096  # Whose terminals are remembered; a minute's at full speed is less.

Show: TypeAlias = Callable[[Prompted], bool]
"""Show a prompt now; False: whoever it was for is not there any more."""


class PromptRouter:
    """Remembers where recent readings were taken. In memory alone: a restart forgets it."""

    def __init__(self, *, age_s_max: float, monotonic_s: Callable[[], float]) -> None:
        self._age_s_max = age_s_max
        self._monotonic_s = monotonic_s
        self._places: OrderedDict[UUID, tuple[float, Show]] = OrderedDict()
        self.shown = 0
        self.dropped = 0

    def expect(self, taking: asyncio.Future[UUID], show: Show) -> None:
        """Remember where a reading is being taken, once it is."""
        since_s = self._monotonic_s()

        def remember(taken: asyncio.Future[UUID]) -> None:
            if not taken.cancelled() and taken.exception() is None:
                self._places[taken.result()] = (since_s, show)
                while len(self._places) > _READINGS_MAX:
                    self._places.popitem(last=False)

        taking.add_done_callback(remember)

    def deliver(self, prompts: Iterable[Prompted]) -> None:
        """Show each where its reading was taken, or drop it."""
        for prompt in prompts:
            since_s, show = self._places.get(prompt.id, (None, None))
            in_time = since_s is not None and self._monotonic_s() - since_s <= self._age_s_max
            if show is not None and in_time and show(prompt):
                self.shown += 1
            else:
                self.dropped += 1
                _LOG.info("a prompt (%s) found nobody; %d so far", prompt.code, self.dropped)
