"""SQL of the plain lane: rows that need no question go straight into their tables by COPY.

Most readings are new, whole and well-formed. They are built as COPY's own bytes, column by
column, and need no staging table: a row that is known after all violates a unique key, the
transaction is rolled back, and the writer asks first (``find_known``) or goes the careful lane
(``ingest.db.readings``). Never a third way: what is written here is what the careful lane would
have written.

Source: PostgreSQL, COPY, "Binary Format".
"""

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, compress
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

from ingest.db.connections import Connection

Cells: TypeAlias = list[bytes]
"""One or more neighbouring fields of each row, in COPY's own bytes; shape (n,)."""

COLUMNS: Final = (
    *("id", "partition_at", "content_hash", "captured_at", "received_at", "arrived_at"),
    *("effective_at", "time_suspect"),
    *("kind", "setting", "status", "unit", "arm", "posture", "meal_context", "sample"),
    *("stored_record", "clock_synchronised", "extra"),
    *("centre_id", "gateway_id", "device_id", "boot_id", "resident_id"),
    *("device_sequence", "measured_at", "device_now"),
    *("systolic", "diastolic", "pulse", "glucose"),
)
"""Columns of ``reading`` in the order of ``PlainRows.cells``."""
_COPY_READINGS: Final = f"COPY reading ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_COPY_KEYS: Final = (
    "COPY reading_key (device_id, rule_key, resident_id, reading_id, values_hash)"
    " FROM STDIN (FORMAT BINARY)"
)
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
ROW_START: Final = struct.pack(">h", len(COLUMNS))
KEY_START: Final = struct.pack(">h", 5)
NULL_CELL: Final = b"\xff\xff\xff\xff"
EMPTY_CELL: Final = bytes(4)  # An empty text.
_UUID_BYTES: Final = 16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
POSTGRES_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01 in microseconds since 1970.


def from_microseconds(since_1970_us: int) -> datetime:
    """An aware instant."""
    return _EPOCH + timedelta(microseconds=since_1970_us)


def as_cell(value: bytes) -> bytes:
    """One field: its length, then its bytes."""
    return len(value).to_bytes(4, "big") + value


def instant_cells(since_1970_us: npt.NDArray[np.int64]) -> Cells:
    """Fields of ``timestamptz``; none is NULL."""
    return integer_cells(since_1970_us - POSTGRES_EPOCH_US)


def integer_cells(values: npt.NDArray[np.int64]) -> Cells:
    """Fields of ``bigint``; none is NULL."""
    return pack_cells([("value", ">i8", 8, values)], len(values))


def pack_cells(
    fields: Sequence[tuple[str, str, int, npt.NDArray[Any]]], count: int, start: bytes = b""
) -> Cells:
    """Neighbouring fields of fixed width, each row's in one piece.

    Args:
        fields: Name, numpy type on the wire, its bytes, and the values.
        count: Rows.
        start: What each row begins with.
    """
    layout: list[tuple[str, str]] = [("start", f"V{len(start)}")] if start else []
    for name, kind, _, _ in fields:
        layout += [(f"{name} bytes", ">i4"), (name, kind)]
    rows = np.zeros(count, np.dtype(layout))
    if start:
        rows["start"] = np.void(start)
    for name, _, width, values in fields:
        rows[f"{name} bytes"] = width
        rows[name] = values
    packed: Cells = rows.view(f"V{rows.dtype.itemsize}").tolist()
    return packed


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainKeys:
    """Rows for ``reading_key``, of those readings that have a duplicate key."""

    rows: npt.NDArray[np.int64]  # Which reading each belongs to.
    texts: list[str]  # Device, key and resident in one: what the order follows.
    cells: tuple[Cells, ...]
    whole: bytes  # All of them as COPY takes them (``join_cells``).


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainRows:
    """Readings as COPY takes them, in order of id; every column has n rows."""

    packed_ids: npt.NDArray[np.void]  # 16 bytes each.
    partition_us: npt.NDArray[np.int64]
    cells: tuple[Cells, ...]  # In the order of COLUMNS.
    whole: bytes  # All of them as COPY takes them (``join_cells``).
    keys: PlainKeys
    gateways: list[str]
    resident_cells: Cells
    has_resident: npt.NDArray[np.bool_]
    is_pressure: npt.NDArray[np.bool_]
    arrived_us: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.packed_ids)

    def is_before(self, edge: datetime) -> npt.NDArray[np.bool_]:
        """Which ids carry a time before an instant; shape (n,)."""
        return self.partition_us < (edge - _EPOCH) // timedelta(microseconds=1)


class UuidArray(bytes):
    """A parameter ``uuid[]`` in the database's own bytes."""

    __slots__ = ()


class TextArray(bytes):
    """A parameter ``text[]`` in the database's own bytes."""

    __slots__ = ()


class InstantArray(bytes):
    """A parameter ``timestamptz[]`` in the database's own bytes."""

    __slots__ = ()


