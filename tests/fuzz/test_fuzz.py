"""A short run of what ``make fuzz`` does a million times; the seed stands in the test's name."""

import asyncio
from typing import cast

import mqtt5
import pytest
from pydantic import SecretStr

from gateway.wire.errors import Reason
from ingest.arrivals import Arrivals
from ingest.metrics import IngestMetrics
from ingest.session import Session
from ingest.settings import BrokerSettings
from ingest.source import Source
from tests.fuzz.characteristics import CharacteristicFuzz
from tests.fuzz.packets import PacketFuzz, Transport
from tests.fuzz.payloads import PayloadFuzz


@pytest.mark.parametrize("seed", range(2))
def test_every_mutated_message_is_accounted_for(seed: int) -> None:
    fuzz = PayloadFuzz(seed)
    while fuzz.messages < 3_000:
        fuzz.run_block()
    assert min(fuzz.plain, fuzz.accepted, fuzz.refused) > 50  # All three ways were taken.


@pytest.mark.parametrize("seed", range(2))
def test_every_value_of_a_device_is_what_its_bytes_say_or_rejected(seed: int) -> None:
    fuzz = CharacteristicFuzz(seed)
    fuzz.run(2_000)
    assert all(counts.accepted > 20 for counts in fuzz.counts.values())
    assert fuzz.readings > 20  # Nothing is proved by bytes that are all refused.
    assert {Reason.UNDECODABLE, Reason.NOT_A_NUMBER, Reason.IMPLAUSIBLE} <= {*fuzz.quarantined}


# The codec itself complains of text that is no UTF-8, beside panicking.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seed", range(2))
async def test_no_mutated_packet_ends_the_process(seed: int) -> None:
    fuzz = PacketFuzz(seed)
    await fuzz.run_session(3_000)
    assert fuzz.deliveries > 50
    assert fuzz.cuts > 50


async def test_a_broker_that_welcomes_twice_is_left() -> None:
    arrivals, transport = Arrivals(10), Transport()
    source = Source(BrokerSettings(), SecretStr("p"), "ingest-0", arrivals, IngestMetrics())
    session = Session(BrokerSettings(), SecretStr("p"), source, 1)
    session.connection_made(cast("asyncio.BaseTransport", transport))
    cut = []
    for _ in range(2):
        session.data_received(mqtt5.ConnAckPacket().write())
        cut.append(transport.cut)

    assert cut == [False, True]
    session.connection_lost(None)
