"""The limits of the profile in force, as lines and bands of a chart. Shows, never judges.

Numbers come from the profile's files alone, with their comparator and source, for the resident's
age and diagnosis. ``rules`` is loaded at the first chart: numpy comes with it.
"""

from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.errors import NotFoundError

if TYPE_CHECKING:
    from rules.profile import GlucoseLimit, PressureLimit, Profile


@lru_cache(maxsize=32)
def _load(profile: str, directory: Path | None) -> "tuple[Profile, ...]":
    from rules.profiles import load_versions  # noqa: PLC0415 - numpy, seldom needed here

    return load_versions(profile, directory)


def find_profile(
    profile: str, version: str | None, directory: Path | None, *, today: date
) -> "Profile":
    """One version of a profile; without one, what is valid today. Reads files once.

    Raises:
        NotFoundError: This process does not have it, though a judge had.
    """
    from rules.errors import ProfileError  # noqa: PLC0415 - likewise

    try:
        versions = _load(profile, directory)
    except ProfileError as error:
        msg = f"profile {profile!r} is not known here: is API_PROFILE_DIRECTORY the judges'?"
        raise NotFoundError(msg) from error
    if version is not None:
        versions = tuple(each for each in versions if each.version == version) or versions
        return versions[-1]
    return [each for each in versions if each.valid_from <= today or each is versions[0]][-1]


def age_on(born: date | None, day: date) -> int | None:
    """Completed years."""
    if born is None:
        return None
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def pressure_limits(profile: "Profile", *, age: int | None, diagnosed: bool) -> dict[str, Any]:
    """Office limit (of who is not diagnosed the screening limit) and emergency limit, in mmHg."""
    limit = profile.bp_screening_limit
    if diagnosed:
        fitting = [
            tier for tier in profile.bp_office.tiers if age is not None and tier.age_min <= age
        ]
        limit = [profile.bp_office.base, *fitting][-1]
    return {
        "profile": profile.id,
        "version": profile.version,
        "high": _pressure(limit),
        "emergency": _pressure(profile.bp_emergency),
    }


def glucose_limits(profile: "Profile", *, diagnosed: bool) -> dict[str, Any]:
    """Fasting limit (of who is not diagnosed the screening limit), after a meal, emergencies."""
    fasting = profile.glucose_fasting if diagnosed else profile.glucose_screening_limit
    after = profile.glucose_postprandial_2h if diagnosed else profile.glucose_screening_random_limit
    return {
        "profile": profile.id,
        "version": profile.version,
        "fasting": _glucose(fasting),
        "after_meal": None if after is None else _glucose(after),
        "emergency_high": _glucose(profile.glucose_emergency_high),
        "emergency_low": _glucose(profile.glucose_emergency_low),
    }


def _pressure(limit: "PressureLimit") -> dict[str, Any]:
    from rules.units import MMHG_E13_PER_MMHG  # noqa: PLC0415 - likewise

    return {
        "systolic": limit.systolic_mmhg_e13 / MMHG_E13_PER_MMHG,
        "diastolic": limit.diastolic_mmhg_e13 / MMHG_E13_PER_MMHG,
        "comparator": _symbol(limit.comparator.symbol),
        "source": limit.source,
    }


def _glucose(limit: "GlucoseLimit") -> dict[str, Any]:
    from rules.units import MMOL_L_E4_PER_MMOL_L  # noqa: PLC0415 - likewise

    return {
        "value": limit.glucose_mmol_l_e4 / MMOL_L_E4_PER_MMOL_L,
        "comparator": _symbol(limit.comparator.symbol),
        "source": limit.source,
    }


def _symbol(comparator: str) -> str:
    return comparator.replace(">=", "≥").replace("<=", "≤")
