"""A writer on a fresh database, fed with payloads as the broker would, on either lane."""

from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.wire.receipts import Receipt, parse_receipts
from ingest.blocks import Senders, decode_block
from ingest.db.connections import Connection, ProcessRole
from ingest.decoder import decode
from ingest.deliveries import Delivery, Settled
from ingest.emergencies import EmergencyRaiser
from ingest.pipeline import refuse
from ingest.profiles import Profiles
from ingest.prompts import Prompter
from ingest.writer import Writer
from tests.builders import AT
from tests.roles import working_as

TOPIC = "suifang/v1/east/gw-1/readings"
GATEWAYS = {"gw-1": "east", "gw-2": "west"}


class WriterBench:
    """Decodes and stores; asks the database."""

    def __init__(self, connection: Connection, *, plain: bool = True) -> None:
        self.connection = connection
        self._plain = plain
        limits = Profiles("wuzhou").limits
        self._raiser = EmergencyRaiser(limits)
        self._writer = Writer(self._raiser, refuse, Prompter(limits))

    async def store(self, *payloads: bytes, topic: str = TOPIC, at: datetime = AT) -> Settled:
        """Decode and store payloads in one transaction."""
        deliveries = [Delivery(topic, payload, 1, 1, redelivered=False) for payload in payloads]
        if self._plain:
            senders = Senders(GATEWAYS)
            block = decode_block(deliveries, senders, self._raiser.flag, received_at=at)
            async with working_as(self.connection, ProcessRole.INGEST):
                return await self._writer.store_block(self.connection, block, at=at)
        decoded = [decode(delivery, GATEWAYS, received_at=at) for delivery in deliveries]
        async with working_as(self.connection, ProcessRole.INGEST):
            return await self._writer.store(self.connection, decoded, at=at)

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a query."""
        return await (await self.connection.execute(statement)).fetchall()

    async def dispositions(self) -> dict[UUID, str]:
        """The one disposition of every id; fails when an id has two."""
        found = await self.rows(
            "SELECT id, 'stored' FROM reading UNION ALL SELECT id, 'duplicate' FROM duplicate"
            " UNION ALL SELECT reading_id, reason FROM quarantine WHERE settles"
            " UNION ALL SELECT id, 'stored' FROM amendment"
            " WHERE gateway_id IS NOT NULL AND NOT repeats"
        )
        assert len({id_ for id_, _ in found}) == len(found), found
        return dict(found)


def receipts_of(settled: Settled) -> list[Receipt]:
    """The receipts that would be sent."""
    return [
        receipt
        for message in settled.messages
        for receipt in parse_receipts(message.payload).receipts
    ]
