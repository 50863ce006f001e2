"""Moments: everything an alert or a case can be anchored at, numbered in one row.

First the sorted readings, then the records, then the residents (a routine visit counts from
the enrolment), then what a checkpoint carried over. An index into this table is called an
anchor everywhere in the fold.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from rules.columns import (
    DateArray,
    IdArray,
    InstantArray,
    Int8Array,
    Int64Array,
    Readings,
    Records,
    Residents,
)
from rules.limits import ProfileTable, RowOrRows, rows_as_column
from rules.local_time import local_date, local_midnight


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Shape (x,) each."""

    ids: IdArray  # Empty for residents.
    at: InstantArray  # Effective time, time of the record, or local midnight of the enrolment.
    received_at: InstantArray
    day: DateArray  # Local.
    row: Int64Array  # Profile row.
    urgent_row: Int64Array  # The deployment's: judges emergencies.

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: npt.NDArray[np.intp]) -> Self:
        """These moments."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def followed_by(self, other: Self) -> Self:
        """These, then those."""
        if not len(other):
            return self
        return type(self)(
            ids=np.concatenate((self.ids, other.ids)),
            at=np.concatenate((self.at, other.at)),
            received_at=np.concatenate((self.received_at, other.received_at)),
            day=np.concatenate((self.day, other.day)),
            row=np.concatenate((self.row, other.row)),
            urgent_row=np.concatenate((self.urgent_row, other.urgent_row)),
        )


def choose_rows(
    limits: ProfileTable, residents: Residents, resident: Int64Array, day: DateArray
) -> RowOrRows:
    """Profile row that judges each (resident, local day)."""
    if len(limits.profiles) == 1:
        return 0
    choice: Int8Array = residents.profiles.value_on(resident, day)
    return limits.choose(choice, day)


def choose_urgent_rows(limits: ProfileTable, day: DateArray) -> RowOrRows:
    """Row of the deployment's profile on each local day."""
    if len(limits.profiles) == 1:
        return 0
    return limits.choose(np.zeros(len(day), dtype=np.int8), day)


def list_moments(
    ordered: Readings, day: DateArray, records: Records, residents: Residents, limits: ProfileTable
) -> Moments:
    """The table of one block, before anything carried over."""
    offset = limits.utc_offset
    enrolled = local_midnight(residents.enrolled_on, offset)
    people = np.arange(len(residents))
    days = np.concatenate((day, local_date(records.at, offset), residents.enrolled_on))
    resident = np.concatenate((ordered.resident, records.resident, people))
    row = choose_rows(limits, residents, resident, days)
    return Moments(
        ids=np.concatenate((ordered.ids, records.ids, np.zeros(len(residents), dtype="S16"))),
        at=np.concatenate((ordered.effective_at, records.at, enrolled)),
        received_at=np.concatenate((ordered.received_at, records.received_at, enrolled)),
        day=days,
        row=rows_as_column(row, len(days)),
        urgent_row=rows_as_column(choose_urgent_rows(limits, days), len(days)),
    )
