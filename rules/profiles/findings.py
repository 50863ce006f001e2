"""Where the numbers of a profile contradict each other although each of them fits.

An error is a rule that can never fire, or one that always does. A warning is what a physician
should look at: it may be meant. Values that are absent (they did not fit) are left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, TypeAlias

from rules.profile import Comparator
from rules.profiles.positions import numbered
from rules.profiles.problems import Gravity
from rules.profiles.shapes import Values

Limit: TypeAlias = tuple[str, str]
"""A table with a comparator, and the key of one of its numbers."""

_SIDES: Final = ("systolic", "diastolic")
_PRESSURES: Final = ("bp_pregnancy", "bp_office", "bp_home", "bp_screening")
_BANDS: Final = ("bp_office", "bp_home")
_FASTING: Final = ("glucose_fasting", "glucose_fasting.limit")
_AFTER_MEAL: Final = ("glucose_postprandial_2h", "glucose_postprandial_2h.limit")
_SCREENING: Final = ("glucose_screening_fasting", "glucose_screening_fasting.limit")
_RANDOM: Final = ("glucose_screening_random", "glucose_screening_random.limit")
_GLUCOSES: Final = (_FASTING, _AFTER_MEAL, _SCREENING, _RANDOM)
_EMERGENCY_HIGH: Final = ("glucose_emergency_high", "glucose_emergency_high.limit")
_EMERGENCY_LOW: Final = "glucose_emergency_low.limit"
_SUSPECTED: Final = "bp_screening.suspected"
_DAYS_PER_YEAR: Final = 366
_MINUTES_PER_HOUR: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A contradiction. Its place is the first of its keys that the file itself states."""

    keys: tuple[str, ...]  # The first names it.
    problem: str
    remedy: str
    severity: Gravity = "error"


def find_contradictions(values: Values) -> Iterator[Finding]:
    """All of them, in no order that matters.

    Args:
        values: By dotted key; limits in the unit of their table, tables as True or a count.
    """
    for rule in _RULES:
        yield from rule(values)


def _given(values: Values, *keys: str) -> tuple[Any, ...] | None:
    """These values, or None: one of them is absent."""
    return tuple(values[key] for key in keys) if all(key in values for key in keys) else None


def _begins(values: Values, *limits: Limit) -> list[tuple[Decimal, bool]] | None:
    """Where crossing begins, to be compared: at an equal number ``above`` begins later."""
    found = [_given(values, key, f"{table}.comparator") for table, key in limits]
    begins = [(each[0], each[1] == Comparator.ABOVE) for each in found if each]
    return begins if len(begins) == len(limits) else None


def _hidden(values: Values, limit: Limit, other: Limit) -> Iterator[Finding]:
    """A limit that nothing crosses without crossing the other one, which then speaks instead."""
    begins = _begins(values, limit, other)
    if begins and begins[0] >= begins[1]:
        yield Finding(
            keys=(limit[1], other[1]),
            problem=f"{begins[0][0]} never fires alone, since {other[1]} is {begins[1][0]}",
            remedy="lower this or raise that",
        )


def _higher(values: Values, limit: Limit, other: Limit, effect: str) -> Iterator[Finding]:
    """A limit that is usually at most the other one."""
    begins = _begins(values, limit, other)
    if begins and begins[0] > begins[1]:
        yield Finding(
            keys=(limit[1], other[1]),
            problem=f"{begins[0][0]} lies above {other[1]}, {begins[1][0]}: {effect}",
            remedy="confirm it, or lower this",
            severity="warning",
        )


def _rows(values: Values, table: str) -> list[str]:
    """The base of a table of limits, then its tiers."""
    tiers = range(values.get(f"{table}.tier", 0))
    return [table, *(numbered(f"{table}.tier", number) for number in tiers)]


def _crossed_sides(values: Values) -> Iterator[Finding]:
    for table in ("bp_emergency", "bp_high_normal", *_PRESSURES):
        for row in _rows(values, table):
            keys = (f"{row}.systolic", f"{row}.diastolic")
            sides = _given(values, *keys)
            if sides and sides[0] <= sides[1]:
                yield Finding(
                    keys=keys,
                    problem=f"{sides[0]} must lie above diastolic, {sides[1]}",
                    remedy="correct one of them",
                )


def _odd_tiers(values: Values) -> Iterator[Finding]:
    for table in _BANDS:
        for younger, older in pairwise(_rows(values, table)):
            key = f"{older}.age_min"
            begin = values.get(f"{younger}.age_min", 0)  # The base begins at birth.
            begin_older = values.get(key, begin + 1)
            if begin_older > begin:
                yield from _odd_tier(values, younger, older)
                continue
            fault = "overlaps a tier of the same age" if begin_older == begin else "comes too late"
            yield Finding(
                keys=(key,),
                problem=f"{begin_older} {fault}",
                remedy="let tiers ascend by age_min, each age once",
            )


def _odd_tier(values: Values, younger: str, older: str) -> Iterator[Finding]:
    limits = [_given(values, f"{younger}.{side}", f"{older}.{side}") for side in _SIDES]
    if all(each and each[0] == each[1] for each in limits):
        yield Finding(
            keys=(older,),
            problem="repeats the limits of younger people",
            remedy="remove it, or state what differs from that age on",
            severity="warning",
        )
    for side, each in zip(_SIDES, limits, strict=True):
        if each and each[1] < each[0]:
            yield Finding(
                keys=(f"{older}.{side}",),
                problem=f"{each[1]} lies below the limit of younger people, {each[0]}",
                remedy="confirm that older people are to be judged more strictly",
                severity="warning",
            )


