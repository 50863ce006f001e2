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
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np

from rules.block import judge_block
from rules.carried import Carried
from rules.columns import Int64Array, Readings, Records, Residents
from rules.errors import UnknownCodeError
from rules.judgement import Alerts, Assessed, Cases, Judgement, Trace
from rules.limits import ProfileTable
from rules.runs import RowArray, Table

__all__ = ["Alerts", "Cases", "Judgement", "judge"]

RESIDENTS_PER_BLOCK: Final = 1 << 14
READINGS_PER_BLOCK: Final = 1 << 19
"""Both bound the working set; 5,000 residents with 75 readings are one block (``make bench``)."""
_ANCHORS: Final = ("anchor", "decided", "resolved_by")
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
    columns: dict[str, list[Any]] = {}
    session, group = np.full((2, len(readings)), -1, dtype=np.int32)
    for low, high, every, all_said in _blocks(readings, records, len(residents)):
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
        rows = _as_rows(mine)[order]
        first = np.cumsum([0, len(readings), len(records), len(residents)])
        moments = (rows, _as_rows(said), np.arange(low, high), kept)
        known = np.concatenate([at + part for at, part in zip(first, moments, strict=True)])
        known = np.append(known, -1)  # So that -1 stays -1.
        session[rows], group[rows] = known[judgement.trace.session], known[judgement.trace.group]
        _collect(columns, judgement, known, low)
    return _put_together(columns, Trace(session=session, group=group))


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
) -> Iterator[tuple[int, int, RowArray | slice, RowArray | slice]]:
    """First and last resident, rows of readings and of records of each block; at least one."""
    size = min(RESIDENTS_PER_BLOCK, residents * READINGS_PER_BLOCK // max(len(readings), 1))
    cuts = range(0, max(residents, 1), max(size, 1))
    parts = [_cut(column, cuts) for column in (readings.resident, records.resident)]
    for low, mine, said in zip(cuts, *parts, strict=True):
        yield low, min(low + cuts.step, residents), mine, said


def _cut(resident: Int64Array, cuts: range) -> list[RowArray | slice]:
    """Rows of each block: slices where the rows come by resident already."""
    block = resident // cuts.step
    if not (block[1:] < block[:-1]).any():
        bounds = np.searchsorted(block, np.arange(len(cuts) + 1)).tolist()
        return [slice(low, high) for low, high in pairwise(bounds)]
    order = np.argsort(block.astype(np.int32), kind="stable")
    bounds = np.searchsorted(block[order], np.arange(len(cuts) + 1)).tolist()
    return [order[low:high] for low, high in pairwise(bounds)]


def _as_rows(chosen: RowArray | slice) -> RowArray:
    return np.arange(chosen.start, chosen.stop) if isinstance(chosen, slice) else chosen


def _from(rows: Rows, low: int) -> Rows:
    return replace(rows, resident=rows.resident - low) if low else rows


def _collect(
    columns: dict[str, list[Any]], judgement: Judgement, known: RowArray, low: int
) -> None:
    """Keep a block's columns by name, its anchors and residents as the caller counts them."""
    for part in ("cases", "alerts", "assessed"):
        table = getattr(judgement, part)
        for column in fields(table):
            value = getattr(table, column.name)
            if column.name in _ANCHORS:
                value = known[value]
            elif column.name == "resident":
                value = value + low
            columns.setdefault(f"{part}.{column.name}", []).append(value)
    for name in ("next_tick", "high_normal_on"):
        columns.setdefault(name, []).append(getattr(judgement, name))
    columns.setdefault("third_reading", []).append(known[judgement.third_reading])


def _put_together(columns: dict[str, list[Any]], trace: Trace) -> Judgement:
    """The blocks as one judgement, column by column: no column stands twice for long."""

    def whole(name: str) -> Any:  # noqa: ANN401 - any column
        return np.concatenate(columns.pop(name))

    def table(kind: type[Table], part: str) -> Table:
        return kind(**{field.name: whole(f"{part}.{field.name}") for field in fields(kind)})

    return Judgement(
        cases=table(Cases, "cases"),
        alerts=table(Alerts, "alerts"),
        assessed=table(Assessed, "assessed"),
        next_tick=whole("next_tick"),
        high_normal_on=whole("high_normal_on"),
        third_reading=whole("third_reading"),
        trace=trace,
    )
