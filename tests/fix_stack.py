"""The real services: a stack of the tests' own, beside the one of the demo. Absent is a failure.

Its own home, because workers of two uses on one broker would share a subscription. Two test
runs at once share the stack; the last one out stops it, unless it ran before.
"""

import fcntl
import os
from collections.abc import Iterator

import pytest

from deploy.embedded.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """PostgreSQL with TimescaleDB and Mosquitto, up."""
    checkout = Stack.of_checkout()
    os.environ["SUIFANG_PACKAGES"] = str(checkout.fetch())
    found = Stack.of_checkout(checkout.home / "test")
    with (checkout.home / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        found.up()
        yield found
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # Another run still uses it.
        found.down()
