"""Who sits down to measure on a day, when and where: adherence, habits, invitations. Pure."""

from datetime import date
from typing import Final

import numpy as np

from simulators.people.columns import FASTING, NO_GLUCOSE, POSTPRANDIAL, Sittings
from simulators.people.parameters import Habits, Parameters
from simulators.people.traits import BoolArray, FloatArray, IntArray, Traits

_YEAR_DAYS: Final = 365.25
_SPREAD: Final = 7_919  # A prime.
_OPENS_HOUR, _CLOSES_HOUR = 6.5, 17.5
_HOME_HOURS: Final = (5.5, 22.0)
_FASTING_LATEST_HOUR: Final = 9.5


def draw_sittings(
    traits: Traits,
    parameters: Parameters,
    day: date,
    random: np.random.Generator,
    *,
    managed: BoolArray,
    diabetic: BoolArray,
) -> Sittings:
    """Who measures by themselves on this day: as planned, or as it happens.

    Args:
        traits: Of everybody.
        parameters: The numbers behind.
        day: The local day.
        random: Where chance comes from.
        managed: Who is in the programme on that day, shape (n,).
        diabetic: Of whom diabetes is known on that day.
    """
    habits, size = parameters.habits, len(traits)
    date_ = np.datetime64(day, "D")
    pregnant = (traits.pregnant_since <= date_) & (traits.pregnant_until >= date_)
    every = np.where(managed, habits.planned_days, habits.pregnant_days)
    turn, due = _turns(size, day, every)
    planned = due & (managed | pregnant) & (random.random(size) >= traits.missing)
    grown = traits.age_years >= parameters.diagnoses.programme_age_years
    casual = ~managed & grown & (random.random(size) < habits.casual_per_year / _YEAR_DAYS)
    row = np.flatnonzero(planned | casual)
    sugar = diabetic & (turn % habits.glucose_every == 0) & planned
    sugar |= casual & (random.random(size) < habits.casual_glucose)
    home = managed & (random.random(size) < habits.home_share)
    second = random.random(size) < habits.second_reading
    manual = ~home & (random.random(size) < habits.manual_share)
    meal = np.where(sugar, random.choice(len(habits.meals), size, p=habits.meals), NO_GLUCOSE)
    return Sittings(
        row=row,
        hour=_draw_hours(meal, home, habits, random)[row],
        office=~home[row],
        pressures=np.where(second, 2, 1)[row],
        meal=meal[row],
        manual=manual[row],
    )


def plans_of(managed: BoolArray, habits: Habits, day: date) -> BoolArray:
    """Who of the managed plans to measure on this day, whether or not it happens. Shape (n,)."""
    every = np.full(len(managed), habits.planned_days)
    return managed & _turns(len(managed), day, every)[1]


def _turns(size: int, day: date, every: IntArray) -> tuple[IntArray, BoolArray]:
    """Whose turn it is, and which; neighbours plan on different days."""
    turn, rest = np.divmod(day.toordinal() + np.arange(size) * _SPREAD, every)
    return turn, rest == 0


def sit_down(
    rows: IntArray, diabetic: BoolArray, habits: Habits, random: np.random.Generator
) -> Sittings:
    """These before a doctor: two pressures, and fasting glucose of whoever is ``diabetic``."""
    meal = np.where(diabetic, FASTING, NO_GLUCOSE)
    home = np.zeros(len(rows), np.bool_)
    return Sittings(
        row=rows,
        hour=_draw_hours(meal, home, habits, random),
        office=~home,
        pressures=np.full(len(rows), 2),
        meal=meal,
        manual=random.random(len(rows)) < habits.manual_share,
    )


def _draw_hours(
    meal: IntArray, home: BoolArray, habits: Habits, random: np.random.Generator
) -> FloatArray:
    """When: mostly in the morning; fasting before breakfast, after a meal in the afternoon."""
    size = len(meal)
    morning = random.normal(habits.morning_hour, habits.morning_sd_hours, size)
    afternoon = random.normal(habits.afternoon_hour, habits.afternoon_sd_hours, size)
    evening = random.normal(habits.evening_hour, habits.evening_sd_hours, size)
    later = np.where(home, evening, afternoon)
    early = random.random(size) < habits.morning_share
    hour = np.where(early & (meal != POSTPRANDIAL), morning, later)
    hour = np.where(meal == FASTING, np.minimum(morning, _FASTING_LATEST_HOUR), hour)
    opens = np.where(home, _HOME_HOURS[0], _OPENS_HOUR)
    hours: FloatArray = np.clip(hour, opens, np.where(home, _HOME_HOURS[1], _CLOSES_HOUR))
    return hours
