"""Medical floating point: decimal numbers in 16 and 32 bits, read without losing a digit.

A number is mantissa x 10**exponent, both two's complement: 12 and 4 bits in an SFLOAT, 24 and
8 in a FLOAT. Five words are no numbers at all. They are told as ``NotANumber``: read as 0 they
would be an emergency, read as 2047 a measurement. The exponent has no bias: 0x8078 is
0.00000120, not 120. ``Decimal`` keeps mantissa and exponent apart, so 2, 2.0 and 2.00 stay
three things, and every word comes back from ``encode_*``.

Source: IEEE 11073-20601, SFLOAT-Type and FLOAT-Type; HL7 PHD implementation guide, FLOATs.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias


class NotANumber(StrEnum):
    """What an instrument says instead of a number."""

    NAN = "NaN"  # Not a number: the measurement failed.
    NRES = "NRes"  # Not at this resolution.
    RFU = "RFU"  # Reserved for future use.
    ABOVE = "+INF"  # More than can be written.
    BELOW = "-INF"  # Less than can be written.


Value: TypeAlias = Decimal | NotANumber


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    mantissa_bits: int
    exponent_bits: int

    @property
    def mantissa_max(self) -> int:
        return (1 << self.mantissa_bits - 1) - 1

    @property
    def words(self) -> dict[int, NotANumber]:
        """The five words with exponent 0 and a mantissa at the very edge."""
        top = self.mantissa_max
        return {
            top - 1: NotANumber.ABOVE,
            top: NotANumber.NAN,
            top + 1: NotANumber.NRES,
            top + 2: NotANumber.RFU,
            top + 3: NotANumber.BELOW,
        }


_SFLOAT: Final = _Format("SFLOAT", mantissa_bits=12, exponent_bits=4)
_FLOAT: Final = _Format("FLOAT", mantissa_bits=24, exponent_bits=8)
_SFLOAT_WORDS: Final = _SFLOAT.words
_FLOAT_WORDS: Final = _FLOAT.words


def decode_sfloat(word: int) -> Value:
    """Read a 16-bit word.

    >>> str(decode_sfloat(0xF16C)), str(decode_sfloat(0x8078)), str(decode_sfloat(0x07FF))
    ('36.4', '0.00000120', 'NaN')
    """
    return _decode(word, _SFLOAT, _SFLOAT_WORDS)


def decode_float(word: int) -> Value:
    """Read a 32-bit word."""
    return _decode(word, _FLOAT, _FLOAT_WORDS)


def encode_sfloat(value: Value) -> int:
    """Write a value as a 16-bit word, keeping its digits. Raises ``ValueError`` if none fits."""
    return _encode(value, _SFLOAT, _SFLOAT_WORDS)


def encode_float(value: Value) -> int:
    """Write a value as a 32-bit word, keeping its digits. Raises ``ValueError`` if none fits."""
    return _encode(value, _FLOAT, _FLOAT_WORDS)


def _decode(word: int, layout: _Format, words: dict[int, NotANumber]) -> Value:
    special = words.get(word)
    if special is not None:
        return special
    mantissa = _signed(word & ((1 << layout.mantissa_bits) - 1), layout.mantissa_bits)
    exponent = _signed(word >> layout.mantissa_bits, layout.exponent_bits)
    digits = tuple(int(digit) for digit in str(abs(mantissa)))
    return Decimal((int(mantissa < 0), digits, exponent))


def _encode(value: Value, layout: _Format, words: dict[int, NotANumber]) -> int:
    if isinstance(value, NotANumber):
        return next(word for word, meaning in words.items() if meaning is value)
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        msg = f"{value} is no number: use NotANumber"
        raise ValueError(msg)  # noqa: TRY004 - the value is wrong, its type is not
    mantissa = int("".join(map(str, digits))) * (-1 if sign else 1)
    half = 1 << layout.exponent_bits - 1
    fits = -layout.mantissa_max - 1 <= mantissa <= layout.mantissa_max
    word = mantissa & ((1 << layout.mantissa_bits) - 1)
    if not fits or not -half <= exponent < half or (exponent == 0 and word in words):
        msg = f"{value} does not fit into {layout.name} with all its digits"
        raise ValueError(msg)
    return (exponent & (2 * half - 1)) << layout.mantissa_bits | word


def _signed(bits: int, width: int) -> int:
    """Two's complement of ``width`` bits."""
    return bits - (1 << width) if bits >> (width - 1) else bits
