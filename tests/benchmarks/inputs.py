"""What every contender is given and what it must give back, so that results can be compared.

The two steps that a data frame and SQL can express as well:

*Flag*: the emergency of each reading alone (``rules.emergencies``), one small code a reading.

*Assess*: office sessions with gaps up to ten minutes and at most an hour, the arm that counts,
their means against the limit of whoever is diagnosed, or is screened from an age on; sessions
less than 24 hours after the first of their group as one assessment; and which assessment is
the second unsatisfied one in a row. Both spans are measured from the *first* of a run, so a
window function alone cannot express them: each contender cuts with a window first, then goes
through the few runs that are too long.

Others get what the engine has to find out itself: eighteenth birthdays, pregnancies, plain
integers for instants.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from rules.columns import Int64Array
from rules.limits import PressureColumns, ProfileTable
from rules.local_time import day_of_age
from tests.benchmarks.population import Population

Columns: TypeAlias = dict[str, npt.NDArray[Any]]
"""Aligned columns by name."""

NEVER: Final = np.iinfo(np.int32).max
DAY_US: Final = 86_400 * 10**6


def reading_columns(population: Population) -> Columns:
    """Readings as plain numbers; instants are microseconds since 1970, UTC."""
    readings = population.readings
    return {
        "resident": readings.resident,
        "instant": readings.effective_at.view(np.int64),
        "kind": readings.kind,
        "setting": readings.setting,
        "arm": readings.arm,
        "countable": readings.countable,
        "systolic": readings.systolic_mmhg_e13,
        "diastolic": readings.diastolic_mmhg_e13,
        "glucose": readings.glucose_mmol_l_e4,
        "range_status": readings.range_status,
        "pregnant": population.pregnant(),
    }


def resident_columns(population: Population, limits: ProfileTable) -> Columns:
    """By resident: days since 1970 of diagnosis and of the age of screening; ``NEVER``."""
    people = population.residents
    screened = day_of_age(people.birth_date, int(limits.bp_screened.age_min[0]))
    unknown = np.datetime64("0001-01-01")  # No birth date: an adult.
    return {
        "resident": np.arange(len(people)),
        "diagnosed_from": _days(people.hypertension_since),
        "screened_from": _days(np.where(np.isnat(people.birth_date), unknown, screened)),
    }


def _days(dates: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int32]:
    return np.where(np.isnat(dates), NEVER, dates.astype(np.int64)).astype(np.int32)


def bounds_of(limit: PressureColumns) -> tuple[int, int, int]:
    """Systolic and diastolic limit, and what a sum must exceed ``count`` times them by."""
    return int(limit.systolic[0]), int(limit.diastolic[0]), int(limit.strict[0])


def offset_us(limits: ProfileTable) -> int:
    """From UTC to local time."""
    return int(limits.utc_offset / np.timedelta64(1, "us"))


def again_in_a_row(resident: Int64Array, unsatisfied: npt.NDArray[np.bool_]) -> Any:  # noqa: ANN401
    """Whether each assessment and the one before it, of one resident, are unsatisfied."""
    again = unsatisfied.copy()
    again[:1] = False
    again[1:] &= unsatisfied[:-1] & (resident[1:] == resident[:-1])
    return again


def digest_of(columns: Mapping[str, npt.NDArray[Any]]) -> str:
    """Equal for equal results, whatever the width of their integers."""
    digest = hashlib.sha256()
    for name in sorted(columns):
        column = np.asarray(columns[name])
        digest.update(f"{name} {len(column)} ".encode())
        digest.update(np.ascontiguousarray(column.astype(np.int64)).view(np.uint8).data)
    return digest.hexdigest()
