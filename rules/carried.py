"""What a checkpoint carries into the tail: cases, open alerts, and the moments they hang on."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rules.codes import AlertCode
from rules.columns import BoolArray, DateArray, InstantArray, Int8Array, Int64Array
from rules.lanes import Lanes, fresh_lanes
from rules.moments import Moments
from rules.runs import RowArray, stack_tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was seen, row by row, as in ``judgement.Alerts``."""

    systolic_sum: Int64Array
    diastolic_sum: Int64Array
    count: Int64Array
    glucose_mmol_l_e4: Int64Array
    range_status: Int8Array

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """These rows."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlerts(Shown):
    """Alerts that nothing has answered yet, shape (a,); rows of ``Carried.moments``."""

    resident: Int64Array
    condition: Int8Array
    code: Int8Array
    anchor: RowArray
    decided: RowArray
    due: Int64Array  # Days since 1970.
    by_random: BoolArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The folded past of m residents. Anchors in ``lanes`` are rows of ``moments``, -1: none."""

    until: InstantArray  # Shape (m,): everything earlier is folded.
    lanes: Lanes
    alerts: OpenAlerts
    moments: Moments
    shown: Shown  # Row-aligned with ``moments``: the session that began there, or the one value.
    high_normal_on: DateArray  # Shape (m,).

    def of(self, low: int, high: int) -> tuple[Self, RowArray]:
        """Residents ``low`` to ``high`` (exclusive), counted from ``low``.

        Returns:
            Their past, and which rows of ``moments`` it kept.
        """
        lanes = self.lanes.take(_within(self.lanes.resident, low, high))
        alerts = self.alerts.take(_within(self.alerts.resident, low, high))
        hooks = (lanes.anchor, lanes.decided, lanes.visit_anchor, alerts.anchor, alerts.decided)
        kept = np.unique(np.concatenate(hooks))
        kept = kept[kept >= 0]
        place = np.full(len(self.moments) + 1, -1, dtype=np.intp)
        place[kept] = np.arange(len(kept))
        part = replace(
            self,
            until=self.until[low:high],
            lanes=replace(
                lanes,
                resident=lanes.resident - low,
                anchor=place[lanes.anchor],
                decided=place[lanes.decided],
                visit_anchor=place[lanes.visit_anchor],
            ),
            alerts=replace(
                alerts,
                resident=alerts.resident - low,
                anchor=place[alerts.anchor],
                decided=place[alerts.decided],
            ),
            moments=self.moments.take(kept),
            shown=self.shown.take(kept),
            high_normal_on=self.high_normal_on[low:high],
        )
        return part, kept

    def judged_by_row(self, row: int) -> Self:
        """The same past, as if this row of a ``ProfileTable`` had judged all of it."""
        one = np.full(len(self.moments), row, dtype=np.int64)
        return replace(self, moments=replace(self.moments, row=one, urgent_row=one))

    def is_past(self, resident: Int64Array, at: InstantArray) -> BoolArray:
        """Whether each (resident, instant) is folded already; shape (n,)."""
        past: BoolArray = at < self.until[resident]
        return past

    def active_advisories(self) -> dict[AlertCode, Int64Array]:
        """By code, residents whose advisory is still active."""
        codes = (
            AlertCode.BP_HOME_HIGH,
            AlertCode.GLU_POSTPRANDIAL_HIGH,
            AlertCode.BP_INTERARM_DIFF,
        )
        return {code: self.alerts.resident[self.alerts.code == code] for code in codes}

    def closed_residents(self) -> Int64Array:
        """Residents whom nobody follows at the moment, each once."""
        return np.unique(self.lanes.resident[self.lanes.closed != np.int8(0)])


def _within(resident: Int64Array, low: int, high: int) -> RowArray:
    return np.flatnonzero((resident >= low) & (resident < high))


def nothing_carried(residents: int) -> Carried:
    """The checkpoint of people to whom nothing has happened yet."""
    nobody = np.zeros(0, dtype=np.int64)
    no_time = np.zeros(0, dtype="datetime64[us]")
    small = np.zeros(0, dtype=np.int8)
    return Carried(
        until=np.full(residents, np.datetime64("0001-01-01", "us")),
        lanes=fresh_lanes(nobody, small),
        alerts=OpenAlerts(
            condition=small,
            code=small,
            by_random=np.zeros(0, dtype=np.bool_),
            range_status=small,
            **dict.fromkeys(
                ("resident", "anchor", "decided", "due", "systolic_sum", "diastolic_sum"), nobody
            ),
            count=nobody,
            glucose_mmol_l_e4=nobody,
        ),
        moments=Moments(
            ids=np.zeros(0, dtype="S16"),
            at=no_time,
            received_at=no_time,
            day=np.zeros(0, dtype="datetime64[D]"),
            row=nobody,
            urgent_row=nobody,
        ),
        shown=Shown(
            systolic_sum=nobody,
            diastolic_sum=nobody,
            count=nobody,
            glucose_mmol_l_e4=nobody,
            range_status=small,
        ),
        high_normal_on=np.full(residents, np.datetime64("NaT", "D")),
    )


def join_carried(parts: Sequence[Carried]) -> Carried:
    """The pasts of several groups of residents as one, in this order. At least one part."""
    residents = np.cumsum([0, *(len(part.until) for part in parts)])
    moments = np.cumsum([0, *(len(part.moments) for part in parts)])
    lanes, alerts = [], []
    for part, first, offset in zip(parts, residents[:-1], moments[:-1], strict=True):
        moved = _moved(part.lanes, ("anchor", "decided", "visit_anchor"), offset)
        lanes.append(replace(moved, resident=moved.resident + first))
        told = _moved(part.alerts, ("anchor", "decided"), offset)
        alerts.append(replace(told, resident=told.resident + first))
    return Carried(
        until=np.concatenate([part.until for part in parts]),
        lanes=stack_tables(lanes),
        alerts=stack_tables(alerts),
        moments=stack_tables([part.moments for part in parts]),
        shown=stack_tables([part.shown for part in parts]),
        high_normal_on=np.concatenate([part.high_normal_on for part in parts]),
    )


def _moved(table: Any, names: Sequence[str], offset: int) -> Any:  # noqa: ANN401 - lanes or alerts
    """Its anchors, counted from elsewhere; -1 stays -1."""
    anchors = {name: getattr(table, name) for name in names}
    return replace(
        table, **{name: np.where(at >= 0, at + offset, at) for name, at in anchors.items()}
    )


def resume_lanes(lanes: Lanes, before: Lanes, place: RowArray, *, offset: int) -> None:
    """Put the carried cases where they go on, in place.

    Args:
        lanes: Fresh ones, of all lanes.
        before: As the checkpoint left them.
        place: Where each of ``before`` is among ``lanes``.
        offset: Where the carried moments begin among all moments.
    """
    if not len(place):
        return
    for column in fields(Lanes):
        getattr(lanes, column.name)[place] = getattr(before, column.name)
    for name in ("anchor", "decided", "visit_anchor"):
        anchor = getattr(before, name)
        getattr(lanes, name)[place] = np.where(anchor >= 0, anchor + offset, anchor)
