"""A town's people as the contract system knows them: records for ``ingest.db.residents.load``.

Only what is known on the day: no diagnosis that is still to be found, no truth about anybody.
"""

from collections.abc import Callable, Iterable
from datetime import date

import numpy as np

from ingest.db.entities import ConditionName, DatedCondition, Resident
from simulators.people.town import Town


def list_residents(
    town: Town,
    day: date,
    *,
    name_of: Callable[[int], str],
    team_of: Callable[[int], str],
    rows: Iterable[int] | None = None,
) -> list[Resident]:
    """Residents as of a day: birth date, sex, diagnoses, whether they are managed.

    Args:
        town: The people.
        day: Local day; what happens later is not told.
        name_of: The pseudonym of a row.
        team_of: The id of a row's team.
        rows: Only of these; None: of everybody.
    """
    traits = town.traits
    born, enrolled = traits.born_on.tolist(), traits.enrolled_on.tolist()
    conditions: dict[ConditionName, tuple[list[date | None], list[date] | None]] = {
        "hypertension": (traits.hypertension_since.tolist(), None),
        "diabetes": (traits.diabetes_since.tolist(), None),
        "pregnant": (traits.pregnant_since.tolist(), traits.pregnant_until.tolist()),
    }
    chosen = range(len(town)) if rows is None else rows
    return [
        Resident(
            id=name_of(row),
            team_id=team_of(row),
            birth_date=born[row],
            sex="female" if traits.female[row] else "male",
            enrolled_on=_by(enrolled[row], day),
            conditions=[
                DatedCondition(
                    condition=name, since=begun, until=None if until is None else until[row]
                )
                for name, (since, until) in conditions.items()
                if (begun := _by(since[row], day)) is not None
            ],
        )
        for row in chosen
    ]


def rows_of_news(town: Town, day: date) -> list[int]:
    """Residents of whom something becomes known on this day: a diagnosis, a pregnancy."""
    traits, today = town.traits, np.datetime64(day, "D")
    columns = (
        traits.hypertension_since,
        traits.diabetes_since,
        traits.pregnant_since,
        traits.enrolled_on,
    )
    rows: list[int] = np.flatnonzero(np.any([c == today for c in columns], axis=0)).tolist()
    return rows


def _by(when: date | None, day: date) -> date | None:
    return when if when is not None and when <= day else None
