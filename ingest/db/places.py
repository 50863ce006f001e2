"""SQL for ``centre``, ``team`` and ``staff``, one write function each. Never commits.

Places are few: each statement takes all of them at once anyway.
"""

from collections.abc import Sequence
from typing import Final

from ingest.db import registry, routing
from ingest.db.connections import Connection
from ingest.db.entities import Centre, Staff, Team
from ingest.db.registry import Authorship, Outcome, Wanted, refuse_unknown

_CENTRE: Final = """
INSERT INTO centre (id, name, profile) VALUES (%s, %s, %s)
ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, profile = EXCLUDED.profile"""


async def save_centres(
    connection: Connection, centres: Sequence[Centre], by: Authorship
) -> list[Outcome]:
    """Insert or update centres; where the profile changed, the residents are judged again."""
    values = {centre.id: centre for centre in centres}
    wanted = {id_: Wanted(content=centre.content()) for id_, centre in values.items()}
    written = await registry.write(connection, "centre", wanted, by)
    changed = [values[id_] for id_ in written.changed]
    async with connection.cursor() as cursor:
        await cursor.executemany(_CENTRE, [(c.id, c.name, c.profile) for c in changed])
    judged_by = written.differs(wanted, "profile")
    await routing.mark_residents_of(connection, "centre", judged_by, at=by.at)
    return written.outcomes


_TEAM: Final = """
INSERT INTO team (id, centre_id, name) VALUES (%s, %s, %s)
ON CONFLICT (id) DO UPDATE SET centre_id = EXCLUDED.centre_id, name = EXCLUDED.name"""


async def save_teams(
    connection: Connection, teams: Sequence[Team], by: Authorship
) -> list[Outcome]:
    """Insert or update teams; one that goes to another centre takes its residents along."""
    unknown = await registry.find_unknown(connection, "centre", {team.centre_id for team in teams})
    refused = {
        team.id: refuse_unknown(team.id, "centre_id", team.centre_id)
        for team in teams
        if team.centre_id in unknown
    }
    values = {team.id: team for team in teams if team.id not in refused}
    wanted = {id_: Wanted(content=team.content()) for id_, team in values.items()}
    written = await registry.write(connection, "team", wanted, by)
    changed = [values[id_] for id_ in written.changed]
    async with connection.cursor() as cursor:
        await cursor.executemany(_TEAM, [(t.id, t.centre_id, t.name) for t in changed])
    moved = written.differs(wanted, "centre_id")
    await routing.mark_residents_of(connection, "team", moved, at=by.at)
    await routing.reroute_teams(connection, moved, at=by.at)
    return [*written.outcomes, *refused.values()]


_STAFF: Final = """
INSERT INTO staff (id, centre_id, role, subject, since, until) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE
SET centre_id = EXCLUDED.centre_id, role = EXCLUDED.role, subject = EXCLUDED.subject,
    since = EXCLUDED.since, until = EXCLUDED.until"""
_LEAVE_TEAMS: Final = "DELETE FROM staff_team WHERE staff_id = ANY(%s)"
_JOIN_TEAM: Final = "INSERT INTO staff_team (staff_id, team_id) VALUES (%s, %s)"


async def save_staff(
    connection: Connection, staff: Sequence[Staff], by: Authorship
) -> list[Outcome]:
    """Insert or update staff and the teams they are in."""
    refused = await _refuse_staff(connection, staff)
    values = {each.id: each for each in staff if each.id not in refused}
    wanted = {id_: Wanted(content=each.content()) for id_, each in values.items()}
    written = await registry.write(connection, "staff", wanted, by)
    changed = [values[id_] for id_ in written.changed]
    rows = [(p.id, p.centre_id, p.role, p.subject, p.since, p.until) for p in changed]
    teams = [(id_, team) for id_ in written.changed for team in wanted[id_].content["team_ids"]]
    async with connection.cursor() as cursor:
        await cursor.executemany(_STAFF, rows)
        await cursor.execute(_LEAVE_TEAMS, (written.changed,))
        await cursor.executemany(_JOIN_TEAM, teams)
    return [*written.outcomes, *refused.values()]


async def _refuse_staff(connection: Connection, staff: Sequence[Staff]) -> dict[str, Outcome]:
    centres = await registry.find_unknown(connection, "centre", {each.centre_id for each in staff})
    named = {team for each in staff for team in each.team_ids}
    teams = await registry.find_unknown(connection, "team", named)
    refused = {}
    for each in staff:
        if each.centre_id in centres:
            refused[each.id] = refuse_unknown(each.id, "centre_id", each.centre_id)
        for team in each.team_ids:
            if team in teams:
                refused[each.id] = refuse_unknown(each.id, "team_ids", team)
    return refused
