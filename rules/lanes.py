"""The state of every case while its events pass by, as columns.

A lane is one resident's one condition. Days are int64 since 1970, so that "never" is a number
beyond every calendar and comparisons need no special case.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from rules.codes import CaseState
from rules.columns import BoolArray, Int8Array, Int64Array
from rules.events import NO_ROW
from rules.limits import NO_DUE, RowOrRows, rows_at
from rules.machine import Action
from rules.runs import RowArray

NEVER: Final = NO_DUE
"""A day beyond every calendar: nothing is due."""
LONG_AGO: Final = -NO_DUE
"""A day before every calendar."""
LONG_AGO_US: Final = -(1 << 62)


@dataclass(slots=True, kw_only=True)
class Lanes:
    """All that the past of a case means for its future, shape (l,) each."""

    resident: Int64Array
    condition: Int8Array
    state: Int8Array  # ``CaseState``, never an overdue one.
    count: Int64Array  # Unsatisfied assessments in a row.
    reactions: Int64Array  # Visits with an adverse reaction in a row.
    first_open: Int8Array  # 1: an unsatisfied value waits for its second follow-up.
    reaction_open: Int8Array  # 1: an adverse reaction does.
    due: Int64Array  # Of the open second follow-up, recheck or referral; NEVER.
    routine: Int64Array
    anchor: RowArray  # Moment that last moved the case, -1.
    cause: Int8Array  # ``Action`` that last moved it.
    decided: RowArray  # Moment that decided it.
    closed: Int8Array  # ``ClosureReason``, 0 while followed.
    high_day: Int64Array  # Latest local day with a high value while screening; LONG_AGO.
    high_day_before: Int64Array
    by_random: Int8Array  # 1: only a random value opened the screening.
    first_emergency_at: Int64Array  # Last one raised, by slot, microseconds.
    second_emergency_at: Int64Array
    last_visit: Int64Array  # Day of the last face-to-face visit; LONG_AGO.
    visit_anchor: RowArray  # Its moment, -1.

    def take(self, rows: Any) -> Self:  # noqa: ANN401 - an index
        """These lanes; a slice gives views."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def fresh_lanes(resident: Int64Array, condition: Int8Array) -> Lanes:
    """Cases to which nothing has happened yet."""
    many = len(resident)

    def of(value: int, dtype: type[Any]) -> npt.NDArray[Any]:
        return np.full(many, value, dtype=dtype)

    return Lanes(
        resident=resident,
        condition=condition,
        state=of(CaseState.NONE, np.int8),
        count=of(0, np.int64),
        reactions=of(0, np.int64),
        first_open=of(0, np.int8),
        reaction_open=of(0, np.int8),
        due=of(NEVER, np.int64),
        routine=of(NEVER, np.int64),
        anchor=of(NO_ROW, np.intp),
        cause=of(Action.NOTHING, np.int8),
        decided=of(NO_ROW, np.intp),
        closed=of(0, np.int8),
        high_day=of(LONG_AGO, np.int64),
        high_day_before=of(LONG_AGO, np.int64),
        by_random=of(0, np.int8),
        first_emergency_at=of(LONG_AGO_US, np.int64),
        second_emergency_at=of(LONG_AGO_US, np.int64),
        last_visit=of(LONG_AGO, np.int64),
        visit_anchor=of(NO_ROW, np.intp),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Events side by side, shape (e,): those of every step one after another, or of one step."""

    kind: Int8Array
    code: Int8Array
    anchor: RowArray
    decided: RowArray
    emergency: BoolArray
    face_to_face: BoolArray
    state: Int8Array
    given_due: Int64Array
    reason: Int8Array
    at_us: Int64Array
    day: Int64Array  # Of the anchor.
    decided_day: Int64Array
    row: RowOrRows

    def take(self, here: slice) -> Self:
        """The events of this slice."""
        columns = {f.name: getattr(self, f.name)[here] for f in fields(self) if f.name != "row"}
        return type(self)(row=rows_at(self.row, here), **columns)
