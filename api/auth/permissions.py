"""Roles, and what each may do: the one table that routes, tokens, keys and documents share.

A route names one permission; a role holds a set of them; an API key holds a subset of its role's.
*Which* residents one may see is another question, answered by ``Principal.reach`` and, in the
database, by row-level security. Invariant: what is not in this table is not allowed.
"""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What somebody is. The names are those of the token's ``roles`` claim."""

    DOCTOR = "doctor"
    TEAM_LEADER = "team_leader"
    CENTRE_ADMIN = "centre_admin"
    CONTRACT_SYSTEM = "contract_system"
    SUPERVISOR = "supervisor"
    OPS = "ops"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """What a route needs. Also the scopes of an API key."""

    CASES_READ = "cases:read"
    ALERTS_READ = "alerts:read"
    ALERTS_WRITE = "alerts:write"  # Acknowledge, snooze.
    READINGS_READ = "readings:read"
    READINGS_WRITE = "readings:write"  # Correct, retract, claim.
    FOLLOWUPS_READ = "followups:read"
    FOLLOWUPS_WRITE = "followups:write"  # Visits, referrals, contact attempts, overrides.
    RESIDENTS_READ = "residents:read"  # With name and ID number.
    RESIDENTS_WRITE = "residents:write"  # Residents, conditions, contracts, erasure.
    REGISTER_READ = "register:read"  # Centres, teams, staff, packages.
    REGISTER_WRITE = "register:write"
    EVENTS_READ = "events:read"  # The change feed.
    WEBHOOKS_WRITE = "webhooks:write"
    INDICATORS_READ = "indicators:read"
    EXPORTS_READ = "exports:read"
    OPERATIONS_READ = "operations:read"  # Fleet, lag, queues, quarantine without payloads.
    OPERATIONS_WRITE = "operations:write"  # Enrol, revoke, replay, drop; heavy questions.
    PAYLOADS_READ = "payloads:read"  # Raw bytes in quarantine: health data under pseudonyms.
    AUDIT_READ = "audit:read"


_P = Permission
_DOCTOR: Final = frozenset(
    {
        _P.CASES_READ,
        _P.ALERTS_READ,
        _P.ALERTS_WRITE,
        _P.READINGS_READ,
        _P.READINGS_WRITE,
        _P.FOLLOWUPS_READ,
        _P.FOLLOWUPS_WRITE,
        _P.RESIDENTS_READ,
        _P.REGISTER_READ,
        _P.INDICATORS_READ,
        _P.EVENTS_READ,
    }
)
_LEADER: Final = _DOCTOR | {_P.EXPORTS_READ}

PERMISSIONS: Final[dict[Role, frozenset[Permission]]] = {
    Role.DOCTOR: _DOCTOR,
    Role.TEAM_LEADER: _LEADER,
    Role.CENTRE_ADMIN: _LEADER | {_P.RESIDENTS_WRITE, _P.REGISTER_WRITE},
    Role.CONTRACT_SYSTEM: _LEADER | {_P.RESIDENTS_WRITE, _P.REGISTER_WRITE, _P.WEBHOOKS_WRITE},
    # Pseudonymous lists of whom a figure rests on; no name, no measured value, nothing written.
    Role.SUPERVISOR: frozenset(
        {_P.CASES_READ, _P.ALERTS_READ, _P.REGISTER_READ, _P.INDICATORS_READ}
    ),
    # Sees no resident; of what is in quarantine the raw bytes, one by one and noted.
    Role.OPS: frozenset({_P.OPERATIONS_READ, _P.OPERATIONS_WRITE, _P.PAYLOADS_READ}),
    Role.AUDITOR: frozenset({_P.AUDIT_READ}),
}

CARE: Final = frozenset({Role.DOCTOR, Role.TEAM_LEADER, Role.CENTRE_ADMIN})
"""Roles that one person may hold together. Each other role stands alone in a token: the union of
what a supervisor sees everywhere and a doctor sees closely would be more than both."""
