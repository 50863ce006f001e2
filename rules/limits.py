"""Every number of every profile version in use, as columns with one row a version.

A reading is judged by a *row*: the version of the chosen profile that is valid on its local
day. With a single version in use, which is usual, rows are the scalar 0 and cost nothing.
Comparators become arithmetic: ``above`` is *at or above the next integer*, so that a limit is
two integers and a comparison one instruction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from rules.codes import AlertCode, Severity
from rules.columns import DateArray, Int8Array, Int64Array
from rules.errors import ProfileError
from rules.profile import Comparator, GlucoseLimit, PressureBands, PressureLimit, Profile

RowOrRows: TypeAlias = npt.NDArray[np.intp] | int
"""Rows of a ``ProfileTable``, shape (n,), or 0 for all."""

_NO_TIER: Final = 1 << 20
_NEVER_CROSSED: Final = 1 << 52  # 450 mmHg; times 1,000 readings it still fits 64 bits.


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureColumns:
    """Limits of one rule, shape (p,): crossed when a sum reaches count x limit + strict."""

    systolic: Int64Array  # 1e-13 mmHg.
    diastolic: Int64Array
    strict: Int64Array  # 1: above; 0: at or above.
    age_min: Int64Array  # Completed years from which the row applies.


@dataclass(frozen=True, slots=True, kw_only=True)
class GlucoseColumns:
    """Limits of one rule, shape (p,): 1e-4 mmol/L, already moved by the comparator."""

    limit: Int64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningColumns:
    """How a high value without a diagnosis is treated, shape (p,)."""

    age_min: Int64Array
    due_days: Int64Array  # NO_DUE: no recheck date.


NO_DUE: Final = 1 << 24
"""Added to a day it lies beyond every calendar: never due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileTable:
    """All versions of all profiles in use. Choice 0 is the deployment's own."""

    profiles: tuple[Profile, ...]  # Row p.
    first_row: tuple[int, ...]  # Of each choice; a choice's rows follow each other by date.
    valid_from: DateArray
    utc_offset: np.timedelta64
    bp_emergency: PressureColumns
    bp_pregnancy: PressureColumns
    bp_office: tuple[PressureColumns, ...]  # Base, then tiers, youngest first.
    bp_home: tuple[PressureColumns, ...]
    bp_screening: PressureColumns
    bp_high_normal: PressureColumns
    bp_screened: ScreeningColumns
    bp_interarm: Int64Array  # Systolic, moved by the comparator.
    glucose_emergency_high: GlucoseColumns
    glucose_emergency_low: GlucoseColumns  # Crossed at or below.
    glucose_fasting: GlucoseColumns
    glucose_postprandial: GlucoseColumns
    glucose_screening: GlucoseColumns
    glucose_screened: ScreeningColumns
    glucose_random: GlucoseColumns
    glucose_random_screened: ScreeningColumns
    suspected_within: Int64Array  # Days; -1: never suspected.
    suspected_due: Int64Array
    second_days: Int64Array
    referral_days: Int64Array
    routine_days: Int64Array
    routine_overdue_days: Int64Array
    unsatisfied_for_referral: Int64Array
    reactions_for_referral: Int64Array
    session_gap_us: Int64Array
    session_span_us: Int64Array
    session_wait_us: Int64Array
    assessment_span_us: Int64Array
    emergency_repeat_us: Int64Array
    late_after_us: Int64Array
    third_reading: Int64Array  # 1e-13 mmHg: differ by more.
    severity: Int8Array  # Shape (p, codes).
    random_severity: Int8Array  # Of SCREEN_GLU_HIGH by a random value.

    def choose(self, choice: Int8Array, day: DateArray) -> RowOrRows:
        """Row valid for each (choice, local day); before the first version that version."""
        if len(self.profiles) == 1:
            return 0
        rows = np.zeros(len(day), dtype=np.intp)
        bounds = (*self.first_row, len(self.profiles))
        for number in range(len(self.first_row)):
            mine = choice == number
            dates = self.valid_from[bounds[number] : bounds[number + 1]]
            version = np.searchsorted(dates, day[mine], side="right") - 1
            rows[mine] = bounds[number] + np.maximum(version, 0)
        return rows


def pick(column: npt.NDArray[Any], row: RowOrRows) -> Any:  # noqa: ANN401 - scalar or column
    """The number of each row: a scalar for row 0 of a single version."""
    return column[row]


def rows_at(row: RowOrRows, here: Any) -> RowOrRows:  # noqa: ANN401 - an index
    """``row[here]``, where a scalar stays one."""
    return row if isinstance(row, int) else row[here]


def rows_as_column(row: RowOrRows, length: int) -> npt.NDArray[np.intp]:
    """``row`` as a column, shape (length,)."""
    return np.full(length, row, dtype=np.intp) if isinstance(row, int) else row


def _pressure(limits: Sequence[PressureLimit | None]) -> PressureColumns:
    """A profile without this rule gets a limit that nobody reaches."""

    def column(name: str, absent: int) -> Int64Array:
        return np.array([absent if x is None else getattr(x, name) for x in limits], np.int64)

    strict = [x is not None and x.comparator is Comparator.ABOVE for x in limits]
    return PressureColumns(
        systolic=column("systolic_mmhg_e13", _NEVER_CROSSED),
        diastolic=column("diastolic_mmhg_e13", _NEVER_CROSSED),
        strict=np.array(strict, np.int64),
        age_min=column("age_min", _NO_TIER),
    )


