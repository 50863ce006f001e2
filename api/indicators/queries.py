"""Figures of all that a principal may see, by team, and the persons behind one. Reads only.

A figure of a centre or the city is the sum of its teams': every family counts each person and
condition once, and a resident is in one team.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.indicators import statements
from api.indicators.periods import Span
from api.indicators.shown import SHOWN, Family, Shown

Counts = tuple[int, int | None]
"""Numerator, denominator."""
_LOAD: Final = {"load.residents": "residents", "load.signed": "signed"}
_LIMITS: Final = """
SELECT set_config('statement_timeout', %(ms)s, true),
       set_config('work_mem', %(work_mem)s, true),
       set_config('max_parallel_workers_per_gather', '2', true),
       set_config('jit', 'off', true)"""
# Views that filter hide how many rows they have: of a city too few are expected, and each would be
# looked up by itself.
_BY_HASH: Final = "SELECT set_config('enable_nestloop', 'off', true) WHERE sees_everybody()"


@dataclass(frozen=True, slots=True)
class TeamCounts:
    """Of every team that may be seen, and of residents without one (None)."""

    centre_of: Mapping[str | None, str | None]
    counts: Mapping[str, Mapping[str | None, Counts]]  # By code, by team.


@dataclass(slots=True)
class _Sums:
    """Values of SQL expressions by (team, condition)."""

    place: dict[str, str] = field(default_factory=dict)  # Expression to the name of its column.
    rows: dict[tuple[str | None, str | None], DictRow] = field(default_factory=dict)

    def value(self, team: str | None, condition: str | None, expression: str) -> int:
        """0 where there is nobody."""
        row = self.rows.get((team, condition))
        return 0 if row is None else int(row[self.place[expression]])


def values_of(span: Span, today: date) -> dict[str, Any]:
    """Parameters of every statement here."""
    known = span.known_until(today)
    passed = min(span.last, date.fromordinal(today.toordinal() - 1))  # The due day itself is over.
    new_year = date(span.year, 1, 1)
    return {
        "first": span.first,
        "known": known,
        "today": today,
        "year": span.year,
        "new_year": new_year,
        "days": span.days(known),
        "owed": span.days(passed),
        "up_to_known": Span(span.name, new_year, span.last).days(known),
    }


async def bound(connection: AsyncConnection[DictRow], *, statement_ms: int, work_mem: str) -> None:
    """Give this transaction its own limits: a whole city takes longer than a page."""
    await connection.execute(_LIMITS, {"ms": str(statement_ms), "work_mem": work_mem})


async def count_by_team(
    connection: AsyncConnection[DictRow], span: Span, today: date, wanted: Sequence[Shown]
) -> TeamCounts:
    """Count these indicators for all teams in sight.

    Cost: one pass over the residents in sight for each family that is asked for.
    """
    values = values_of(span, today)
    await connection.execute(_BY_HASH)
    cursor = await connection.execute(statements.LOAD.encode(), values)
    load = {row["team_id"]: row for row in await cursor.fetchall()}
    of_load = [shown for shown in wanted if shown.family is Family.LOAD]
    needed = [*wanted, *((SHOWN["signing.all"],) if of_load else ())]
    sums = {
        family: await _sum(connection, family, needed, values)
        for family in (Family.MANAGED, Family.OWED, Family.SIGNED)
        if any(shown.family is family for shown in needed)
    }
    teams: list[str | None] = [*load]
    if any((None, condition) in each.rows for each in sums.values() for condition in _CONDITIONS):
        teams.append(None)
    counts: defaultdict[str, dict[str | None, Counts]] = defaultdict(dict)
    for shown in needed:
        for team in teams if shown.family is not Family.LOAD else ():
            counts[shown.code][team] = _counts(shown, sums[shown.family], team)
    for shown in of_load:
        for team, row in load.items():
            counts[shown.code][team] = _load(shown, row, counts["signing.all"][team])
    return TeamCounts(
        centre_of={None: None, **{team: row["centre_id"] for team, row in load.items()}},
        counts={shown.code: counts[shown.code] for shown in wanted},
    )


_CONDITIONS: Final = ("hypertension", "diabetes", None)


async def _sum(
    connection: AsyncConnection[DictRow],
    family: Family,
    wanted: Iterable[Shown],
    values: Mapping[str, Any],
) -> _Sums:
    expressions = {
        expression: None
        for shown in wanted
        if shown.family is family
        for expression in (shown.numerator, shown.denominator)
        if expression is not None
    }
    cursor = await connection.execute(statements.figures(family, expressions).encode(), values)
    return _Sums(
        place={expression: f"f{n}" for n, expression in enumerate(expressions)},
        rows={(row["team_id"], row["condition"]): row for row in await cursor.fetchall()},
    )


def _counts(shown: Shown, sums: _Sums, team: str | None) -> Counts:
    numerator = sums.value(team, shown.condition, shown.numerator)
    if shown.denominator is None:
        return numerator, None
    return numerator, sums.value(team, shown.condition, shown.denominator)


def _load(shown: Shown, row: DictRow, signing: Counts) -> Counts:
    signed, residents = signing
    counted = {"residents": residents, "signed": signed, **row}
    name = _LOAD.get(shown.code, shown.numerator)
    return int(counted[name] or 0), row["places"]


async def list_people(
    connection: AsyncConnection[DictRow],
    shown: Shown,
    span: Span,
    today: date,
    asked: Mapping[str, Any],
    *,
    after: str | None,
    rows: int,
) -> list[DictRow]:
    """Persons behind one figure above ``after``, in order of pseudonym: at most ``rows``.

    ``shown`` is not of the load family, which has no persons behind it; ``asked`` has ``side``,
    ``team`` and ``centre``.
    """
    statement = statements.people(
        shown,
        side=asked["side"],
        team=asked["team"] is not None,
        centre=asked["centre"] is not None,
        after=after is not None,
    )
    values = {**values_of(span, today), **asked, "after": after, "rows": rows}
    values["condition"] = shown.condition
    cursor = await connection.execute(statement.encode(), values)
    return await cursor.fetchall()
