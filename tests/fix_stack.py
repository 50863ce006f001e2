"""The real services: a stack of the tests' own, beside the one of the demo. Absent is a failure.

Its own home, because workers of two uses on one broker would share a subscription; so has each
process of a run that is spread over several (pytest-xdist). Two test runs at once share the stack;
the last one out stops it, unless it ran before.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.stack import Stack


def home_of(checkout: Stack, use: str) -> Path:
    """Where this process of a test run has its own things for a use."""
    process = os.environ.get("PYTEST_XDIST_WORKER")
    return checkout.home / (use if process is None else f"{use}-{process}")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """PostgreSQL with TimescaleDB and Mosquitto, up."""
    checkout = Stack.of_checkout()
    os.environ["SUIFANG_PACKAGES"] = str(checkout.fetch())
    home = home_of(checkout, "test")
    found = Stack.of_checkout(home)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        found.up()
        yield found
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # Another run still uses it.
        found.down()
