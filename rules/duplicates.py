"""Which readings are the same measurement again, and which contradict one another.

The stored path settles this in the database as readings come (``ingest.db.readings``); here it
is done on columns, for files and for histories from elsewhere. Both follow one rule.

Source: clinical decision table 2.6; architecture section 8, item 9; docs/decisions/0011, item 1.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from rules.columns import BoolArray
from rules.effective_time import correct_times
from rules.reported import NO_SEQUENCE, STATUS_TIME_FAULT, Reported
from rules.runs import begins_where, number_runs


def find_duplicates(reported: Reported) -> tuple[BoolArray, BoolArray]:
    """Flag duplicates and conflicts; the first to be received, then the smaller id, stays.

    A duplicate has the id of an earlier reading, or device, sequence, arm and values of one
    (without a sequence: device, credible device time, arm and values). A conflict has device,
    sequence and arm of an earlier one but other values. The resident is part of every key.

    Returns:
        ``duplicate`` and ``conflict``, shape (n,) each, never both.

    Cost: two sorts.
    """
    order = np.lexsort((*_id_keys(reported), reported.received_at))
    again = np.zeros(len(reported), dtype=np.bool_)
    again[order] = _repeats(order, *_id_keys(reported))
    credible = ~np.isnat(reported.measured_at) & ~_is_suspect(reported)
    numbered = reported.sequence != NO_SEQUENCE
    duplicate, conflict = again.copy(), np.zeros_like(again)
    values = _values(reported)
    timed = order[(~numbered & credible & ~again)[order]]
    duplicate[timed] = _repeats(
        timed, reported.resident, reported.device, reported.measured_at, *values
    )
    _tell_apart(order[(numbered & ~again)[order]], reported, values, (duplicate, conflict))
    return duplicate, conflict


def _tell_apart(
    rows: npt.NDArray[np.intp],
    reported: Reported,
    values: tuple[npt.NDArray[Any], ...],
    found: tuple[BoolArray, BoolArray],
) -> None:
    """Of readings with one sequence number: same values as the first, or a conflict."""
    keys = (reported.arm, reported.sequence, reported.device, reported.resident)
    place = np.lexsort(tuple(key[rows] for key in keys))
    ordered = rows[place]
    first, run = number_runs(begins_where(*(key[ordered] for key in keys)))
    if not len(ordered):
        return
    head = ordered[first][run]
    later = ordered != head
    same = np.ones(len(ordered), dtype=np.bool_)
    for value in values:
        same &= value[ordered] == value[head]
    duplicate, conflict = found
    duplicate[ordered[later & same]] = True
    conflict[ordered[later & ~same]] = True


def _is_suspect(reported: Reported) -> BoolArray:
    """Whether the device's time, corrected where it can be, does not say *when*.

    By what the device and its gateway said alone, so that a redelivery is judged alike: a clock
    stuck at 1970 makes no two readings one.
    """
    _, suspect = correct_times(
        measured_at=reported.measured_at,
        device_now=reported.device_now,
        captured_at=reported.captured_at,
        arrived_at=reported.captured_at,
        time_fault=(reported.status & STATUS_TIME_FAULT) != 0,
    )
    return suspect


def _values(reported: Reported) -> tuple[npt.NDArray[Any], ...]:
    """What must agree for two readings to be one."""
    return (
        reported.kind,
        reported.systolic_e4,
        reported.diastolic_e4,
        reported.glucose_e7,
        reported.unit,
        reported.arm,
    )


def _id_keys(reported: Reported) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    halves = np.ascontiguousarray(reported.ids).view(">u8").reshape(-1, 2)
    return halves[:, 1], halves[:, 0]


def _repeats(rows: npt.NDArray[np.intp], *keys: npt.NDArray[Any]) -> BoolArray:
    """For rows in order of arrival: whether an earlier one has the same keys."""
    flags = np.zeros(len(rows), dtype=np.bool_)
    if len(rows):
        place = np.lexsort(tuple(key[rows] for key in keys))  # Stable: arrival order inside.
        ordered = rows[place]
        flags[place] = ~begins_where(*(key[ordered] for key in keys))
    return flags
