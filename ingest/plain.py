"""The plain lane of the decoder: well-formed readings to columns, many at a time.

It may refuse anything and let nothing wrong through: a reading it takes is one that
``gateway.wire.readings`` accepts and ``ingest.rows`` turns into the very same row; every other
reading is left to them, one by one. A test that makes up readings of all kinds holds the two
together (I4).

What makes it fast: one call of a compiled decoder for each reading, small memories for words,
numbers and names that come again and again, and numpy for all the rest.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from gateway.wire import limits
from gateway.wire.ids import PARTITION_MAX, PARTITION_MIN
from gateway.wire.readings import StatusFlag
from ingest.columns import to_microseconds
from ingest.db.plain import (
    EMPTY_CELL,
    KEY_START,
    NULL_CELL,
    POSTGRES_EPOCH_US,
    ROW_START,
    Cells,
    PlainKeys,
    PlainRows,
    as_cell,
    instant_cells,
    integer_cells,
    pack_cells,
)
from ingest.duplicate_keys import glucose_code, pressure_code, sequence_key, time_key
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
from rules.columns import KIND_BLOOD_PRESSURE, MISSING, BoolArray, InstantArray, Int64Array
from rules.effective_time import correct_times
from rules.reported import NO_SEQUENCE, Reported

_Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.TEXT_CHARACTERS_MAX)]
_NOTHING: Final = msgspec.Raw(b"")


class _Reading(msgspec.Struct, forbid_unknown_fields=True, gc=False):
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
    sample: (
        Literal[
            "capillary_whole_blood",
            "capillary_plasma",
            "venous_whole_blood",
            "venous_plasma",
            "arterial_whole_blood",
            "arterial_plasma",
            "undetermined_whole_blood",
            "undetermined_plasma",
            "interstitial_fluid",
            "control_solution",
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    systolic: msgspec.Raw = _NOTHING
    diastolic: msgspec.Raw = _NOTHING
    pulse: msgspec.Raw = _NOTHING
    glucose: msgspec.Raw = _NOTHING


_decode = msgspec.json.Decoder(_Reading).decode
_shape_of = attrgetter(
    *("kind", "unit", "setting", "arm", "posture", "meal_context", "sample", "status"),
    *("stored_record", "clock_synchronised"),
)
_shapes: Memory[tuple[object, ...], Shape | None] = Memory(read_shape)
_numbers: Memory[bytes, Number | None] = Memory(read_number)
_texts: Memory[str, bytes] = Memory(lambda text: as_cell(text.encode()))


class Sender(NamedTuple):
    """An enrolled gateway, as its topic names it."""

    centre: str
    gateway: str
    cells: bytes  # Both as fields of ``reading``.

    @classmethod
    def of(cls, centre: str, gateway: str) -> "Sender":
        """With its fields made ready."""
        return cls(centre, gateway, as_cell(centre.encode()) + as_cell(gateway.encode()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the plain lane takes of some readings; the others are the careful lane's."""

    rows: PlainRows
    reported: Reported  # As the rules take them, aligned with ``rows``; ``resident`` is 0.
    places: Int64Array  # Of each row among the readings given.
    left: list[int]  # Places of the readings not taken, rising.


def take_plain(raws: Sequence[bytes], senders: Sequence[Sender], *, received_at: datetime) -> Taken:
    """Turn the readings that need no question into rows, sorted by id.

    Args:
        raws: The frozen bytes of each reading.
        senders: Who sent it, aligned.
        received_at: Ingest's clock, aware.

    Cost: O(n log n), about 5 microseconds a reading.
    """
    places, readings = _decode_each(raws)
    columns = _Columns(readings)
    order = columns.in_order_of_id()
    columns.keep(order)
    chosen = np.array(places, np.int64)[order]
    mine = chosen.tolist()
    clocks = _Clocks(columns, to_microseconds(received_at))
    left = np.ones(len(raws), np.bool_)
    left[chosen] = False
    return Taken(
        rows=_to_rows(columns, clocks, [raws[at] for at in mine], [senders[at] for at in mine]),
        reported=_to_reported(columns, clocks),
        places=chosen,
        left=np.flatnonzero(left).tolist(),
    )


def _decode_each(raws: Sequence[bytes]) -> tuple[list[int], list[_Reading]]:
    """The readings that have the form at least, and their places.

    A backslash may hide a NUL, half a character or a field's name: left to the contract. Of a
    field that is there twice both decoders take the last.
    """
    places: list[int] = []
    readings: list[_Reading] = []
    for place, raw in enumerate(raws):
        if len(raw) > limits.READING_BYTES_MAX or b"\\" in raw:
            continue
        try:
            readings.append(_decode(raw))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        places.append(place)
    return places, readings


