"""What the made-up people produce is plausible, seeded, and includes emergencies."""

import numpy as np
import pytest

from gateway.wire import limits
from simulators.physiology import draw_blood_pressure, draw_glucose, make_people


def test_the_same_seed_gives_the_same_people_and_another_seed_others() -> None:
    first, again, other = (make_people(100, np.random.default_rng(seed)) for seed in (1, 1, 2))

    assert np.array_equal(first.systolic_mmhg, again.systolic_mmhg)
    assert not np.array_equal(first.systolic_mmhg, other.systolic_mmhg)


def test_people_look_like_a_centres_people() -> None:
    people = make_people(20_000, np.random.default_rng(1))

    assert 0.25 < people.hypertension.mean() < 0.45
    assert 0.05 < people.diabetes.mean() < 0.15
    assert 50 < people.age_years.mean() < 65
    assert (people.systolic_mmhg > people.diastolic_mmhg).all()
    with_it, without = people.hypertension, ~people.hypertension
    assert people.systolic_mmhg[with_it].mean() > people.systolic_mmhg[without].mean() + 15


@pytest.mark.parametrize("emergency_rate", [0.0, 0.05, 1.0])
def test_blood_pressures_are_possible_and_emergencies_as_frequent_as_asked(
    emergency_rate: float,
) -> None:
    random = np.random.default_rng(7)
    people = make_people(500, random)
    readings = [
        draw_blood_pressure(people, index % 500, 9.5, random, emergency_rate=emergency_rate)
        for index in range(4_000)
    ]
    severe = np.mean([high >= 180 or low >= 110 for high, low in readings])

    assert all(limits.SYSTOLIC_MMHG[0] <= high <= limits.SYSTOLIC_MMHG[1] for high, _ in readings)
    assert all(limits.DIASTOLIC_MMHG[0] <= low < high for high, low in readings)
    assert emergency_rate - 0.02 < severe < emergency_rate + 0.12


@pytest.mark.parametrize("hour", [7.0, 9.9, 10.0, 23.0])
def test_glucose_is_possible_and_fasting_in_the_morning_only(hour: float) -> None:
    random = np.random.default_rng(7)
    people = make_people(500, random)
    readings = [
        draw_glucose(people, index % 500, hour, random, emergency_rate=0.05)
        for index in range(2_000)
    ]
    low, high = limits.GLUCOSE_MMOL_L

    assert all(low <= value <= high and value.as_tuple().exponent == -1 for value, _ in readings)
    assert ({context for _, context in readings} == {"fasting"}) is (hour < 10)
    assert any(value >= 17 for value, _ in readings)
    assert any(value < 4 for value, _ in readings)
