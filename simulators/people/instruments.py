"""From the state of a body to what an instrument shows, or what somebody types in. Pure.

Columns in, columns out; random numbers come from the generator given, so that the same generator
state gives the same readings. Values stay inside what terminals can show.
"""

from typing import Final, NamedTuple

import numpy as np

from simulators.people.columns import (
    BLOOD_PRESSURE,
    GLUCOSE,
    NO_GLUCOSE,
    POSTPRANDIAL,
    RANDOM,
    DayReadings,
    Sittings,
)
from simulators.people.parameters import Habits, Parameters
from simulators.people.traits import BoolArray, FloatArray, IntArray, Traits, draw_pairs

_SYSTOLIC_SHOWN: Final = (70, 260)
_DIASTOLIC_SHOWN: Final = (35, 160)
_PULSE_SHOWN: Final = (40, 180)
_TENTHS_SHOWN: Final = (11, 333)  # A finger-stick meter: 1.1 to 33.3 mmol/L.
_PULSE_PRESSURE_MIN: Final = 10
_SECOND_AFTER_S: Final = 45  # Norm: 30 to 60 s.
_GLUCOSE_AFTER_S: Final = 180
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_GLUCOSE_LEAST: Final = 0.6  # Of the usual value, however little breakfast there was.
# Pushed beyond the limits E1, E3 and E4 of the clinical decision table; four in five are high.
_SEVERE_SYSTOLIC: Final = (180.0, 225.0)
_SEVERE_DIASTOLIC: Final = (95.0, 125.0)
_SEVERE_HIGH: Final = (16.7, 28.0)
_SEVERE_LOW: Final = (2.2, 3.9)
_SEVERE_HIGH_SHARE: Final = 0.8


class Bodies(NamedTuple):
    """State of residents at their sitting, shape (s,) each: before coat, sitting and instrument."""

    systolic_mmhg: FloatArray
    diastolic_mmhg: FloatArray
    fasting_mmol_l: FloatArray  # Before breakfast of that day.


def show(
    bodies: Bodies,
    noise: tuple[FloatArray, FloatArray],
    sittings: Sittings,
    *,
    traits: Traits,
    parameters: Parameters,
    random: np.random.Generator,
    severe_share: float = 0.0,
) -> DayReadings:
    """What the instruments show.

    Args:
        bodies: The true state, aligned with ``sittings``.
        noise: What this day adds to systolic and diastolic, mmHg.
        sittings: Who measures what.
        traits: Of everybody.
        parameters: The numbers behind.
        random: Where everything else is drawn from.
        severe_share: Share of sittings pushed beyond an emergency limit (no epidemiology).

    Returns:
        Blood pressures in the order of the sittings, then glucose values likewise.
    """
    severe = random.random(len(sittings)) < severe_share
    room = _Room(sittings, traits, parameters, random, severe)
    return DayReadings.joined([_show_pressures(bodies, noise, room), _show_sugars(bodies, room)])


def prefer_digits(values: FloatArray, habits: Habits, random: np.random.Generator) -> FloatArray:
    """As people write numbers down: most end in 0, many in 5."""
    chance = random.random(values.shape)
    tens, fives = habits.to_tens, habits.to_tens + habits.to_fives
    return np.select(
        [chance < tens, chance < fives, chance < fives + habits.to_evens],
        [
            np.round(values / 10) * 10,
            np.round((values - 5) / 10) * 10 + 5,
            np.round(values / 2) * 2,
        ],
        np.round(values),
    )


class _Room(NamedTuple):
    """What all instruments of a day share."""

    sittings: Sittings
    traits: Traits
    parameters: Parameters
    random: np.random.Generator
    severe: BoolArray  # Of a sitting.


