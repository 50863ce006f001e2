"""A principal inside PostgreSQL: a role without rights of its own, and whom it may see.

Everything is ``SET LOCAL``: it ends with the transaction, so a pooled connection carries nobody
over. Policies of migration 0008 read these settings; one that is not set is off, or nobody.
Invariants: no statement of the API runs as the role it logged in with, once there is a schema;
whoever is not set is nobody.

The settings are text, with BEGIN before them, because a transaction then begins in one round
trip; every value in it is a literal that psycopg quotes.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection
from psycopg.sql import Literal

from api.auth.permissions import Role
from api.auth.principal import Principal, Reach
from api.round_trip import Ready, Statement, make_ready


class RoleNames(NamedTuple):
    """What a process is called in the database, and on whose behalf it reads."""

    process: str
    own: str  # For a principal who sees some residents, or none.
    everybody: str

    def of(self, reach: Reach) -> str:
        """For a principal of this reach."""
        return self.everybody if reach is Reach.ALL else self.own


API_NAMES: Final = RoleNames("suifang_api_process", "suifang_api", "suifang_api_all")
DELIVER_NAMES: Final = RoleNames("suifang_deliver", "suifang_deliver_own", "suifang_deliver_all")
_REMEMBERED_MAX: Final = 2_000
# Before the first migration there is no such role, and nothing to protect.
_BECOME_PROCESS: Final = """
SELECT set_config('role', %(role)s, false)
WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s)"""


def settings_of(principal: Principal, *, at: datetime | None, names: RoleNames = API_NAMES) -> str:
    """A statement that makes the present transaction the principal's, at a time or at none.

    Cost: cached by principal; the database looks at the teams of its centres, if it has any.
    """
    timed = "" if at is None else f"set_config('suifang.at', {_quoted(at.isoformat())}, true), "
    return f"SELECT {timed}{_settings_of(principal, names)}"


def statement_for(principal: Principal, names: RoleNames = API_NAMES) -> Ready:
    """The same to be asked together with what the principal asks; for reading only."""
    return _statement_for(principal, names)


@lru_cache(maxsize=_REMEMBERED_MAX)
def _statement_for(principal: Principal, names: RoleNames) -> Ready:
    text = f"SELECT {_list_settings(principal)}".encode()
    return make_ready(Statement(text, _values(principal, names)))


@lru_cache(maxsize=_REMEMBERED_MAX)
def _settings_of(principal: Principal, names: RoleNames) -> str:
    quoted = {name: _quoted(value) for name, value in _values(principal, names).items()}
    return _list_settings(principal) % quoted


def _list_settings(principal: Principal) -> str:
    """SQL; the role last: it may not look at teams of others."""
    teams, found = "%(teams)s::text[]", {"suifang.subject": "%(subject)s"}
    if principal.sees_measured:
        found["suifang.measured"] = "'on'"
    if Role.AUDITOR in principal.roles:
        found["suifang.audit"] = "'on'"
    if principal.seen_centre_ids:
        found["suifang.centres"] = "%(centres)s::text[]::text"
        of_centres = "SELECT id FROM team WHERE centre_id = ANY(%(centres)s::text[])"
        teams = f"ARRAY(SELECT unnest({teams}) UNION {of_centres})"
    if principal.seen_team_ids or principal.seen_centre_ids:
        found["suifang.teams"] = f"{teams}::text"
    found["role"] = "%(role)s"
    return ", ".join(f"set_config('{name}', {value}, true)" for name, value in found.items())


def _values(principal: Principal, names: RoleNames) -> dict[str, Any]:
    return {
        "subject": principal.subject,
        "centres": sorted(principal.seen_centre_ids),
        "teams": sorted(principal.seen_team_ids),
        "role": names.of(principal.reach),
    }


def _quoted(value: object) -> str:
    return Literal(value).as_string(None)


async def become_intake(connection: AsyncConnection[Any]) -> None:
    """Go on as ingest does, to the end of the transaction: what the principal may is seen by then.

    The subject stays, for the audit log.
    """
    await connection.execute("SELECT set_config('role', 'suifang_api_intake', true)")


async def become_operations(connection: AsyncConnection[Any]) -> None:
    """Go on as operators do, to the end of the transaction: that the principal may is known.

    The subject stays, for the audit log. This role reads nothing of a resident but the quarantine.
    """
    await connection.execute("SELECT set_config('role', 'suifang_api_operations', true)")


async def become_process(connection: AsyncConnection[Any], names: RoleNames = API_NAMES) -> None:
    """Make a fresh connection the process's own: it sees no resident's data."""
    await connection.execute(_BECOME_PROCESS, {"role": names.process})