class _Ready(Dumper):
    """Bytes that need no more dressing."""

    format = Format.BINARY

    def __init__(self, cls: type, context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        self.oid = _OIDS[cls]  # Not of the class: lists of the driver's own would come here, too.

    def dump(self, obj: Any) -> Buffer | None:  # noqa: ANN401 - psycopg's signature
        return obj  # type: ignore[no-any-return]


_OIDS: Final[dict[type, int]] = {UuidArray: 2951, TextArray: 1009, InstantArray: 1185}
_ELEMENT_OIDS: Final[dict[type, int]] = {UuidArray: 2950, TextArray: 25, InstantArray: 1184}


def prepare(connection: Connection) -> None:
    """Teach this connection our ready-made arrays. Once per connection."""
    for kind in _OIDS:
        connection.adapters.register_dumper(kind, _Ready)


_Array = TypeVar("_Array", UuidArray, TextArray, InstantArray)


def as_array(kind: type[_Array], cells: Sequence[bytes]) -> _Array:
    """An array parameter of ready-made fields, none of them NULL."""
    head = struct.pack(">iii", 1 if cells else 0, 0, _ELEMENT_OIDS[kind])
    if cells:
        head += struct.pack(">ii", len(cells), 1)
    return kind(head + b"".join(cells))


_ELSEWHERE: Final = """
SELECT reading_id FROM quarantine WHERE settles AND reading_id = ANY(%(ids)s)
UNION ALL
SELECT id FROM duplicate WHERE id = ANY(%(ids)s)
UNION ALL
SELECT reading_id FROM amendment WHERE reading_id = ANY(%(ids)s) AND changes ? 'resident_id'
UNION ALL
SELECT id FROM amendment WHERE id = ANY(%(ids)s)"""
_STORED: Final = """
UNION ALL
SELECT id FROM unnest(%(ids)s, %(at)s) AS asked (id, partition_at)
JOIN reading r USING (id, partition_at)
WHERE r.partition_at BETWEEN %(low)s AND %(high)s"""
_KEYED: Final = """
SELECT a.row FROM unnest(%s::text[], %s::text[], %s::text[]) WITH ORDINALITY
    AS a (device_id, rule_key, resident_id, row)
JOIN reading_key USING (device_id, rule_key, resident_id)"""


async def find_special(
    connection: Connection, plain: PlainRows, *, thorough: bool
) -> npt.NDArray[np.bool_]:
    """Which readings the careful lane must take: they may be known, or were spoken of before.

    Without ``thorough`` an id that is stored already is not looked for: COPY would find it.

    Args:
        connection: Inside a transaction, after ``prepare``.
        plain: The readings.
        thorough: Also ask for stored ids and for measurements known under another id, here and
            among the readings themselves.
    """
    special = np.zeros(len(plain), np.bool_)
    if not len(plain):
        return special
    id_cells = pack_cells([("id", f"V{_UUID_BYTES}", _UUID_BYTES, plain.packed_ids)], len(plain))
    parameters: dict[str, Any] = {"ids": as_array(UuidArray, id_cells)}
    statement = _ELSEWHERE
    if thorough:
        statement += _STORED
        instants = instant_cells(plain.partition_us)
        parameters["at"] = as_array(InstantArray, instants)
        edges = plain.partition_us.min(), plain.partition_us.max()
        parameters["low"], parameters["high"] = (from_microseconds(int(edge)) for edge in edges)
    cursor = await connection.execute(statement, parameters, binary=True)
    found = {row[0].bytes for row in await cursor.fetchall()}
    if found:
        special |= np.fromiter((id_ in found for id_ in plain.packed_ids.tolist()), np.bool_)
    if thorough:
        special[await _find_known_keys(connection, plain.keys)] = True
        special |= _repeats(plain.packed_ids.tolist())
    return special


async def _find_known_keys(connection: Connection, keys: PlainKeys) -> npt.NDArray[np.int64]:
    parts = [text.split("\0") for text in keys.texts]
    columns = [list(column) for column in zip(*parts, strict=True)] or [[], [], []]
    cursor = await connection.execute(_KEYED, columns, binary=True)
    known = [row[0] - 1 for row in await cursor.fetchall()]
    repeated = np.flatnonzero(_repeats(keys.texts))
    return keys.rows[np.union1d(np.array(known, np.int64), repeated)]


def _repeats(values: Sequence[object]) -> npt.NDArray[np.bool_]:
    """Every place of a value that is there more than once."""
    counts = Counter(values)
    return np.fromiter((counts[value] > 1 for value in values), np.bool_, len(values))


async def copy_in(connection: Connection, plain: PlainRows, keep: npt.NDArray[np.bool_]) -> None:
    """Write these readings and their keys, in order of id and of key. Never commits.

    Args:
        connection: Inside a transaction.
        plain: The readings.
        keep: Which of them, shape (n,).

    Raises:
        psycopg.errors.UniqueViolation: One of them, or its measurement, is known.
    """
    if keep.all():  # Made ready by the decoder, beside the transaction before.
        await _copy(connection, _COPY_READINGS, plain.whole)
        await _copy(connection, _COPY_KEYS, plain.keys.whole)
    elif keep.any():
        await _copy(connection, _COPY_READINGS, join_cells(plain.cells, keep))
        kept = keep[plain.keys.rows]
        await _copy(connection, _COPY_KEYS, join_cells(plain.keys.cells, kept))


def join_cells(cells: tuple[Cells, ...], keep: npt.NDArray[np.bool_] | None = None) -> bytes:
    """Rows of neighbouring fields as one COPY; with ``keep`` only some of them."""
    rows: Iterable[tuple[bytes, ...]] = zip(*cells, strict=True)
    if keep is not None:
        rows = compress(rows, keep.tolist())
    return b"".join(chain((_HEADER,), chain.from_iterable(rows), (_TRAILER,)))


async def _copy(connection: Connection, statement: str, data: bytes) -> None:
    if len(data) > len(_HEADER) + len(_TRAILER):
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            await copy.write(data)
