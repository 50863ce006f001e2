"""The peer: Pathway reads the same topics with persistence on and writes the same columns.

Run by an interpreter that has Pathway (``make bench-peers``), never by ours: it imports nothing
of Suifang. Written as its documentation advises for at-least-once from MQTT: QoS 1, a stable
client id, persistence of its input, one output connection. The envelope of one
reading is taken apart by its own JSON parser, which is the fastest way it has.
"""

import json
import os
from typing import Any

import pathway as pw

TOPIC = "suifang/v1/+/+/readings"
FIELDS = (
    "reading_id",
    "kind",
    "resident_id",
    "device_id",
    "device_sequence",
    "boot_id",
    "measured_at",
    "captured_at",
    "clock_synchronised",
    "setting",
    "systolic",
    "diastolic",
    "glucose",
    "meal_context",
    "unit",
)
PATHS = {"reading_id": "id"}  # Pathway keeps the name for itself.


class Reading(pw.Schema):
    """The fields that our gateways send."""

    reading_id: str
    kind: str
    resident_id: str | None
    device_id: str
    device_sequence: int | None
    boot_id: str | None
    measured_at: str
    captured_at: str
    clock_synchronised: bool
    setting: str
    systolic: int | None = pw.column_definition(default_value=None)
    diastolic: int | None = pw.column_definition(default_value=None)
    glucose: float | None = pw.column_definition(default_value=None)
    meal_context: str | None = pw.column_definition(default_value=None)
    unit: str | None


def main(settings: dict[str, Any]) -> None:
    """Read, parse, write, until ended."""
    readings = pw.io.mqtt.read(
        settings["uri"],
        TOPIC,
        qos=1,
        schema=Reading,
        format="json",
        json_field_paths={name: f"/readings/0/{PATHS.get(name, name)}" for name in FIELDS},
        autocommit_duration_ms=settings["autocommit_ms"],
        name="readings",
    )
    measured = pw.this.measured_at.dt.strptime("%Y-%m-%dT%H:%M:%S.%f%z")
    captured = pw.this.captured_at.dt.strptime("%Y-%m-%dT%H:%M:%S.%fZ").dt.to_utc("UTC")
    # Two steps, so that each time is parsed once and then copied.
    readings = readings.with_columns(measured_at=measured, captured_at=captured)
    readings = readings.with_columns(
        partition_at=pw.this.captured_at,
        arrived_at=pw.this.captured_at,
        received_at=pw.this.captured_at,
        effective_at=pw.this.measured_at,
    )
    pw.io.postgres.write(readings, settings["postgres"], settings["table"], name="table")
    backend = pw.persistence.Backend.filesystem(settings["folder"])
    pw.run(
        monitoring_level=pw.MonitoringLevel.NONE,
        default_logging=False,  # It would write a line for every message it acknowledges.
        persistence_config=pw.persistence.Config(
            backend,
            snapshot_interval_ms=settings["snapshot_ms"],
            persistence_mode=getattr(pw.PersistenceMode, settings["mode"]),
        ),
    )


if __name__ == "__main__":
    main(json.loads(os.environ["BENCH_PATHWAY"]))
