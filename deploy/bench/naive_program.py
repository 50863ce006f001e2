"""The peer that one usually writes: aiomqtt, pydantic models, ``executemany`` in batches.

It acknowledges on arrival, before anything is stored, keeps no receipts and no quarantine, and
knows duplicates by their id alone. Rows go out every 500 readings or 100 ms.
"""

import asyncio
import json
import os
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import aiomqtt
import psycopg
from pydantic import BaseModel

from gateway.wire.times import utc_now

_ROWS_MAX: Final = 500
_AGE_S_MAX: Final = 0.1
_WAITING_MAX: Final = 1_000_000  # Never the limit: the whole traffic of a turn.
_COLUMNS: Final = (
    "id",
    "partition_at",
    "content_hash",
    "kind",
    "resident_id",
    "centre_id",
    "gateway_id",
    "device_id",
    "device_sequence",
    "boot_id",
    "measured_at",
    "stored_record",
    "captured_at",
    "clock_synchronised",
    "received_at",
    "arrived_at",
    "effective_at",
    "time_suspect",
    "setting",
    "status",
    "systolic",
    "diastolic",
    "glucose",
    "meal_context",
    "unit",
)


class _Reading(BaseModel):
    id: UUID
    kind: str
    resident_id: str | None = None
    device_id: str
    device_sequence: int | None = None
    boot_id: str | None = None
    measured_at: datetime | None = None
    stored_record: bool = False
    captured_at: datetime
    clock_synchronised: bool = False
    setting: str = "office"
    status: list[str] = []
    systolic: Decimal | None = None
    diastolic: Decimal | None = None
    glucose: Decimal | None = None
    meal_context: str | None = None
    unit: str | None = None


class _Batch(BaseModel):
    batch: UUID
    readings: list[_Reading]


def _rows(topic: str, payload: bytes) -> list[tuple[Any, ...]]:
    _, _, centre, gateway, _ = topic.split("/")
    received_at = utc_now()
    return [
        (
            each.id,
            each.captured_at,
            0,
            each.kind,
            each.resident_id,
            centre,
            gateway,
            each.device_id,
            each.device_sequence,
            each.boot_id,
            each.measured_at,
            each.stored_record,
            each.captured_at,
            each.clock_synchronised,
            received_at,
            each.captured_at,
            each.measured_at or each.captured_at,
            False,
            each.setting,
            each.status,
            each.systolic,
            each.diastolic,
            each.glucose,
            each.meal_context,
            each.unit,
        )
        for each in _Batch.model_validate_json(payload).readings
    ]


class _Store:
    """Rows that wait, and the connection that takes them."""

    def __init__(
        self, connection: "psycopg.AsyncConnection[tuple[object, ...]]", table: str
    ) -> None:
        self._connection = connection
        names, marks = ", ".join(_COLUMNS), ", ".join(["%s"] * len(_COLUMNS))
        self._insert = (
            f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608
        ).encode()
        self._waiting: list[tuple[Any, ...]] = []
        self._lock = asyncio.Lock()

    async def add(self, rows: list[tuple[Any, ...]]) -> None:
        """Keep some rows; store when there are enough."""
        self._waiting += rows
        if len(self._waiting) >= _ROWS_MAX:
            await self.flush()

    async def flush(self) -> None:
        """Store what waits."""
        async with self._lock:
            rows, self._waiting = self._waiting, []
            if rows:
                async with self._connection.cursor() as cursor:
                    await cursor.executemany(self._insert, rows)
                await self._connection.commit()

    async def keep_flushing(self) -> None:
        """Store at least so often."""
        while True:
            await asyncio.sleep(_AGE_S_MAX)
            await self.flush()


async def run(settings: dict[str, Any]) -> None:
    """Read and store until ended."""
    async with (
        await psycopg.AsyncConnection.connect(settings["dsn"]) as connection,
        aiomqtt.Client(
            settings["host"],
            settings["port"],
            identifier=settings["client_id"],
            username="ingest",
            password=settings["password"],
            protocol=aiomqtt.ProtocolVersion.V5,
            max_queued_incoming_messages=_WAITING_MAX,
        ) as client,
        asyncio.TaskGroup() as tasks,
    ):
        store = _Store(connection, settings["table"])
        await client.subscribe("suifang/v1/+/+/readings", qos=1)
        sys.stdout.write(json.dumps({"event": "subscribed"}) + "\n")
        sys.stdout.flush()
        tasks.create_task(store.keep_flushing(), name="flush")
        async for message in client.messages:
            if isinstance(message.payload, bytes):
                await store.add(_rows(message.topic.value, message.payload))


if __name__ == "__main__":
    asyncio.run(run(json.loads(os.environ["BENCH_NAIVE"])))
