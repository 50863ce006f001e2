"""A judgement together with what it judged, indexed so that single alerts can be explained.

The indexes are built once, on first use; a look-up costs a bisection, however many alerts are
asked about. Explaining needs the whole history: an anchor that a checkpoint carried over is
refused.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from rules.codes import AlertCode
from rules.columns import (
    ARM_LEFT,
    ARM_RIGHT,
    KIND_BLOOD_PRESSURE,
    Readings,
    Records,
    Residents,
    sort_in_time,
)
from rules.errors import UnknownCodeError
from rules.judgement import Judgement
from rules.limits import ProfileTable
from rules.runs import RowArray


@dataclass(frozen=True, slots=True)
class Mean:
    """Sums of pressures, 1e-13 mmHg, over ``count`` readings."""

    systolic: int
    diastolic: int
    count: int

    def is_higher(self, other: "Mean") -> bool:
        """Higher mean systolic, on a tie higher mean diastolic; exact."""
        mine = (self.systolic * other.count, self.diastolic * other.count)
        return mine > (other.systolic * self.count, other.diastolic * self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The readings of one session, or one value, in order of time."""

    rows: tuple[int, ...]
    counted: frozenset[int] = frozenset()  # Of ``rows``.
    mean: Mean | None = None  # Of the counted ones; None: not a pressure.
    arms: dict[int, Mean] = field(default_factory=dict)  # By arm, where both were measured.


@dataclass(frozen=True, slots=True)
class _Index:
    """Rows grouped by a key, inside a group in order of time."""

    rows: RowArray
    keys: npt.NDArray[np.signedinteger]

    @classmethod
    def over(cls, keys: npt.NDArray[np.signedinteger], in_time: RowArray) -> "_Index":
        order = in_time[np.argsort(keys[in_time], kind="stable")]
        return cls(order, keys[order])

    def of(self, key: int) -> list[int]:
        low = np.searchsorted(self.keys, key, side="left")
        high = np.searchsorted(self.keys, key, side="right")
        return [int(row) for row in self.rows[low:high]]


