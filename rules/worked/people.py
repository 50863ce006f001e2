"""The resident of a worked case as columns: who is asked about, and strangers beside."""

from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rules.columns import DateArray, Periods, Residents
from rules.worked.fields import Fields

_ALWAYS: Final = date(1, 1, 1)
CONDITIONS: Final = {"hypertension": 1, "diabetes_t2": 2}
"""Names of the file to ``codes.Condition``."""
_SAME: Final = {"diabetes": "diabetes_t2"}


def read_residents(resident: Fields, strangers: int) -> Residents:
    """The case's resident in row 0, then adults of whom nothing is known."""
    since = _diagnoses(resident)

    def column(first: date | None) -> DateArray:
        return np.array([first, *[None] * strangers], dtype="datetime64[D]")

    return Residents(
        birth_date=column(resident.day("birth_date")),
        hypertension_since=column(since.get("hypertension")),
        diabetes_since=column(since.get("diabetes_t2")),
        enrolled_on=column(resident.day("enrolled_on")),
        pregnancies=_pregnancies(resident),
        profiles=Periods.none(),
    )


def _diagnoses(resident: Fields) -> dict[str, date]:
    """Day from which each condition is known; those the rules do not judge are left out."""
    given = resident.content.get("conditions") or []
    if not isinstance(given, list):
        resident.refuse("conditions", f"is {given!r}; write a list of conditions")
    found: dict[str, date] = {}
    for number, item in enumerate(given):
        part = item if isinstance(item, dict) else {"condition": item}
        fields = Fields(resident.case, f"{resident.name}.conditions[{number}]", part)
        name = fields.text("condition")
        name = _SAME.get(name, name)
        since = fields.day("since") or _ALWAYS
        if name in CONDITIONS:
            found[name] = min(since, found.get(name, since))
    return found


def _pregnancies(resident: Fields) -> Periods:
    periods: list[tuple[date, date | None]] = []
    for name in ("pregnant", "lactating"):
        value: Any = resident.content.get(name)
        for number, part in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(part, dict):
                fields = Fields(resident.case, f"{resident.name}.{name}[{number}]", part)
                periods.append((fields.day("since") or _ALWAYS, fields.day("until")))
            elif part not in (None, False):
                if part is not True:
                    resident.refuse(name, f"is {part!r}; write true, or since and until")
                periods.append((_ALWAYS, None))

    def column(which: int) -> npt.NDArray[np.datetime64]:
        return np.array([period[which] for period in periods], dtype="datetime64[D]")

    return Periods(
        resident=np.zeros(len(periods), dtype=np.int64),
        since=column(0),
        until=column(1),
        value=np.ones(len(periods), dtype=np.int8),
    )
