"""From readings, records and residents to cases, alerts and the next moment to ask again.

    order ─▶ emergencies ─┬────────────────────────────────▶ events ─▶ fold ─▶ cases, alerts
                          ├▶ office sessions ─▶ findings ─▶ assessments ─┘
    records ──────────────┼──────────────────────────────────────┘
                          └▶ home sessions, postprandial, arms ─▶ advisories ─▶ alerts

Pure: the same rows in any order, with the same ``as_of``, give the same judgement. All
residents of a block are judged at once, block after block, so that the working set stays in
the cache and memory does not grow with the population; nothing here loops over residents.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np

from rules.block import judge_block
from rules.carried import Carried
from rules.columns import Int64Array, Readings, Records, Residents
from rules.errors import UnknownCodeError
from rules.judgement import Alerts, Cases, Judgement, Trace
from rules.limits import ProfileTable
from rules.runs import RowArray, stack_tables

__all__ = ["Alerts", "Cases", "Judgement", "judge"]

RESIDENTS_PER_BLOCK: Final = 1 << 13
"""Keeps the working set of a block with ten readings a resident in the second-level cache."""
_NO_ROWS: Final = np.zeros(0, dtype=np.intp)
Rows = TypeVar("Rows", Readings, Records)


def judge(
    readings: Readings,
    records: Records,
    residents: Residents,
    limits: ProfileTable,
    *,
    as_of: np.datetime64,
    session_wait: np.timedelta64 | None = None,
    start: Carried | None = None,
) -> Judgement:
    """Judge all residents on all that is known, as the clock stands at ``as_of``.

    Emergencies count at once; a session counts once some minutes have passed since its last
    reading arrived. Due days and overdue are local calendar days of the profiles' zone.

    Args:
        readings: Every usable reading of these residents, in any order.
        records: What people recorded about them, in any order.
        residents: m residents; ``resident`` columns are rows here.
        limits: The profiles in use.
        as_of: The clock, UTC.
        session_wait: Instead of the profiles', for demonstrations.
        start: A checkpoint: what is older is folded already and left out. The alerts told are
            those open at the checkpoint and those of the tail.

    Raises:
        UnknownCodeError: A reading or record names a row that ``residents`` does not have.
    """
    for column in (readings.resident, records.resident):
        _require_rows(column, len(residents))
    now = as_of.astype("datetime64[us]")
    if session_wait is not None:
        wait = int(session_wait / np.timedelta64(1, "us"))
        limits = replace(limits, session_wait_us=np.full_like(limits.session_wait_us, wait))
    parts = []
    for low, every, all_said in _blocks(readings, records, len(residents)):
        high = min(low + RESIDENTS_PER_BLOCK, len(residents))
        past, kept, mine, said = None, _NO_ROWS, every, all_said
        if start is not None:
            past, kept = start.of(low, high)
            mine, said = _tail(readings, records, every, all_said, start)
        judgement, order = judge_block(
            _from(readings.take(mine), low),
            _from(records.take(said), low),
            residents.of(low, high),
            limits,
            as_of=now,
            start=past,
        )
        sorted_rows = _as_rows(mine)[order]
        first = np.cumsum([0, len(readings), len(records), len(residents)])
        moments = (sorted_rows, _as_rows(said), np.arange(low, high), kept)
        rows = np.concatenate([at + part for at, part in zip(first, moments, strict=True)])
        parts.append((_translate(judgement, rows, low), sorted_rows))
    return _put_together(parts, len(readings))


def _tail(
    readings: Readings,
    records: Records,
    mine: RowArray | slice,
    said: RowArray | slice,
    start: Carried,
) -> tuple[RowArray, RowArray]:
    """Of the rows of a block those that the checkpoint has not folded."""
    rows, noted = _as_rows(mine), _as_rows(said)
    past = start.is_past(readings.resident[rows], readings.effective_at[rows])
    before = start.is_past(records.resident[noted], records.at[noted])
    return rows[~past], noted[~before]


def _require_rows(resident: Int64Array, residents: int) -> None:
    if len(resident) and not 0 <= resident.min() <= resident.max() < residents:
        msg = f"resident must be a row of the {residents} residents"
        raise UnknownCodeError(msg)


def _blocks(
    readings: Readings, records: Records, residents: int
) -> Iterator[tuple[int, RowArray | slice, RowArray | slice]]:
    """First resident, rows of readings and rows of records of each block; at least one block."""
    cuts = range(0, max(residents, 1), RESIDENTS_PER_BLOCK)
    parts = [_cut(column, len(cuts)) for column in (readings.resident, records.resident)]
    yield from zip(cuts, *parts, strict=True)


def _cut(resident: Int64Array, blocks: int) -> list[RowArray | slice]:
    """Rows of each block: slices where the rows come by resident already."""
    block = resident // RESIDENTS_PER_BLOCK
    if not (block[1:] < block[:-1]).any():
        bounds = np.searchsorted(block, np.arange(blocks + 1)).tolist()
        return [slice(low, high) for low, high in pairwise(bounds)]
    order = np.argsort(block.astype(np.int32), kind="stable")
    bounds = np.searchsorted(block[order], np.arange(blocks + 1)).tolist()
    return [order[low:high] for low, high in pairwise(bounds)]


def _as_rows(chosen: RowArray | slice) -> RowArray:
    return np.arange(chosen.start, chosen.stop) if isinstance(chosen, slice) else chosen


def _from(rows: Rows, low: int) -> Rows:
    return replace(rows, resident=rows.resident - low) if low else rows


def _translate(judgement: Judgement, rows: RowArray, low: int) -> Judgement:
    """Anchors of the sorted block to the caller's rows, residents likewise."""
    known = np.append(rows, -1)  # So that -1 stays -1.
    cases, alerts, trace = judgement.cases, judgement.alerts, judgement.trace
    return Judgement(
        cases=replace(
            cases,
            resident=cases.resident + low,
            anchor=known[cases.anchor],
            decided=known[cases.decided],
        ),
        alerts=replace(
            alerts,
            resident=alerts.resident + low,
            anchor=known[alerts.anchor],
            decided=known[alerts.decided],
            resolved_by=known[alerts.resolved_by],
        ),
        next_tick=judgement.next_tick,
        high_normal_on=judgement.high_normal_on,
        third_reading=known[judgement.third_reading],
        trace=Trace(session=known[trace.session], group=known[trace.group]),
    )


def _put_together(parts: list[tuple[Judgement, RowArray]], readings: int) -> Judgement:
    """The blocks as one judgement; the trace back in the caller's order."""
    found = [judgement for judgement, _ in parts]
    session, group = np.full((2, readings), -1, dtype=np.int64)
    for judgement, rows in parts:
        session[rows] = judgement.trace.session
        group[rows] = judgement.trace.group
    return Judgement(
        cases=stack_tables([each.cases for each in found]),
        alerts=stack_tables([each.alerts for each in found]),
        next_tick=np.concatenate([each.next_tick for each in found]),
        high_normal_on=np.concatenate([each.high_normal_on for each in found]),
        third_reading=np.concatenate([each.third_reading for each in found]),
        trace=Trace(session=session, group=group),
    )
