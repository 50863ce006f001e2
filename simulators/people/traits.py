"""Who lives in a town: what does not change, drawn once. Columns, one row a resident.

Invariants: everything follows from plan and seed; no loop over residents; diastolic stays at
least 15 mmHg below systolic; who is diagnosed was so before they were managed.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from simulators.people.parameters import AGE_BANDS, Parameters

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]
DateArray: TypeAlias = NDArray[np.datetime64]
TextArray: TypeAlias = NDArray[np.str_]

ADULT_YEARS: Final = 18
_YEAR_DAYS: Final = 365.25
_REFERENCE_YEARS: Final = 50
_REFERENCE_YEARS_KNOWN: Final = 65
_MOTHERS_YEARS: Final = (20, 40)
_PREGNANCY_DAYS: Final = 280
_ROUTINE_DAYS: Final = 90  # Enrolled within a quarter: routine visits fall due from then on.
_PULSE_PRESSURE_MIN: Final = 15.0
_NEVER: Final = np.datetime64("NaT", "D")


@dataclass(frozen=True, slots=True, kw_only=True)
class TownPlan:
    """Which town.

    Attributes:
        residents: How many, of all ages from ``age_years_min``.
        first_day: The local day it begins; people are as of its morning.
        teams: Family-doctor teams they are spread over.
        age_years_min: Leaves out younger ones (terminals: whoever comes is grown up).
        horizon_days: Events (a diagnosis, a pregnancy) are drawn for so many days.
        card_prefix: Of card numbers; opaque codes, never real ones.
        parameters: The numbers behind.
    """

    residents: int = 10_000
    first_day: date
    teams: int = 5
    age_years_min: int = 0
    horizon_days: int = 366
    card_prefix: str = "TOWN"
    parameters: Parameters = field(default_factory=Parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a resident is, shape (n,) each; NaT: never.

    Attributes:
        card_numbers: Opaque codes.
        team: Index of the team, from 0.
        born_on: Birth date.
        age_years: On the first day.
        female: Sex.
        hypertension: Has it, known or not.
        diabetes: Likewise, type 2.
        hypertension_since: Day of the diagnosis; after the first day: found meanwhile.
        diabetes_since: Likewise.
        enrolled_on: Managed from that day.
        pregnant_since: Day.
        pregnant_until: Day, inclusive.
        systolic_mmhg: Usual value at rest, mean of the day, as treated on the first day.
        diastolic_mmhg: The same.
        white_coat_mmhg: On top of systolic at the first reading of a sitting in the office.
        pulse_per_min: Usual.
        glucose_mmol_l: Usual value before breakfast, dawn included.
        dawn_mmol_l: How much of it passes by noon.
        meal_rise_mmol_l: Two hours after a meal.
        steps: Doses taken on the first day.
        step_mmhg: What one more would lower systolic, before ``step_per_mmhg``.
        missing: Share of planned sittings that do not happen.
        comes: Chance to come when called.
        drift: Phases of the slow drift, shape (n, periods), radians.
    """

    card_numbers: TextArray
    team: IntArray
    born_on: DateArray
    age_years: FloatArray
    female: BoolArray
    hypertension: BoolArray
    diabetes: BoolArray
    hypertension_since: DateArray
    diabetes_since: DateArray
    enrolled_on: DateArray
    pregnant_since: DateArray
    pregnant_until: DateArray
    systolic_mmhg: FloatArray
    diastolic_mmhg: FloatArray
    white_coat_mmhg: FloatArray
    pulse_per_min: FloatArray
    glucose_mmol_l: FloatArray
    dawn_mmol_l: FloatArray
    meal_rise_mmol_l: FloatArray
    steps: IntArray
    step_mmhg: FloatArray
    missing: FloatArray
    comes: FloatArray
    drift: FloatArray

    def __len__(self) -> int:
        return len(self.age_years)


