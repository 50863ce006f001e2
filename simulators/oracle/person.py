"""The plain evaluator's resident and the profiles: numbers from the clinical decision table.

Independent of ``rules`` and of its profiles: every number is written down here once more, from
sections 1 and 2 of the table and the worked cases' own ``meta``. Never import the engine here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
CONDITIONS: Final = ("hypertension", "diabetes_t2")


@dataclass(frozen=True)
class Profile:
    """Where the profiles differ; every other number is the same in all of them."""

    id: str
    strict: bool  # B1, B3, G1 and fasting G4 ask for more than the limit, not for the limit.
    tier_from_65: bool  # B1: 150/90 from 65 years.
    screen_pressure_age: int  # B3.
    screen_fasting_age: int  # G4, fasting.
    screen_severity: str
    recheck_days: int | None  # When a first high without a diagnosis is due again.


PROFILES: Final = {
    "wuzhou": Profile(
        id="wuzhou",
        strict=True,
        tier_from_65=False,
        screen_pressure_age=18,
        screen_fasting_age=18,
        screen_severity="warn",
        recheck_days=14,
    ),
    "cn_nbphs_2017": Profile(
        id="cn_nbphs_2017",
        strict=False,
        tier_from_65=True,
        screen_pressure_age=35,
        screen_fasting_age=0,
        screen_severity="info",
        recheck_days=None,
    ),
    "who_hearts": Profile(  # Table 1.4: treated at or above 140/90; the rest is the norm's.
        id="who_hearts",
        strict=False,
        tier_from_65=False,
        screen_pressure_age=35,
        screen_fasting_age=0,
        screen_severity="info",
        recheck_days=None,
    ),
}


@dataclass(frozen=True)
class Resident:
    """What is known of somebody beside what was measured.

    Attributes:
        diagnosed: Condition to the day since when; a day that was not told is ``date.min``.
        pregnancies: Pregnant or lactating from the first to the second day, both included.
    """

    id: str
    born: date | None
    diagnosed: Mapping[str, date]
    pregnancies: tuple[tuple[date, date], ...]
    enrolled_on: date | None

    def has(self, condition: str, on: date) -> bool:
        """Whether the diagnosis was on record on that day."""
        since = self.diagnosed.get(condition)
        return since is not None and since <= on

    def is_pregnant(self, on: date) -> bool:
        """Pregnant or lactating on that day."""
        return any(since <= on <= until for since, until in self.pregnancies)

    def is_from(self, years: int, on: date) -> bool:
        """At least that old on that day; an unknown age is an adult's, never an old one's."""
        return self._age(on) >= years if self.born else True

    def is_elderly(self, on: date) -> bool:
        """At least 65 on that day; an unknown age is not."""
        return self.born is not None and self._age(on) >= 65

    def _age(self, on: date) -> int:
        assert self.born is not None
        had_birthday = (on.month, on.day) >= (self.born.month, self.born.day)
        return on.year - self.born.year - (0 if had_birthday else 1)


def read_resident(told: Mapping[str, Any]) -> Resident:
    """A resident as the worked cases write one."""
    diagnosed: dict[str, date] = {}
    for each in told.get("conditions") or []:
        name, since = (
            (each, None) if isinstance(each, str) else (each["condition"], each.get("since"))
        )
        diagnosed[name] = _day(since) or date.min
    pregnancies = []
    for each in (told.get("pregnant"), told.get("lactating")):
        if each:
            span: Mapping[str, Any] = {} if each is True else each
            since, until = _day(span.get("since")), _day(span.get("until"))
            pregnancies.append((since or date.min, until or date.max))
    return Resident(
        id=str(told.get("id", "")),
        born=_day(told.get("birth_date")),
        diagnosed=diagnosed,
        pregnancies=tuple(pregnancies),
        enrolled_on=_day(told.get("enrolled_on")),
    )


def above(value: Fraction, limit: int, *, strict: bool) -> bool:
    """Strictly above (wuzhou), or at or above (national)."""
    return value > limit if strict else value >= limit


def local_day(at: datetime) -> date:
    """The calendar day in Asia/Shanghai."""
    return at.astimezone(SHANGHAI).date()


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