def _bands(bands: Sequence[PressureBands]) -> tuple[PressureColumns, ...]:
    depth = max(len(each.tiers) for each in bands)
    tiers = [
        _pressure([each.tiers[n] if n < len(each.tiers) else None for each in bands])
        for n in range(depth)
    ]
    return (_pressure([each.base for each in bands]), *tiers)


def _moved(limit: int, comparator: Comparator) -> int:
    return limit + (comparator is Comparator.ABOVE)


def _glucose(limits: Sequence[GlucoseLimit | None]) -> GlucoseColumns:
    moved = [
        _NEVER_CROSSED if x is None else _moved(x.glucose_mmol_l_e4, x.comparator) for x in limits
    ]
    return GlucoseColumns(limit=np.array(moved, np.int64))


def tabulate(choices: Sequence[Sequence[Profile]]) -> ProfileTable:
    """Profiles as columns.

    Args:
        choices: For each choice its versions, ascending by ``valid_from``; the first is the
            deployment's.

    Raises:
        ProfileError: No profile, versions out of order, or two time zones.
    """
    if not choices or not all(choices):
        file, key = "profiles", ""
        raise ProfileError(file, key, "none is in use; name at least the deployment's")
    flat = [profile for versions in choices for profile in versions]
    for versions in choices:
        dates = [version.valid_from for version in versions]
        if sorted(set(dates)) != dates:
            raise ProfileError(versions[0].id, "valid_from", "versions must ascend by date")
    if len({profile.utc_offset for profile in flat}) != 1:
        raise ProfileError(flat[0].id, "time_zone", "profiles in use must share one time zone")
    sizes = np.cumsum([0, *(len(versions) for versions in choices)])
    return ProfileTable(
        profiles=tuple(flat),
        first_row=tuple(int(at) for at in sizes[:-1]),
        valid_from=np.array([p.valid_from for p in flat], dtype="datetime64[D]"),
        utc_offset=flat[0].utc_offset,
        severity=np.array(
            [[0, *(int(p.severity(code)) for code in AlertCode)] for p in flat], np.int8
        ),
        random_severity=np.array([int(_random_severity(p)) for p in flat], np.int8),
        **_values(flat),
        **_days(flat),
        **_spans(flat),
    )


def _random_severity(profile: Profile) -> Severity:
    rule = profile.glucose_screening_random
    return Severity.INFO if rule is None else rule.severity


def _values(flat: Sequence[Profile]) -> dict[str, Any]:
    interarm = [_moved(p.bp_interarm.systolic_mmhg_e13, p.bp_interarm.comparator) for p in flat]
    return {
        "bp_emergency": _pressure([p.bp_emergency for p in flat]),
        "bp_pregnancy": _pressure([p.bp_pregnancy for p in flat]),
        "bp_office": _bands([p.bp_office for p in flat]),
        "bp_home": _bands([p.bp_home for p in flat]),
        "bp_screening": _pressure([p.bp_screening_limit for p in flat]),
        "bp_high_normal": _pressure([p.bp_high_normal for p in flat]),
        "bp_interarm": np.array(interarm, np.int64),
        "glucose_emergency_high": _glucose([p.glucose_emergency_high for p in flat]),
        "glucose_emergency_low": _glucose([p.glucose_emergency_low for p in flat]),
        "glucose_fasting": _glucose([p.glucose_fasting for p in flat]),
        "glucose_postprandial": _glucose([p.glucose_postprandial_2h for p in flat]),
        "glucose_screening": _glucose([p.glucose_screening_limit for p in flat]),
        "glucose_random": _glucose([p.glucose_screening_random_limit for p in flat]),
    }


def _days(flat: Sequence[Profile]) -> dict[str, Any]:
    def whole(numbers: list[int]) -> Int64Array:
        return np.array(numbers, np.int64)

    def screened(rules: list[Any]) -> ScreeningColumns:
        due = [NO_DUE if r is None or r.due_days is None else r.due_days for r in rules]
        ages = [_NO_TIER if r is None else r.age_min for r in rules]
        return ScreeningColumns(age_min=whole(ages), due_days=whole(due))

    suspected = [p.bp_screening.suspected for p in flat]
    return {
        "bp_screened": screened([p.bp_screening for p in flat]),
        "glucose_screened": screened([p.glucose_screening for p in flat]),
        "glucose_random_screened": screened([p.glucose_screening_random for p in flat]),
        "suspected_within": whole([-1 if s is None else s.within_days for s in suspected]),
        "suspected_due": whole([NO_DUE if s is None else s.due_days for s in suspected]),
        "second_days": whole([p.followup.second_days for p in flat]),
        "referral_days": whole([p.followup.referral_days for p in flat]),
        "routine_days": whole([p.followup.routine_days for p in flat]),
        "routine_overdue_days": whole([p.followup.routine_overdue_days for p in flat]),
        "unsatisfied_for_referral": whole([p.followup.unsatisfied_for_referral for p in flat]),
        "reactions_for_referral": whole([p.followup.adverse_reactions_for_referral for p in flat]),
    }


def _spans(flat: Sequence[Profile]) -> dict[str, Any]:
    def micros(name: str) -> Int64Array:
        one = np.timedelta64(1, "us")
        return np.array([int(getattr(p.timing, name) / one) for p in flat], np.int64)

    names = ("session_gap", "session_span", "session_wait", "assessment_span")
    return {
        **{f"{name}_us": micros(name) for name in (*names, "emergency_repeat", "late_after")},
        "third_reading": np.array([p.timing.third_reading_mmhg_e13 for p in flat], np.int64),
    }
