"""One console, its world and one Chromium for every file that asks: a world takes long to build.

Each test has residents of its own and says what it changes; files that use it run in the session's
loop.
"""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from deploy.embedded.stack import Stack
from gateway.wire.times import utc_now
from ingest.db.connections import connect
from tests.fix_browser import a_browser
from tests.fix_db import cloned
from tests.integration.console_bench import Console, a_console
from tests.integration.console_world import build_world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def console(stack: Stack, template_database: str) -> AsyncIterator[Console]:
    """API and dispatcher on a world of their own."""
    with cloned(stack, template_database) as database:
        async with await connect(
            database.dsn, application_name="test", autocommit=True
        ) as connection:
            world = await build_world(connection, database, utc_now())
            async with a_console(stack, database, world) as running:
                yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A browser in the session's loop; each test opens a context of its own."""
    async with a_browser() as opened:
        yield opened
