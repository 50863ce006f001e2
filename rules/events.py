"""What happens to cases, in order: emergencies, assessments, random highs, and people's records.

A *lane* is one resident's one condition. Events stand twice: by lane and time, and turned so
that the k-th events of all lanes are neighbours (``Turned``), longest lanes first. Then step k
of the fold is a slice of every column, and the lanes it concerns are a prefix.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rules.assessments import Assessments, Verdict
from rules.codes import NO_ALERT, AlertCode, Condition, RecordKind
from rules.columns import (
    BOTH_CONDITIONS,
    BoolArray,
    DateArray,
    Int8Array,
    Int64Array,
    Readings,
    Records,
    Residents,
)
from rules.runs import RowArray, begins_where, number_runs
from rules.scene import Scene

NO_ROW: Final = -1
_TIES: Final = 4  # At one row: emergency, assessment, random high; after it what people recorded.
_PRESSURE_CODES: Final = (AlertCode.BP_EMERGENCY, AlertCode.BP_PREG_HIGH)
_FAR_DAY: Final = np.datetime64("NaT", "D")


class EventKind(IntEnum):
    """What happens to a case. The verdicts of ``assessments`` keep their numbers."""

    SATISFIED = Verdict.SATISFIED
    UNSATISFIED = Verdict.UNSATISFIED
    NORMAL = Verdict.NORMAL
    HIGH = Verdict.HIGH
    EMERGENCY = 5
    HIGH_RANDOM = 6
    VISIT = 7
    VISIT_WITH_REACTION = 8
    COMPLICATION = 9
    REFERRAL_FOLLOWUP = 10
    OVERRIDE = 11
    CLOSURE = 12
    RETURN = 13
    RESCHEDULE = 14


KINDS: Final = max(EventKind) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Shape (e,) each, ordered by lane, then time. Rows of moments (``moments.py``)."""

    lane: RowArray
    kind: Int8Array
    code: Int8Array  # Of an emergency, else 0.
    anchor: RowArray  # Moment: gives due dates.
    decided: RowArray  # First reading of the session or value that decided.
    emergency: BoolArray  # An assessment with an emergency among its readings.
    face_to_face: BoolArray
    state: Int8Array  # Of an override.
    given_due: DateArray
    reason: Int8Array  # Of a closure.
    resident: Int64Array  # Of each lane, shape (l,).
    condition: Int8Array

    def __len__(self) -> int:
        return len(self.lane)


def order_events(
    assessed: Assessments,
    random_highs: RowArray,
    records: Records,
    scene: Scene,
    begun: tuple[Int64Array, Int8Array],
) -> Events:
    """All events of all lanes in time order; at one instant in the order of ``EventKind``.

    Args:
        assessed: Verdicts on groups of findings.
        random_highs: Sorted rows that ask for confirmation.
        records: In any order.
        scene: The sorted readings and their emergencies. Residents with a diagnosis and an
            enrolment have a lane even without an event.
        begun: Resident and condition of lanes that a checkpoint began.
    """
    ordered, residents = scene.ordered, scene.residents
    head = _head_of_instant(ordered)
    parts = [
        *_parts_of_readings(assessed, random_highs, scene, head),
        *_parts_of_records(records, ordered, head),
        _quiet_lanes(residents, *begun),
    ]
    columns = {name: np.concatenate([_column(part, name) for part in parts]) for name in _COLUMNS}
    place = columns["place"] + _TIES  # A record can lie before the first reading.
    condition, resident = columns["condition"], columns["resident"]
    lane_key = condition * np.int64(len(residents)) + resident
    order = np.argsort(lane_key * np.int64(_TIES * (len(ordered) + 2)) + place, kind="stable")
    resident, condition = resident[order], condition[order]
    first, lane = number_runs(begins_where(condition, resident))
    happened = columns["kind"][order] != np.int8(0)
    real = order[happened]
    return Events(
        lane=lane[happened],
        resident=resident[first],
        condition=condition[first],
        **{name: columns[name][real] for name in _COLUMNS if name not in _PLACING},
    )


