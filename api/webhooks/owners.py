"""Whom a subscription may be told about: what its owner's credential reaches.

Written down when the owner writes the subscription. An owner that comes by API key must still have
a key that reaches the same: rotated keys do, a revoked, ended or narrowed one does not, and then
nothing more is told. Of a token's owner nothing is known between two requests.
"""

from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.auth.permissions import Permission, Role
from api.auth.principal import Principal

_CLIENT: Final = "client:"
_NEEDED: Final = {Permission.EVENTS_READ, Permission.WEBHOOKS_WRITE}
_KEYS: Final = """
SELECT role, scopes, team_ids, centre_ids FROM api_key
WHERE client = %(client)s AND revoked_at IS NULL AND expires_at > %(at)s"""


def write_reach(principal: Principal) -> dict[str, Any]:
    """What is kept of a principal."""
    return {
        "kind": principal.kind,
        "roles": sorted(principal.roles),
        "team_ids": sorted(principal.team_ids),
        "centre_ids": sorted(principal.centre_ids),
    }


def read_reach(owner: str, reach: dict[str, Any]) -> Principal:
    """The principal again, without a credential."""
    return Principal(
        subject=owner,
        kind=reach["kind"],
        roles=frozenset(Role(role) for role in reach["roles"]),
        team_ids=frozenset(reach["team_ids"]),
        centre_ids=frozenset(reach["centre_ids"]),
    )


async def is_still_entitled(
    connection: AsyncConnection[DictRow], owner: str, reach: dict[str, Any], *, at: datetime
) -> bool:
    """Whether the owner could read the same today."""
    if not owner.startswith(_CLIENT):
        return True
    asked = {"client": owner.removeprefix(_CLIENT), "at": at}
    rows = await (await connection.execute(_KEYS, asked)).fetchall()
    return any(
        [row["role"]] == reach["roles"]
        and sorted(row["team_ids"]) == reach["team_ids"]
        and sorted(row["centre_ids"]) == reach["centre_ids"]
        and (row["scopes"] is None or set(_NEEDED) <= set(row["scopes"]))
        for row in rows
    )
