"""The broker of the stack, with users made for the test."""

import secrets
from dataclasses import dataclass, field

import aiomqtt
import pytest

from deploy.embedded.stack import Stack
from ingest.settings import BrokerSettings


@dataclass(slots=True)
class TestBroker:
    """Where the broker is, and how a test becomes a gateway there."""

    __test__ = False  # A fixture's class, not a test.
    stack: Stack
    host: str
    port: int
    passwords: dict[str, str] = field(default_factory=dict)

    def add_user(self, name: str) -> str:
        """Make or change a gateway's user; returns its password."""
        self.passwords[name] = secrets.token_urlsafe(16)
        self.stack.set_broker_users({name: self.passwords[name]})
        return self.passwords[name]

    async def forget_ingest_sessions(self, workers: int = 2) -> None:
        """End the sessions that earlier tests' workers left, with the messages in them."""
        workers_own = [BrokerSettings(client_id=f"ingest-{number}") for number in range(workers)]
        for name in [id_ for own in workers_own for id_ in (*own.live_ids, own.backlog_id)]:
            async with aiomqtt.Client(
                self.host,
                self.port,
                identifier=name,
                username="ingest",
                password=self.password_of("ingest"),
                protocol=aiomqtt.ProtocolVersion.V5,
                clean_start=True,
                timeout=5,
            ):
                pass

    def password_of(self, user: str) -> str:
        """The password of a fixed user (``ingest``, ``probe``)."""
        return self.stack.broker_password(user)


@pytest.fixture
def broker(stack: Stack) -> TestBroker:
    """The running broker."""
    return TestBroker(stack, stack.broker_host, stack.broker_port)
