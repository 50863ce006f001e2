"""SQL of cases: lists in three orders, counts, one case. Reads only; the day is a parameter.

A page comes from an index whatever is asked: of whom one sees some teams, each team gives its
first rows in order (``LATERAL``) and those are merged; of whom one sees everybody, one index has
them all. Row-level security holds beneath. Measured with 300,000 cases: docs/followups.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.auth.principal import Principal, Reach
from api.cases.schemas import CaseQuery, CountQuery, Sort
from api.round_trip import Statement

WAITING: Final = (
    "referral_recommended",
    "emergency_referral",
    "screening_referral",
    "referral_followup_overdue",
)
"""States in which a referral is open. Source: decision table 2.4."""
_WAITS: Final = f"c.state IN {WAITING}"  # As SQL writes it, too.
_SUNDAY: Final = 6
_REMEMBERED_MAX: Final = 500  # Statements: each limit is one.

_KEYS: Final[Mapping[Sort, tuple[str, ...]]] = {
    "number": ("number",),
    "due": ("due_order", "number"),
    "risk": ("risk_order", "due_order", "number"),
}
# A date that stands is something still to be done: the rules clear it when it is done.
_COLUMNS: Final = f"""
SELECT c.number, c.resident_id, c.team_id, t.centre_id, c.condition, c.state, c.severity,
       c.consecutive_unsatisfied, c.second_followup_due, c.referral_followup_due,
       c.next_routine_due, nullif(c.due_order, '9999-12-31') AS due,
       c.due_order < %(today)s AS overdue, {_WAITS} AS waiting_for_referral,
       c.anchor_id, c.anchor_kind,
       CASE WHEN c.anchor_kind = 'reading' THEN c.anchor_id END AS anchor_reading_id,
       c.cause, c.profile, c.profile_version, c.updated_at, c.risk_order, c.due_order"""
# Keys first, from the index alone; then the rows of one page. ``team_id`` among the keys keeps the
# planner on the index of teams: it took the one of everybody, and 250 ms, for deep pages.
_OF_TEAMS: Final = """
FROM (
    SELECT k.* FROM team t CROSS JOIN LATERAL (
        SELECT c.number, c.risk_order, c.due_order FROM resident_case c
        WHERE c.team_id = t.id{given} ORDER BY {order} LIMIT {rows}) k
    WHERE true{teams}
    ORDER BY {key_order} LIMIT {rows}) k
JOIN resident_case c ON c.number = k.number
JOIN team t ON t.id = c.team_id
ORDER BY {key_order}"""
_OF_ALL: Final = """
FROM (
    SELECT c.number, c.risk_order, c.due_order FROM resident_case c
    WHERE true{given} ORDER BY {order} LIMIT {rows}) k
