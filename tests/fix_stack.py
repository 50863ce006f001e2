"""The real services: the embedded stack of this checkout, started once. Absent is a failure."""

import pytest

from deploy.embedded.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Stack:
    """PostgreSQL with TimescaleDB and Mosquitto, up. Left running for the next run."""
    found = Stack.of_checkout()
    found.up()
    return found
