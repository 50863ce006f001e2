"""Between which closures a reading lies, and whether it counts at all.

A closure (death, moved away, contract ended) begins a rest that lasts until the resident
returns. What is measured meanwhile counts for nothing but emergencies.

Source: clinical decision table 2.4; docs/decisions/0011, item 14.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rules.codes import Condition, RecordKind
from rules.columns import BOTH_CONDITIONS, BoolArray, Int64Array, Readings, Records
from rules.machine import IS_QUIET
from rules.runs import RowArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """Row-aligned with the sorted readings, and the closures themselves."""

    judged: BoolArray  # Countable, and not measured while closed.
    number: npt.NDArray[np.int16]  # How many closures lie before the reading.
    settled: dict[Condition, npt.NDArray[np.int16]]
    """How many words of a person that settle a case (a referral followed up, a quiet override) lie
    before the reading: what is measured after one is another assessment. Empty: nobody's."""
    closed_resident: Int64Array  # Of each closure that took effect, by (resident, time).
    closed_moment: RowArray

    def closure_after(self, resident: Int64Array, phase: npt.NDArray[np.int16]) -> RowArray:
        """Moment of the closure that ended each (resident, phase), -1 where none has."""
        low = np.searchsorted(self.closed_resident, resident, side="left") + phase
        high = np.searchsorted(self.closed_resident, resident, side="right")
        if not len(self.closed_moment):
            return np.full(len(resident), -1, dtype=np.intp)
        moment = self.closed_moment[np.minimum(low, len(self.closed_moment) - 1)]
        return np.where(low < high, moment, -1)


def find_phases(ordered: Readings, records: Records, closed: Int64Array) -> Phases:
    """Which sorted readings count, and in which phase.

    Args:
        ordered: Readings in the order of ``sort_in_time``.
        records: In any order. A reading at the very instant of a closure still counts, one at
            the instant of a return does not yet.
        closed: Residents who are closed from the start, by a checkpoint.
    """
    judged = ordered.countable
    number = np.zeros(len(ordered), dtype=np.int16)
    settled = _find_settled(ordered, records)
    turns = np.flatnonzero(np.isin(records.kind, (RecordKind.CLOSURE, RecordKind.RETURN)))
    if len(closed):
        judged = judged & ~np.isin(ordered.resident, closed)
    if not len(turns):
        nobody = np.zeros(0, dtype=np.intp)
        return Phases(
            judged=judged,
            number=number,
            settled=settled,
            closed_resident=nobody,
            closed_moment=nobody,
        )
    rows = _effective_turns(records, turns, closed)
    closes = records.kind[rows] == RecordKind.CLOSURE
    judged = judged.copy()
    for row, is_closure in zip(rows, closes, strict=True):
        low = np.searchsorted(ordered.resident, records.resident[row], side="left")
        high = np.searchsorted(ordered.resident, records.resident[row], side="right")
        at = low + np.searchsorted(ordered.effective_at[low:high], records.at[row], side="right")
        number[at:high] += is_closure
        judged[at:high] = ordered.countable[at:high] & ~is_closure
    return Phases(
        judged=judged,
        number=number,
        settled=settled,
        closed_resident=records.resident[rows[closes]],
        closed_moment=rows[closes] + len(ordered),
    )


def _find_settled(ordered: Readings, records: Records) -> dict[Condition, npt.NDArray[np.int16]]:
    ends = records.kind == RecordKind.REFERRAL_FOLLOWUP
    ends |= (records.kind == RecordKind.OVERRIDE) & IS_QUIET.take(records.state)
    found: dict[Condition, npt.NDArray[np.int16]] = {}
    for row in np.flatnonzero(ends):
        low = np.searchsorted(ordered.resident, records.resident[row], side="left")
        high = np.searchsorted(ordered.resident, records.resident[row], side="right")
        at = low + np.searchsorted(ordered.effective_at[low:high], records.at[row], side="right")
        for condition in Condition:
            if records.condition[row] in (BOTH_CONDITIONS, condition):
                column = found.setdefault(condition, np.zeros(len(ordered), dtype=np.int16))
                column[at:high] += 1
    return found


def _effective_turns(records: Records, turns: RowArray, closed: Int64Array) -> RowArray:
    """Closures and returns by (resident, instant, id) that change something."""
    halves = np.ascontiguousarray(records.ids[turns]).view(">u8").reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0], records.at[turns], records.resident[turns]))
    rows = turns[order]
    resident, kind = records.resident[rows], records.kind[rows]
    begins = np.ones(len(rows), dtype=np.bool_)
    begins[1:] = resident[1:] != resident[:-1]
    first = np.where(np.isin(resident, closed), RecordKind.RETURN, RecordKind.CLOSURE)
    changes = begins & (kind == first)
    changes[1:] |= ~begins[1:] & (kind[1:] != kind[:-1])
    effective: RowArray = rows[changes]
    return effective
