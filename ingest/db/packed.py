"""Many rows as columns: a binary COPY of fixed-width fields, read by numpy.

A judge loads hundreds of thousands of readings; one Python object for each value would take
longer than judging them. So every field asked for has one width and is never NULL, each row
then has the same bytes, and the whole answer is one structured array.

Source: PostgreSQL, COPY, "Binary Format".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from ingest.db.connections import Connection
from ingest.db.words import Codes

PackedRows: TypeAlias = npt.NDArray[np.void]
"""Shape (n,), a field for each column, as its type's bytes."""

_HEADER_BYTES: Final = 19  # Signature 11, flags 4, length of the extension 4 (there is none).
_TRAILER_BYTES: Final = 2
_EPOCH: Final = np.datetime64("2000-01-01T00:00:00", "us")
_EPOCH_DAY: Final = np.datetime64("2000-01-01", "D")

INTEGER: Final = ">i4"
BIG_INTEGER: Final = ">i8"
INSTANT: Final = ">i8"  # Microseconds since 2000; '-infinity' stands for NULL.
DATE: Final = ">i4"  # Days since 2000, likewise.
UUID_BYTES: Final = "S16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Columns of one query: name to (SQL expression of that type, never NULL; type)."""

    columns: Mapping[str, tuple[str, str]]

    @property
    def expressions(self) -> str:
        """What to select."""
        return ", ".join(expression for expression, _ in self.columns.values())

    @property
    def row(self) -> np.dtype[np.void]:
        """A row of the answer: the number of fields, then length and value of each."""
        fields = [("fields", ">i2")]
        for name, (_, kind) in self.columns.items():
            fields += [(f"{name} bytes", ">i4"), (name, kind)]
        return np.dtype(fields)


async def fetch_packed(
    connection: Connection, packing: Packing, source: str, parameters: Sequence[Any]
) -> PackedRows:
    """Run ``SELECT`` of the packing's columns ``FROM`` a source, as one array.

    Args:
        connection: Inside a transaction or not.
        packing: What to select.
        source: What follows ``FROM``, with placeholders.
        parameters: For them.
    """
    statement = f"COPY (SELECT {packing.expressions} FROM {source}) TO STDOUT (FORMAT BINARY)"  # noqa: S608 - our own expressions
    async with connection.cursor() as cursor, cursor.copy(statement, parameters) as copy:
        raw = b"".join([bytes(block) async for block in copy])
    return np.frombuffer(raw[_HEADER_BYTES:-_TRAILER_BYTES], dtype=packing.row)


def pack_words(words: Mapping[str, Codes]) -> str:
    """SQL of one integer that holds the codes of several columns of words, 4 bits each.

    Args:
        words: Expression to the code of each word; a word that is not there is 0.
    """
    return " + ".join(
        f"(CASE {expression} {_cases(codes)} ELSE {codes.get(None, 0)} END << {4 * place})"
        for place, (expression, codes) in enumerate(words.items())
    )


def _cases(codes: Codes) -> str:
    return " ".join(f"WHEN '{word}' THEN {code}" for word, code in codes.items() if word)


def unpack_word(packed: npt.NDArray[np.int64], place: int) -> npt.NDArray[np.int8]:
    """The codes of column ``place`` of ``pack_words``."""
    return (packed >> (4 * place) & 15).astype(np.int8)


def as_instants(column: npt.NDArray[Any]) -> npt.NDArray[np.datetime64]:
    """INSTANT columns as ``datetime64[us]``; '-infinity' becomes NaT."""
    since = column.astype(np.int64).view("timedelta64[us]")  # The smallest integer is NaT.
    instants: npt.NDArray[np.datetime64] = _EPOCH + since
    return instants


def as_days(column: npt.NDArray[Any]) -> npt.NDArray[np.datetime64]:
    """DATE columns as ``datetime64[D]``; '-infinity' becomes NaT."""
    days = column.astype(np.int64)
    days[days == np.iinfo(np.int32).min] = np.iinfo(np.int64).min
    dates: npt.NDArray[np.datetime64] = _EPOCH_DAY + days.view("timedelta64[D]")
    return dates


def with_null(expression: str, kind: str) -> str:
    """SQL of a date or timestamp that may be NULL."""
    return f"coalesce({expression}, '-infinity'::{kind})"
