"""What a town is like after a year: the distributions that a rehearsal rests on, as numbers."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from math import sqrt
from typing import Final

import numpy as np

from simulators.people.care import Care, Year, rehearse
from simulators.people.columns import BLOOD_PRESSURE, FASTING, GLUCOSE, DayReadings
from simulators.people.town import Town
from simulators.people.traits import ADULT_YEARS, BoolArray, FloatArray, IntArray

QUANTILES: Final = (5, 25, 50, 75, 95)
_NORMAL_95: Final = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def percent(self) -> float:
        """NaN over 0."""
        return 100 * self.count / self.of if self.of else float("nan")

    @property
    def margin(self) -> float:
        """Half of the 95 % confidence interval, percentage points."""
        share = self.percent / 100
        return 100 * _NORMAL_95 * sqrt(share * (1 - share) / self.of) if self.of else float("nan")

    def as_dict(self) -> dict[str, float | None]:
        """For JSON."""
        known = self.of > 0
        return {
            "count": self.count,
            "of": self.of,
            "percent": round(self.percent, 2) if known else None,
            "margin": round(self.margin, 2) if known else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """See the names; quantiles are at ``QUANTILES`` percent.

    Attributes:
        shares: By name: who has what, who is under control, what is missing.
        quantiles: By name, of managed residents' readings.
        spreads: By name: standard deviations within people, and a correlation.
        per_managed: Sittings by themselves and visits in the year, mean.
        readings: In all.
    """

    shares: dict[str, Share]
    quantiles: dict[str, list[float]]
    spreads: dict[str, float]
    per_managed: dict[str, float]
    readings: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self) | {
            "shares": {name: share.as_dict() for name, share in self.shares.items()}
        }


def portray(town: Town, care: Care | None = None, *, days: int = 365) -> Portrait:
    """Rehearse a year of this town (it passes there), and describe it."""
    year = rehearse(town, care or Care(), days=days)
    last = town.plan.first_day + timedelta(days=days - 1)
    managed = town.managed(last)
    with_pressure = managed & town.diagnosed("hypertension", last)
    with_sugar = managed & town.diagnosed("diabetes", last)
    readings = DayReadings.joined(year.readings)
    return Portrait(
        shares=_shares(town, year, readings, with_pressure, with_sugar),
        quantiles=_quantiles(readings, with_pressure, with_sugar),
        spreads=_spreads(readings, with_pressure),
        per_managed={
            "sittings": round(year.happened / max(int(managed.sum()), 1), 2),
            "visits": round(float(year.visits[managed].mean()) if managed.any() else 0.0, 2),
        },
        readings=len(readings),
    )


def _shares(
    town: Town, year: Year, readings: DayReadings, with_pressure: BoolArray, with_sugar: BoolArray
) -> dict[str, Share]:
    traits = town.traits
    adult = traits.age_years >= ADULT_YEARS
    pressures = readings.take(readings.kind == BLOOD_PRESSURE)

    def share(of: BoolArray, count: BoolArray) -> Share:
        return Share(count=int((of & count).sum()), of=int(of.sum()))

    ends_in_zero = pressures.systolic_mmhg % 10 == 0
    return {
        "hypertension_of_adults": share(adult, traits.hypertension),
        "diabetes_of_adults": share(adult, traits.diabetes),
        "managed_with_hypertension_of_residents": share(
            np.ones(len(town), np.bool_), with_pressure
        ),
        "blood_pressure_under_control": share(with_pressure, year.pressure == 1),
        "fasting_glucose_under_control": share(with_sugar, year.sugar == 1),
        "planned_sittings_missing": Share(count=year.planned - year.happened, of=year.planned),
        "typed_systolic_ending_in_0": share(pressures.manual, ends_in_zero),
        "measured_systolic_ending_in_0": share(~pressures.manual, ends_in_zero),
    }


def _quantiles(
    readings: DayReadings, with_pressure: BoolArray, with_sugar: BoolArray
) -> dict[str, list[float]]:
    pressures = readings.take((readings.kind == BLOOD_PRESSURE) & with_pressure[readings.row])
    is_fasting = (readings.kind == GLUCOSE) & (readings.meal == FASTING)
    fasting = readings.take(is_fasting & with_sugar[readings.row])
    columns: dict[str, FloatArray] = {
        "systolic_mmhg": pressures.systolic_mmhg.astype(np.float64),
        "diastolic_mmhg": pressures.diastolic_mmhg.astype(np.float64),
        "fasting_mmol_l": fasting.glucose_tenths / 10,
    }
    return {
        name: np.percentile(values, QUANTILES).round(1).tolist()
        for name, values in columns.items()
        if len(values)
    }


def _spreads(readings: DayReadings, with_pressure: BoolArray) -> dict[str, float]:
    chosen = (readings.kind == BLOOD_PRESSURE) & with_pressure[readings.row]
    pressures = readings.take(chosen & readings.office)
    if not len(pressures):
        return {}
    systolic = pressures.systolic_mmhg.astype(np.float64)
    diastolic = pressures.diastolic_mmhg.astype(np.float64)
    return {
        "systolic_within_sd_mmhg": within_sd(pressures.row, systolic),
        "diastolic_within_sd_mmhg": within_sd(pressures.row, diastolic),
        "correlation": round(float(np.corrcoef(systolic, diastolic)[0, 1]), 3),
    }


def within_sd(rows: IntArray, values: FloatArray) -> float:
    """Pooled standard deviation around each person's own mean."""
    people, at, count = np.unique(rows, return_inverse=True, return_counts=True)
    mean = np.bincount(at, values, len(people)) / count
    squares = ((values - mean[at]) ** 2).sum()
    return round(float(np.sqrt(squares / max(len(values) - len(people), 1))), 2)