def draw_traits(plan: TownPlan, seed: int) -> Traits:
    """Draw everybody. The same plan and seed give the same columns bit for bit."""
    random = np.random.default_rng([seed, 0])
    habits, treatment = plan.parameters.habits, plan.parameters.treatment
    size = plan.residents
    age = _draw_ages(plan, random)
    female = random.random(size) < 0.5  # noqa: PLR2004 - half
    illness = _draw_illness(plan, age, random)
    pregnant_since, pregnant_until = _draw_pregnancies(plan, age, female, random)
    systolic, diastolic = _draw_pressures(plan, age, female, illness, random)
    glucose, dawn, rise = _draw_sugar(plan, age, illness, random)
    first = np.datetime64(plan.first_day, "D")
    treated = _known(illness.hypertension_since, first) | _known(illness.diabetes_since, first)
    pressure = plan.parameters.pressure
    return Traits(
        card_numbers=np.char.add(f"{plan.card_prefix}-", np.char.mod("%06d", np.arange(size))),
        team=random.integers(0, plan.teams, size),
        born_on=first - np.ceil(age * _YEAR_DAYS).astype("timedelta64[D]"),
        age_years=age,
        female=female,
        hypertension=illness.hypertension,
        diabetes=illness.diabetes,
        hypertension_since=illness.hypertension_since,
        diabetes_since=illness.diabetes_since,
        enrolled_on=_draw_enrolments(plan, age, illness, random),
        pregnant_since=pregnant_since,
        pregnant_until=pregnant_until,
        systolic_mmhg=systolic,
        diastolic_mmhg=diastolic,
        white_coat_mmhg=np.maximum(
            random.normal(pressure.white_coat_mean, pressure.white_coat_sd, size), 0
        ),
        pulse_per_min=random.normal(pressure.pulse_mean, pressure.pulse_sd, size),
        glucose_mmol_l=glucose,
        dawn_mmol_l=dawn,
        meal_rise_mmol_l=rise,
        steps=np.where(treated, random.integers(0, treatment.steps_max, size), 0),
        step_mmhg=np.maximum(random.normal(treatment.step[0], treatment.step_sd, size), 0),
        missing=random.uniform(*habits.missing_share, size),
        comes=random.uniform(*habits.comes_when_called, size),
        drift=random.uniform(0, 2 * np.pi, (size, len(pressure.drift_days))),
    )


@dataclass(frozen=True, slots=True)
class _Illness:
    hypertension: BoolArray
    diabetes: BoolArray
    hypertension_since: DateArray
    diabetes_since: DateArray


def draw_pairs(
    random: np.random.Generator, sd: tuple[float, float], correlation: float, size: int
) -> tuple[FloatArray, FloatArray]:
    """Two correlated normal columns around 0, systolic and diastolic."""
    first, second = random.normal(size=(2, size))
    return sd[0] * first, sd[1] * (correlation * first + np.sqrt(1 - correlation**2) * second)


def _known(since: DateArray, day: np.datetime64) -> BoolArray:
    return since <= day  # NaT compares false.


def _draw_ages(plan: TownPlan, random: np.random.Generator) -> FloatArray:
    low, high, share = np.array(AGE_BANDS).T
    low = np.maximum(low, plan.age_years_min)
    share = share * np.maximum(high - low, 0) / (high - np.array(AGE_BANDS).T[0])
    band = random.choice(len(share), plan.residents, p=share / share.sum())
    ages: FloatArray = low[band] + random.random(plan.residents) * (high - low)[band]
    return ages


def _draw_illness(plan: TownPlan, age: FloatArray, random: np.random.Generator) -> _Illness:
    numbers = plan.parameters.diagnoses
    adult = age >= ADULT_YEARS
    curve = 1 + np.exp((numbers.diabetes_middle_years - age) / numbers.diabetes_scale_years)
    diabetes = adult & (random.random(len(age)) < numbers.diabetes_most / curve)
    logit = (age - numbers.hypertension_middle_years) / numbers.hypertension_scale_years
    logit = logit + np.where(diabetes, np.log(numbers.diabetes_odds_of_hypertension), 0.0)
    hypertension = adult & (random.random(len(age)) < 1 / (1 + np.exp(-logit)))
    return _Illness(
        hypertension,
        diabetes,
        _draw_since(plan, hypertension, numbers.hypertension_known, age, random),
        _draw_since(plan, diabetes, numbers.diabetes_known, age, random),
    )


