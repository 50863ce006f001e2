"""What was read of plain readings, as columns: words, numbers, ids, times.

A reading that is not plain in every column is marked, and left to the contract.
"""

from collections.abc import Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
import numpy as np

from gateway.wire import limits
from gateway.wire.ids import PARTITION_MAX, PARTITION_MIN
from gateway.wire.readings import Sample, StatusFlag
from ingest.columns import to_microseconds
from ingest.plain_instants import parse_ids, parse_instants
from ingest.plain_shapes import (
    ABSENT,
    NO_SHAPE,
    Memory,
    Number,
    Shape,
    find_plausible,
    read_number,
    read_shape,
)
from ingest.rows import CLOCK_SINCE, CLOCK_TOLERANCE
from rules.columns import BoolArray, InstantArray, Int64Array
from rules.effective_time import correct_times

_Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.TEXT_CHARACTERS_MAX)]
_NOTHING: Final = msgspec.Raw(b"")


class PlainReading(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Either kind; fields of the other kind must be absent, which ``plain_shapes`` checks.

    What the contract takes as an absent field *and* as null is left to the contract where the
    two would be told apart.
    """

    id: str
    kind: Literal["blood_pressure", "glucose"]
    device_id: _Text
    captured_at: str
    device_sequence: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    boot_id: _Text | None = None
    resident_id: _Text | None = None
    measured_at: str | None = None
    device_now: str | None = None
    stored_record: bool = False
    clock_synchronised: bool = False
    setting: Literal["office", "home", "ambulatory"] = "office"
    status: Annotated[tuple[StatusFlag, ...], msgspec.Meta(max_length=16)] = ()
    unit: Literal["mmHg", "kPa", "mmol/L", "mg/dL", "mol/L", "kg/L"] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    arm: Literal["left", "right"] | msgspec.UnsetType = msgspec.UNSET
    posture: Literal["sitting", "lying_down", "standing", "semi_recumbent"] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    meal_context: (
        Literal["fasting", "preprandial", "postprandial_2h", "random", "bedtime", "unknown"]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    sample: Sample | msgspec.UnsetType = msgspec.UNSET
    systolic: msgspec.Raw = _NOTHING
    diastolic: msgspec.Raw = _NOTHING
    pulse: msgspec.Raw = _NOTHING
    glucose: msgspec.Raw = _NOTHING


_decode = msgspec.json.Decoder(PlainReading).decode
_shape_of = attrgetter(
    *("kind", "unit", "setting", "arm", "posture", "meal_context", "sample", "status"),
    *("stored_record", "clock_synchronised"),
)
_shapes: Memory[tuple[object, ...], Shape | None] = Memory(read_shape)
_numbers: Memory[bytes, Number | None] = Memory(read_number)


def decode_each(raws: Sequence[bytes]) -> tuple[list[int], list[PlainReading]]:
    """The readings that have the form at least, and their places.

    A backslash may hide a NUL, half a character or a field's name: left to the contract. Of a
    field that is there twice both decoders take the last.
    """
    places: list[int] = []
    readings: list[PlainReading] = []
    for place, raw in enumerate(raws):
        if len(raw) > limits.READING_BYTES_MAX or b"\\" in raw:
            continue
        try:
            readings.append(_decode(raw))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        places.append(place)
    return places, readings


class Columns:
    """What was read of n readings, row by row aligned; ``plain`` says of which all is plain."""

    def __init__(self, readings: list[PlainReading]) -> None:
        self.readings = readings
        self.ids, milliseconds, plain = parse_ids([reading.id for reading in readings])
        self.partition_us = np.clip(milliseconds * 1_000, *_PARTITION_EDGES_US)
        self.captured_us, good = parse_instants([reading.captured_at for reading in readings])
        plain &= good
        self.measured_us, good = _read_optional([reading.measured_at for reading in readings])
        plain &= good
        self.device_now_us, good = _read_optional([reading.device_now for reading in readings])
        plain &= good
        shapes = [_shapes[_shape_of(reading)] for reading in readings]
        if None in shapes:
            plain &= are_there(shapes)
        self.shapes = [shape or NO_SHAPE for shape in shapes]
        numbers = [
            [_numbers[bytes(reading.systolic)] for reading in readings],
            [_numbers[bytes(reading.diastolic)] for reading in readings],
            [_numbers[bytes(reading.pulse)] for reading in readings],
            [_numbers[bytes(reading.glucose)] for reading in readings],
        ]
        for column in numbers:
            if None in column:
                plain &= are_there(column)
        self.numbers = [[number or ABSENT for number in column] for column in numbers]
        self.codes = _codes_of(self.shapes)
        packed = np.array([[number[1] for number in column] for column in self.numbers], np.int64)
        self.values_e7, decimals = packed >> 3, packed & 7
        plain &= find_plausible(self.codes["kind"], self.codes["bounds"], self.values_e7, decimals)
        self.plain = plain

    def keep(self, order: Int64Array) -> None:
        """Keep these rows, in this order."""
        rows = order.tolist()
        for name in ("ids", "partition_us", "captured_us", "measured_us", "device_now_us"):
            setattr(self, name, getattr(self, name)[order])
        self.codes = {name: column[order] for name, column in self.codes.items()}
        self.values_e7 = self.values_e7[:, order]
        self.readings = [self.readings[at] for at in rows]
        self.shapes = [self.shapes[at] for at in rows]
        self.numbers = [[column[at] for at in rows] for column in self.numbers]

    def in_order_of_id(self) -> Int64Array:
        """The plain rows, sorted."""
        halves = self.ids.view(">u8").reshape(-1, 2)
        order = np.lexsort((halves[:, 1], halves[:, 0]))
        return order[self.plain[order]]


_CODES: Final = (
    *("kind", "unit", "setting", "arm", "meal_context", "status", "control_solution"),
    *("stored_record", "clock_synchronised", "time_fault", "value_code", "bounds"),
)
NONE_US: Final = np.iinfo(np.int64).min  # As NaT.
_TOLERANCE_US: Final = CLOCK_TOLERANCE // timedelta(microseconds=1)
_CLOCK_SINCE_US: Final = to_microseconds(CLOCK_SINCE)
_PARTITION_EDGES_US: Final = (to_microseconds(PARTITION_MIN), to_microseconds(PARTITION_MAX))


def are_there(column: Sequence[object]) -> BoolArray:
    """Where a column is not None."""
    return np.fromiter((each is not None for each in column), np.bool_, len(column))


def _read_optional(texts: list[str | None]) -> tuple[Int64Array, BoolArray]:
    """Instants that may be absent (NaT's number), and which texts are plain or absent."""
    instants, good = np.full(len(texts), NONE_US), np.ones(len(texts), np.bool_)
    rows = [row for row, text in enumerate(texts) if text is not None]
    if rows:
        instants[rows], good[rows] = parse_instants([text for text in texts if text is not None])
    return instants, good


def _codes_of(shapes: list[Shape]) -> dict[str, Int64Array]:
    """Fields of the shapes as columns. There are few different shapes, so each is read once."""
    known: dict[int, int] = {}
    which = [known.setdefault(id(shape), len(known)) for shape in shapes]
    distinct = {id(shape): shape for shape in shapes}
    table = [distinct[identity] for identity in known]
    return {
        name: np.array([getattr(shape, name) for shape in table], np.int64)[which]
        for name in _CODES
    }


class Clocks:
    """When each reading arrived and was taken, as ``ingest.rows`` says it, by columns."""

    def __init__(self, columns: Columns, received_us: int) -> None:
        self.received_us = np.full(len(columns.readings), received_us, np.int64)
        synchronised = columns.codes["clock_synchronised"] == 1
        captured = columns.captured_us
        believed = synchronised & (captured >= _PARTITION_EDGES_US[0])
        believed &= captured <= received_us + _TOLERANCE_US
        self.arrived_us = np.where(believed, np.minimum(captured, received_us), received_us)
        self.shift_base_us = np.where(synchronised, columns.device_now_us, NONE_US)
        effective_at, self.suspect = correct_times(
            measured_at=as_instants(columns.measured_us),
            device_now=as_instants(self.shift_base_us),
            captured_at=as_instants(captured),
            arrived_at=as_instants(self.arrived_us),
            time_fault=columns.codes["time_fault"] == 1,
        )
        self.effective_us = effective_at.view(np.int64)
        shift = np.where(self.shift_base_us == NONE_US, 0, captured - self.shift_base_us)
        at = columns.measured_us + shift
        self.credible = (columns.measured_us != NONE_US) & (columns.codes["time_fault"] == 0)
        self.credible &= (at >= _CLOCK_SINCE_US) & (at <= captured + _TOLERANCE_US)


def as_instants(since_1970_us: Int64Array) -> InstantArray:
    """Microseconds since 1970 as ``datetime64[us]``; ``NONE_US`` is NaT."""
    instants: InstantArray = since_1970_us.view("datetime64[us]")
    return instants
