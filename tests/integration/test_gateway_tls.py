"""A gateway with a certificate delivers, changes it on the way, and survives its loss."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509

from api.enrolment.authority import Revoked, to_pem
from gateway.counters import read_counters
from gateway.runtime import Gateway
from gateway.session import Delivery, Session
from gateway.settings import GatewaySettings
from gateway.wire.times import utc_now
from tests.certificates import an_identity
from tests.fix_broker import TestBroker
from tests.integration.gateway_bench import Answerer, answering, say, until_empty


@pytest.fixture
def settings(broker: TestBroker, tmp_path: Path) -> GatewaySettings:
    """A gateway that nobody else uses, enrolled at the stack's authority."""
    name = f"gw-{uuid4().hex[:12]}"
    return GatewaySettings(
        id=name,
        centre="test-centre",
        broker_host=broker.host,
        broker_port=broker.stack.broker_tls_port,
        tls_identity_directory=an_identity(tmp_path, broker.stack.authority.load(), name),
        spool=tmp_path / "spool.db",
        reconnect_s_max=1,
    )


@pytest.fixture
async def ingest(broker: TestBroker, settings: GatewaySettings) -> AsyncIterator[Answerer]:
    """The one that answers this gateway."""
    async with answering(broker, settings) as answerer:
        yield answerer


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.02)


async def test_every_reading_taken_is_confirmed_over_tls(
    settings: GatewaySettings, ingest: Answerer
) -> None:
    async with Gateway(settings, utc_now) as gateway:
        taken = await say(gateway.address, 0, 1_500)
        await until_empty(settings)

    assert len(taken) == 1_500
    assert ingest.ids == taken
    counters = await asyncio.to_thread(read_counters, settings.spool)
    assert (counters.confirmed_stored, counters.conserved) == (1_500, True)


@dataclass
class Counting:
    """Listens to a session and counts its coming and going."""

    changes: int = 0

    def on_connection(self) -> None:
        """Once more."""
        self.changes += 1

    def on_receipt(self, delivery: Delivery) -> None:
        """Nothing."""

    def on_command(self, delivery: Delivery) -> None:
        """Nothing."""

    def on_broker_ack(self, packet: int, reason: int) -> None:
        """Nothing."""


@asynccontextmanager
async def a_session(settings: GatewaySettings) -> AsyncIterator[tuple[Session, Counting]]:
    """A connected one."""
    listener = Counting()
    session = Session(settings, listener)
    session.start()
    await until(lambda: session.connected)
    yield session, listener
    async with asyncio.timeout(10):
        await session.close()


async def test_a_reconnect_is_no_time_offline_and_can_be_repeated(
    settings: GatewaySettings, ingest: Answerer
) -> None:
    async with a_session(settings) as (session, listener):
        for times in (3, 5, 7):
            session.reconnect()
            await until(lambda times=times: listener.changes == times and session.connected)  # type: ignore[misc]
        assert session.alive
        assert ingest.statuses == []  # No last will.
    await until(lambda: ingest.statuses == [False])


async def test_a_renewed_certificate_is_shown_after_a_reconnect(
    broker: TestBroker, settings: GatewaySettings
) -> None:
    assert settings.tls_identity_directory is not None
    identity = settings.tls_identity_directory / "identity.pem"
    former = x509.load_pem_x509_certificate(identity.read_bytes())
    authority, now = broker.stack.authority.load(), utc_now()
    crl = to_pem(authority.sign_crl([Revoked(former.serial_number, now)], number=7, at=now))
    async with a_session(settings) as (session, listener):
        an_identity(identity.parents[1], authority, settings.id)
        session.reconnect()
        await until(lambda: listener.changes == 3 and session.connected)

        await asyncio.to_thread(broker.stack.set_revocations, crl)
        await until(lambda: listener.changes == 5 and session.connected)


async def test_a_revoked_gateway_goes_on_taking_readings_and_says_once_what_to_do(
    broker: TestBroker, settings: GatewaySettings, caplog: pytest.LogCaptureFixture
) -> None:
    assert settings.tls_identity_directory is not None
    identity = settings.tls_identity_directory / "identity.pem"
    serial = x509.load_pem_x509_certificate(identity.read_bytes()).serial_number
    now = utc_now()
    crl = broker.stack.authority.load().sign_crl([Revoked(serial, now)], number=8, at=now)
    await asyncio.to_thread(broker.stack.set_revocations, to_pem(crl))

    with caplog.at_level(logging.INFO, "gateway.session"):
        async with Gateway(settings, utc_now) as gateway:
            taken = await say(gateway.address, 0, 10)
            await until(lambda: "revoked" in caplog.text)
            await asyncio.sleep(2.5)  # Some more attempts; nothing to poll for.
            assert gateway.waiting_rows == 10

    assert len(taken) == 10
    assert caplog.text.count("suifang gateway enroll") == 1
    assert "disconnected" not in caplog.text
