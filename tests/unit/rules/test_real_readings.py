"""The promise: on 27,830 real readings of 1,917 people the engine says what a plain evaluator says.

All people at once in columns, and step by step with only what is known. And the comparators count
the raw values as section 1.5 of the clinical decision table prints them.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from rules.comparison import Sums, crosses_pressure, reaches_glucose
from rules.engine import judge
from rules.units import GLUCOSE_UNIT_CODES, PRESSURE_UNIT_CODES, to_mmhg_e13, to_mmol_l_e4
from simulators import data
from simulators.oracle.person import SHANGHAI
from tests.unit.rules.oracle.real_data import real_cases
from tests.unit.rules.rules_crowd import (
    CHOICES,
    LIMITS,
    engine_says,
    gather,
    instant,
    oracle_disposes,
    oracle_says,
    read_member,
)
from tests.unit.rules.rules_live import LiveJudge

Row: TypeAlias = dict[str, Any]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=SHANGHAI)
BEGINNING = datetime(2020, 9, 13, tzinfo=SHANGHAI)
ROW_OF = {name: LIMITS.first_row[number] for number, name in enumerate(CHOICES)}
PROFILES = [pytest.param(name, id=name) for name in CHOICES]


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_everybody_at_once_is_as_the_plain_evaluator_says_of_each(profile: str) -> None:
    cases = real_cases(NOW, profile)
    crowd = gather([read_member(case) for case in cases], NOW)

    judgement = judge(crowd.readings, crowd.records, crowd.residents, LIMITS, as_of=instant(NOW))

    found = engine_says(crowd, judgement)
    assert (len(found), sum(map(len, crowd.dispositions))) == (1_917, 27_830)
    for case, said, dispositions in zip(cases, found, crowd.dispositions, strict=True):
        assert said == oracle_says(case, NOW)
        assert dispositions == oracle_disposes(case, NOW)


@pytest.mark.slow
def test_looking_now_and_then_ends_where_one_look_ends() -> None:
    cases = real_cases(NOW, "wuzhou")
    live = LiveJudge([read_member(case) for case in cases])

    live.look_often(BEGINNING, NOW, timedelta(hours=45))

    assert live.looks > 500
    for number, case in enumerate(cases):
        said = oracle_says(case, NOW)
        assert live.cases[number] == said["cases"]
        told = live.standing(number)
        assert {key: alert["status"] for key, alert in told.items()} == {
            key: alert["status"] for key, alert in said["alerts"].items()
        }
        assert all(told[key]["due"] == alert["due"] for key, alert in said["alerts"].items())


@pytest.fixture(scope="module")
def raw() -> list[Row]:
    return list(data.read_rows("real_readings"))


def scaled(values: list[str], digits: int) -> npt.NDArray[np.int64]:
    step = Decimal(1).scaleb(-digits)
    return np.array([int(Decimal(each).quantize(step).scaleb(digits)) for each in values], np.int64)


@pytest.mark.parametrize(
    ("source", "readings", "at_or_above", "above"),
    [
        pytest.param("bp_preg", 3_998, 1_429, 675, id="pregnancy-day-clinic"),
        pytest.param("bp_ghana", 1_997, 1_373, 1_360, id="ghana-health-centres"),
        pytest.param("synthea_r4", 5_660, 1_256, 1_255, id="synthea"),
    ],
)
def test_comparators_count_real_pressures_as_published(
    raw: list[Row], source: str, readings: int, at_or_above: int, above: int
) -> None:
    rows = [row for row in raw if row["source"] == source and row["kind"] == "bp"]
    unit = np.full(len(rows), PRESSURE_UNIT_CODES["mmHg"], np.int8)
    systolic, diastolic = (
        to_mmhg_e13(scaled([row[name] for row in rows], 4), unit)
        for name in ("systolic", "diastolic")
    )

    def unsatisfied(profile: str) -> int:
        sums = Sums(systolic, diastolic, 1)
        return int(crosses_pressure(sums, LIMITS.bp_office[0], ROW_OF[profile]).sum())

    assert len(rows) == readings
    assert unsatisfied("cn_nbphs_2017") == at_or_above
    assert unsatisfied("wuzhou") == above


def test_comparators_count_real_fasting_glucose_as_published(raw: list[Row]) -> None:
    fasting = [row for row in raw if row["context"] == "pre_breakfast"]
    unit = np.array([GLUCOSE_UNIT_CODES[row["unit"]] for row in fasting], np.int8)
    values = to_mmol_l_e4(scaled([row["glucose"] for row in fasting], 7), unit)

    def unsatisfied(profile: str) -> int:
        return int(reaches_glucose(values, LIMITS.glucose_fasting, ROW_OF[profile]).sum())

    assert len(fasting) == 3_518
    assert (unsatisfied("cn_nbphs_2017"), unsatisfied("wuzhou")) == (2_342, 2_317)


def test_other_conversions_would_lose_the_thirteen_at_126(raw: list[Row]) -> None:
    fasting = [Fraction(row["glucose"]) for row in raw if row["context"] == "pre_breakfast"]

    def to_tenths(value: Fraction) -> Fraction:
        return Fraction(floor(value * 10 + Fraction(1, 2)), 10)

    assert fasting.count(Fraction(126)) == 13
    assert sum(value / Fraction("18.0156") >= 7 for value in fasting) == 2_342 - 13
    assert sum(to_tenths(value / Fraction("18.2")) >= 7 for value in fasting) == 2_342 - 13
