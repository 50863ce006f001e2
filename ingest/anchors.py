"""What the anchors of a judgement are: readings, records, residents, or what was carried over.

A checkpoint carries moments by id alone. Those that are loaded all the same (records always
are) are found again, so that only readings which may be gone stay beyond the tables.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from uuid import UUID

import numpy as np

from ingest.db.alerts import resident_anchor
from rules.carried import Carried
from rules.columns import BoolArray, InstantArray, Int64Array, Readings, Records, Residents
from rules.judgement import Judgement
from rules.local_time import local_midnight
from rules.runs import RowArray

_KINDS = (None, "reading", "record", "resident", "reading")


@dataclass(frozen=True, kw_only=True, eq=False)
class Anchors:
    """Readings first, then records, residents, and the readings that were carried over."""

    ids: tuple[str, ...]  # Pseudonyms.
    readings: Readings
    records: Records
    residents: Residents
    utc_offset: np.timedelta64
    carried: Carried | None

    def is_carried(self, anchors: Int64Array) -> BoolArray:
        """Which of these a checkpoint carried over; shape (n,)."""
        return anchors >= self._first_carried

    def settle(self, judgement: Judgement) -> Judgement:
        """The same judgement, with carried anchors that are loaded in the place of carried ones."""
        if self.carried is None:
            return judgement
        cases, alerts = judgement.cases, judgement.alerts
        return replace(
            judgement,
            cases=replace(
                cases, anchor=self._found(cases.anchor), decided=self._found(cases.decided)
            ),
            alerts=replace(
                alerts,
                anchor=self._found(alerts.anchor),
                decided=self._found(alerts.decided),
                resolved_by=self._found(alerts.resolved_by),
            ),
        )

    def id_of(self, anchor: int) -> UUID | None:
        """As it is stored; None: there is no anchor."""
        if anchor < 0:
            return None
        if anchor < self._first_resident:
            return UUID(bytes=self._raw_ids[anchor].tobytes())
        if anchor < self._first_carried:
            return resident_anchor(self.ids[anchor - self._first_resident])
        return UUID(bytes=self._carried_ids[anchor - self._first_carried].tobytes())

    def carried_ids_of(self, rows: RowArray) -> list[UUID | None]:
        """Of moments as the checkpoint numbers them, -1: none."""
        return self.ids_of(self.places_of(rows))

    def places_of(self, rows: RowArray) -> Int64Array:
        """Anchors of moments as the checkpoint numbers them, -1: none."""
        return np.append(self._places, -1)[rows]

    def ids_of(self, anchors: Int64Array) -> list[UUID | None]:
        """Of each of them."""
        return [self.id_of(anchor) for anchor in anchors.tolist()]

    def kinds_of(self, anchors: Int64Array) -> list[str | None]:
        """'reading', 'record' or 'resident' of each; None: there is no anchor."""
        bounds = np.array([0, len(self.readings), self._first_resident, self._first_carried])
        places = np.searchsorted(bounds, anchors, side="right").tolist()
        return [_KINDS[place] for place in places]

    @cached_property
    def times(self) -> InstantArray:
        """Of every anchor."""
        enrolled = local_midnight(self.residents.enrolled_on, self.utc_offset)
        parts = [self.readings.effective_at, self.records.at, enrolled]
        if self.carried is not None:
            parts.append(self.carried.moments.at)
        return np.concatenate(parts)

    @property
    def _first_resident(self) -> int:
        return len(self.readings) + len(self.records)

    @property
    def _first_carried(self) -> int:
        return self._first_resident + len(self.residents)

    def _found(self, anchors: Int64Array) -> Int64Array:
        carried = self.is_carried(anchors)
        found = anchors.copy()
        found[carried] = self._places[anchors[carried] - self._first_carried]
        return found

    @cached_property
    def _places(self) -> RowArray:
        """Where each carried moment is among all anchors."""
        if self.carried is None:
            return np.zeros(0, dtype=np.intp)
        moments, lanes = self.carried.moments, self.carried.lanes
        places = self._first_carried + np.arange(len(moments))
        first = len(self.readings)
        rows = {id_: first + row for row, id_ in enumerate(self._raw_ids[first:].tolist())}
        for number, id_ in enumerate(self._carried_ids.tolist()):
            places[number] = rows.get(id_, places[number])
        nameless = np.flatnonzero(moments.ids == b"")
        for number in nameless.tolist():
            owner = lanes.resident[np.flatnonzero(lanes.visit_anchor == number)[0]]
            places[number] = self._first_resident + owner
        return places

    @cached_property
    def _raw_ids(self) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
        """Of readings, then records. As void: a column of bytes drops trailing zeros."""
        return np.concatenate((self.readings.ids, self.records.ids)).view("V16")

    @cached_property
    def _carried_ids(self) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
        ids = np.zeros(0, "S16") if self.carried is None else self.carried.moments.ids
        return np.ascontiguousarray(ids).view("V16")
