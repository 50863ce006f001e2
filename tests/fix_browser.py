"""A real Chromium, the distribution's, driven by Playwright. Absent is a failure."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",  # Tests may run as root; they only see pages of ours.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str:
    """Where it is; fails with what to do when it is nowhere."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(
            "no Chromium: apt-get install chromium fonts-noto-cjk (`make test` does so as root)"
        )
    return found


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """A running browser, of the loop that opens it."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield opened
        await opened.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser for the tests of one file; each test opens a context of its own."""
    async with a_browser() as opened:
        yield opened
