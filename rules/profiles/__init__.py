"""Loads a profile from its packaged TOML file: the only file the rules ever read.

Strict on purpose: a key that is missing, unknown or of the wrong type or unit is a
``ProfileError`` that names file and key. Decimal literals are read as decimals.
"""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final, NoReturn

import numpy as np

from rules.codes import Severity
from rules.errors import ProfileError
from rules.local_time import fixed_offset
from rules.profile import (
    Comparator,
    FollowUp,
    GlucoseLimit,
    PressureBands,
    PressureLimit,
    Profile,
    Screening,
    Suspected,
    Timing,
)
from rules.units import MMHG_E13_PER_MMHG, MMOL_L_E4_PER_MMOL_L

_DAYS_MAX: Final = 3_650
_NO_AGE: Final = 0
_SCALED_MAX: Final = 10**16


def list_profiles() -> list[str]:
    """Names of the profiles that ship with the package, sorted."""
    names = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


@cache
def load_profile(name: str) -> Profile:
    """Load a packaged profile by name, such as ``wuzhou``.

    Raises:
        ProfileError: No such profile, or its file cannot be used; says which key and why.
    """
    file = f"{name}.toml"
    if name not in list_profiles():
        raise ProfileError(file, "", f"no such profile; there are {', '.join(list_profiles())}")
    profile = parse_profile(files(__name__).joinpath(file).read_text(encoding="utf-8"), file=file)
    if profile.id != name:
        raise ProfileError(file, "id", f"is {profile.id!r}; it must equal the file's name")
    return profile


def parse_profile(text: str, *, file: str) -> Profile:
    """Turn the text of a profile file into a ``Profile``. Raises ``ProfileError``."""
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(file, "", f"is not TOML: {error}") from error
    root = _Table(file, "", content)
    zone = root.text("time_zone")
    try:
        offset = fixed_offset(zone)
    except ValueError as error:
        raise ProfileError(file, "time_zone", str(error)) from error
    with root.table("bp_screening") as bp_screening:
        bp_screening_limit = _pressure_limit(bp_screening)
        bp_rule = _screening(bp_screening)
    with root.table("glucose_screening_fasting") as glucose_screening:
        glucose_screening_limit = _glucose_limit(glucose_screening)
        glucose_rule = _screening(glucose_screening)
    profile = Profile(
        id=root.text("id"),
        version=root.text("version"),
        valid_from=root.day("valid_from"),
        time_zone=zone,
        utc_offset=offset,
        bp_emergency=_one_pressure(root, "bp_emergency"),
        bp_pregnancy=_one_pressure(root, "bp_pregnancy"),
        bp_office=_pressure_bands(root, "bp_office"),
        bp_home=_pressure_bands(root, "bp_home"),
        bp_screening_limit=bp_screening_limit,
        bp_screening=bp_rule,
        glucose_emergency_high=_one_glucose(root, "glucose_emergency_high"),
        glucose_emergency_low=_one_glucose(root, "glucose_emergency_low", below=True),
        glucose_fasting=_one_glucose(root, "glucose_fasting"),
        glucose_postprandial_2h=_one_glucose(root, "glucose_postprandial_2h"),
        glucose_screening_limit=glucose_screening_limit,
        glucose_screening=glucose_rule,
        followup=_followup(root),
        timing=_timing(root),
    )
    root.require_nothing_left()
    return profile


class _Table:
    """One TOML table that is emptied as it is read, so that a misspelt key is seen."""

    def __init__(self, file: str, key: str, content: dict[str, Any]) -> None:
        self.file, self.key, self.content = file, key, dict(content)

    def refuse(self, key: str, problem: str) -> NoReturn:
        raise ProfileError(self.file, f"{self.key}.{key}".strip("."), problem)

    def take(self, key: str) -> Any:  # noqa: ANN401 - TOML is any shape until it is checked
        if key not in self.content:
            self.refuse(key, "is missing")
        return self.content.pop(key)

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not value.strip():
            self.refuse(key, f"is {value!r}; expected a text that is not empty")
        return value

    def one_of(self, key: str, allowed: list[str]) -> str:
        value = self.text(key)
        if value not in allowed:
            self.refuse(key, f"is {value!r}; expected one of {', '.join(allowed)}")
        return value

    def day(self, key: str) -> date:
        value = self.take(key)
        if not isinstance(value, date) or isinstance(value, datetime):
            self.refuse(key, f"is {value!r}; expected a date such as 2017-01-01")
        return value

    def whole(self, key: str, *, least: int = 1, most: int = _DAYS_MAX) -> int:
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.refuse(key, f"is {value!r}; expected a whole number, {least} to {most}")
        return value

    def scaled(self, key: str, factor: int) -> int:
        """A positive decimal times ``factor``, which must come out whole."""
        value = self.take(key)
        number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        if not number or not Decimal(value).is_finite() or value <= 0:
            self.refuse(key, f"is {value!r}; expected a number above 0")
        scaled = Decimal(value) * factor
        if scaled > _SCALED_MAX or scaled != int(scaled):
            self.refuse(key, f"is {value}; too large, or too many decimals to be exact")
        return int(scaled)

    @contextmanager
    def table(self, key: str) -> Iterator["_Table"]:
        """A sub-table; leaving it checks that every key was read."""
        content = self.take(key)
        if not isinstance(content, dict):
            self.refuse(key, "expected a table")
        table = _Table(self.file, f"{self.key}.{key}".strip("."), content)
        yield table
        table.require_nothing_left()

    def tables(self, key: str) -> "list[_Table]":
        """An optional array of tables."""
        content = self.content.pop(key, [])
        if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
            self.refuse(key, f"expected [[{self.key}.{key}]] tables")
        return [
            _Table(self.file, f"{self.key}.{key}[{row}]", item) for row, item in enumerate(content)
        ]

    def require_nothing_left(self) -> None:
        for key in self.content:
            self.refuse(key, "is not a key the rules know; misspelt?")