def _draw_since(
    plan: TownPlan, has: BoolArray, share: float, age: FloatArray, random: np.random.Generator
) -> DateArray:
    """When it was found: before the first day, within the horizon, or never."""
    numbers = plan.parameters.diagnoses
    first = np.datetime64(plan.first_day, "D")
    ago = random.exponential(numbers.known_years_mean, len(has))
    ago = np.minimum(ago, np.maximum(age - ADULT_YEARS, 0)) * _YEAR_DAYS + _ROUTINE_DAYS
    later = random.exponential(_YEAR_DAYS / numbers.found_per_year, len(has))
    known = has & (random.random(len(has)) < share)
    found = has & ~known & (later < plan.horizon_days) & (later >= 1)
    since = np.full(len(has), _NEVER)
    since[known] = first - ago[known].astype("timedelta64[D]")
    since[found] = first + later[found].astype("timedelta64[D]")
    return since


def _draw_enrolments(
    plan: TownPlan, age: FloatArray, illness: _Illness, random: np.random.Generator
) -> DateArray:
    """In the programme: from within the last quarter, or from the day of the diagnosis."""
    numbers = plan.parameters.diagnoses
    first = np.datetime64(plan.first_day, "D")
    since = np.fmin(illness.hypertension_since, illness.diabetes_since)
    joins = (random.random(len(age)) < numbers.enrolled) & (age >= numbers.programme_age_years)
    ago = random.integers(1, _ROUTINE_DAYS, len(age)).astype("timedelta64[D]")
    return np.where(joins & ~np.isnat(since), np.maximum(since, first - ago), _NEVER)


def _draw_pregnancies(
    plan: TownPlan, age: FloatArray, female: BoolArray, random: np.random.Generator
) -> tuple[DateArray, DateArray]:
    numbers, first = plan.parameters.diagnoses, np.datetime64(plan.first_day, "D")
    span = plan.horizon_days + _PREGNANCY_DAYS
    may = female & (age >= _MOTHERS_YEARS[0]) & (age < _MOTHERS_YEARS[1])
    chance = numbers.births_per_year * span / _YEAR_DAYS
    begins = random.integers(-_PREGNANCY_DAYS, plan.horizon_days, len(age))
    since = first + begins.astype("timedelta64[D]")
    since = np.where(may & (random.random(len(age)) < chance), since, _NEVER)
    return since, since + np.timedelta64(_PREGNANCY_DAYS, "D")


def _draw_pressures(
    plan: TownPlan,
    age: FloatArray,
    female: BoolArray,
    illness: _Illness,
    random: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    numbers, size = plan.parameters.pressure, len(age)
    known = _known(illness.hypertension_since, np.datetime64(plan.first_day, "D"))
    unknown = illness.hypertension & ~known
    wide = draw_pairs(random, numbers.between_sd, numbers.correlation, size)
    narrow = draw_pairs(random, numbers.between_healthy_sd, numbers.correlation, size)
    years = age - np.where(illness.hypertension, _REFERENCE_YEARS_KNOWN, _REFERENCE_YEARS)
    usual = []
    for side in (0, 1):
        middle = np.select(
            [known, unknown],
            [numbers.usual_managed[side], numbers.usual_unknown[side]],
            numbers.usual_healthy[side],
        )
        middle = middle + numbers.per_year_of_age[side] * years
        middle += np.where(female, -0.5, 0.5) * numbers.male_more[side]
        usual.append(middle + np.where(illness.hypertension, wide[side], narrow[side]))
    return usual[0], np.minimum(usual[1], usual[0] - _PULSE_PRESSURE_MIN)


def _draw_sugar(
    plan: TownPlan, age: FloatArray, illness: _Illness, random: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    numbers, size = plan.parameters.sugar, len(age)
    known = _known(illness.diabetes_since, np.datetime64(plan.first_day, "D"))
    ill = illness.diabetes
    nearly = ~ill & (age >= ADULT_YEARS) & (random.random(size) < numbers.prediabetes)
    middle = np.select(
        [known, ill, nearly],
        [numbers.usual_managed, numbers.usual_unknown, numbers.usual_prediabetes],
        numbers.usual_healthy,
    )
    spread = np.where(ill, numbers.between_sd, numbers.between_healthy_sd)
    above = (middle - numbers.floor) * np.exp(spread * random.normal(size=size))
    usual = numbers.floor + above
    dawn = np.maximum(random.normal(numbers.dawn_mean, numbers.dawn_sd, size), 0)
    rise = np.maximum(random.normal(numbers.meal_rise_mean, numbers.meal_rise_sd, size), 0)
    return (
        usual,
        np.where(ill, dawn, numbers.dawn_healthy),
        np.where(ill, rise, numbers.meal_rise_healthy),
    )
