"""Who can be told what, as the register and their contacts say it today.

Somebody without a contact is told nothing; somebody whose last day has passed, or whom no channel
reaches, is nobody here. If a rung has nobody, the next one up is told in its place, at once.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from psycopg.rows import dict_row

from api.notify.hours import DutyHours
from api.notify.ladder import RUNGS, Rung
from api.notify.notifiers import Notifier, Recipient
from ingest.db.connections import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who can be told."""

    recipient: Recipient
    centre_id: str
    team_ids: frozenset[str]
    duties: frozenset[str]
    channels: Sequence[str]  # That reach this one; never empty.
    digest_until: datetime | None  # Which shift's digest was the last; None: none yet.

    def is_of(self, rung: Rung, team_id: str | None, centre_id: str | None) -> bool:
        """Whether this one is told as such for a team, or for the centre."""
        if rung not in self.duties:
            return False
        return self.centre_id == centre_id if rung is Rung.CENTRE else team_id in self.team_ids


@dataclass(frozen=True, slots=True)
class Crew:
    """Everybody who can be told, and the hours of places."""

    people: Sequence[Person]
    hours_of: Mapping[tuple[str, str | None], DutyHours]
    usual: DutyHours

    def hours(self, team_id: str | None, centre_id: str | None) -> DutyHours:
        """The team's, else the centre's, else the deployment's."""
        of_centre = self.hours_of.get(("centre", centre_id), self.usual)
        return self.hours_of.get(("team", team_id), of_centre)

    def find(
        self,
        rung: Rung,
        team_id: str | None,
        centre_id: str | None,
        *,
        lost: AbstractSet[str] = frozenset(),
    ) -> tuple[Rung, Sequence[Person]]:
        """Those of a rung, or of the first above it that has anybody; none at all: ``[]``.

        Args:
            rung: Who is to be told.
            team_id: Of the alert.
            centre_id: Of the alert.
            lost: Whom no message has reached lately: as if they were not there.
        """
        there = [person for person in self.people if person.recipient.staff_id not in lost]
        for each in RUNGS[RUNGS.index(rung) :]:
            found = [person for person in there if person.is_of(each, team_id, centre_id)]
            if found:
                return each, found
        return rung, []


_CONTACTS: Final = """
SELECT c.staff_id, c.email, c.phone, c.duties, c.digest_until, s.centre_id,
       ARRAY(SELECT t.team_id FROM staff_team t WHERE t.staff_id = s.id) AS team_ids
FROM staff_contact c JOIN staff s ON s.id = c.staff_id
WHERE s.since <= %(today)s AND (s.until IS NULL OR s.until >= %(today)s)
ORDER BY c.staff_id"""
_HOURS: Final = "SELECT kind, id, quiet_from, quiet_until, shifts FROM duty_hours"


async def load_crew(
    connection: Connection, channels: Sequence[Notifier], usual: DutyHours, *, today: date
) -> Crew:
    """Everybody, and all hours. Cost: a row for each of some thousand people of a city."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_CONTACTS, {"today": today})
        contacts = await cursor.fetchall()
        await cursor.execute(_HOURS)
        hours = {(row.pop("kind"), row.pop("id")): DutyHours(**row) async for row in cursor}
    people = []
    for row in contacts:
        recipient = Recipient(staff_id=row["staff_id"], email=row["email"], phone=row["phone"])
        reached = [channel.name for channel in channels if channel.reaches(recipient)]
        if reached:
            person = Person(
                recipient=recipient,
                centre_id=row["centre_id"],
                team_ids=frozenset(row["team_ids"]),
                duties=frozenset(row["duties"]),
                channels=reached,
                digest_until=row["digest_until"],
            )
            people.append(person)
    return Crew(people, hours, usual)
