"""From a verdict to the rows of ``indicator_year``. Pure.

Where a checkpoint has folded the past, assessments and asked-for follow-ups of then are not told
again: those days stay as they are stored. Visits and routine follow-ups are always told whole,
since records are kept.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Final, TypeAlias

import numpy as np

from ingest.columns import to_days
from ingest.db.indicator_years import DAYS, Key, YearBits
from ingest.verdicts import Verdict
from rules.codes import Condition
from rules.columns import BOTH_CONDITIONS, DateArray, Int8Array, Int64Array
from rules.indicator_catalogue import FollowUpKind
from rules.indicator_columns import Facts
from rules.indicator_facts import collect_facts
from rules.local_time import local_date

_Marks: TypeAlias = tuple[str, Int64Array, Int8Array, DateArray]
"""Column, and row-aligned persons, conditions and days to mark in it."""
_PLACE: Final = {name: number for number, name in enumerate(YearBits._fields)}
_NAMES: Final = {int(each): each.name.lower() for each in Condition}
_FOUND: Final = ("controlled", "uncontrolled")
_ASKED_FOR: Final = tuple(
    name for name in YearBits._fields if name.startswith(("second_", "referral_"))
)
_ALL_DAYS: Final = (1 << DAYS) - 1


def count_days(verdict: Verdict) -> dict[Key, YearBits]:
    """The days of everything that is told of these residents now."""
    judged = verdict.judged
    facts = collect_facts(
        judged.judgement, judged.readings, judged.records, judged.residents, judged.limits
    )
    return mark_days(facts, verdict.loaded.ids)


def mark_days(facts: Facts, ids: tuple[str, ...]) -> dict[Key, YearBits]:
    """Facts as bits, a day each; what is about both conditions is marked at both."""
    marks: defaultdict[Key, list[int]] = defaultdict(lambda: [0] * len(_PLACE))
    for name, person, condition, day in (*_found(facts), *_owed(facts)):
        place, years = _PLACE[name], day.astype("datetime64[Y]")
        numbers = (day - years.astype("datetime64[D]")).astype(np.int64).tolist()
        year_of = (years.astype(np.int64) + 1970).tolist()
        for row, code, year, number in zip(
            person.tolist(), condition.tolist(), year_of, numbers, strict=True
        ):
            for each in _NAMES if code == BOTH_CONDITIONS else (code,):
                marks[ids[row], _NAMES[each], year][place] |= 1 << number
    return {key: _settled(YearBits(*days)) for key, days in marks.items()}


def _found(facts: Facts) -> Iterator[_Marks]:
    outcomes, visits = facts.outcomes, facts.visits
    good = outcomes.controlled & ~outcomes.lost
    for name, mine in (("controlled", good), ("uncontrolled", ~good)):
        yield name, outcomes.person[mine], outcomes.condition[mine], outcomes.day[mine]
    yield "visited", visits.person, visits.condition, visits.day
    mine = visits.face_to_face
    yield "face_to_face", visits.person[mine], visits.condition[mine], visits.day[mine]


def _owed(facts: Facts) -> Iterator[_Marks]:
    owed = facts.obligations
    answered = ~np.isnat(owed.answered)
    on_time = answered & (owed.answered <= owed.due)
    for kind in FollowUpKind:
        of_kind = owed.kind == kind
        for word, mine in (
            ("due", of_kind),
            ("on_time", of_kind & on_time),
            ("late", of_kind & answered & ~on_time),
        ):
            name = f"{kind.name.lower()}_{word}"
            yield name, owed.person[mine], owed.condition[mine], owed.due[mine]


def _settled(days: YearBits) -> YearBits:
    """Of several follow-ups of a day each must be under control."""
    return days._replace(controlled=days.controlled & ~days.uncontrolled)


def folded_until(verdict: Verdict) -> dict[str, date]:
    """Local day on which the checkpoint of each resident who has one ends."""
    pasts = verdict.loaded.pasts
    if pasts is None:
        return {}
    until = to_days(local_date(pasts.carried.until, verdict.judged.limits.utc_offset))
    pairs = zip(verdict.loaded.ids, until, strict=True)
    return {id_: day for id_, day in pairs if day is not None and day > date.min}


def keep_past(
    told: Mapping[Key, YearBits],
    stored: Mapping[Key, YearBits],
    until: Mapping[str, date],
    *,
    due_days: int,
) -> dict[Key, YearBits]:
    """What is told now, and of residents with a checkpoint what is stored of the time before.

    Args:
        told: From ``count_days``.
        stored: At least the rows of residents with a checkpoint.
        until: From ``folded_until``.
        due_days: What is asked for is due so many days later or more: what was asked for before
            the end of the checkpoint can be due after it.
    """
    merged = dict(told)
    for key in {key for key in (*told, *stored) if key[0] in until}:
        new, old = told.get(key, YearBits()), stored.get(key, YearBits())
        end, year = until[key[0]], key[2]
        found, asked = (_days_until(end + timedelta(days=n), year) for n in (0, due_days))
        kept = {name: getattr(new, name) | getattr(old, name) & found for name in _FOUND}
        kept |= {name: getattr(new, name) | getattr(old, name) & asked for name in _ASKED_FOR}
        merged[key] = _settled(new._replace(**kept))
    return merged


def _days_until(last: date, year: int) -> int:
    """The days of a year up to one, inclusive."""
    if last.year != year:
        return _ALL_DAYS if last.year > year else 0
    return (1 << last.timetuple().tm_yday) - 1
