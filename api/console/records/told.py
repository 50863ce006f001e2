"""What a page says after something was recorded from a form that was a page of its own."""

from typing import Annotated

from fastapi import Query

from api.console.pages import Words
from api.console.records.bodies import BODIES

Recorded = Annotated[str, Query(max_length=40, description="What was just recorded")]


def tell_recorded(words: Words, kind: str) -> str | None:
    """The sentence; None: nothing was, or nothing that can be."""
    if kind not in BODIES:
        return None
    return words("form.done_here", what=words.of("record", kind))
