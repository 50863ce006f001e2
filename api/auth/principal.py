"""Who asks: made from a checked token or key, handed to every query, never changed.

It must never hold a name, an ID number or the credential itself. Invariants: what it may do comes
from ``permissions.py``; whom it may see comes from ``reach``, ``seen_team_ids`` and
``seen_centre_ids``, which the database enforces by row-level security.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal, Self

from api.auth.permissions import CARE, PERMISSIONS, Permission, Role

Kind = Literal["person", "machine", "local"]
_REMEMBERED_MAX: Final = 2_000  # Roles and scopes as they come together.


class Reach(StrEnum):
    """Whose residents one may see at all."""

    NONE = "none"
    OWN = "own"  # Those of ``seen_team_ids`` and of the teams of ``seen_centre_ids``.
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """One person or machine, as its credential says.

    Attributes:
        subject: Opaque and stable: the token's ``sub``, or the id of an API key.
        kind: A person by token, a machine by key, or whoever is at this machine
            (``API_AUTHENTICATION=off``).
        roles: At least one, unless the credential is good for nothing.
        team_ids: Teams it belongs to.
        centre_ids: Centres it belongs to.
        scopes: Of a key: all that it may do, at most; None: whatever its roles may.
        expires_at: When its credential ends; None: never, as for ``LOCAL``.
    """

    subject: str
    kind: Kind
    roles: frozenset[Role]
    team_ids: frozenset[str] = frozenset()
    centre_ids: frozenset[str] = frozenset()
    scopes: frozenset[Permission] | None = None
    expires_at: datetime | None = None

    @property
    def permissions(self) -> frozenset[Permission]:
        """Everything it may do."""
        return _find_permissions(self.roles, self.scopes)

    def may(self, permission: Permission) -> bool:
        """Whether a route that needs this permission is open."""
        return permission in self.permissions

    @property
    def reach(self) -> Reach:
        """Whose residents it may see."""
        if self.kind == "local":
            return Reach.ALL
        if self.roles & CARE:
            return Reach.OWN
        if self.roles & {Role.CONTRACT_SYSTEM, Role.SUPERVISOR}:
            return Reach.OWN if self.centre_ids else Reach.ALL
        return Reach.NONE

    @property
    def seen_team_ids(self) -> frozenset[str]:
        """Teams whose residents it sees for being in the team."""
        return self.team_ids if self.roles & {Role.DOCTOR, Role.TEAM_LEADER} else frozenset()

    @property
    def seen_centre_ids(self) -> frozenset[str]:
        """Centres whose residents, and readings of nobody known, it sees."""
        whole = {Role.CENTRE_ADMIN, Role.CONTRACT_SYSTEM, Role.SUPERVISOR}
        return self.centre_ids if self.roles & whole else frozenset()

    @property
    def sees_measured(self) -> bool:
        """Whether measured values and records of visible residents are visible, too."""
        return self.kind == "local" or bool(self.roles & (CARE | {Role.CONTRACT_SYSTEM}))

    @classmethod
    def local(cls) -> Self:
        """Whoever is at this machine, when authentication is off: everything, everywhere."""
        return cls(subject="local", kind="local", roles=frozenset(Role))


@lru_cache(maxsize=_REMEMBERED_MAX)
def _find_permissions(
    roles: frozenset[Role], scopes: frozenset[Permission] | None
) -> frozenset[Permission]:
    held = frozenset[Permission]().union(*(PERMISSIONS[role] for role in roles))
    return held if scopes is None else held & scopes


LOCAL: Final = Principal.local()
