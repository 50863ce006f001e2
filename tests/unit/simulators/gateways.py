"""A stand-in for a gateway's terminal port that misbehaves on purpose, from a seed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from uuid import UUID

from gateway.wire.ids import new_id
from simulators.planned import PlannedReading, encode_line
from simulators.terminals.tcp import Address


@dataclass(slots=True)
class UnreliableGateway:
    """Takes readings as a gateway does, and fails with the given probabilities a line.

    ``accepted`` is what it has on disk: it stays, whatever the terminal was told.
    """

    seed: int = 0
    breaks: float = 0.0  # Before the line is taken.
    breaks_after: float = 0.0  # After it is taken, before the answer leaves.
    tears: float = 0.0  # Half an answer, then nothing.
    busy: float = 0.0
    refuses: float = 0.0
    turns_away: int = 0  # The first so many connections are told that all are in use.
    accepted: list[tuple[UUID, bytes]] = field(default_factory=list)
    address: Address = ("127.0.0.1", 0)
    connections: int = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["UnreliableGateway"]:
        """Listen on a free port until the block ends."""
        random = Random(self.seed)  # noqa: S311 - faults, not secrets

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._serve(reader, writer, random)
            except ConnectionError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.address = server.sockets[0].getsockname()[:2]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, random: Random
    ) -> None:
        self.connections += 1
        if self.connections <= self.turns_away:
            writer.write(b'{"busy":"connections","detail":"too many"}\n')
            return
        while line := await reader.readline():
            if random.random() < self.breaks:
                writer.transport.abort()
                return
            if random.random() < self.busy:
                writer.write(b'{"busy":"spool_full","detail":"later"}\n')
                continue
            if random.random() < self.refuses:
                writer.write(b'{"refused":"too_large","detail":"no"}\n')
                continue
            reading_id = new_id(datetime.now(UTC))
            self.accepted.append((reading_id, line.rstrip(b"\n")))
            answer = json.dumps({"taken": str(reading_id)}).encode() + b"\n"
            if random.random() < self.breaks_after:
                writer.transport.abort()
                return
            if random.random() < self.tears:
                writer.write(answer[:20])
                await writer.drain()
                return
            writer.write(answer)
            await writer.drain()


def planned_readings(number: int, device_id: str = "gateway-1-bp-1") -> list[PlannedReading]:
    """So many readings of one terminal."""
    return [
        PlannedReading(
            gateway_id="gateway-1",
            device_id=device_id,
            card_number="SYN-1a0bb369",
            line=encode_line(
                {"device_id": device_id, "device_sequence": sequence, "boot_id": "b", "kind": "x"}
            ),
        )
        for sequence in range(number)
    ]
