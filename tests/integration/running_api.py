"""An application in the test's own process, once it answers whatever it is asked.

A start does not wait for the feed: until that follows the database its addresses are 503, as
``/readyz`` says. A test that asked in that moment would fail by chance, and one that looks for what
must not be shown would look at nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api.feed import Feed


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """The application and all that works beside it. Its database must be there."""
    async with app.router.lifespan_context(app):
        await _await_following(app.state.services.feed)
        yield


async def _await_following(feed: Feed) -> None:
    async with asyncio.timeout(20):
        while True:
            if feed.is_connected:
                return
            await asyncio.sleep(0.01)