class _Columns:
    """What was read of n readings, row by row aligned; ``plain`` says of which all is plain."""

    def __init__(self, readings: list[_Reading]) -> None:
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
            plain &= _are_there(shapes)
        self.shapes = [shape or NO_SHAPE for shape in shapes]
        numbers = [[_numbers[bytes(literal_of(r))] for r in readings] for literal_of in _LITERALS]
        for column in numbers:
            if None in column:
                plain &= _are_there(column)
        self.numbers = [[number or ABSENT for number in column] for column in numbers]
        self.codes = _codes_of(self.shapes)
        self.values_e7 = _whole([[number[1] for number in column] for column in self.numbers])
        decimals = _whole([[number[2] for number in column] for column in self.numbers])
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


_LITERALS: Final = tuple(map(attrgetter, ("systolic", "diastolic", "pulse", "glucose")))
_CODES: Final = (
    *("kind", "unit", "setting", "arm", "meal_context", "status", "control_solution"),
    *("stored_record", "clock_synchronised", "time_fault", "value_code", "bounds"),
)
_NONE_US: Final = np.iinfo(np.int64).min  # As NaT.
_TOLERANCE_US: Final = CLOCK_TOLERANCE // timedelta(microseconds=1)
_CLOCK_SINCE_US: Final = to_microseconds(CLOCK_SINCE)
_hash: Final = hashlib.blake2b
_LENGTHS: Final = [size.to_bytes(4, "big") for size in range(4 * limits.READING_BYTES_MAX)]
_PARTITION_EDGES_US: Final = (to_microseconds(PARTITION_MIN), to_microseconds(PARTITION_MAX))


def _are_there(column: Sequence[object]) -> BoolArray:
    return np.fromiter((each is not None for each in column), np.bool_, len(column))


def _whole(columns: list[list[int]]) -> Int64Array:
    return np.array(columns, np.int64)


def _read_optional(texts: list[str | None]) -> tuple[Int64Array, BoolArray]:
    """Instants that may be absent (NaT's number), and which texts are plain or absent."""
    instants, good = np.full(len(texts), _NONE_US), np.ones(len(texts), np.bool_)
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


class _Clocks:
    """When each reading arrived and was taken, as ``ingest.rows`` says it, by columns."""

    def __init__(self, columns: _Columns, received_us: int) -> None:
        self.received_us = np.full(len(columns.readings), received_us, np.int64)
        synchronised = columns.codes["clock_synchronised"] == 1
        captured = columns.captured_us
        believed = synchronised & (captured >= _PARTITION_EDGES_US[0])
        believed &= captured <= received_us + _TOLERANCE_US
        self.arrived_us = np.where(believed, np.minimum(captured, received_us), received_us)
        self.shift_base_us = np.where(synchronised, columns.device_now_us, _NONE_US)
        effective_at, self.suspect = correct_times(
            measured_at=_as_instants(columns.measured_us),
            device_now=_as_instants(self.shift_base_us),
            captured_at=_as_instants(captured),
            arrived_at=_as_instants(self.arrived_us),
            time_fault=columns.codes["time_fault"] == 1,
        )
        self.effective_us = effective_at.view(np.int64)
        shift = np.where(self.shift_base_us == _NONE_US, 0, captured - self.shift_base_us)
        at = columns.measured_us + shift
        self.credible = (columns.measured_us != _NONE_US) & (columns.codes["time_fault"] == 0)
        self.credible &= (at >= _CLOCK_SINCE_US) & (at <= captured + _TOLERANCE_US)


def _as_instants(since_1970_us: Int64Array) -> InstantArray:
    instants: InstantArray = since_1970_us.view("datetime64[us]")
    return instants


def _to_rows(
    columns: _Columns, clocks: _Clocks, raws: list[bytes], senders: list[Sender]
) -> PlainRows:
    readings, count = columns.readings, len(columns.readings)
    packed_ids = np.ascontiguousarray(columns.ids).view("V16").reshape(-1)
    hashes = b"".join([_hash(raw, digest_size=8).digest() for raw in raws])
    residents = [reading.resident_id for reading in readings]
    resident_cells = _text_cells(residents)
    device_cells = [_texts[reading.device_id] for reading in readings]
    fixed = pack_cells(
        [
            ("id", "V16", 16, packed_ids),
            ("partition_at", ">i8", 8, columns.partition_us - POSTGRES_EPOCH_US),
            ("content_hash", ">i8", 8, np.frombuffer(hashes, ">i8")),
            ("captured_at", ">i8", 8, columns.captured_us - POSTGRES_EPOCH_US),
            ("received_at", ">i8", 8, clocks.received_us - POSTGRES_EPOCH_US),
            ("arrived_at", ">i8", 8, clocks.arrived_us - POSTGRES_EPOCH_US),
            ("effective_at", ">i8", 8, clocks.effective_us - POSTGRES_EPOCH_US),
            ("time_suspect", "u1", 1, clocks.suspect),
        ],
        count,
        start=ROW_START,
    )
    cells: tuple[Cells, ...] = (
        fixed,
        [shape.cells for shape in columns.shapes],
        [sender.cells for sender in senders],
        device_cells,
        [NULL_CELL if r.boot_id is None else _texts[r.boot_id] for r in readings],
        resident_cells,
        _optional_integers([reading.device_sequence for reading in readings]),
        _optional_instants(columns.measured_us),
        _optional_instants(columns.device_now_us),
        *([number.cell for number in column] for column in columns.numbers),
    )
    return PlainRows(
        packed_ids=packed_ids,
        partition_us=columns.partition_us,
        cells=cells,
        keys=_to_keys(columns, clocks, packed_ids, (device_cells, resident_cells)),
        gateways=[sender.gateway for sender in senders],
        resident_cells=resident_cells,
        has_resident=_are_there(residents),
        is_pressure=columns.codes["kind"] == KIND_BLOOD_PRESSURE,
        arrived_us=clocks.arrived_us,
    )


