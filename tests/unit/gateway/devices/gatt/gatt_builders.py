"""Measurements of virtual devices with defaults: a test names only what matters to it.

And their way: frozen by the gateway, then through ingest's only door.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from gateway.devices.gatt.blood_pressure import BloodPressureMeasurement, BloodPressureStatus
from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.glucose import GlucoseMeasurement, GlucoseStatus
from gateway.devices.gatt.glucose_context import GlucoseContext
from gateway.devices.gatt.lines import Origin, blood_pressure_line, glucose_line
from gateway.freezer import Stamp, freeze_reading
from gateway.wire.errors import WireError
from gateway.wire.ids import new_id
from gateway.wire.readings import BloodPressure, Glucose, Reading, parse_reading
from tests.unit.gateway.gateway_builders import KEY, NOON

EAST_8 = timedelta(hours=8)
ORIGIN = Origin(device_id="dev-1", utc_offset=EAST_8, owner={"resident_id": "r-1"})
NINE = DateTime(2026, 3, 2, 9, 0, 0)


def a_pressure(**fields: Any) -> BloodPressureMeasurement:  # noqa: ANN401 - any field
    """128/78 mmHg at nine, pulse 72; ``status`` as bits."""
    bits = fields.pop("status", 0)
    return BloodPressureMeasurement(
        **{
            "flags": 0b10110,
            "systolic": Decimal(128),
            "diastolic": Decimal(78),
            "mean_arterial": Decimal(95),
            "timestamp": NINE,
            "pulse": Decimal(72),
            "user_id": None,
            "status": BloodPressureStatus(bits=bits),
            **fields,
        }
    )


def a_glucose_record(**fields: Any) -> GlucoseMeasurement:  # noqa: ANN401 - any field
    """0.00560 mol/L of capillary blood from a finger at nine; ``status`` as bits."""
    bits = fields.pop("status", 0)
    return GlucoseMeasurement(
        **{
            "flags": 0b01110,
            "sequence": 7,
            "base_time": NINE,
            "time_offset_minutes": None,
            "concentration": Decimal("0.00560"),
            "sample_code": 1,
            "location_code": 1,
            "status": GlucoseStatus(bits=bits),
            **fields,
        }
    )


def a_context(meal_code: int | None = 3, sequence: int = 7) -> GlucoseContext:
    """What the user said about record 7: fasting."""
    return GlucoseContext(flags=0b10, sequence=sequence, meal_code=meal_code)


def arrive(line: bytes) -> Reading:
    """Freeze a line and let ingest read it. Raises ``WireError``."""
    stamp = Stamp(new_id(NOON), NOON, clock_synchronised=True)
    return parse_reading(freeze_reading(line, stamp, key=KEY))


def pressure(**fields: Any) -> BloodPressure:  # noqa: ANN401 - any field
    """What ingest reads of a cuff measurement."""
    reading = arrive(blood_pressure_line(a_pressure(**fields), ORIGIN))
    assert isinstance(reading, BloodPressure)
    return reading


def glucose(context: int | None = None, **fields: Any) -> Glucose:  # noqa: ANN401 - any field
    """What ingest reads of a record and its context."""
    said = None if context is None else a_context(context)
    reading = arrive(glucose_line(a_glucose_record(**fields), ORIGIN, said))
    assert isinstance(reading, Glucose)
    return reading


def refusal(line: bytes) -> WireError:
    """Why ingest takes a line not."""
    with pytest.raises(WireError) as caught:
        arrive(line)
    return caught.value


def pressure_refusal(**fields: Any) -> WireError:  # noqa: ANN401 - any field
    """Why ingest takes a cuff measurement not."""
    return refusal(blood_pressure_line(a_pressure(**fields), ORIGIN))


def glucose_refusal(**fields: Any) -> WireError:  # noqa: ANN401 - any field
    """Why ingest takes a record not."""
    return refusal(glucose_line(a_glucose_record(**fields), ORIGIN))