class _Raised(NamedTuple):
    """Alerts of one code of one case, by the instant of their anchor."""

    at: Sequence[np.datetime64]
    numbers: Sequence[int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """What ``judge`` was given and what it said."""

    readings: Readings
    records: Records
    residents: Residents
    limits: ProfileTable
    judgement: Judgement

    def evidence(self, row: int, *, alone: bool) -> Evidence:
        """The session that begins with a reading, or that reading alone.

        Args:
            row: Row of ``readings``.
            alone: One reading decides by itself, whatever its session's mean.
        """
        readings, session = self.readings, self.judgement.trace.session
        is_session = not alone and session[row] == row
        rows = tuple(self._by_session.of(row)) if is_session else (row,)
        if readings.kind[row] != KIND_BLOOD_PRESSURE:
            return Evidence(rows=rows, counted=frozenset(rows))
        arms = {
            arm: [each for each in rows if readings.arm[each] == arm]
            for arm in (ARM_LEFT, ARM_RIGHT)
        }
        if not all(arms.values()):
            return Evidence(rows=rows, counted=frozenset(rows), mean=self._mean(rows))
        means = {arm: self._mean(held) for arm, held in arms.items()}
        higher = ARM_RIGHT if means[ARM_RIGHT].is_higher(means[ARM_LEFT]) else ARM_LEFT
        return Evidence(rows=rows, counted=frozenset(arms[higher]), mean=means[higher], arms=means)

    def _mean(self, rows: Sequence[int]) -> Mean:
        systolic, diastolic = self.readings.systolic_mmhg_e13, self.readings.diastolic_mmhg_e13
        return Mean(
            sum(int(systolic[row]) for row in rows),
            sum(int(diastolic[row]) for row in rows),
            len(rows),
        )

    def deciding_row(self, anchor: int) -> int:
        """First reading of the session, or the value, that decided the assessment of an anchor."""
        members = self._by_group.of(anchor)
        latest = members[-1] if members else anchor
        return int(self.judgement.trace.session[latest])

    def assessed_before(self, anchor: int) -> Iterable[int]:
        """Anchors of earlier assessments of the resident, latest first."""
        resident, group = self.readings.resident[anchor], self.judgement.trace.group
        mine = self._by_resident.of(int(resident))
        seen = anchor
        for row in reversed(mine[: mine.index(anchor)]):
            if group[row] not in (-1, seen):
                seen = int(group[row])
                yield seen

    def records_of(self, resident: int) -> list[int]:
        """Rows of ``records`` of a resident, in order of time."""
        return self._records_by_resident.of(resident)

    def alerts_at(self, resident: int, condition: int, anchor: int) -> list[int]:
        """Alerts of a case that have this anchor."""
        return self._by_anchor.get((resident, condition, anchor), [])

    def answered_by(self, resident: int, condition: int, anchor: int) -> list[int]:
        """Alerts of a case that the event of this anchor resolved."""
        return self._by_answer.get((resident, condition, anchor), [])

    def last_raised(
        self, resident: int, condition: int, code: AlertCode, before: np.datetime64
    ) -> int | None:
        """Alert of this code whose anchor is the latest before an instant."""
        raised = self._by_code.get((resident, condition, int(code)))
        if raised is None:
            return None
        place = bisect_left(raised.at, before)
        return raised.numbers[place - 1] if place else None

    def at(self, anchor: int) -> np.datetime64:
        """Instant of an anchor, UTC; local midnight where it is a resident's enrolment.

        Raises:
            UnknownCodeError: It is none of the readings, records and residents.
        """
        record, resident = self.record_row(anchor), self.resident_row(anchor)
        found: Any
        if anchor < 0:
            msg = "there is no anchor: nothing has happened"
            raise UnknownCodeError(msg)
        if record < 0:
            found = self.readings.effective_at[anchor]
        elif resident < 0:
            found = self.records.at[record]
        elif resident < len(self.residents):
            enrolled = self.residents.enrolled_on[resident].astype("datetime64[us]")
            found = enrolled - self.limits.utc_offset
        else:
            msg = f"anchor {anchor} was carried over; explaining needs the whole history"
            raise UnknownCodeError(msg)
        instant: np.datetime64 = found
        return instant

    def record_row(self, anchor: int) -> int:
        """Row of ``records``; negative: the anchor is a reading."""
        return anchor - len(self.readings)

    def resident_row(self, anchor: int) -> int:
        """Row of ``residents``; negative: the anchor is a reading or a record."""
        return self.record_row(anchor) - len(self.records)

    def id_of(self, anchor: int) -> str | None:
        """Id of a reading or record; None for a resident."""
        if self.resident_row(anchor) >= 0:
            return None
        record = self.record_row(anchor)
        raw = self.readings.ids[anchor] if record < 0 else self.records.ids[record]
        return str(UUID(bytes=bytes(raw).ljust(16, b"\0")))  # The column drops trailing zeros.

    @cached_property
    def _in_time(self) -> RowArray:
        return sort_in_time(self.readings)[1]

    @cached_property
    def _by_session(self) -> _Index:
        return _Index.over(self.judgement.trace.session, self._in_time)

    @cached_property
    def _by_group(self) -> _Index:
        return _Index.over(self.judgement.trace.group, self._in_time)

    @cached_property
    def _by_resident(self) -> _Index:
        return _Index.over(self.readings.resident, self._in_time)

    @cached_property
    def _records_by_resident(self) -> _Index:
        halves = np.ascontiguousarray(self.records.ids).view(">u8").reshape(-1, 2)
        in_time = np.lexsort((halves[:, 1], halves[:, 0], self.records.at))
        return _Index.over(self.records.resident, in_time)

    @cached_property
    def _by_anchor(self) -> dict[tuple[int, int, int], list[int]]:
        return self._alerts_by(self.judgement.alerts.anchor)

    @cached_property
    def _by_answer(self) -> dict[tuple[int, int, int], list[int]]:
        return self._alerts_by(self.judgement.alerts.resolved_by)

    @cached_property
    def _by_code(self) -> dict[tuple[int, int, int], _Raised]:
        anchor = self.judgement.alerts.anchor
        found = {}
        for key, numbers in self._alerts_by(self.judgement.alerts.code).items():
            placed = sorted((self.at(int(anchor[number])), number) for number in numbers)
            found[key] = _Raised([at for at, _ in placed], [number for _, number in placed])
        return found

    def _alerts_by(self, column: npt.NDArray[Any]) -> dict[tuple[int, int, int], list[int]]:
        """Alerts by resident, condition and a further column."""
        alerts = self.judgement.alerts
        found: defaultdict[tuple[int, int, int], list[int]] = defaultdict(list)
        keys = zip(alerts.resident, alerts.condition, column, strict=True)
        for number, (resident, condition, key) in enumerate(keys):
            found[int(resident), int(condition), int(key)].append(number)
        return dict(found)