def _hidden_limits(values: Values) -> Iterator[Finding]:
    for side in _SIDES:
        emergency = ("bp_emergency", f"bp_emergency.{side}")
        for table in _PRESSURES:
            for row in _rows(values, table):
                yield from _hidden(values, (table, f"{row}.{side}"), emergency)
        screening = ("bp_screening", f"bp_screening.{side}")
        yield from _hidden(values, ("bp_high_normal", f"bp_high_normal.{side}"), screening)
    for glucose in _GLUCOSES:
        yield from _hidden(values, glucose, _EMERGENCY_HIGH)


def _always_fires(values: Values) -> Iterator[Finding]:
    """Above the low emergency and below a limit there must be room for a good value."""
    for _, key in (_EMERGENCY_HIGH, *_GLUCOSES):
        limits = _given(values, key, _EMERGENCY_LOW)
        if limits and limits[0] <= limits[1]:
            yield Finding(
                keys=(key, _EMERGENCY_LOW),
                problem=f"{limits[0]} leaves no good value, since {_EMERGENCY_LOW} is {limits[1]}",
                remedy="raise this or lower that",
            )


def _odd_limits(values: Values) -> Iterator[Finding]:
    unseen = "values between are unsatisfied with a diagnosis and not looked at without one"
    home = "home values are usually the lower ones"
    meal = "fasting values are usually the lower ones"
    for side in _SIDES:
        office = ("bp_office", f"bp_office.{side}")
        yield from _higher(values, ("bp_screening", f"bp_screening.{side}"), office, unseen)
        yield from _higher(values, ("bp_home", f"bp_home.{side}"), office, home)
    yield from _higher(values, _SCREENING, _FASTING, unseen)
    yield from _higher(values, _FASTING, _AFTER_MEAL, meal)
    yield from _higher(values, _SCREENING, _RANDOM, meal)


def _short_window(values: Values) -> Iterator[Finding]:
    key = f"{_SUSPECTED}.within_days"
    given = _given(values, key, f"{_SUSPECTED}.days_high")
    if given is None:
        return
    window, between = given[0], given[1] - 1
    recheck = values.get("bp_screening.due_days", 0)
    if window < between:
        yield Finding(
            keys=(key,),
            problem=f"{window} is too short: the last of {given[1]} days is {between} days later",
            remedy="widen the window",
        )
    elif window < between * recheck:
        yield Finding(
            keys=(key,),
            problem=f"{window} is shorter than {between} rechecks, each due in {recheck} days",
            remedy="widen the window, or set bp_screening.due_days earlier",
            severity="warning",
        )


def _contradictory_sessions(values: Values) -> Iterator[Finding]:
    gap, span, wait = (f"session.{name}_minutes" for name in ("gap", "span", "wait"))
    given = _given(values, span, gap)
    if given and given[0] < given[1]:
        yield Finding(
            keys=(span, gap),
            problem=f"{given[0]} ends every session before a gap of {given[1]} can",
            remedy="raise it, or shorten the gap",
        )
    given = _given(values, wait, gap)
    if given and given[0] < given[1]:
        yield Finding(
            keys=(wait, gap),
            problem=f"{given[0]} judges a session that may grow for {given[1]} minutes",
            remedy="raise it, unless alerts may come and go",
            severity="warning",
        )
    for key in (span, wait):
        given = _given(values, key, "assessment.span_hours")
        if given and given[0] > given[1] * _MINUTES_PER_HOUR:
            yield Finding(
                keys=(key, "assessment.span_hours"),
                problem=f"{given[0]} minutes are longer than an assessment, {given[1]} hours",
                remedy="shorten it, or raise assessment.span_hours",
            )


def _contradictory_visits(values: Values) -> Iterator[Finding]:
    routine, overdue = "followup.routine_days", "followup.routine_overdue_days"
    given = _given(values, overdue, routine)
    if given and given[0] < given[1]:
        yield Finding(
            keys=(overdue, routine),
            problem=f"{given[0]} makes a visit overdue that is due after {given[1]} days",
            remedy=f"raise it to {given[1]} at least",
        )
    visits = "followup.face_to_face_per_year"
    given = _given(values, routine, visits)
    if given and given[0] * given[1] > _DAYS_PER_YEAR:
        yield Finding(
            keys=(routine, visits),
            problem=f"every {given[0]} days do not make {given[1]} visits a year",
            remedy="shorten it",
            severity="warning",
        )


def _gaps(values: Values) -> Iterator[Finding]:
    """Rules that a profile may do without; then some values are not looked at."""
    if "bp_screening" in values and _SUSPECTED not in values:
        yield Finding(
            keys=(_SUSPECTED, "bp_screening"),
            problem="is absent: highs on several days lead to no referral",
            remedy=f"write [{_SUSPECTED}], or confirm it",
            severity="warning",
        )
    if _SCREENING[0] in values and _RANDOM[0] not in values:
        yield Finding(
            keys=(_RANDOM[0], ""),
            problem="is absent: without a diagnosis only fasting values are looked at",
            remedy=f"write [{_RANDOM[0]}], or confirm it",
            severity="warning",
        )


_RULES: Final[tuple[Callable[[Values], Iterator[Finding]], ...]] = (
    _crossed_sides,
    _odd_tiers,
    _hidden_limits,
    _always_fires,
    _odd_limits,
    _short_window,
    _contradictory_sessions,
    _contradictory_visits,
    _gaps,
)
