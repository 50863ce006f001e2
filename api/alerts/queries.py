"""SQL of alerts, of the cases that they belong to, and of what people did about them. Reads only.

A case is led by the active alert that asks for somebody, of several the worst, then the latest:
that one is shown once for all of them. Notes are free text, and shown only to who sees measured
values; so are what was observed and why (``measured.py``).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.alerts.measured import explanation, observed
from api.alerts.schemas import AlertOut, AlertQuery
from api.auth.principal import Principal, Reach
from api.round_trip import Statement, Values
from api.rows import Shown, ShownRow

_REMEMBERED_MAX: Final = 50_000
_SELECTS_MAX: Final = 20
_NAMESPACE: Final = UUID("5f1fa600-7375-5966-616e-672d63617365")


def state(alert: str, attention: str) -> str:
    """SQL: what people do about an alert, from its row and that of its attention."""
    return f"""CASE WHEN {alert}.status <> 'active' THEN 'closed'
        WHEN {attention}.acknowledged_at IS NOT NULL THEN 'acknowledged'
        WHEN {attention}.snoozed_until > %(now)s THEN 'snoozed' ELSE 'open' END"""


def untold(alert: str, attention: str) -> str:
    """SQL: since when nobody could be told of an alert that asks for somebody."""
    return (
        f"CASE WHEN {alert}.status = 'active' AND {alert}.page"
        f" AND {attention}.acknowledged_at IS NULL AND {attention}.snoozed_at IS NULL"
        f" THEN {attention}.untold_since END"
    )


def lead(alert: str, attention: str) -> str:
    """SQL: of the alerts of a case the one with the highest of these stands for it."""
    return (
        f"({alert}.status = 'active', {state(alert, attention)} = 'open',"
        f" severity_rank({alert}.severity), {alert}.escalation, {alert}.number)"
    )


_SELECT: Final = f"""
SELECT a.id, a.number, a.resident_id, a.team_id, a.centre_id, a.condition, a.code, a.severity,
       a.status, {observed("a")} AS observed, a.threshold, a.source, a.profile, a.profile_version,
       a.anchor_id, a.anchor_kind,
       CASE WHEN a.anchor_kind = 'reading' THEN a.anchor_id END AS anchor_reading_id,
       a.effective_at, a.raised_at, a.raised_by, a.due,
       CASE WHEN a.status = 'active' AND a.overdue_days > 0 THEN %(today)s - a.due
            ELSE a.overdue_days END AS overdue_days,
       a.escalation, a.page, a.late, {explanation("a")} AS explanation, a.updated_at,
       {state("a", "t")} AS attention, t.acknowledged_at, t.acknowledged_by, t.reason,
       CASE WHEN (SELECT sees_measured()) THEN t.note END AS note,
       t.snoozed_at, t.snoozed_by, t.snoozed_until, {untold("a", "t")} AS untold_since,
       c.alerts AS case_alerts,
       c.severity AS case_severity, c.states AS case_states
