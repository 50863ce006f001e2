"""A principal inside PostgreSQL: a role without rights of its own, and whom it may see.

Everything is ``SET LOCAL``: it ends with the transaction, so a pooled connection carries nobody
over. Policies of migration 0008 read these settings. Invariants: no statement of the API runs as
the role it logged in with, once there is a schema; whoever is not set is nobody.
"""

from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection

from api.auth.permissions import Role
from api.auth.principal import Principal, Reach

_ROLES: Final = {
    Reach.NONE: "suifang_api",
    Reach.OWN: "suifang_api",
    Reach.ALL: "suifang_api_all",
}
_BECOME: Final = """
SELECT set_config('suifang.subject', %(subject)s, true),
       set_config('suifang.at', %(at)s, true),
       set_config('suifang.measured', %(measured)s, true),
       set_config('suifang.audit', %(audit)s, true),
       set_config('suifang.centres', %(centres)s::text[]::text, true),
       set_config('suifang.teams', ARRAY(
           SELECT unnest(%(teams)s::text[])
           UNION SELECT id FROM team WHERE centre_id = ANY(%(centres)s))::text, true),
       set_config('role', %(role)s, true)"""
# Before the first migration there is no such role, and nothing to protect.
_BECOME_PROCESS: Final = """
SELECT set_config('role', 'suifang_api_process', false)
WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = 'suifang_api_process')"""


async def become(
    connection: AsyncConnection[Any], principal: Principal, *, at: datetime | None
) -> None:
    """Make the present transaction the principal's; the first statement in it.

    Cost: one round trip, one look at the teams of its centres.
    """
    values = {
        "subject": principal.subject,
        "at": "" if at is None else at.isoformat(),
        "measured": "on" if principal.sees_measured else "off",
        "audit": "on" if Role.AUDITOR in principal.roles else "off",
        "centres": sorted(principal.seen_centre_ids),
        "teams": sorted(principal.seen_team_ids),
        "role": _ROLES[principal.reach],
    }
    await connection.execute(_BECOME, values)


async def become_process(connection: AsyncConnection[Any]) -> None:
    """Make a fresh connection the API's own: it sees the feed, no resident's data."""
    await connection.execute(_BECOME_PROCESS)
