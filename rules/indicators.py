"""Indicators (指标): what was achieved in a period, computed and never typed.

Each has an id, a version, a formula and the persons behind numerator and denominator. Counts
are whole numbers and ratios exact; a denominator of 0 gives no ratio, never 0 %. No clock: the
period and the day of looking (``as_of``) are arguments, and what happened after ``as_of`` is
not known. No clinical number stands here: whether a value is under control comes in as a
column, how many visits a year are owed as a parameter.

A changed formula is a new version of the same id.

Source: clinical decision table 1.1 to 1.3; ``docs/indicators.md``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from fractions import Fraction
from functools import partial
from typing import Final, Self

import numpy as np

from rules.codes import Condition
from rules.columns import BOTH_CONDITIONS, BoolArray, DateArray, Int8Array, Int64Array
from rules.errors import RulesError, UnknownCodeError
from rules.indicator_catalogue import CATALOGUE, Answer, Entry, FollowUpKind, Rate
from rules.indicator_columns import Facts
from rules.runs import begins_where, last_rows, number_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Local days ``first`` to ``last``, inclusive, as known at the end of ``as_of``."""

    first: date
    last: date
    as_of: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            msg = f"the period ends on {self.last}, before it begins on {self.first}"
            raise RulesError(msg)

    @classmethod
    def of_year(cls, year: int, *, as_of: date) -> Self:
        """A local calendar year."""
        return cls(first=date(year, 1, 1), last=date(year, 12, 31), as_of=as_of)

    @property
    def known_until(self) -> np.datetime64:
        """The last day of the period of which anything is known."""
        return np.datetime64(min(self.last, self.as_of), "D")

    def knows(self, day: DateArray) -> BoolArray:
        """Which days lie in the period and are known."""
        return (day >= np.datetime64(self.first, "D")) & (day <= self.known_until)

    def keys(self, person: Int64Array, day: DateArray) -> Int64Array:
        """One number per (person, day of the period), ascending by person, then by day."""
        offset = (day - np.datetime64(self.first, "D")).astype(np.int64)
        return person * self.days + offset

    @property
    def days(self) -> int:
        """Length of the period."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Numbers that a centre or its profile sets."""

    estimated_patients: Mapping[Condition, int]  # Absent: nobody estimated; no management rate.
    face_to_face_per_year: int

    def __post_init__(self) -> None:
        if self.face_to_face_per_year < 1 or min(self.estimated_patients.values(), default=0) < 0:
            msg = "face_to_face_per_year must be at least 1, estimated_patients not negative"
            raise RulesError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Numerator and denominator with the persons behind them: sorted, each once."""

    numerator: int
    denominator: int
    numerator_persons: Int64Array
    denominator_persons: Int64Array | None  # None: an estimate, with no persons behind it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition(Entry):
    """One version of one indicator, and how it is counted."""

    count: Callable[["_View", Condition], Counted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """A definition counted over a period."""

    definition: Definition
    counted: Counted

    @property
    def ratio(self) -> Fraction | None:
        """Numerator over denominator, exact; None over 0."""
        if not self.counted.denominator:
            return None
        return Fraction(self.counted.numerator, self.counted.denominator)

    @property
    def percent(self) -> str | None:
        """``60%``, ``1.25%``: rounded half up to hundredths; None without a ratio."""
        ratio = self.ratio
        if ratio is None:
            return None
        whole, hundredths = divmod((ratio * 10_000 + Fraction(1, 2)).__floor__(), 100)
        return f"{whole}.{hundredths:02d}".rstrip("0").removesuffix(".") + "%"

    @property
    def text(self) -> str:
        """``3/5 = 60%``; ``0/0`` without a ratio."""
        counts = f"{self.counted.numerator}/{self.counted.denominator}"
        return counts if self.percent is None else f"{counts} = {self.percent}"


def measure(
    facts: Facts, period: Period, parameters: Parameters, ids: Iterable[str] | None = None
) -> dict[str, Indicator]:
    """Count indicators over a period.

    Args:
        facts: Of the persons that are asked about: a team, a centre, a county.
        period: Local days, and the day of looking.
        parameters: Numbers that the centre or its profile sets.
        ids: Which indicators; all by default.

    Raises:
        UnknownCodeError: There is no such indicator.

    Cost: O(n log n) in the rows of the period; about one sort for each indicator.
    """
    measured, view = {}, _View(facts, period, parameters)
    for name in INDICATORS if ids is None else ids:
        if name not in INDICATORS:
            msg = f"there is no indicator {name!r}; there are {', '.join(INDICATORS)}"
            raise UnknownCodeError(msg)
        definition = INDICATORS[name]
        counted = definition.count(view, definition.condition)
        measured[name] = Indicator(definition=definition, counted=counted)
    return measured


def _concerns(condition: Int8Array, wanted: Condition) -> BoolArray:
    mine: BoolArray = (condition == wanted) | (condition == BOTH_CONDITIONS)
    return mine


def _each_once(numbers: Int64Array) -> Int64Array:
    """Ascending, each once. A sort: ``np.unique`` hashes, ten times slower on a million rows."""
    ascending = np.sort(numbers)
    return ascending[begins_where(ascending)]


def _in_both(some: Int64Array, others: Int64Array) -> Int64Array:
    """Ascending; each person is once in each list."""
    both: Int64Array = np.intersect1d(some, others, assume_unique=True)
    return both


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """Follow-ups of one kind whose due day passed in the period, row-aligned."""

    person: Int64Array
    persons: Int64Array  # Each once.
    answered: BoolArray  # As far as known.
    on_time: BoolArray


class _View:
    """Facts through the window of a period; what several indicators share is found once."""

    def __init__(self, facts: Facts, period: Period, parameters: Parameters) -> None:
        self.facts, self.period, self.parameters = facts, period, parameters
        self._managed: dict[Condition, Int64Array] = {}
        self._due: dict[tuple[Condition, FollowUpKind], _Due] = {}

    def managed(self, condition: Condition) -> Int64Array:
        """Persons managed on any known day of the period."""
        if condition not in self._managed:
            rows = self.facts.managed
            mine = (rows.condition == condition) & (rows.since <= self.period.known_until)
            mine &= ~(rows.until < np.datetime64(self.period.first, "D"))
            self._managed[condition] = _each_once(rows.person[mine])
        return self._managed[condition]

    def due(self, condition: Condition, kind: FollowUpKind) -> _Due:
        """The due day itself has to be over."""
        if (condition, kind) not in self._due:
            owed, as_of = self.facts.obligations, np.datetime64(self.period.as_of, "D")
            mine = (owed.condition == condition) & (owed.kind == kind)
            mine &= self.period.knows(owed.due) & (owed.due < as_of)
            person, answered = owed.person[mine], owed.answered[mine]
            self._due[condition, kind] = _Due(
                person=person,
                persons=_each_once(person),
                answered=answered <= as_of,
                on_time=answered <= owed.due[mine],
            )
        return self._due[condition, kind]

    def of_managed(self, condition: Condition, those: Int64Array) -> Counted:
        """Those of the managed over all the managed."""
        managed = self.managed(condition)
        reached = _in_both(managed, those)
        return Counted(
            numerator=len(reached),
            denominator=len(managed),
            numerator_persons=reached,
            denominator_persons=managed,
        )


def _count_managed(view: _View, condition: Condition) -> Counted:
    """Persons managed in the period over the estimated patients."""
    managed = view.managed(condition)
    return Counted(
        numerator=len(managed),
        denominator=view.parameters.estimated_patients.get(condition, 0),
        numerator_persons=managed,
        denominator_persons=None,
    )


def _count_standard(view: _View, condition: Condition) -> Counted:
    """Of the managed, those with enough face-to-face days and a health check in the period."""
    visits, examinations, period = view.facts.visits, view.facts.examinations, view.period
    mine = visits.face_to_face & _concerns(visits.condition, condition) & period.knows(visits.day)
    days = _each_once(period.keys(visits.person[mine], visits.day[mine]))
    person = days // period.days
    first, run = number_runs(begins_where(person))
    often = person[first[np.bincount(run) >= view.parameters.face_to_face_per_year]]
    examined = _each_once(examinations.person[period.knows(examinations.day)])
    return view.of_managed(condition, _in_both(often, examined))


def _count_controlled(view: _View, condition: Condition) -> Counted:
    """Of the managed, those under control at their most recent follow-up of the period."""
    outcomes, period = view.facts.outcomes, view.period
    mine = _concerns(outcomes.condition, condition) & period.knows(outcomes.day)
    failed = ~outcomes.controlled[mine] | outcomes.lost[mine]
    # The failed one of a day sorts last, so that it decides over another of the same day.
    keys = np.sort(2 * period.keys(outcomes.person[mine], outcomes.day[mine]) + failed)
    person = keys // (2 * period.days)
    first, _ = number_runs(begins_where(person))
    latest = last_rows(first, len(person))
    return view.of_managed(condition, person[latest[keys[latest] % 2 == 0]])


def _count_answers(
    view: _View, condition: Condition, *, kind: FollowUpKind, answer: Answer
) -> Counted:
    """Of the follow-ups whose due day passed in the period, those that ended so."""
    due = view.due(condition, kind)
    ended = {
        Answer.ON_TIME: due.on_time,
        Answer.LATE: due.answered & ~due.on_time,
        Answer.MISSED: ~due.answered,
        Answer.CLOSED: due.answered,
    }[answer]
    return Counted(
        numerator=int(ended.sum()),
        denominator=len(due.person),
        numerator_persons=_each_once(due.person[ended]),
        denominator_persons=due.persons,
    )


_RATES: Final = {
    Rate.MANAGEMENT: _count_managed,
    Rate.STANDARD_MANAGEMENT: _count_standard,
    Rate.CONTROL: _count_controlled,
}


def _define(entry: Entry) -> Definition:
    columns = {field.name: getattr(entry, field.name) for field in fields(Entry)}
    if entry.rate is not None:
        return Definition(**columns, count=_RATES[entry.rate])
    if entry.kind is None or entry.answer is None:
        msg = f"indicator {entry.id} says neither a rate nor a follow-up with its answer"
        raise RulesError(msg)
    count = partial(_count_answers, kind=entry.kind, answer=entry.answer)
    return Definition(**columns, count=count)


INDICATORS: Final[Mapping[str, Definition]] = {
    name: _define(entry) for name, entry in CATALOGUE.items()
}
