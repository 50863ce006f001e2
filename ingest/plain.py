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
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.wire import limits
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
    join_cells,
    pack_cells,
)
from ingest.duplicate_keys import glucose_code, pressure_code, sequence_key, time_key
from ingest.plain_columns import (
    NONE_US,
    Clocks,
    Columns,
    are_there,
    as_instants,
    decode_each,
)
from ingest.plain_shapes import (
    Memory,
)
from rules.columns import KIND_BLOOD_PRESSURE, MISSING, Int64Array
from rules.reported import NO_SEQUENCE, Reported

_texts: Memory[str, bytes] = Memory(lambda text: as_cell(text.encode()))
_hash: Final = hashlib.blake2b
_LENGTHS: Final = [size.to_bytes(4, "big") for size in range(4 * limits.READING_BYTES_MAX)]


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
    places, readings = decode_each(raws)
    columns = Columns(readings)
    order = columns.in_order_of_id()
    columns.keep(order)
    chosen = np.array(places, np.int64)[order]
    mine = chosen.tolist()
    clocks = Clocks(columns, to_microseconds(received_at))
    left = np.ones(len(raws), np.bool_)
    left[chosen] = False
    return Taken(
        rows=_to_rows(columns, clocks, [raws[at] for at in mine], [senders[at] for at in mine]),
        reported=_to_reported(columns, clocks),
        places=chosen,
        left=np.flatnonzero(left).tolist(),
    )


def _to_rows(
    columns: Columns, clocks: Clocks, raws: list[bytes], senders: list[Sender]
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
        whole=join_cells(cells),
        keys=_to_keys(columns, clocks, packed_ids, (device_cells, resident_cells)),
        gateways=[sender.gateway for sender in senders],
        resident_cells=resident_cells,
        has_resident=are_there(residents),
        is_pressure=columns.codes["kind"] == KIND_BLOOD_PRESSURE,
        arrived_us=clocks.arrived_us,
    )


def _to_keys(
    columns: Columns, clocks: Clocks, packed_ids: npt.NDArray[np.void], cells: tuple[Cells, Cells]
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
    key_cells: tuple[Cells, ...] = (
        [KEY_START + devices[row] for row in order],
        _text_cells([keys[row] for row in order]),
        [EMPTY_CELL if residents[row] == NULL_CELL else residents[row] for row in order],
        fixed,
    )
    return PlainKeys(
        rows=rows,
        texts=[texts[row] for row in order],
        cells=key_cells,
        whole=join_cells(key_cells),
    )


def _value_codes(columns: Columns) -> Int64Array:
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
    for row in np.flatnonzero(since_1970_us == NONE_US).tolist():
        cells[row] = NULL_CELL
    return cells


def _to_reported(columns: Columns, clocks: Clocks) -> Reported:
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
        measured_at=as_instants(columns.measured_us),
        device_now=as_instants(clocks.shift_base_us),
        captured_at=as_instants(columns.captured_us),
        arrived_at=as_instants(clocks.arrived_us),
        received_at=as_instants(clocks.received_us),
    )