def _to_keys(
    columns: _Columns, clocks: _Clocks, packed_ids: npt.NDArray[np.void], cells: tuple[Cells, Cells]
) -> PlainKeys:
    """Keys in their own order: by device, key and resident, as text."""
    codes = _value_codes(columns)
    keys = [
        None
        if reading.device_sequence is None
        else sequence_key(reading.boot_id, reading.device_sequence, shape.arm_text)
        for reading, shape in zip(columns.readings, columns.shapes, strict=True)
    ]
    if None in keys:
        for row in np.flatnonzero(clocks.credible).tolist():
            key = time_key(int(columns.measured_us[row]), int(codes[row]))
            keys[row] = keys[row] or key
    texts = [
        "" if key is None else f"{reading.device_id}\0{key}\0{reading.resident_id or ''}"
        for reading, key in zip(columns.readings, keys, strict=True)
    ]
    order = sorted(range(len(texts)), key=texts.__getitem__)
    order = order[texts.count("") :]  # Those without a key come first.
    rows = np.array(order, np.int64)
    devices, residents = cells
    fixed = pack_cells(
        [
            ("reading_id", "V16", 16, packed_ids[rows]),
            ("values_hash", ">i8", 8, codes[rows]),
        ],
        len(rows),
    )
    return PlainKeys(
        rows=rows,
        texts=[texts[row] for row in order],
        cells=(
            [KEY_START + devices[row] for row in order],
            _text_cells([keys[row] for row in order]),
            [EMPTY_CELL if residents[row] == NULL_CELL else residents[row] for row in order],
            fixed,
        ),
    )


def _value_codes(columns: _Columns) -> Int64Array:
    systolic, diastolic, pulse, glucose = columns.values_e7
    added = columns.codes["value_code"]
    pulse_e2 = np.where(pulse < 0, -1, pulse // 10**5)
    pressure = pressure_code(systolic // 1_000, diastolic // 1_000, pulse_e2, added)
    sugar = glucose_code(glucose, columns.codes["unit"], added)
    codes: Int64Array = np.where(columns.codes["kind"] == KIND_BLOOD_PRESSURE, pressure, sugar)
    return codes


def _text_cells(texts: Sequence[str | None]) -> Cells:
    """Fields of short texts that may be absent."""
    encoded = [None if text is None else text.encode() for text in texts]
    return [NULL_CELL if raw is None else _LENGTHS[len(raw)] + raw for raw in encoded]


def _optional_integers(values: list[int | None]) -> Cells:
    if None not in values:
        return integer_cells(np.array(values, np.int64))
    return [NULL_CELL if v is None else as_cell(v.to_bytes(8, "big")) for v in values]


def _optional_instants(since_1970_us: Int64Array) -> Cells:
    cells = instant_cells(since_1970_us)
    for row in np.flatnonzero(since_1970_us == _NONE_US).tolist():
        cells[row] = NULL_CELL
    return cells


def _to_reported(columns: _Columns, clocks: _Clocks) -> Reported:
    count = len(columns.readings)
    systolic, diastolic, _, glucose = columns.values_e7
    code = columns.codes

    def pressure_e4(value_e7: Int64Array) -> Int64Array:
        return np.where(value_e7 < 0, MISSING, value_e7 // 1_000)

    return Reported(
        resident=np.zeros(count, np.int64),
        ids=np.ascontiguousarray(columns.ids).view("S16").reshape(-1),
        **{name: code[name].astype(np.int8) for name in ("kind", "unit", "setting", "arm")},
        meal_context=code["meal_context"].astype(np.int8),
        systolic_e4=pressure_e4(systolic),
        diastolic_e4=pressure_e4(diastolic),
        glucose_e7=glucose,
        status=code["status"],
        control_solution=code["control_solution"] == 1,
        stored_record=code["stored_record"] == 1,
        device=np.zeros(count, np.int64),  # The store settles duplicates.
        sequence=np.full(count, NO_SEQUENCE, np.int64),
        measured_at=_as_instants(columns.measured_us),
        device_now=_as_instants(clocks.shift_base_us),
        captured_at=_as_instants(columns.captured_us),
        arrived_at=_as_instants(clocks.arrived_us),
        received_at=_as_instants(clocks.received_us),
    )