FROM alert a LEFT JOIN alert_attention t ON t.alert_id = a.id
CROSS JOIN LATERAL (
    SELECT count(*) AS alerts, coalesce(array_agg({state("b", "u")}), '{{}}') AS states,
           (ARRAY['info', 'warn', 'high', 'critical'])[max(severity_rank(b.severity))] AS severity
    FROM alert b LEFT JOIN alert_attention u ON u.alert_id = b.id
    WHERE b.resident_id = a.resident_id AND b.condition = a.condition AND b.status = 'active'
) c"""  # noqa: S608 - our own words
# In a list an explanation passes through as it was written: nothing here reads it.
_LISTED: Final = _SELECT.replace(explanation("a"), f"({explanation('a')})::text")
_SHOWN: Final = Shown(AlertOut)
_GIVEN: Final[Mapping[str, str]] = {
    "before": "a.number < %(before)s",
    "team": "a.team_id = %(team)s",
    "centre": "a.centre_id = %(centre)s",
    "severity": "a.severity = %(severity)s",
    "code": "a.code = %(code)s",
    "resident": "a.resident_id = %(resident)s",
    "attention": f"{state('a', 't')} = %(attention)s",
}
_LED: Final = f"""NOT EXISTS (
       SELECT FROM alert b LEFT JOIN alert_attention u ON u.alert_id = b.id
       WHERE b.resident_id = a.resident_id AND b.condition = a.condition
         AND b.status = 'active' AND {lead("b", "u")} > {lead("a", "t")})"""
_OF_ALL: Final = _LISTED + " WHERE {wanted} ORDER BY a.number DESC LIMIT {rows}"
# Of a few teams, team by team from the index of each: what row-level security asks is an OR, for
# which the newest alerts of a whole city are gone through (36 ms for one team of 500, 8 ms so; for
# the ten teams of a centre it is the other way round, 5 ms and 42 ms).
_TEAMS_FEW: Final = 3
_KEYS: Final = "SELECT a.number FROM alert a LEFT JOIN alert_attention t ON t.alert_id = a.id"
_OF_TEAMS: Final = f"""{_LISTED}
WHERE a.number = ANY (ARRAY(
    SELECT x.number FROM unnest((SELECT seen_teams())::text[]) AS s (id) CROSS JOIN LATERAL (
        {_KEYS} WHERE a.team_id = s.id AND {{wanted}}
        ORDER BY a.team_id DESC, a.number DESC LIMIT {{rows}}) x
    ORDER BY x.number DESC LIMIT {{rows}})) ORDER BY a.number DESC LIMIT {{rows}}"""  # noqa: S608 - our own words
_NEWS: Final = f"""
WITH leads AS (
    SELECT DISTINCT l.id FROM alert n CROSS JOIN LATERAL (
        SELECT b.id FROM alert b LEFT JOIN alert_attention u ON u.alert_id = b.id
        WHERE (b.resident_id = n.resident_id AND b.condition = n.condition) OR b.id = n.id
        ORDER BY {lead("b", "u")} DESC LIMIT 1) l
    WHERE n.id = ANY(%(ids)s))
{_LISTED}
WHERE a.id IN (SELECT id FROM leads)
  AND (%(team)s::text IS NULL OR a.team_id = %(team)s)
  AND (%(centre)s::text IS NULL OR a.centre_id = %(centre)s)
  AND (%(resident)s::text IS NULL OR a.resident_id = %(resident)s)
