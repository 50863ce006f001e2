"""What happened while one was away: since one last looked here, in this browser.

When that was stands in a cookie, one for each person: nothing is kept on the server. Somebody who
was away for ``AWAY`` is told from their last look on, until they say that they have seen it; who
comes for the first time, of the last day. The list beside it is whole anyway: this only tells what
of it is news. Reads only; who sees whom decides the database.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from fastapi import Request
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from starlette.responses import Response

from api.auth.principal import Principal
from api.console.pages import PREFIX
from api.console.sign_in import is_secure

AWAY: Final = timedelta(minutes=30)
_FIRST: Final = timedelta(days=1)
_LONGEST: Final = timedelta(days=31)
_KEPT_S: Final = 90 * 86_400
ROWS_MAX: Final = 50

# The newest alerts of each team by its index: what is older than the last look is not gone through.
_RAISED: Final = """
SELECT a.id, a.resident_id, a.condition, a.code, a.severity, a.observed, a.raised_at AS at, a.status
FROM unnest(%(teams)s::text[]) AS s (id) CROSS JOIN LATERAL (
    SELECT * FROM alert WHERE team_id = s.id ORDER BY number DESC LIMIT %(looked)s) a
WHERE a.raised_at > %(since)s
ORDER BY severity_rank(a.severity) DESC, a.number DESC LIMIT %(rows)s"""
_TAKEN: Final = """
SELECT a.id, a.resident_id, a.condition, a.code, a.severity, a.observed,
       t.acknowledged_at AS at, t.acknowledged_by AS who
FROM alert a JOIN alert_attention t ON t.alert_id = a.id
WHERE a.team_id = ANY(%(teams)s)
  AND t.acknowledged_at > %(since)s AND t.acknowledged_by <> %(subject)s
ORDER BY t.acknowledged_at DESC LIMIT %(rows)s"""
_MOVED: Final = """
SELECT c.resident_id, c.condition, m.from_state, m.to_state, m.at
FROM resident_case c CROSS JOIN LATERAL (
    SELECT (array_agg(x.from_state ORDER BY x.number))[1] AS from_state, max(x.at) AS at,
           (array_agg(x.to_state ORDER BY x.number DESC))[1] AS to_state
    FROM case_transition x
    WHERE x.resident_id = c.resident_id AND x.condition = c.condition AND x.at > %(since)s) m
WHERE c.team_id = ANY(%(teams)s) AND c.updated_at > %(since)s AND m.from_state <> m.to_state
ORDER BY m.at DESC LIMIT %(rows)s"""
_JOINED: Final = """
SELECT r.id AS resident_id, r.birth_date, r.sex, r.created_at AS at FROM resident r
WHERE r.team_id = ANY(%(teams)s) AND r.created_at > %(since)s
ORDER BY r.created_at DESC LIMIT %(rows)s"""
_LOOKED: Final = 500


class Looked(NamedTuple):
    """Since when one is told, and when one was here last."""

    since: datetime
    last: datetime


def read_looked(request: Request, principal: Principal, now: datetime) -> Looked:
    """As the browser remembers, moved on if somebody comes back."""
    texts = request.cookies.get(_name(principal), "").split(".")
    try:
        since, last = (datetime.fromtimestamp(int(text), UTC) for text in texts)
    except (ValueError, OverflowError, OSError):
        return Looked(now - _FIRST, now)
    if now - last > AWAY:
        since = last
    return Looked(min(max(since, now - _LONGEST), now), now)


def remember_looked(
    request: Request, response: Response, principal: Principal, looked: Looked
) -> None:
    """Let the browser keep it."""
    response.set_cookie(
        _name(principal),
        f"{looked.since.timestamp():.0f}.{looked.last.timestamp():.0f}",
        path=PREFIX,
        max_age=_KEPT_S,
        httponly=True,
        samesite="strict",
        secure=is_secure(request),
    )


async def list_news(
    connection: AsyncConnection[DictRow], principal: Principal, since: datetime
) -> dict[str, list[DictRow]]:
    """New alerts, those that others took, cases that moved and residents who joined.

    Of one's own teams; each at most ``ROWS_MAX``. A resident may have moved several times: first
    and last state are told.
    """
    values: dict[str, Any] = {
        "teams": sorted(principal.seen_team_ids),
        "since": since,
        "subject": principal.subject,
        "looked": _LOOKED,
        "rows": ROWS_MAX,
    }
    if not values["teams"]:
        return {}
    statements = {"raised": _RAISED, "taken": _TAKEN, "moved": _MOVED, "joined": _JOINED}
    if not principal.sees_measured:
        del statements["moved"]
    return {
        name: await (await connection.execute(statement, values)).fetchall()
        for name, statement in statements.items()
    }


def _name(principal: Principal) -> str:
    """One cookie a person: several share the computer of a clinic."""
    return f"suifang_seen_{hashlib.sha256(principal.subject.encode()).hexdigest()[:12]}"
