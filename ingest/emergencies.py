"""Emergencies at once: from freshly inserted rows to alerts, inside their transaction.

Only rows that were really inserted come here, so a redelivery never alerts twice. The same
code is not raised again for a resident within the profile's repeat time; whatever order the
readings came in, the judge later makes the set of alerts exact. An unclaimed reading's
emergency goes to the centre (architecture 8.5).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from ingest.alert_rows import emergency_row
from ingest.columns import as_history, as_timedelta, flag_pregnant, to_readings
from ingest.db import alerts, outbox, residents
from ingest.db.alerts import AlertRow
from ingest.db.connections import Connection
from ingest.db.readings import HistoryRow, ReadingRow
from ingest.db.residents import Person
from rules.codes import AlertCode
from rules.emergencies import flag_emergencies
from rules.profile import Profile


class EmergencyRaiser:
    """Judges inserted rows one by one, statelessly, and raises what cannot wait."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._repeat = as_timedelta(profile.timing.emergency_repeat)

    async def __call__(
        self, connection: Connection, inserted: Sequence[ReadingRow], at: datetime
    ) -> None:
        """Raise alerts for the emergencies among ``inserted``. Never commits."""
        if not inserted:
            return
        rows = [as_history(row) for row in inserted]
        people = await residents.fetch_people(connection, sorted({r.resident_id for r in rows}))
        found = self._flag(rows, people)
        if not found:
            return
        fresh = await self._without_repeats(connection, found)
        wanted = [emergency_row(row, code, self._profile, at=at) for row, code in fresh]
        new = await alerts.insert_new(connection, wanted)
        events = [
            outbox.Event("alert.raised", alert.as_event(_team(alert, people)))
            for alert in wanted
            if alert.id in new
        ]
        await outbox.insert(connection, events, at=at)

    def _flag(
        self, rows: Sequence[HistoryRow], people: Mapping[str, Person]
    ) -> list[tuple[HistoryRow, AlertCode]]:
        nobody = {row.resident_id: 0 for row in rows}  # Stateless: who it is does not matter.
        codes = flag_emergencies(
            to_readings(rows, nobody), flag_pregnant(rows, people), self._profile
        )
        return [(rows[at], AlertCode(int(codes[at]))) for at in np.flatnonzero(codes).tolist()]

    async def _without_repeats(
        self, connection: Connection, found: list[tuple[HistoryRow, AlertCode]]
    ) -> list[tuple[HistoryRow, AlertCode]]:
        """Leave out a code that this resident has had within the repeat time before.

        Only *before*: of readings that come in the wrong order each one pages, and the judge
        takes back what was too much.
        """
        active = await alerts.fetch_active_times(
            connection,
            sorted({row.resident_id for row, _ in found}),
            sorted({code.name for _, code in found}),
        )
        seen: dict[tuple[str, str], list[datetime]] = {}
        for resident, code_name, effective_at in active:
            seen.setdefault((resident, code_name), []).append(effective_at)
        fresh = []
        for row, code in sorted(found, key=lambda item: (item[0].effective_at, item[0].id)):
            times = seen.setdefault((row.resident_id, code.name), [])
            since = [row.effective_at - at for at in times]
            if row.resident_id and any(timedelta(0) <= span <= self._repeat for span in since):
                continue
            times.append(row.effective_at)
            fresh.append((row, code))
        return fresh


def _team(alert: AlertRow, people: Mapping[str, Person]) -> str | None:
    person = people.get(alert.resident_id or "")
    return None if person is None else person.team_id