JOIN resident_case c ON c.number = k.number
LEFT JOIN team t ON t.id = c.team_id
ORDER BY {key_order}"""


def _conditions(query: CaseQuery) -> Iterator[str]:
    """What each filter that is given asks of a case."""
    simple = {
        "condition": "c.condition = %(condition)s",
        "state": "c.state = %(state)s",
        "severity": "c.severity = %(severity)s",
        "resident": "c.resident_id = %(resident)s",
        "due_before": "c.due_order < %(due_before)s",
        "due_after": "c.due_order > %(due_after)s AND c.due_order < '9999-12-31'",
    }
    yield from (part for name, part in simple.items() if getattr(query, name) is not None)
    if query.overdue is not None:
        yield f"c.due_order {'<' if query.overdue else '>='} %(today)s"
    if query.waiting_for_referral is not None:
        yield f"{'' if query.waiting_for_referral else 'NOT '}{_WAITS}"


def _teams(query: CountQuery, principal: Principal) -> list[str]:
    """What is asked of the team; nothing: cases without a team are seen, too."""
    found = []
    if principal.reach is not Reach.ALL:
        found.append("t.id = ANY ((SELECT seen_teams())::text[])")
    if query.team is not None:
        found.append("t.id = %(team)s")
    if query.centre is not None:
        found.append("t.centre_id = %(centre)s")
    return found


def _joined(parts: Sequence[str]) -> str:
    return "".join(f" AND {part}" for part in parts)


def list_sorted(
    principal: Principal, query: CaseQuery, *, after: Sequence[Any] | None, today: date
) -> Statement:
    """Cases after the key ``after`` in the order asked: one more than the limit, if there is one.

    Args:
        principal: Its reach chooses the plan, not the rows: those the database chooses.
        query: Filters and order.
        after: One value for each key of the order.
        today: The local day.
    """
    keys, teams = _KEYS[query.sort], tuple(_teams(query, principal))
    given = tuple(_conditions(query))
    text = _write(query.sort, teams, given, query.limit + 1, is_first=after is None)
    values = {
        **dict(query),
        **{f"after_{name}": value for name, value in zip(keys, after or (), strict=False)},
        "today": today,
    }
    # Planned for what is asked: a plan for any filter at all took 250 ms where this takes 7. The
    # list as it opens asks for nothing and is planned once: planning was half of what it cost.
    return Statement(text, values, is_kept=after is None and not given)


@lru_cache(maxsize=_REMEMBERED_MAX)
def _write(
    sort: Sort, teams: tuple[str, ...], given: tuple[str, ...], rows: int, *, is_first: bool
) -> bytes:
    """The statement of a list. Conditions are our own words, values are named in them."""
    keys = _KEYS[sort]
    order = [*(["c.team_id"] if teams else []), *(f"c.{name}" for name in keys)]
    if not is_first:
        place = [*(["t.id"] if teams else []), *(f"%(after_{name})s" for name in keys)]
        given = (*given, f"({', '.join(order)}) > ({', '.join(place)})")
    statement = (_COLUMNS + (_OF_TEAMS if teams else _OF_ALL)).format(
        given=_joined(given),
        order=", ".join(order),
        key_order=", ".join(f"k.{name}" for name in keys),
        teams=_joined(teams),
        rows=rows,
    )
    return statement.encode()


def key_of(row: Mapping[str, Any], sort: Sort) -> tuple[Any, ...]:
    """Where a row stands in an order; the next page begins after it."""
    return tuple(row[name] for name in _KEYS[sort])


_COUNTS: Final = f"""
SELECT count(*) FILTER (WHERE c.due_order < %(today)s) AS overdue,
       count(*) FILTER (WHERE c.due_order = %(today)s) AS due_today,
       count(*) FILTER (WHERE c.due_order BETWEEN %(today)s AND %(sunday)s) AS due_this_week,
       count(*) FILTER (WHERE {_WAITS}) AS waiting_for_referral,
       count(*) FILTER (WHERE c.risk_order = 0) AS critical,
       count(*) FILTER (WHERE c.risk_order = 1) AS high,
       count(*) FILTER (WHERE c.risk_order = 2) AS warn,
       count(*) FILTER (WHERE c.risk_order = 3) AS info
FROM resident_case c"""  # noqa: S608 - our own words


async def count(
    connection: AsyncConnection[DictRow], principal: Principal, query: CountQuery, *, today: date
) -> DictRow:
    """How many cases are in each bucket. Cost: an index-only look at the teams' cases."""
    teams = _teams(query, principal)
    of_teams = (
        f" WHERE c.team_id = ANY (ARRAY(SELECT t.id FROM team t WHERE true{_joined(teams)}))"  # noqa: S608 - our own conditions
        if teams
        else ""
    )
    values = {
        **query.model_dump(),
        "today": today,
        "sunday": today + timedelta(days=_SUNDAY - today.weekday()),
    }
    cursor = await connection.execute((_COUNTS + of_teams).encode(), values, prepare=False)
    (row,) = await cursor.fetchall()
    return row


_ONE: Final = (
    _COLUMNS
    + """
FROM resident_case c LEFT JOIN team t ON t.id = c.team_id WHERE c.number = %(number)s"""
)


async def fetch(
    connection: AsyncConnection[DictRow], number: int, *, today: date
) -> DictRow | None:
    """One case; None: it is not there, or may not be seen."""
    values = {"number": number, "today": today}
    return await (await connection.execute(_ONE.encode(), values)).fetchone()


_TRANSITIONS: Final = """
SELECT x.number, x.from_state, x.to_state, x.at, x.author, x.cause, x.anchor_id, x.anchor_kind,
       x.threshold, x.input_ids, x.profile, x.profile_version, x.explanation
FROM resident_case c
JOIN case_transition x ON x.resident_id = c.resident_id AND x.condition = c.condition
WHERE c.number = %(number)s AND (%(before)s::bigint IS NULL OR x.number < %(before)s)
ORDER BY x.number DESC LIMIT %(rows)s"""


async def list_transitions(
    connection: AsyncConnection[DictRow], number: int, *, before: int | None, rows: int
) -> list[DictRow]:
    """How a case came to its state, the newest change first: at most ``rows`` below ``before``."""
    values = {"number": number, "before": before, "rows": rows}
    cursor = await connection.execute(_TRANSITIONS, values)
    return await cursor.fetchall()
