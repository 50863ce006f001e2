"""A thin, seeded population that yields plausible readings. Never used to judge anything.

Every parameter is an **assumption** of ours unless a source is named: they make traffic look
real, they claim nothing. All values are mmHg and mmol/L; arrays are aligned by resident.

- Systolic rises with age by about 0.5 mmHg a year from 20 (assumption), diastolic peaks near 55
  (assumption); between people sd 12 and 8.
- Hypertension prevalence by logistic age curve, about 25 % at 50 and 50 % at 65 (assumption);
  adds 18/9 mmHg: partly treated. Diabetes about 10 %, rising with age (assumption).
- Circadian: a cosine of 6 mmHg systolic, 4 diastolic with its peak at 10:00 (assumption); a
  terminal in a centre is not used at night, so nothing more is modelled.
- White coat: a quarter of people read 8/4 mmHg higher in the centre (assumption).
- Within-person noise sd 7/5 mmHg. A third of cuffs' users note values ending in 0 (digit
  preference; seen in the pregnancy day clinic of ``simulators/data``: many readings at 140/90).
- Glucose is log-normal about 5.2 (no diabetes) and 8.2 mmol/L (diabetes), +1.8 after a meal.
- ``emergency_rate``: share of readings pushed beyond 180/110, or to 16.7 and above or 3.9 and
  below. Source of those limits: the clinical decision table, E1, E3, E4.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float64Array: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
MealContext: TypeAlias = Literal["fasting", "postprandial_2h", "random"]

_PEAK_HOUR: Final = 10.0
_DIASTOLIC_PEAK_YEARS: Final = 55
_HIGH_GLUCOSE: Final = 0.8  # Of glucose emergencies; the rest are low.


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """A population as columns, shape (n,) each; row i is one resident.

    Attributes:
        age_years: 18 to 95.
        female: Sex.
        hypertension: Diagnosed.
        diabetes: Diagnosed, type 2.
        systolic_mmhg: Usual value at rest, daily mean.
        diastolic_mmhg: The same.
        white_coat_mmhg: Added to systolic in the centre, half of it to diastolic.
        glucose_mmol_l: Usual fasting value.
    """

    age_years: Float64Array
    female: BoolArray
    hypertension: BoolArray
    diabetes: BoolArray
    systolic_mmhg: Float64Array
    diastolic_mmhg: Float64Array
    white_coat_mmhg: Float64Array
    glucose_mmol_l: Float64Array


def make_people(size: int, random: np.random.Generator) -> People:
    """Draw a population. The same generator state gives the same people."""
    age = np.clip(random.normal(58, 15, size), 18, 95)
    hypertension = random.random(size) < 1 / (1 + np.exp(-(age - 65) / 13.5))
    diabetes = random.random(size) < 0.22 / (1 + np.exp(-(age - 60) / 12))
    systolic = 112 + 0.5 * (age - 20) * 0.6 + 18 * hypertension + random.normal(0, 12, size)
    diastolic = 80 - 0.15 * np.abs(age - _DIASTOLIC_PEAK_YEARS) + 9 * hypertension
    return People(
        age_years=age,
        female=random.random(size) < 0.5,  # noqa: PLR2004 - half
        hypertension=hypertension,
        diabetes=diabetes,
        systolic_mmhg=systolic,
        diastolic_mmhg=np.minimum(diastolic + random.normal(0, 8, size), systolic - 20),
        white_coat_mmhg=np.where(random.random(size) < 0.25, 8.0, 0.0),  # noqa: PLR2004 - above
        glucose_mmol_l=np.where(diabetes, 8.2, 5.2) * np.exp(random.normal(0, 0.12, size)),
    )


def draw_blood_pressure(
    people: People, index: int, hour: float, random: np.random.Generator, *, emergency_rate: float
) -> tuple[int, int]:
    """One cuff reading of one resident at a local hour: systolic and diastolic, whole mmHg."""
    wave = np.cos((hour - _PEAK_HOUR) / 24 * 2 * np.pi)
    coat = people.white_coat_mmhg[index]
    systolic = people.systolic_mmhg[index] + 6 * wave + coat + random.normal(0, 7)
    diastolic = people.diastolic_mmhg[index] + 4 * wave + coat / 2 + random.normal(0, 5)
    if random.random() < emergency_rate:
        systolic, diastolic = random.uniform(180, 225), random.uniform(95, 125)
    elif random.random() < 1 / 3:  # Digit preference.
        systolic, diastolic = round(systolic, -1), round(diastolic, -1)
    high = int(np.clip(round(systolic), 80, 260))
    return high, int(np.clip(round(diastolic), 40, min(160, high - 10)))


def draw_glucose(
    people: People, index: int, hour: float, random: np.random.Generator, *, emergency_rate: float
) -> tuple[Decimal, MealContext]:
    """One finger-stick value, mmol/L with one decimal, and the meal it belongs to."""
    context: MealContext = (
        "fasting" if 5 <= hour < 10 else "postprandial_2h" if random.random() < 0.5 else "random"  # noqa: PLR2004 - morning, half
    )
    value = people.glucose_mmol_l[index] * np.exp(random.normal(0, 0.1))
    value += 0.0 if context == "fasting" else 1.8
    if random.random() < emergency_rate:
        high = random.random() < _HIGH_GLUCOSE
        value = random.uniform(16.7, 28) if high else random.uniform(2.2, 3.9)
    tenths = int(np.clip(round(value * 10), 20, 333))
    return Decimal(tenths).scaleb(-1), context