def _parts_of_readings(
    assessed: Assessments, random_highs: RowArray, scene: Scene, head: RowArray
) -> list[dict[str, npt.NDArray[Any]]]:
    """Emergencies, assessments, and random values that ask for confirmation."""
    resident = scene.ordered.resident
    urgent = np.flatnonzero(scene.emergency != NO_ALERT)
    code = scene.emergency[urgent]
    of_urgent = np.where(
        np.isin(code, _PRESSURE_CODES), np.int8(Condition.HYPERTENSION), np.int8(Condition.DIABETES)
    )
    of_random = np.full(len(random_highs), Condition.DIABETES, np.int8)
    return [
        _part(resident[urgent], of_urgent, head[urgent] * _TIES, EventKind.EMERGENCY)
        | {"code": code, "anchor": urgent, "decided": urgent},
        _part(
            assessed.resident,
            assessed.condition,
            head[assessed.placed] * _TIES + 1,
            assessed.verdict,
        )
        | {
            "anchor": assessed.anchor,
            "decided": assessed.decided,
            "emergency": assessed.emergency,
        },
        _part(
            resident[random_highs],
            of_random,
            head[random_highs] * _TIES + 2,
            EventKind.HIGH_RANDOM,
        )
        | {"anchor": random_highs, "decided": random_highs},
    ]


_PLACING: Final = ("resident", "condition", "place")
_COLUMNS: Final[dict[str, Any]] = {
    "resident": np.int64,
    "condition": np.int8,
    "place": np.int64,
    "kind": np.int8,
    "code": np.int8,
    "anchor": np.intp,
    "decided": np.intp,
    "emergency": np.bool_,
    "face_to_face": np.bool_,
    "state": np.int8,
    "given_due": np.dtype("datetime64[D]"),
    "reason": np.int8,
}


def _part(
    resident: Int64Array,
    condition: npt.NDArray[Any],
    place: npt.NDArray[Any],
    kind: Int8Array | EventKind,
) -> dict[str, npt.NDArray[Any]]:
    return {
        "resident": resident,
        "condition": condition,
        "place": place,
        "kind": np.broadcast_to(np.asarray(kind, dtype=np.int8), len(resident)),
    }