ORDER BY a.number DESC"""  # noqa: S608 - likewise


def list_newest(
    query: AlertQuery, *, principal: Principal, before: int | None, now: datetime, today: date
) -> Statement:
    """Alerts below number ``before``, newest first: one more than the limit, if there is one.

    Days overdue are counted to ``today``, a local day: the judge writes them when a step changes.
    The principal chooses the plan, not the rows: those the database chooses. They are shown
    by ``as_listed``.
    """
    asked = {**{name: getattr(query, name, None) for name in _GIVEN}, "before": before}
    given = [part for name, part in _GIVEN.items() if asked[name] is not None]
    if query.status != "all":  # In words of our own: an index holds the active ones.
        given.append(f"a.status = '{query.status}'")
    if query.view == "cases":
        given.append(_LED)
    teams, centres = principal.seen_team_ids, principal.seen_centre_ids
    few = principal.reach is Reach.OWN and not centres and len(teams) <= _TEAMS_FEW
    statement = (
        (_OF_TEAMS if few else _OF_ALL)
        .replace("{wanted}", " AND ".join(given) or "true")
        .replace("{rows}", str(query.limit + 1))
    )
    # The list as it opens is planned once: to plan it was more than half of what it cost.
    is_kept = all(value is None for value in asked.values())
    return Statement(statement.encode(), {**asked, "now": now, "today": today}, is_kept=is_kept)


def list_news(query: AlertQuery, ids: Sequence[UUID], *, now: datetime, today: date) -> Statement:
    """Of the cases of these alerts the one that leads each: active, or the last there was.

    Only place and person of the query filter: a case must be told also when it is quiet again.
    They are shown by ``as_listed``.
    """
    asked = query.model_dump(include={"team", "centre", "resident"})
    return Statement(_NEWS.encode(), {**asked, "ids": list(ids), "now": now, "today": today})


async def fetch_alert(
    connection: AsyncConnection[DictRow], alert_id: UUID, *, now: datetime, today: date
) -> AlertOut | None:
    """One alert; None: there is none, or it may not be seen."""
    values = {"id": alert_id, "now": now, "today": today}
    cursor = await connection.execute(f"{_SELECT} WHERE a.id = %(id)s".encode(), values)
    row = await cursor.fetchone()
    if row is None:
        return None
    parts = _make_parts(_Known(*(row[name] for name in _Known._fields)))
    return AlertOut.model_validate({**row, **parts._asdict()})


def as_listed(columns: tuple[str, ...], rows: Iterable[Values]) -> list[ShownRow]:
    """The alerts of a list."""
    take = _take_known(columns)
    whole = [values + _make_parts(_Known(*take(values))) for values in rows]
    items = _SHOWN.of_each(columns + _Parts._fields, whole)
    for item in items:
        if item["explanation"] is not None:
            item["explanation"] = msgspec.Raw(item["explanation"].encode())
    return items


class _Known(NamedTuple):
    """The columns of which parts of an alert are made."""

    id: UUID
    resident_id: str | None
    condition: str
    status: str
    severity: str
    attention: str
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    reason: str | None
    note: str | None
    snoozed_at: datetime | None
    snoozed_by: str | None
    snoozed_until: datetime | None
    case_alerts: int
    case_severity: str | None
    case_states: list[str]


class _Parts(NamedTuple):
    """Fields of ``AlertOut`` that are no column."""

    acknowledgement: dict[str, Any] | None
    snooze: dict[str, Any] | None
    item: dict[str, Any]


@lru_cache(maxsize=_SELECTS_MAX)
def _take_known(columns: tuple[str, ...]) -> Callable[[Values], Values]:
    return itemgetter(*map(columns.index, _Known._fields))


def _make_parts(known: _Known) -> _Parts:
    acknowledgement = snooze = None
    if known.attention == "acknowledged":
        acknowledgement = {
            "at": known.acknowledged_at,
            "by": known.acknowledged_by,
            "reason": known.reason,
            "note": known.note,
        }
    elif known.attention == "snoozed":
        snooze = {"at": known.snoozed_at, "by": known.snoozed_by, "until": known.snoozed_until}
    return _Parts(acknowledgement, snooze, _make_item(known))


def _make_item(known: _Known) -> dict[str, Any]:
    if known.resident_id is None:  # Nobody's yet: by itself.
        active = known.status == "active"
        severity = known.severity if active else None
        own = {"alerts": int(active), "severity": severity, "attention": known.attention}
        return {"id": known.id, **own}
    states = known.case_states
    found = next((s for s in ("open", "snoozed", "acknowledged") if s in states), "closed")
    return {
        "id": _case_id(known.resident_id, known.condition),
        "alerts": known.case_alerts,
        "severity": known.case_severity,
        "attention": found,
    }


@lru_cache(maxsize=_REMEMBERED_MAX)
def _case_id(resident: str, condition: str) -> UUID:
    """Remembered: to make the 50 of a page anew was a quarter of the page's time."""
    return uuid5(_NAMESPACE, f"{resident}|{condition}")


_HISTORY: Final = """
SELECT h.number, h.what, h.at, h.author, h.reason, h.until,
       CASE WHEN (SELECT sees_measured()) THEN h.note END AS note
FROM alert_history h WHERE h.alert_id = %s ORDER BY h.number DESC LIMIT %s"""
HISTORY_ROWS_MAX: Final = 500  # One is clicked a few times; the newest are kept in view.


async def list_history(connection: AsyncConnection[DictRow], alert_id: UUID) -> list[DictRow]:
    """What was done about one alert, in order: the last ``HISTORY_ROWS_MAX`` acts."""
    cursor = await connection.execute(_HISTORY, (alert_id, HISTORY_ROWS_MAX))
    return (await cursor.fetchall())[::-1]
