"""The sorted readings of one block, with everything that is known of each row before judging.

Made once, read by every stage: local day, profile row, emergency, phase. Columns are aligned
with ``ordered``.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from rules.columns import (
    DateArray,
    Int8Array,
    Int64Array,
    Readings,
    Records,
    Residents,
    sort_in_time,
)
from rules.emergencies import flag_emergencies
from rules.limits import ProfileTable, RowOrRows
from rules.local_time import local_date
from rules.moments import choose_rows, choose_urgent_rows
from rules.phases import Phases, find_phases
from rules.runs import RowArray

_NOBODY: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Shape (n,) each, in the order of ``sort_in_time``."""

    ordered: Readings
    order: RowArray  # From sorted rows to the block's.
    day: DateArray  # Local.
    row: RowOrRows  # Profile row that judges the reading,
    urgent_row: RowOrRows  # and the deployment's, which judges emergencies.
    emergency: Int8Array  # ``AlertCode`` or 0.
    phases: Phases
    residents: Residents
    limits: ProfileTable


def set_scene(
    readings: Readings,
    records: Records,
    residents: Residents,
    limits: ProfileTable,
    closed: Int64Array | None = None,
) -> Scene:
    """Sort the readings of a block and find out what each row is.

    Args:
        readings: In any order.
        records: In any order.
        residents: Of the block.
        limits: The profiles in use.
        closed: Residents whom a checkpoint left closed.
    """
    ordered, order = sort_in_time(readings)
    day = local_date(ordered.effective_at, limits.utc_offset)
    urgent_row = choose_urgent_rows(limits, day)
    pregnant = residents.pregnancies.value_on(ordered.resident, day) != np.int8(0)
    return Scene(
        ordered=ordered,
        order=order,
        day=day,
        row=choose_rows(limits, residents, ordered.resident, day),
        urgent_row=urgent_row,
        emergency=flag_emergencies(ordered, pregnant, limits, urgent_row),
        phases=find_phases(ordered, records, _NOBODY if closed is None else closed),
        residents=residents,
        limits=limits,
    )
