"""The promise: a converted value is exact, and lands on the right side of every limit."""

import csv
import gzip
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.columns import MISSING
from rules.comparison import crosses_glucose, crosses_pressure
from rules.errors import PrecisionError, ShapeError, UnknownCodeError
from rules.profiles import load_profile
from rules.units import (
    GLUCOSE_UNIT_CODES,
    PRESSURE_UNIT_CODES,
    to_mmhg_e13,
    to_mmol_l_e4,
)

_REAL = Path(__file__).parents[3] / "simulators" / "data" / "real_readings.csv.gz"


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


@given(st.integers(0, 10**5))
def test_kilopascals_are_never_rounded(hundredths: int) -> None:
    text = str(Decimal(hundredths).scaleb(-2))

    assert mmhg(text, "kPa") == Fraction(hundredths, 100) * Fraction("7.50061575846")


@given(st.integers(0, 10**8))
def test_mass_is_rounded_half_up_to_tenths(ten_thousandths: int) -> None:
    exact = Fraction(ten_thousandths, 10**4) / Fraction("18.0156")
    text = str(Decimal(ten_thousandths).scaleb(-4))

    assert mmol_l(text, "mg/dL") == Fraction(floor(exact * 10 + Fraction(1, 2)), 10)


def test_missing_stays_missing_whatever_its_unit() -> None:
    nothing, unit = np.array([MISSING], dtype=np.int64), np.array([0], dtype=np.int8)

    assert to_mmhg_e13(nothing, unit).tolist() == [MISSING]
    assert to_mmol_l_e4(nothing, unit).tolist() == [MISSING]


@pytest.mark.parametrize("value", [-2, 10**15])
def test_negative_and_absurd_values_are_refused(value: int) -> None:
    column, unit = np.array([value], dtype=np.int64), np.array([1], dtype=np.int8)

    with pytest.raises(PrecisionError, match="quarantine"):
        to_mmhg_e13(column, unit)
    with pytest.raises(PrecisionError, match="quarantine"):
        to_mmol_l_e4(column, unit)


def test_too_many_decimals_are_refused_not_rounded() -> None:
    with pytest.raises(PrecisionError, match="kPa"):
        mmhg("18.667", "kPa")
    with pytest.raises(PrecisionError, match="mmol/L"):
        mmol_l("7.00001", "mmol/L")


def test_unknown_unit_is_refused() -> None:
    column, unit = np.array([1_400_000], dtype=np.int64), np.array([9], dtype=np.int8)

    with pytest.raises(UnknownCodeError, match="never guessed"):
        to_mmhg_e13(column, unit)
    with pytest.raises(UnknownCodeError, match="never guessed"):
        to_mmol_l_e4(column, unit)


def test_unaligned_columns_are_refused() -> None:
    with pytest.raises(ShapeError):
        to_mmhg_e13(np.zeros(2, dtype=np.int64), np.zeros(1, dtype=np.int8))


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, str]]:
    with gzip.open(_REAL, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("source", "readings", "at_or_above", "above"),
    [
        pytest.param("bp_preg", 3_998, 1_429, 675, id="pregnancy-day-clinic"),
        pytest.param("bp_ghana", 1_997, 1_373, 1_360, id="ghana-health-centres"),
        pytest.param("synthea_r4", 5_660, 1_256, 1_255, id="synthea"),
    ],
)
def test_comparators_count_real_pressures_as_published(
    recorded: list[dict[str, str]], source: str, readings: int, at_or_above: int, above: int
) -> None:
    rows = [row for row in recorded if row["source"] == source and row["kind"] == "bp"]
    unit = np.full(len(rows), PRESSURE_UNIT_CODES["mmHg"], dtype=np.int8)

    def side(name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        scaled = [int(Decimal(row[name]).quantize(Decimal("0.0001")).scaleb(4)) for row in rows]
        return to_mmhg_e13(np.array(scaled, dtype=np.int64), unit)

    def unsatisfied(profile: str) -> int:
        limit = load_profile(profile).bp_office.base
        return int(crosses_pressure(side("systolic"), side("diastolic"), 1, limit).sum())

    assert len(rows) == readings
    assert unsatisfied("cn_nbphs_2017") == at_or_above
    assert unsatisfied("wuzhou") == above


def test_comparators_count_real_fasting_glucose_as_published(
    recorded: list[dict[str, str]],
) -> None:
    fasting = [row for row in recorded if row["context"] == "pre_breakfast"]
    scaled = np.array([int(Decimal(row["glucose"]).scaleb(7)) for row in fasting], dtype=np.int64)
    unit = np.array([GLUCOSE_UNIT_CODES[row["unit"]] for row in fasting], dtype=np.int8)
    values = to_mmol_l_e4(scaled, unit)

    def unsatisfied(profile: str) -> int:
        return int(crosses_glucose(values, load_profile(profile).glucose_fasting).sum())

    assert len(fasting) == 3_518
    assert (unsatisfied("cn_nbphs_2017"), unsatisfied("wuzhou")) == (2_342, 2_317)
