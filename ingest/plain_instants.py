"""RFC 3339 texts and UUIDv7 texts to numbers, a column at a time.

Only the spellings that gateways and terminals really write are read here; ``known`` is False for
every other one, right or wrong, and ``gateway.wire`` decides about those one by one. Invariant:
what is read here, ``gateway.wire.times`` and ``gateway.wire.ids`` read to the same value.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Bytes2D: TypeAlias = npt.NDArray[np.uint8]
Known: TypeAlias = npt.NDArray[np.bool_]
MicrosecondArray: TypeAlias = npt.NDArray[np.int64]

_INSTANT_CHARACTERS_MAX: Final = 29  # 2026-03-02T09:00:00.000+08:00
_ID_CHARACTERS: Final = 36
_ZERO: Final = ord("0")
_SEPARATORS: Final = {4: ord("-"), 7: ord("-"), 10: ord("T"), 13: ord(":"), 16: ord(":")}
_YEARS: Final = (1900, 2200)  # Others are read one by one: they could leave datetime's range.
_OFFSET_HOURS_MAX: Final = 14
_SECOND_US: Final = 1_000_000
_MILLISECONDS_MAX: Final = 253_402_300_800_000  # The year 10000.


def _matrix(texts: Sequence[str], width: int) -> tuple[Bytes2D, npt.NDArray[np.int64]]:
    """Texts as rows of bytes, cut or filled with zeros to ``width``, and their lengths in bytes."""
    encoded = [text.encode() for text in texts]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    rows = np.array(encoded, dtype=f"S{width}").view(np.uint8).reshape(len(encoded), width)
    return rows, lengths


def parse_instants(texts: Sequence[str]) -> tuple[MicrosecondArray, Known]:
    """Microseconds since 1970, UTC, and which texts were read.

    Read are ``2026-03-02T09:00:00`` with or without three decimals, then ``Z`` or an offset.

    Args:
        texts: In any form.

    Returns:
        Shape (n,) each; where a text was not read the number means nothing.

    Cost: O(n), about 0.3 microseconds a text.
    """
    if not texts:
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    rows, lengths = _matrix(texts, _INSTANT_CHARACTERS_MAX)
    digits = rows.astype(np.int64) - _ZERO
    fraction = (lengths == 24) | (lengths == 29)  # noqa: PLR2004 - with .000
    zulu = (lengths == 20) | (lengths == 24)  # noqa: PLR2004 - without and with .000
    known = zulu | (lengths == 25) | (lengths == 29)  # noqa: PLR2004 - likewise
    for place, character in _SEPARATORS.items():
        known &= rows[:, place] == character
    year, bad = _number(digits, (0, 1, 2, 3))
    month, bad_month = _number(digits, (5, 6))
    day, bad_day = _number(digits, (8, 9))
    hour, bad_hour = _number(digits, (11, 12))
    minute, bad_minute = _number(digits, (14, 15))
    second, bad_second = _number(digits, (17, 18))
    known &= ~(bad | bad_month | bad_day | bad_hour | bad_minute | bad_second)
    known &= (year >= _YEARS[0]) & (year < _YEARS[1]) & (month >= 1) & (month <= 12)  # noqa: PLR2004
    known &= (hour < 24) & (minute < 60) & (second < 60)  # noqa: PLR2004
    milliseconds, bad = _number(digits, (20, 21, 22))
    known &= ~fraction | (~bad & (rows[:, 19] == ord(".")))
    known &= ~zulu | (np.where(fraction, rows[:, 23], rows[:, 19]) == ord("Z"))
    offset_us, known_offset = _offsets(rows, digits, fraction)
    known &= zulu | known_offset
    months = np.where(known, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    first = months.astype("datetime64[D]")
    days_of_month = ((months + 1).astype("datetime64[D]") - first).astype(np.int64)
    known &= (day >= 1) & (day <= days_of_month)
    seconds = ((first.astype(np.int64) + day - 1) * 24 + hour) * 3600 + minute * 60 + second
    instants = seconds * _SECOND_US + np.where(fraction, milliseconds * 1000, 0)
    return instants - np.where(zulu, 0, offset_us), known


def _number(
    digits: npt.NDArray[np.int64], places: Sequence[int]
) -> tuple[npt.NDArray[np.int64], Known]:
    """The number that the digits at these places make, and where one of them is none."""
    chosen = digits[:, places]
    bad: Known = np.asarray(((chosen < 0) | (chosen > 9)).any(axis=1))  # noqa: PLR2004 - a digit
    powers = 10 ** np.arange(len(places) - 1, -1, -1, dtype=np.int64)
    return chosen @ powers, bad


def _offsets(
    rows: Bytes2D, digits: npt.NDArray[np.int64], fraction: Known
) -> tuple[npt.NDArray[np.int64], Known]:
    """Offsets from UTC in microseconds, where the text ends in one."""
    known = np.zeros(len(rows), np.bool_)
    offsets = np.zeros(len(rows), np.int64)
    for start, mine in ((19, ~fraction), (23, fraction)):
        sign = rows[:, start]
        hours, bad_hours = _number(digits, (start + 1, start + 2))
        minutes, bad_minutes = _number(digits, (start + 4, start + 5))
        good = mine & ~bad_hours & ~bad_minutes & (rows[:, start + 3] == ord(":"))
        good &= (hours <= _OFFSET_HOURS_MAX) & (minutes < 60)  # noqa: PLR2004
        good &= (sign == ord("+")) | (sign == ord("-"))
        span = (hours * 3600 + minutes * 60) * _SECOND_US
        offsets[good] = np.where(sign == ord("-"), -span, span)[good]
        known |= good
    return offsets, known


_NIBBLE: Final = np.full(256, 255, np.uint8)
_NIBBLE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16, dtype=np.uint8)
_HYPHENS: Final = (8, 13, 18, 23)
_HEX: Final = [place for place in range(_ID_CHARACTERS) if place not in _HYPHENS]
_VERSION_NIBBLE: Final = 12
_VARIANT_NIBBLE: Final = 16


def parse_ids(texts: Sequence[str]) -> tuple[Bytes2D, npt.NDArray[np.int64], Known]:
    """UUIDs of version 7 in lower case with hyphens: their 16 bytes, and the time inside.

    Args:
        texts: In any form.

    Returns:
        Shape (n, 16); milliseconds since 1970, shape (n,); and which texts were read.

    Cost: O(n), about 0.3 microseconds a text.
    """
    if not texts:
        return np.zeros((0, 16), np.uint8), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    rows, lengths = _matrix(texts, _ID_CHARACTERS)
    known = lengths == _ID_CHARACTERS
    for place in _HYPHENS:
        known &= rows[:, place] == ord("-")
    nibbles = _NIBBLE[rows[:, _HEX]]
    known &= (nibbles < 16).all(axis=1)  # noqa: PLR2004 - a nibble
    known &= nibbles[:, _VERSION_NIBBLE] == 7  # noqa: PLR2004 - UUIDv7
    known &= nibbles[:, _VARIANT_NIBBLE] >> 2 == 2  # noqa: PLR2004 - RFC 9562
    raw = np.ascontiguousarray((nibbles[:, 0::2] << 4) | nibbles[:, 1::2], np.uint8)
    head = np.zeros((len(raw), 8), np.uint8)
    head[:, 2:] = raw[:, :6]
    milliseconds = head.view(">i8").reshape(-1).astype(np.int64)
    known &= milliseconds < _MILLISECONDS_MAX
    return raw, milliseconds, known
