"""Valid readings to rows: times put right, the key of the second duplicate rule, exact values.

Pure: the same bytes always give the same row but for ingest's own clock.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import numpy as np
from psycopg.types.json import Jsonb

from gateway.wire.ids import PARTITION_MIN, partition_time_of
from gateway.wire.items import GlucoseContext, Item
from gateway.wire.readings import BloodPressure, Glucose, Reading
from gateway.wire.topics import Topic
from ingest.columns import to_datetimes, to_instants, to_microseconds
from ingest.db.contexts import ContextRow
from ingest.db.readings import ReadingRow
from ingest.db.words import ARM_CODES, UNIT_CODES
from ingest.duplicate_keys import (
    glucose_code,
    pressure_code,
    sequence_key,
    status_code,
    time_key,
    unit_arm_code,
)
from rules.effective_time import correct_times

CLOCK_SINCE: Final = datetime(2015, 1, 1, tzinfo=UTC)
CLOCK_TOLERANCE: Final = timedelta(minutes=5)  # Source: clinical decision table 2.2 step 5.
_CLOCK_SINCE_US: Final = to_microseconds(CLOCK_SINCE)
_CLOCK_TOLERANCE_US: Final = CLOCK_TOLERANCE // timedelta(microseconds=1)
_exact_json: Final = msgspec.json.Encoder(decimal_format="number")


def build_rows(
    readings: Sequence[Reading],
    raws: Sequence[bytes],
    topics: Sequence[Topic],
    *,
    received_at: datetime,
) -> list[ReadingRow]:
    """The rows of some readings; effective times are worked out together.

    Args:
        readings: Valid readings.
        raws: Their frozen bytes, aligned.
        topics: Where each came from, aligned.
        received_at: Ingest's clock, aware.
    """
    arrived = [_believed_arrival(reading, received_at) for reading in readings]
    effective, suspect = correct_times(
        measured_at=to_instants([reading.measured_at for reading in readings]),
        device_now=to_instants([_shift_base(reading) for reading in readings]),
        captured_at=to_instants([reading.captured_at for reading in readings]),
        arrived_at=to_instants(arrived),
        time_fault=np.array(["time_fault" in reading.status for reading in readings], np.bool_),
    )
    instants = to_datetimes(effective)
    return [
        _build_row(
            reading,
            raw,
            topics[at],
            received_at=received_at,
            arrived_at=arrived[at],
            effective_at=instants[at],
            time_suspect=bool(suspect[at]),
        )
        for at, (reading, raw) in enumerate(zip(readings, raws, strict=True))
    ]


def build_context_row(
    context: GlucoseContext, raw: bytes, topic: Topic, *, received_at: datetime
) -> ContextRow:
    """The row of a late context; its arguments are as those of ``build_rows``."""
    extra = context.model_extra
    return ContextRow(
        id=context.id,
        partition_at=partition_time_of(context.id),
        content_hash=content_hash(raw),
        gateway_id=topic.gateway,
        device_id=context.device_id,
        boot_id=context.boot_id,
        device_sequence=context.device_sequence,
        resident_id=context.resident_id,
        meal_context=context.meal_context,
        captured_at=_believed_capture(context, received_at),
        received_at=received_at,
        extra=Jsonb(extra, dumps=_exact_json.encode) if extra else None,
    )


def _build_row(
    reading: Reading,
    raw: bytes,
    topic: Topic,
    *,
    received_at: datetime,
    arrived_at: datetime,
    effective_at: datetime,
    time_suspect: bool,
) -> ReadingRow:
    pressure = reading if isinstance(reading, BloodPressure) else None
    sugar = reading if isinstance(reading, Glucose) else None
    code = _values_code(reading)
    extra = reading.model_extra
    return ReadingRow(
        id=reading.id,
        partition_at=partition_time_of(reading.id),
        content_hash=content_hash(raw),
        kind=reading.kind,
        resident_id=reading.resident_id,
        centre_id=topic.centre,
        gateway_id=topic.gateway,
        device_id=reading.device_id,
        device_sequence=reading.device_sequence,
        boot_id=reading.boot_id,
        measured_at=reading.measured_at,
        stored_record=reading.stored_record,
        captured_at=reading.captured_at,
        clock_synchronised=reading.clock_synchronised,
        device_now=reading.device_now,
        received_at=received_at,
        arrived_at=arrived_at,
        effective_at=effective_at,
        time_suspect=time_suspect,
        setting=reading.setting,
        status=list(reading.status),
        systolic=pressure.systolic if pressure else None,
        diastolic=pressure.diastolic if pressure else None,
        pulse=pressure.pulse if pressure else None,
        arm=pressure.arm if pressure else None,
        posture=pressure.posture if pressure else None,
        glucose=sugar.glucose if sugar else None,
        meal_context=sugar.meal_context if sugar else None,
        sample=sugar.sample if sugar else None,
        unit=reading.unit,
        extra=Jsonb(extra, dumps=_exact_json.encode) if extra else None,
        rule_key=_rule_key(reading, code),
        values_hash=code,
    )


def _values_code(reading: Reading) -> int:
    """What was measured, as one number that is equal when the values are (7.0 and 7.00 are)."""
    if isinstance(reading, BloodPressure):
        pulse_e2 = -1 if reading.pulse is None else int(reading.pulse.scaleb(2))
        return pressure_code(
            int(reading.systolic.scaleb(4)),
            int(reading.diastolic.scaleb(4)),
            pulse_e2,
            unit_arm_code(UNIT_CODES[reading.unit], ARM_CODES[reading.arm]),
        )
    glucose_e7 = -1 if reading.glucose is None else int(reading.glucose.scaleb(7))
    return glucose_code(glucose_e7, UNIT_CODES[reading.unit], status_code(reading.status))


def _rule_key(reading: Reading, code: int) -> str | None:
    """What makes two ids one measurement; None: only the id does."""
    if reading.device_sequence is not None:
        arm = reading.arm if isinstance(reading, BloodPressure) else None
        return sequence_key(reading.boot_id, reading.device_sequence, arm)
    if reading.measured_at is not None and _is_credible(reading):
        return time_key(to_microseconds(reading.measured_at), code)
    return None


def _is_credible(reading: Reading) -> bool:
    """Whether the device's time, corrected, says *when*: a stuck clock makes no two readings one.

    A function of the payload alone, so that a redelivery gets the same key.
    """
    if reading.measured_at is None or "time_fault" in reading.status:
        return False
    base = _shift_base(reading)
    captured_us, at_us = to_microseconds(reading.captured_at), to_microseconds(reading.measured_at)
    if base is not None:  # In whole numbers: at the ends of the calendar a datetime overflows.
        at_us += captured_us - to_microseconds(base)
    return _CLOCK_SINCE_US <= at_us <= captured_us + _CLOCK_TOLERANCE_US


def _shift_base(reading: Reading) -> datetime | None:
    """The device's clock at capture, where the gateway's own clock can correct it.

    A gateway whose clock follows no time server would shift a right device clock to a wrong
    time; then the device is taken at its word. Source: decision table 2.2 step 5, architecture
    8.7.
    """
    return reading.device_now if reading.clock_synchronised else None


def _believed_arrival(reading: Reading, received_at: datetime) -> datetime:
    """The gateway's clock where it can be believed, else ours: an outage changes no judgement.

    A "synchronised" clock ahead of ours, or before this system existed, is not believed.
    Source: architecture 8.7.
    """
    captured_at = _believed_capture(reading, received_at)
    return received_at if captured_at is None else min(captured_at, received_at)


def _believed_capture(item: Item, received_at: datetime) -> datetime | None:
    latest = received_at + CLOCK_TOLERANCE
    if item.clock_synchronised and PARTITION_MIN <= item.captured_at <= latest:
        return item.captured_at
    return None


def content_hash(raw: bytes) -> int:
    """64 bits of the reading's frozen bytes, signed: tells a redelivery from a conflict."""
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), signed=True)
