"""Residents whom another system brings: written once, by the one function that writes residents.

It must never change anybody who is there: that is the contract system's.
"""

from dataclasses import dataclass
from datetime import datetime

from api.auth.permissions import Permission
from api.auth.principal import Principal, Reach
from api.fhir import intake_queries
from api.fhir.codes import TEAM_IDS
from api.fhir.incoming.elements import Element, Unmappable
from api.fhir.incoming.patient import Person
from ingest.db.connections import Connection
from ingest.db.registry import Authorship
from ingest.db.resident_writes import save_residents


def _is_new(_: str, version: int, same: bool) -> bool:  # noqa: FBT001 - ``registry.Permits``
    return version == 0 or same


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Writes residents of one transaction, as its principal."""

    principal: Principal
    at: datetime

    async def write(self, connection: Connection, resource: Element, person: Person) -> int:
        """Have this resident there; 201: is now, 200: was before.

        Raises:
            Unmappable: Not by this one, or not so.
        """
        resident = person.resident
        if await intake_queries.find_seen(connection, [resident.id]):
            return 200
        if person.ours:
            path = f"{resource.path}.identifier"
            raise Unmappable(path=path, value="", remedy="no such resident, or not yours")
        if not self.principal.may(Permission.RESIDENTS_WRITE):
            remedy = "a new resident needs residents:write"
            raise Unmappable(path=resource.path, value="", remedy=remedy)
        if self.principal.reach is not Reach.ALL and not await intake_queries.is_own_team(
            connection, resident.team_id
        ):
            path = f"{resource.path}.generalPractitioner"
            remedy = f"name a team of yours, as {TEAM_IDS}|…"
            raise Unmappable(path=path, value="", remedy=remedy)
        by = Authorship(author=self.principal.subject, at=self.at, permits=_is_new)
        (written,) = await save_residents(connection, [resident], by)
        if written.refusal is not None:
            path = f"{resource.path} ({written.refusal.field})"
            raise Unmappable(path=path, value="", remedy=written.refusal.remedy)
        return 201
