"""The alerts of readings that are nobody's, when something is said of them later.

Ingest raises such an alert at once and for the centre; no resident's case brings it back. So after
a claim was undone, or such a reading was corrected or retracted, it is looked at by itself, as
ingest did, with what was said of it. An alert of a reading that is somebody's is left to the judge
of that resident. Invariants: one alert a reading and code, whoever raised it and whose it was
meanwhile; its row is locked before what was said is read, so that the last word wins.
"""

from datetime import datetime
from uuid import UUID

import numpy as np

from ingest.columns import to_amendments
from ingest.db import alerts, amendments, history, outbox, unclaimed
from ingest.db.alerts import AlertRow, Standing, alert_id
from ingest.db.connections import Connection
from ingest.db.outbox import Event
from ingest.db.unclaimed import UnclaimedRow
from ingest.emergencies import alert_row, judge_alone
from rules.limits import ProfileTable
from rules.machine import EMERGENCY_CODES
from rules.normalise import normalise
from rules.runs import stack_tables

_CONDITIONS = {"blood_pressure": "hypertension", "glucose": "diabetes"}


async def settle_unclaimed(connection: Connection, limits: ProfileTable, *, now: datetime) -> int:
    """Make the alerts of some readings that are nobody's what they should be. Commits.

    Args:
        connection: In autocommit mode, outside a transaction.
        limits: The deployment's.
        now: The clock.

    Returns:
        How many readings were looked at. Cost: one statement when there are none.
    """
    async with connection.transaction():
        noted = await unclaimed.take(connection)
        if not noted:
            return 0
        possible = [
            alert_id(None, _CONDITIONS[row.kind], code.name, row.id)
            for row in noted
            for code in EMERGENCY_CODES
        ]
        stored = {row.id: row.standing for row in await alerts.lock(connection, possible)}
        owned = await unclaimed.find_owned(connection, [row.id for row in noted])
        mine = {row.id: row for row in noted if row.id not in owned}
        wanted = await _judge(connection, mine, limits, at=now)
        changed = _compare(stored, wanted, mine)
        centres = {row.id: row.centre_id for row in mine.values()}
        moved = await alerts.update(connection, changed, centres=centres, at=now)
        rows = [row for id_, row in wanted.items() if id_ not in stored]
        new = await alerts.insert_new(connection, rows)
        events = [Event("alert.raised", row.as_event(None)) for row in rows if row.id in new] + [
            Event("alert.changed", row.as_event(None)) for row in moved
        ]
        await outbox.insert(connection, events, at=now)
    return len(noted)


async def _judge(
    connection: Connection, mine: dict[UUID, UnclaimedRow], limits: ProfileTable, *, at: datetime
) -> dict[UUID, AlertRow]:
    """The alerts that these readings make as they stand now, by id."""
    if not mine:
        return {}
    said = await amendments.fetch_said(connection, (), list(mine))
    reported = stack_tables(
        [
            await history.fetch_reported(connection, (), list(mine), table=table)
            for table in ("reading", "reading_held")
        ]
    )
    places = {id_: row for row, id_ in enumerate(reported.ids.view("V16").tolist())}
    found = normalise(reported, to_amendments(said, places, reported), deduplicate=False)
    ids = [UUID(bytes=id_) for id_ in found.readings.ids.view("V16").tolist()]
    never = np.full(len(ids), fill_value=False)
    urgent = judge_alone([mine[id_] for id_ in ids], found.readings, never, limits)
    rows = [alert_row(emergency, at) for emergency in urgent]
    return {row.id: row for row in rows}


def _compare(
    stored: dict[UUID, Standing], wanted: dict[UUID, AlertRow], mine: dict[UUID, UnclaimedRow]
) -> dict[UUID, Standing]:
    """How stored alerts of readings that are nobody's stand now, where that differs. Pure."""
    changed: dict[UUID, Standing] = {}
    for id_, standing in stored.items():
        if standing.anchor_id not in mine:
            continue
        row = wanted.get(id_)
        if row is None:
            now = standing._replace(resident_id=None, status="cancelled")
        else:
            now = Standing(*(getattr(row, name) for name in Standing._fields))
        if now != standing:
            changed[id_] = now
    return changed
