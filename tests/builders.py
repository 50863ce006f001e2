"""Readings, batches and places with defaults: a test names only what matters to it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from gateway.wire.batches import build_batch
from gateway.wire.ids import new_id
from gateway.wire.times import format_instant
from ingest.db.connections import Connection
from ingest.db.residents import (
    Centre,
    DatedCondition,
    GatewayRecord,
    Population,
    Resident,
    Team,
    load,
)

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # 09:00 in Shanghai.


def a_blood_pressure(
    systolic: str = "128", diastolic: str = "78", *, at: datetime = AT, **fields: object
) -> dict[str, Any]:
    """One satisfied office reading of resident r-1; numbers as literals."""
    return {
        "id": str(fields.pop("id", new_id(at))),
        "captured_at": format_instant(at),
        "clock_synchronised": True,
        "resident_id": "r-1",
        "device_id": "bp-1",
        "kind": "blood_pressure",
        "measured_at": format_instant(at),
        "systolic": Literal(systolic),
        "diastolic": Literal(diastolic),
        "unit": "mmHg",
        **fields,
    }


def a_glucose(glucose: str = "5.6", *, at: datetime = AT, **fields: object) -> dict[str, Any]:
    """One fasting value of resident r-1; the number as a literal."""
    return {
        "id": str(fields.pop("id", new_id(at))),
        "captured_at": format_instant(at),
        "clock_synchronised": True,
        "resident_id": "r-1",
        "device_id": "glu-1",
        "kind": "glucose",
        "measured_at": format_instant(at),
        "glucose": Literal(glucose),
        "unit": "mmol/L",
        "meal_context": "fasting",
        **fields,
    }


def a_context(
    meal_context: str = "fasting", *, of: Mapping[str, Any], at: datetime = AT, **fields: object
) -> dict[str, Any]:
    """What the meter says later of one of its values."""
    return {
        "id": str(fields.pop("id", new_id(at))),
        "captured_at": format_instant(at),
        "clock_synchronised": True,
        "kind": "glucose_context",
        "device_id": of["device_id"],
        "device_sequence": of["device_sequence"],
        **({"boot_id": of["boot_id"]} if of.get("boot_id") else {}),
        "meal_context": meal_context,
        **fields,
    }


class Literal(str):
    """A JSON number written exactly so."""

    __slots__ = ()


def to_bytes(reading: Mapping[str, Any]) -> bytes:
    """A reading as the spool freezes it."""
    parts = [
        f"{json.dumps(name)}:{value if isinstance(value, Literal) else json.dumps(value)}"
        for name, value in reading.items()
    ]
    return ("{" + ",".join(parts) + "}").encode()


def a_batch(*readings: Mapping[str, Any], batch: UUID | None = None, at: datetime = AT) -> bytes:
    """Readings in their envelope."""
    return build_batch(batch or new_id(at), at, [to_bytes(reading) for reading in readings])


async def enrol(
    connection: Connection,
    *conditions: DatedCondition,
    gateways: Mapping[str, str] | None = None,
) -> None:
    """A centre ``east`` with team ``east-1``, its gateways, and resident r-1 with conditions."""
    centres = gateways or {"gw-1": "east"}
    await load(
        connection,
        Population(
            centres=[Centre(id=centre, name=centre) for centre in sorted(set(centres.values()))],
            teams=[Team(id="east-1", centre_id="east", name="Team 1")],
            gateways=[GatewayRecord(id=g, centre_id=centre) for g, centre in centres.items()],
            residents=[Resident(id="r-1", team_id="east-1", conditions=conditions)],
        ),
        at=AT,
    )
    await connection.execute("DELETE FROM due_mark")  # Loading is no work for the judge here.
