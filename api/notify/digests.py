"""The digest of each shift: what stands open for somebody, in counts and pseudonyms.

Once a shift and person, the first time when a shift begins after the contact was made; of shifts
that passed while no notifier ran only the last is told. Who has nothing open gets none.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from psycopg.rows import dict_row

from api.local_days import local_day
from api.notify.ladder import RUNGS, Rung
from api.notify.notifiers import Notifier
from api.notify.people import Crew, Person, load_crew
from api.notify.planning import Letter, as_told, write_letters
from api.notify.settings import NotifySettings
from ingest.db.connections import Connection

LISTED_MAX: Final = 50  # Alerts named in one digest; the counts are of all.
_OPEN: Final = """
SELECT a.id, a.resident_id, a.team_id, a.severity, a.raised_at, a.escalation,
       t.acknowledged_at IS NOT NULL AS acknowledged,
       coalesce(t.snoozed_until > %(now)s, false) AS snoozed
FROM alert a LEFT JOIN alert_attention t ON t.alert_id = a.id LEFT JOIN team m ON m.id = a.team_id
WHERE a.status = 'active'
  AND (a.team_id = ANY(%(teams)s) OR coalesce(m.centre_id, a.centre_id) = %(centre)s)
ORDER BY severity_rank(a.severity) DESC, a.escalation DESC, a.number"""
_UNTIL: Final = "UPDATE staff_contact SET digest_until = %s WHERE staff_id = ANY(%s)"


async def plan_digests(
    connection: Connection, channels: Sequence[Notifier], settings: NotifySettings, *, now: datetime
) -> int:
    """Plan the digests that are due; return how many people that concerns."""
    async with connection.transaction():
        crew = await load_crew(connection, channels, settings.hours, today=local_day(now))
        due = [(person, shift) for person in crew.people if (shift := _shift(crew, person, now))]
        letters = []
        for person, _ in due:
            if person.digest_until is not None:
                letter = await _write(connection, person, now)
                letters += [letter] if letter.counts["active"] else []
        await write_letters(connection, letters, now=now)
        for shift in {shift for _, shift in due}:
            ids = [person.recipient.staff_id for person, begun in due if begun == shift]
            await connection.execute(_UNTIL, (shift, ids))
    return len(due)


def _shift(crew: Crew, person: Person, now: datetime) -> datetime | None:
    """The shift that has begun and was not told yet."""
    team = min(person.team_ids, default=None)
    begun = crew.hours(team, person.centre_id).last_shift(now)
    if begun is None or (person.digest_until is not None and begun <= person.digest_until):
        return None
    return begun


async def _write(connection: Connection, person: Person, now: datetime) -> Letter:
    asked = {
        "now": now,
        "teams": sorted(person.team_ids),
        "centre": person.centre_id if Rung.CENTRE in person.duties else None,
    }
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_OPEN, asked)
        rows = await cursor.fetchall()
    open_ = [row for row in rows if not row["acknowledged"] and not row["snoozed"]]
    counts = {
        "active": len(rows),
        "acknowledged": sum(row["acknowledged"] for row in rows),
        "snoozed": sum(row["snoozed"] for row in rows),
        **{
            f"open_{severity}": sum(row["severity"] == severity for row in open_)
            for severity in ("critical", "high", "warn", "info")
        },
    }
    rung = min((Rung(duty) for duty in person.duties), key=RUNGS.index)
    named = [
        as_told(row, row["id"], rung, step=row["escalation"], held=False)
        for row in open_[:LISTED_MAX]
    ]
    return Letter(person, "digest", named, [], counts)