def _comparator(table: _Table, *, below: bool = False) -> Comparator:
    allowed = [Comparator.AT_OR_BELOW] if below else [Comparator.ABOVE, Comparator.AT_OR_ABOVE]
    return Comparator(table.one_of("comparator", [str(item) for item in allowed]))


def _pressure_limit(table: _Table) -> PressureLimit:
    table.one_of("unit", ["mmHg"])
    return _pressure_sides(table, _comparator(table), age_min=_NO_AGE)


def _pressure_sides(table: _Table, comparator: Comparator, *, age_min: int) -> PressureLimit:
    limit = PressureLimit(
        systolic_mmhg_e13=table.scaled("systolic", MMHG_E13_PER_MMHG),
        diastolic_mmhg_e13=table.scaled("diastolic", MMHG_E13_PER_MMHG),
        comparator=comparator,
        age_min=age_min,
        source=table.text("source"),
    )
    if limit.systolic_mmhg_e13 <= limit.diastolic_mmhg_e13:
        table.refuse("systolic", "must lie above diastolic")
    return limit


def _one_pressure(root: _Table, key: str) -> PressureLimit:
    with root.table(key) as table:
        return _pressure_limit(table)


def _pressure_bands(root: _Table, key: str) -> PressureBands:
    with root.table(key) as table:
        base = _pressure_limit(table)
        tiers = []
        for tier in table.tables("tier"):
            age_min = tier.whole("age_min", most=120)
            tiers.append(_pressure_sides(tier, base.comparator, age_min=age_min))
            tier.require_nothing_left()
        if any(older.age_min <= younger.age_min for younger, older in pairwise(tiers)):
            table.refuse("tier", "tiers must ascend by age_min")
    return PressureBands(base=base, tiers=tuple(tiers))


def _glucose_limit(table: _Table, *, below: bool = False) -> GlucoseLimit:
    table.one_of("unit", ["mmol/L"])
    return GlucoseLimit(
        glucose_mmol_l_e4=table.scaled("limit", MMOL_L_E4_PER_MMOL_L),
        comparator=_comparator(table, below=below),
        source=table.text("source"),
    )


def _one_glucose(root: _Table, key: str, *, below: bool = False) -> GlucoseLimit:
    with root.table(key) as table:
        return _glucose_limit(table, below=below)


def _screening(table: _Table) -> Screening:
    suspected = None
    if "suspected" in table.content:
        with table.table("suspected") as inner:
            suspected = Suspected(
                days_high=inner.whole("days_high", least=3, most=3),  # What the fold remembers.
                within_days=inner.whole("within_days"),
                due_days=inner.whole("due_days"),
                source=inner.text("source"),
            )
    return Screening(
        age_min=table.whole("age_min", most=120) if "age_min" in table.content else _NO_AGE,
        severity=Severity[table.one_of("severity", ["info", "warn"]).upper()],
        due_days=table.whole("due_days") if "due_days" in table.content else None,
        suspected=suspected,
    )


def _followup(root: _Table) -> FollowUp:
    with root.table("followup") as table:
        steps = table.take("escalation_days")
        if not isinstance(steps, list) or not all(isinstance(day, int) for day in steps):
            table.refuse("escalation_days", "expected a list of whole days")
        if any(later <= earlier for earlier, later in pairwise([0, *steps])):
            table.refuse("escalation_days", "days must be positive and ascend")
        return FollowUp(
            second_days=table.whole("second_days"),
            referral_days=table.whole("referral_days"),
            routine_days=table.whole("routine_days"),
            unsatisfied_for_referral=table.whole("unsatisfied_for_referral", least=2),
            escalation_days=tuple(steps),
            source=table.text("source"),
        )


def _timing(root: _Table) -> Timing:
    minute, hour = np.timedelta64(60_000_000, "us"), np.timedelta64(3_600_000_000, "us")
    with (
        root.table("session") as session,
        root.table("assessment") as assessment,
        root.table("alerting") as alerting,
    ):
        return Timing(
            session_gap=session.whole("gap_minutes") * minute,
            session_span=session.whole("span_minutes") * minute,
            session_wait=session.whole("wait_minutes", least=0) * minute,
            assessment_span=assessment.whole("span_hours") * hour,
            emergency_repeat=alerting.whole("emergency_repeat_hours", least=0) * hour,
            late_after=alerting.whole("late_hours") * hour,
            session_source=session.text("source"),
            assessment_source=assessment.text("source"),
            alerting_source=alerting.text("source"),
        )
