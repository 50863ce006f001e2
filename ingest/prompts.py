"""Words for the display of a terminal, known at COMMIT: call staff, measure again.

Only for a reading taken just now; a prompt is for nobody else. It is no alert and no judgement:
the alert of an emergency is raised whoever looks at a display, and a session is judged by its
mean whether a third reading comes or not. It says nothing of the value. A receipt that is sent once
more has no words: they may be lost with this process, an alert never.

Cost: nothing for a backlog and for large blocks; one question of the index for a few live
pressures.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np

from gateway.wire.limits import to_mmhg
from gateway.wire.receipts import Prompted
from ingest.columns import as_timedelta, to_instants
from ingest.db import sittings
from ingest.db.connections import Connection
from ingest.db.readings import ReadingRow
from ingest.db.sittings import Pressure
from rules.limits import ProfileTable
from rules.local_time import local_date
from rules.moments import choose_urgent_rows
from rules.profile import Timing
from rules.units import MMHG_E13_PER_MMHG

CALL_STAFF: Final = "call_staff"
MEASURE_AGAIN: Final = "measure_again"
TEXTS: Final = {
    CALL_STAFF: "请不要离开，马上告诉工作人员",
    MEASURE_AGAIN: "请静坐五分钟后再测一次",
}
LIVE: Final = timedelta(minutes=2)  # Longer, and whoever was measured has gone.
PRESSURES_MAX: Final = 64  # In one transaction; beyond, it is no time for questions.


class Stored(NamedTuple):
    """A pressure of somebody known, stored just now."""

    id: UUID
    partition_at: datetime


class Prompter:
    """Finds what to say, inside the transaction that stored the readings."""

    def __init__(self, limits: ProfileTable) -> None:
        self._limits = limits

    async def __call__(
        self,
        connection: Connection,
        emergencies: Sequence[ReadingRow],
        pressures: Sequence[Stored],
        at: datetime,
    ) -> list[Prompted]:
        """What to say of the readings of one transaction.

        Args:
            connection: In that transaction.
            emergencies: Readings that cannot wait, whether an alert was raised or repeated.
            pressures: Live ones of somebody known.
            at: The clock.
        """
        urgent = {row.id for row in emergencies}
        found = [
            _prompt(row.id, CALL_STAFF)
            for row in emergencies
            if not row.stored_record and is_live(row.arrived_at, at)
        ]
        asked = [each for each in pressures if each.id not in urgent]
        if 0 < len(asked) <= PRESSURES_MAX:
            timing = self._timing(at)
            gap = as_timedelta(timing.session_gap)
            beside = await sittings.fetch_beside(connection, asked, gap)
            found += [_prompt(id_, MEASURE_AGAIN) for id_ in find_unequal_pairs(beside, timing)]
        return found

    def _timing(self, at: datetime) -> Timing:
        days = local_date(to_instants([at]), self._limits.utc_offset)
        row = int(np.broadcast_to(choose_urgent_rows(self._limits, days), 1)[0])
        timing: Timing = self._limits.profiles[row].timing
        return timing


def is_live(arrived_at: datetime, at: datetime) -> bool:
    """Whether the one who was measured may still be there."""
    return at - arrived_at <= LIVE


def find_unequal_pairs(beside: Sequence[tuple[UUID, Pressure]], timing: Timing) -> list[UUID]:
    """The readings that make a session of exactly two, too far apart on either side. Pure.

    Args:
        beside: Each reading asked about with itself and what stands around it in time: two gaps
            before, one after.
        timing: Longest gap inside a session, and how far apart is too far.

    Source: China 2024 guideline (clinical decision table 1.4); architecture section 8, item 10.
    ``rules.sessions.ask_third`` says the same of all history; a test compares.
    """
    gap = as_timedelta(timing.session_gap)
    limit_mmhg = Decimal(timing.third_reading_mmhg_e13) / MMHG_E13_PER_MMHG
    found = []
    for id_, rows in groupby(sorted(beside, key=itemgetter(0)), key=itemgetter(0)):
        around = sorted((row for _, row in rows), key=lambda row: (row.effective_at, row.id))
        last = next(place for place, row in enumerate(around) if row.id == id_)
        chain = [around[last]]
        for row in reversed(around[:last]):
            if chain[-1].effective_at - row.effective_at <= gap:
                chain.append(row)
            else:
                break
        is_pair = len(chain) == 2 and last == len(around) - 1  # noqa: PLR2004 - two readings
        if is_pair and _differ_by(chain[0], chain[1]) > limit_mmhg:
            found.append(id_)
    return found


def _differ_by(one: Pressure, other: Pressure) -> Decimal:
    """By how many mmHg on the side that differs more; exact."""
    sides = ((one.systolic, other.systolic), (one.diastolic, other.diastolic))
    return max(abs(to_mmhg(mine, one.unit) - to_mmhg(its, other.unit)) for mine, its in sides)


def _prompt(id_: UUID, code: str) -> Prompted:
    return Prompted(id=id_, code=code, text=TEXTS[code])
