"""The promise: a converted value is exact, and lands on the right side of every limit."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.columns import MISSING
from rules.errors import PrecisionError, ShapeError, UnknownCodeError
from rules.units import (
    GLUCOSE_UNIT_CODES,
    PRESSURE_UNIT_CODES,
    UNIT_KG_L,
    UNIT_KPA,
    UNIT_MG_DL,
    UNIT_MMHG,
    UNIT_MMOL_L,
    UNIT_MOL_L,
    find_exact_glucose,
    find_exact_pressure,
    to_mmhg_e13,
    to_mmol_l_e4,
)


def mmhg(value: str, unit: str) -> Fraction:
    scaled = np.array([int(Decimal(value).scaleb(4))], dtype=np.int64)
    code = np.array([PRESSURE_UNIT_CODES[unit]], dtype=np.int8)
    return Fraction(int(to_mmhg_e13(scaled, code)[0]), 10**13)


def mmol_l(value: str, unit: str) -> Fraction:
    scaled = np.array([int(Decimal(value).scaleb(7))], dtype=np.int64)
    code = np.array([GLUCOSE_UNIT_CODES[unit]], dtype=np.int8)
    return Fraction(int(to_mmol_l_e4(scaled, code)[0]), 10**4)


@pytest.mark.parametrize(
    ("kilopascal", "at_least", "below"),
    [
        pytest.param("18.6", 139, 140, id="139.5-stays-below-140"),
        pytest.param("18.66", 139, 140, id="139.96-stays-below-140"),
        pytest.param("18.6651", 139, 140, id="139.9997-stays-below-140"),
        pytest.param("18.6652", 140, 141, id="140.0005-is-above-140"),
        pytest.param("18.7", 140, 141, id="140-is-18.7"),
        pytest.param("12.0", 90, 91, id="90-is-12.0"),
        pytest.param("11.99", 89, 90, id="11.99-stays-below-90"),
        pytest.param("20.0", 150, 151, id="150-is-20.0"),
        pytest.param("24.0", 180, 181, id="180-is-24.0"),
        pytest.param("23.99", 179, 180, id="23.99-stays-below-180"),
        pytest.param("14.7", 110, 111, id="110-is-14.7"),
        pytest.param("14.66", 109, 110, id="14.66-stays-below-110"),
    ],
)
def test_kilopascals_meet_the_printed_pairs(kilopascal: str, at_least: int, below: int) -> None:
    assert at_least <= mmhg(kilopascal, "kPa") < below


@pytest.mark.parametrize(
    ("reported", "unit", "expected"),
    [
        pytest.param("126", "mg/dL", "7.0", id="126-is-7.0"),
        pytest.param("180", "mg/dL", "10.0", id="180-is-10.0"),
        pytest.param("200", "mg/dL", "11.1", id="200-is-11.1"),
        pytest.param("300", "mg/dL", "16.7", id="300-is-16.7"),
        pytest.param("70", "mg/dL", "3.9", id="70-is-3.9"),
        pytest.param("127", "mg/dL", "7.0", id="127-rounds-down"),
        pytest.param("128", "mg/dL", "7.1", id="128-rounds-up"),
        pytest.param("125.2084", "mg/dL", "6.9", id="just-below-the-half"),
        pytest.param("125.2085", "mg/dL", "7.0", id="just-above-the-half"),
        pytest.param("94.5819", "mg/dL", "5.3", id="exactly-the-half-rounds-up"),
        pytest.param("0.00126", "kg/L", "7.0", id="kilograms-as-milligrams"),
        pytest.param("0.007", "mol/L", "7.0", id="moles"),
        pytest.param("0.0070001", "mol/L", "7.0001", id="moles-are-not-rounded"),
        pytest.param("6.9999", "mmol/L", "6.9999", id="millimoles-as-sent"),
    ],
)
def test_glucose_meets_the_printed_pairs(reported: str, unit: str, expected: str) -> None:
    assert mmol_l(reported, unit) == Fraction(expected)


@given(st.integers(0, 10**7))
def test_kilopascals_are_never_rounded_but_cut_below_every_limit(ten_thousandths: int) -> None:
    text = str(Decimal(ten_thousandths).scaleb(-4))

    exact = Fraction(ten_thousandths, 10**4) * Fraction("7.50061575846")

    assert mmhg(text, "kPa") == Fraction(floor(exact * 10**13), 10**13)
    assert ten_thousandths % 100 or mmhg(text, "kPa") == exact


@given(st.integers(0, 10**8))
def test_mass_is_rounded_half_up_to_tenths(ten_thousandths: int) -> None:
    exact = Fraction(ten_thousandths, 10**4) / Fraction("18.0156")
    text = str(Decimal(ten_thousandths).scaleb(-4))

    assert mmol_l(text, "mg/dL") == Fraction(floor(exact * 10 + Fraction(1, 2)), 10)


def test_missing_stays_missing_whatever_its_unit() -> None:
    nothing, unit = np.array([MISSING], dtype=np.int64), np.array([0], dtype=np.int8)

    assert to_mmhg_e13(nothing, unit).tolist() == [MISSING]
    assert to_mmol_l_e4(nothing, unit).tolist() == [MISSING]


_MOST = 10**9 - 1
_MOST_GLUCOSE = 10**13 - 1


def one(value: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([value], dtype=np.int64)


def code(unit: int) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    return np.array([unit], dtype=np.int8)


@pytest.mark.parametrize(
    ("value", "unit", "exact"),
    [
        (0, UNIT_MMHG, True),
        (1, UNIT_MMHG, True),
        (_MOST, UNIT_MMHG, True),
        (_MOST + 1, UNIT_MMHG, False),
        (-2, UNIT_MMHG, False),
        (0, UNIT_KPA, True),
        (100, UNIT_KPA, True),
        (101, UNIT_KPA, True),
        (186_651, UNIT_KPA, True),
        (10**7, UNIT_KPA, True),
        (10**7 + 1, UNIT_KPA, False),
        (-200, UNIT_KPA, False),
    ],
)
def test_a_pressure_is_converted_exactly_or_not_at_all(
    value: int, unit: int, *, exact: bool
) -> None:
    assert find_exact_pressure(one(value), code(unit)).tolist() == [exact]
    if exact:
        factor = {UNIT_MMHG: Fraction(1), UNIT_KPA: Fraction("7.50061575846")}[unit]
        expected = floor(Fraction(value, 10**4) * factor * 10**13)
        assert to_mmhg_e13(one(value), code(unit)).tolist() == [expected]
    else:
        with pytest.raises(PrecisionError, match=r"a value in (mmHg|kPa) .*quarantine it"):
            to_mmhg_e13(one(value), code(unit))


@pytest.mark.parametrize(
    ("value", "unit", "exact"),
    [
        (0, UNIT_MMOL_L, True),
        (1_000, UNIT_MMOL_L, True),
        (1_001, UNIT_MMOL_L, False),
        (10**13 - 1_000, UNIT_MMOL_L, True),
        (10**13, UNIT_MMOL_L, False),
        (-1_000, UNIT_MMOL_L, False),
        (0, UNIT_MOL_L, True),
        (1, UNIT_MOL_L, True),
        (_MOST_GLUCOSE, UNIT_MOL_L, True),
        (_MOST_GLUCOSE + 1, UNIT_MOL_L, False),
        (-2, UNIT_MOL_L, False),
        (1, UNIT_MG_DL, True),
        (_MOST_GLUCOSE, UNIT_MG_DL, True),
        (_MOST_GLUCOSE + 1, UNIT_MG_DL, False),
        (1, UNIT_KG_L, True),
        (_MOST, UNIT_KG_L, True),
        (_MOST + 1, UNIT_KG_L, False),
    ],
)
def test_glucose_is_converted_exactly_or_not_at_all(value: int, unit: int, *, exact: bool) -> None:
    assert find_exact_glucose(one(value), code(unit)).tolist() == [exact]
    if not exact:
        with pytest.raises(PrecisionError, match=r"a value in \S+ .*quarantine it"):
            to_mmol_l_e4(one(value), code(unit))
        return
    reported = Fraction(value, 10**7)
    mass = {UNIT_MG_DL: reported, UNIT_KG_L: reported * 100_000}.get(unit)
    if mass is None:
        expected = reported * (1 if unit == UNIT_MMOL_L else 1_000)
    else:
        expected = Fraction(floor(mass / Fraction("18.0156") * 10 + Fraction(1, 2)), 10)
    assert Fraction(int(to_mmol_l_e4(one(value), code(unit))[0]), 10**4) == expected


@pytest.mark.parametrize("unit", [0, 9, -1])
def test_an_unknown_unit_is_never_exact(unit: int) -> None:
    assert find_exact_pressure(one(1_400_000), code(unit)).tolist() == [False]
    assert find_exact_glucose(one(70_000_000), code(unit)).tolist() == [False]


def test_each_row_is_converted_from_its_own_unit() -> None:
    pressures = to_mmhg_e13(
        np.array([1_400_000, 187_000, MISSING]), np.array([1, 2, 0], dtype=np.int8)
    )
    sugars = to_mmol_l_e4(
        np.array([70_000_000, 1_260_000_000, 70_000, 12_600, MISSING]),
        np.array([1, 2, 3, 4, 0], dtype=np.int8),
    )

    assert pressures.tolist() == [140 * 10**13, 1_870 * 750_061_575_846, MISSING]
    assert sugars.tolist() == [70_000] * 4 + [MISSING]


@pytest.mark.parametrize("value", [-2, 10**15])
def test_negative_and_absurd_values_are_refused(value: int) -> None:
    column, unit = np.array([value], dtype=np.int64), np.array([1], dtype=np.int8)

    with pytest.raises(PrecisionError, match="quarantine"):
        to_mmhg_e13(column, unit)
    with pytest.raises(PrecisionError, match="quarantine"):
        to_mmol_l_e4(column, unit)


def test_too_many_decimals_are_refused_not_rounded() -> None:
    with pytest.raises(PrecisionError, match="mmol/L"):
        mmol_l("7.00001", "mmol/L")


def test_unknown_unit_is_refused() -> None:
    column, unit = np.array([1_400_000], dtype=np.int64), np.array([9], dtype=np.int8)

    with pytest.raises(UnknownCodeError, match="never guessed"):
        to_mmhg_e13(column, unit)
    with pytest.raises(UnknownCodeError, match="never guessed"):
        to_mmol_l_e4(column, unit)


@pytest.mark.parametrize("convert", [to_mmhg_e13, to_mmol_l_e4])
@pytest.mark.parametrize(("values", "units"), [((2,), (1,)), ((1, 1), (1, 1)), ((1,), (2,))])
def test_unaligned_columns_are_refused(
    convert: Callable[..., object], values: tuple[int, ...], units: tuple[int, ...]
) -> None:
    with pytest.raises(ShapeError, match="are not row-aligned"):
        convert(np.zeros(values, dtype=np.int64), np.zeros(units, dtype=np.int8))
