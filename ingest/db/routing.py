"""Who is concerned when a team, a centre or a package changes: open alerts move, cases are due.

An open alert goes to the centre of the team that has the resident now, and the feed is told, with
the team and centre it came from. What is closed stays where it was. Never commits.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ingest.db import outbox
from ingest.db.alerts import AlertRow
from ingest.db.connections import Connection
from ingest.db.outbox import Event

_ALERT: Final = ", ".join(f"a.{name}" for name in AlertRow._fields)
_REROUTE: Final = f"""
WITH moved AS (
    SELECT m.resident_id, m.from_team_id, r.team_id, t.centre_id
    FROM unnest(%b::text[], %b::text[]) AS m (resident_id, from_team_id)
    JOIN resident r ON r.id = m.resident_id LEFT JOIN team t ON t.id = r.team_id),
held AS MATERIALIZED (
    SELECT a.id, a.centre_id AS from_centre_id, m.from_team_id, m.team_id,
           coalesce(m.centre_id, a.centre_id) AS centre_id
    FROM alert a JOIN moved m USING (resident_id) WHERE a.status = 'active'
    ORDER BY a.id FOR NO KEY UPDATE OF a)
UPDATE alert AS a SET centre_id = h.centre_id, updated_at = %s
FROM held h WHERE a.id = h.id
RETURNING h.team_id, h.from_team_id, h.from_centre_id, {_ALERT}"""  # noqa: S608 - our own names


async def reroute(
    connection: Connection, moved: Sequence[tuple[str, str | None]], *, at: datetime
) -> int:
    """Hand the open alerts of residents to the team they have now; return how many.

    Args:
        connection: In the transaction that changed the team, after it did.
        moved: Pseudonyms, each once, with the team that had them before.
        at: The clock.
    """
    if not moved:
        return 0
    columns = ([row[0] for row in moved], [row[1] for row in moved])
    cursor = await connection.execute(_REROUTE, (*columns, at), binary=True)
    events = []
    for team_id, from_team_id, from_centre_id, *alert in await cursor.fetchall():
        told = AlertRow(*alert).as_event(team_id)
        came_from = {"from_team_id": from_team_id, "from_centre_id": from_centre_id}
        events.append(Event("alert.changed", {**told, **came_from}))
    events.sort(key=lambda event: str(event.payload["alert_id"]))
    await outbox.insert(connection, events, at=at)
    return len(events)


_OF_TEAMS: Final = "SELECT id, team_id FROM resident WHERE team_id = ANY(%s) ORDER BY id"


async def reroute_teams(connection: Connection, teams: Sequence[str], *, at: datetime) -> int:
    """Hand on the open alerts of whole teams, whose centre is another one now."""
    if not teams:
        return 0
    cursor = await connection.execute(_OF_TEAMS, (list(teams),))
    return await reroute(connection, [(row[0], row[1]) for row in await cursor.fetchall()], at=at)


_MARK: Final = {
    "team": "SELECT id FROM resident WHERE team_id = ANY(%s)",
    "centre": """
SELECT r.id FROM resident r JOIN team t ON t.id = r.team_id WHERE t.centre_id = ANY(%s)""",
    "package": "SELECT DISTINCT resident_id FROM contract WHERE package_id = ANY(%s)",
}


async def mark_residents_of(
    connection: Connection, kind: str, ids: Sequence[str], *, at: datetime
) -> None:
    """Mark everybody for judging who belongs to one of these teams, centres or packages.

    Cost: one row a resident. A city's package changes in a second or two.
    """
    if ids:
        await connection.execute(
            "INSERT INTO due_mark (resident_id, kind, marked_at)"  # noqa: S608 - our own statement
            f" SELECT id, %s, %s FROM ({_MARK[kind]}) AS theirs (id)",
            (kind, at, list(ids)),
        )
