"""Every word of 16 bits, and any of 32, is the number that fractions say, or none at all."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.devices.gatt.sfloat import (
    NotANumber,
    Value,
    decode_float,
    decode_sfloat,
    encode_float,
    encode_sfloat,
)

_SPECIAL = {0x7FE: "+INF", 0x7FF: "NaN", 0x800: "NRes", 0x801: "RFU", 0x802: "-INF"}


def _oracle(word: int, mantissa_bits: int, exponent_bits: int) -> Fraction:
    mantissa, exponent = word % 2**mantissa_bits, word // 2**mantissa_bits
    if mantissa >= 2 ** (mantissa_bits - 1):
        mantissa -= 2**mantissa_bits
    if exponent >= 2 ** (exponent_bits - 1):
        exponent -= 2**exponent_bits
    power: int = 10 ** abs(exponent)
    return Fraction(mantissa * power) if exponent >= 0 else Fraction(mantissa, power)


def _require(word: int, value: Value, special: str | None, truth: Fraction) -> None:
    if special is not None:
        assert value is NotANumber(special), hex(word)
        return
    assert isinstance(value, Decimal), hex(word)
    assert Fraction(value) == truth, hex(word)


def test_all_words_of_16_bits_are_what_fractions_say_and_come_back() -> None:
    for word in range(1 << 16):
        value = decode_sfloat(word)

        _require(word, value, _SPECIAL.get(word), _oracle(word, 12, 4))
        assert encode_sfloat(value) == word


@given(st.integers(0, 2**32 - 1))
@example(0x007FFFFE)
@example(0x807FFFFF)
@example(0x7F800000)
def test_words_of_32_bits_are_what_fractions_say_and_come_back(word: int) -> None:
    value = decode_float(word)

    specials = {0x7FF000 + key - 0x7FF + 0xFFF: name for key, name in _SPECIAL.items()}
    _require(word, value, specials.get(word), _oracle(word, 24, 8))
    assert encode_float(value) == word


@pytest.mark.parametrize(
    ("word", "text"),
    [(0x0002, "2"), (0xF014, "2.0"), (0xE0C8, "2.00"), (0xF06D, "10.9"), (0xE000, "0.00")],
)
def test_digits_after_the_point_are_what_the_instrument_sent(word: int, text: str) -> None:
    assert str(decode_sfloat(word)) == text


@pytest.mark.parametrize(("word", "name"), [*_SPECIAL.items()], ids=[*_SPECIAL.values()])
def test_what_is_no_number_is_never_zero(word: int, name: str) -> None:
    value = decode_sfloat(word)

    assert value == name
    assert not isinstance(value, Decimal)


@pytest.mark.parametrize("special", [*_SPECIAL])
@pytest.mark.parametrize("exponent", range(1, 16))
def test_a_special_mantissa_with_an_exponent_is_a_number(special: int, exponent: int) -> None:
    value = decode_sfloat(exponent << 12 | special)

    assert isinstance(value, Decimal)


def test_an_exponent_has_no_bias() -> None:
    assert decode_sfloat(0x8078) == Decimal("0.00000120")


@pytest.mark.parametrize(
    "value", [Decimal(2048), Decimal(2047), Decimal("1E+8"), Decimal("1E-9"), Decimal("NaN")]
)
def test_what_does_not_fit_is_refused_and_not_rounded(value: Decimal) -> None:
    with pytest.raises(ValueError, match=str(value)[:3]):
        encode_sfloat(value)