def _show_pressures(
    bodies: Bodies, noise: tuple[FloatArray, FloatArray], room: _Room
) -> DayReadings:
    sittings, traits, parameters, random, severe = room
    numbers, habits, size = parameters.pressure, parameters.habits, len(sittings)
    now = draw_pairs(random, numbers.sitting_sd, numbers.noise_correlation, size)
    each = draw_pairs(random, numbers.reading_sd, numbers.noise_correlation, 3 * size)
    coat = np.where(sittings.office, traits.white_coat_mmhg[sittings.row], 0.0)
    coats = coat[:, None] * numbers.white_coat_fades ** np.arange(3)
    shown = [
        (body + day + sitting)[:, None] + reading.reshape(size, 3) + coats * share
        for body, day, sitting, reading, share in zip(
            bodies[:2], noise, now, each, (1.0, numbers.white_coat_diastolic), strict=True
        )
    ]
    for side, limits in enumerate((_SEVERE_SYSTOLIC, _SEVERE_DIASTOLIC)):
        beyond = random.uniform(*limits, (size, 3))
        typed = prefer_digits(shown[side], habits, random)
        shown[side] = np.select(
            [severe[:, None], sittings.manual[:, None]], [beyond, typed], shown[side]
        )
    systolic = np.clip(np.round(shown[0]), *_SYSTOLIC_SHOWN)
    diastolic = np.clip(np.round(shown[1]), *_DIASTOLIC_SHOWN)
    diastolic = np.minimum(diastolic, systolic - _PULSE_PRESSURE_MIN)
    taken = np.zeros((size, 3), np.bool_)
    taken[:, 0] = sittings.pressures > 0
    taken[:, 1] = sittings.pressures > 1
    taken[:, 2] = taken[:, 1] & (np.abs(systolic[:, 0] - systolic[:, 1]) > habits.third_from_mmhg)
    pulse = traits.pulse_per_min[sittings.row] + random.normal(0, numbers.pulse_noise_sd, size)
    at, number = np.nonzero(taken)
    return _as_readings(
        sittings,
        at,
        _SECOND_AFTER_S * number,
        pressure=(systolic[taken], diastolic[taken], np.clip(pulse, *_PULSE_SHOWN)[at]),
        truth=(bodies.systolic_mmhg[at], bodies.diastolic_mmhg[at]),
    )


def _show_sugars(bodies: Bodies, room: _Room) -> DayReadings:
    sittings, traits, parameters, random, severe = room
    numbers, size, row = parameters.sugar, len(sittings), sittings.row
    from_dawn = (sittings.hour - numbers.dawn_peak_hour) / numbers.dawn_width_hours
    fasting = bodies.fasting_mmol_l
    true = fasting - traits.dawn_mmol_l[row] * (1 - np.exp(-(from_dawn**2)))
    true = np.maximum(true, _GLUCOSE_LEAST * fasting)
    share = np.select(
        [sittings.meal == POSTPRANDIAL, sittings.meal == RANDOM],
        [np.ones(size), random.uniform(*numbers.random_share, size)],
        0.0,
    )
    true = true + share * traits.meal_rise_mmol_l[row]
    shown = true * np.exp(random.normal(0, numbers.meter_sd, size))
    high, low = random.uniform(*_SEVERE_HIGH, size), random.uniform(*_SEVERE_LOW, size)
    beyond = np.where(random.random(size) < _SEVERE_HIGH_SHARE, high, low)
    tenths = np.clip(np.round(10 * np.where(severe, beyond, shown)), *_TENTHS_SHOWN)
    at = np.flatnonzero(sittings.meal != NO_GLUCOSE)
    return _as_readings(
        sittings, at, np.full(len(at), _GLUCOSE_AFTER_S), sugar=tenths[at], truth=(true[at],)
    )


def _as_readings(
    sittings: Sittings,
    at: IntArray,
    after_s: IntArray,
    *,
    pressure: tuple[FloatArray, FloatArray, FloatArray] | None = None,
    sugar: FloatArray | None = None,
    truth: tuple[FloatArray, ...],
) -> DayReadings:
    """Columns of readings that belong to sittings ``at``; what is not measured stays empty."""
    size = len(at)
    nothing, unknown = np.zeros(size), np.full(size, np.nan)
    systolic, diastolic, pulse = pressure or (nothing, nothing, nothing)
    second = sittings.hour[at] * _HOUR_S + after_s
    meal = sittings.meal[at] if pressure is None else np.full(size, NO_GLUCOSE)
    return DayReadings(
        row=sittings.row[at],
        second=np.clip(second, 0, _DAY_S - 1).astype(np.int32),
        kind=np.full(size, GLUCOSE if pressure is None else BLOOD_PRESSURE, np.int8),
        systolic_mmhg=systolic.astype(np.int16),
        diastolic_mmhg=diastolic.astype(np.int16),
        pulse_per_min=np.round(pulse).astype(np.int16),
        glucose_tenths=(nothing if sugar is None else sugar).astype(np.int16),
        meal=meal.astype(np.int8),
        office=sittings.office[at],
        manual=sittings.manual[at] & (pressure is not None),
        true_systolic_mmhg=unknown if pressure is None else truth[0],
        true_diastolic_mmhg=unknown if pressure is None else truth[1],
        true_glucose_mmol_l=truth[0] if pressure is None else unknown,
    )
