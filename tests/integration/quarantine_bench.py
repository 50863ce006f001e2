"""A quarantine filled by an older decoder, replayed by today's, and reconcile after every step."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from gateway.wire.errors import Reason, WireError
from gateway.wire.topics import parse_topic
from ingest.db.connections import Connection
from ingest.db.quarantine_items import Selection
from ingest.decoder import refusal
from ingest.deliveries import Decoded, Delivery, Settled
from ingest.outcomes import Outcome, Tally
from ingest.profiles import Profiles
from ingest.replay import Replayer
from ingest.sweep import drop_all, replay_all
from simulators.balance import GatewayBalance
from simulators.ledger import Ledger
from simulators.planned import PlannedReading, encode_line
from simulators.reconcile import reconcile
from tests.builders import AT, a_batch, to_bytes
from tests.integration.writer_bench import TOPIC, WriterBench

LATER = AT + timedelta(hours=2)
BATCH = UUID("01900000-0000-7000-8000-0000000000ba")


class QuarantineBench(WriterBench):
    """Files, replays and drops; knows every id that a gateway was told is settled."""

    def __init__(self, connection: Connection, dsn: str, folder: Path) -> None:
        super().__init__(connection)
        self.dsn = dsn
        self._folder = folder
        self._sent: dict[UUID, tuple[str, str]] = {}
        self._books = 0

    def expect(self, *readings: Mapping[str, Any], gateway: str = "gw-1") -> None:
        """Note that a gateway accepted these."""
        for reading in readings:
            self._sent[UUID(reading["id"])] = (gateway, reading["device_id"])

    async def refuse(
        self,
        *readings: Mapping[str, Any],
        reason: Reason = Reason.UNKNOWN_UNIT,
        at: datetime = AT,
        topic: str = TOPIC,
        enrolled: bool = True,
    ) -> Settled:
        """Quarantine good readings, as a decoder that does not know their unit yet does."""
        if enrolled:
            self.expect(*readings)
        error = WireError(reason, "this version does not know it", field="unit")
        payload = a_batch(*readings, batch=BATCH)
        refused = tuple(
            refusal(
                to_bytes(reading),
                error,
                topic_text=topic,
                topic=parse_topic(topic),
                batch_id=BATCH,
                reading_id=UUID(reading["id"]),
                received_at=at,
            )._replace(settles=enrolled)
            for reading in readings
        )
        decoded = Decoded(
            delivery=Delivery(topic, payload, 1, 1, redelivered=False),
            topic=parse_topic(topic),
            batch_id=BATCH,
            accepted=(),
            refused=refused,
        )
        return await self._writer.store(self.connection, [decoded], at=at)

    async def send(self, *readings: Mapping[str, Any], at: datetime = AT) -> Settled:
        """Send readings as the gateway does, to today's decoder."""
        self.expect(*readings)
        return await self.store(a_batch(*readings), at=at)

    async def replay(
        self,
        selection: Selection | None = None,
        *,
        at: datetime = LATER,
        dry_run: bool = False,
        connection: Connection | None = None,
    ) -> Tally:
        """Replay, all that is open unless said otherwise."""
        replayer = Replayer(Profiles("wuzhou").limits, lambda: at)
        return await replay_all(
            connection or self.connection,
            replayer,
            selection or Selection(),
            lambda _: None,
            dry_run=dry_run,
        )

    async def drop(self, selection: Selection | None = None) -> int:
        """Drop, all that is open unless said otherwise."""
        return await drop_all(
            self.connection,
            selection or Selection(),
            lambda _: None,
            author="dr-wang",
            because="measured again",
            at=LATER,
        )

    async def resolutions(self) -> list[tuple[Any, ...]]:
        """Of each item: its resolution, whether it settles, its reason."""
        return await self.rows("SELECT resolution, settles, reason FROM quarantine ORDER BY number")

    async def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows that a replay may write."""
        names = "reading reading_held reading_key duplicate quarantine gateway_day resident"
        names += " alert outbox due_mark due_batch"
        return {name: await self.rows(f"TABLE {name} ORDER BY 1, 2") for name in names.split()}

    def reconciled(self) -> Mapping[str, GatewayBalance]:
        """Fail unless every id has exactly one disposition and the totals say the same."""
        self._books += 1
        path = self._folder / f"ledger-{self._books}"
        with Ledger(path) as book:
            for id_, (gateway, device) in self._sent.items():
                sent = PlannedReading(
                    gateway_id=gateway,
                    device_id=device,
                    card_number="SYN-1a0bb369",
                    line=encode_line({"device_id": device, "device_sequence": id_.int % 2**60}),
                )
                book.record_taken(book.record_sent(sent, AT), id_, AT)
        report = reconcile([path], [], self.dsn)
        assert report.agrees, json.dumps(report.as_dict(), indent=1)
        return {line.gateway_id: line for line in report.gateways}

    def counts(self) -> tuple[int, int, int, int]:
        """Stored, duplicate, quarantined, unsettling of the first gateway, reconciled."""
        line = self.reconciled()["gw-1"]
        return (line.stored, line.duplicate, line.quarantined, line.unsettling)


def outcomes(tally: Tally) -> dict[str, int]:
    """The outcomes that occurred."""
    return {outcome.value: n for outcome in Outcome if (n := tally.count(outcome))}