def _column(part: dict[str, npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
    """A column of a part, or what stands where it has none."""
    if name in part:
        return part[name].astype(_COLUMNS[name], copy=False)
    many = len(part["resident"])
    if name == "given_due":
        return np.full(many, _FAR_DAY)
    return np.zeros(many, dtype=_COLUMNS[name])


def _quiet_lanes(
    residents: Residents, begun: Int64Array, of: Int8Array
) -> dict[str, npt.NDArray[Any]]:
    """One placeholder (kind 0) for every lane that time alone can change."""
    enrolled = ~np.isnat(residents.enrolled_on)
    pressure = np.flatnonzero(enrolled & ~np.isnat(residents.hypertension_since))
    sugar = np.flatnonzero(enrolled & ~np.isnat(residents.diabetes_since))
    resident = np.concatenate((pressure, sugar, begun))
    enrolled_for = np.repeat(list(Condition), (len(pressure), len(sugar)))
    condition = np.concatenate((enrolled_for.astype(np.int8), of))
    kind = np.zeros(len(resident), dtype=np.int8)
    return _part(resident, condition, np.zeros(len(resident), dtype=np.int64), kind)


def _head_of_instant(ordered: Readings) -> RowArray:
    """First row of each row's (resident, instant): kinds of event are compared before rows."""
    rows = np.arange(len(ordered))
    same = ordered.effective_at[1:] == ordered.effective_at[:-1]
    same &= ordered.resident[1:] == ordered.resident[:-1]
    if not same.any():
        return rows
    rows[1:][same] = 0
    head: RowArray = np.maximum.accumulate(rows)
    return head


def _parts_of_records(
    records: Records, ordered: Readings, head: RowArray
) -> list[dict[str, npt.NDArray[Any]]]:
    """Records placed after the last reading at or before their instant, by (instant, id)."""
    if not len(records):
        return []
    halves = np.ascontiguousarray(records.ids).view(">u8").reshape(-1, 2)
    rows = np.lexsort((halves[:, 1], halves[:, 0], records.at, records.resident))
    after = _place_after(ordered, records.resident[rows], records.at[rows])
    place = np.append(head, -1)[after] * _TIES + _TIES - 1
    kind = records.kind[rows]
    moment = rows + len(ordered)
    visit = kind == RecordKind.VISIT
    reaction = visit & records.adverse_reaction[rows]
    as_event = np.choose(
        kind,
        (
            0,
            EventKind.VISIT,
            EventKind.REFERRAL_FOLLOWUP,
            EventKind.OVERRIDE,
            EventKind.CLOSURE,
            EventKind.RETURN,
            EventKind.RESCHEDULE,
        ),
    ).astype(np.int8)
    as_event[reaction] = EventKind.VISIT_WITH_REACTION
    common = {
        "anchor": moment,
        "decided": moment,
        "face_to_face": visit & records.face_to_face[rows],
        "state": records.state[rows],
        "given_due": records.due[rows],
        "reason": records.reason[rows],
    }
    whole = np.isin(kind, (RecordKind.CLOSURE, RecordKind.RETURN))
    condition = np.where(whole, np.int8(BOTH_CONDITIONS), records.condition[rows])
    part = _part(records.resident[rows], condition, place, as_event) | common
    twice = {name: np.repeat(column, 2) for name, column in part.items()}
    worse = np.zeros(2 * len(rows), dtype=np.bool_)
    worse[1::2] = True
    twice["kind"] = np.where(worse, np.int8(EventKind.COMPLICATION), twice["kind"])
    twice["face_to_face"] = twice["face_to_face"] & ~worse
    complicated = np.repeat(visit & records.complication[rows], 2)
    return _of_each_condition(twice, ~worse | complicated)


def _of_each_condition(
    part: dict[str, npt.NDArray[Any]], kept: BoolArray
) -> list[dict[str, npt.NDArray[Any]]]:
    """A record about both conditions stands in both lanes."""
    parts = []
    for condition in Condition:
        mine = kept & np.isin(part["condition"], (BOTH_CONDITIONS, condition))
        chosen = {name: column[mine] for name, column in part.items()}
        chosen["condition"] = np.full(int(mine.sum()), condition, dtype=np.int8)
        parts.append(chosen)
    return parts


def _place_after(ordered: Readings, resident: Int64Array, at: npt.NDArray[Any]) -> Int64Array:
    """Row of the last sorted reading of all residents up to (resident, instant); -1: none."""
    low = np.searchsorted(ordered.resident, resident, side="left")
    high = np.searchsorted(ordered.resident, resident, side="right")
    instants = ordered.effective_at
    while (low < high).any():  # A bisection of all records at once.
        middle = (low + high) // 2
        before = instants[np.minimum(middle, len(instants) - 1)] <= at
        going = low < high
        low = np.where(going & before, middle + 1, low)
        high = np.where(going & ~before, middle, high)
    return low.astype(np.int64) - 1


@dataclass(frozen=True, slots=True)
class Turned:
    """How events are turned: step k is ``bounds[k]:bounds[k + 1]``, for the first lanes."""

    place: RowArray  # Shape (e,): where each event of ``Events`` stands when turned,
    event: RowArray  # and the other way round.
    lanes: RowArray  # Shape (l,): lane numbers of ``Events``, longest first.
    bounds: list[int]

    def turn(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A column of ``Events``, turned."""
        turned = np.empty_like(column)
        turned[self.place] = column
        return turned


def turn_events(events: Events) -> Turned:
    """Lay the k-th events of all lanes side by side, longest lanes first."""
    many = len(events.resident)
    counts = np.bincount(events.lane, minlength=many)
    lanes = np.argsort(-counts, kind="stable")
    renamed = np.empty(many, dtype=np.intp)
    renamed[lanes] = np.arange(many)
    begins = np.cumsum(counts) - counts
    rank = np.arange(len(events)) - begins[events.lane]
    sizes = np.bincount(rank) if len(rank) else np.zeros(0, dtype=np.intp)
    bounds = np.concatenate(([0], np.cumsum(sizes)))
    place = bounds[rank] + renamed[events.lane]
    event = np.empty_like(place)
    event[place] = np.arange(len(place))
    return Turned(place, event, lanes, bounds.tolist())
