"""A folded past: fold(checkpoint, tail) = fold(all), so that long histories stay cheap.

A checkpoint holds, for every resident, the state of both cases and the open alerts as they
stand before an instant at which nothing is unfinished: no session, no assessment and no arrival
cluster spans it. Readings and records from that instant on are the tail.

One taken *at rest* goes back further, to an instant at which nothing was open either: no alert
waited for an answer and no case asked for anything. Whatever is said of the tail then rests on
the tail alone, so the readings before it can be let go.

What a checkpoint must never be used for: data older than its instant that came later, or a
diagnosis, birth date or profile that changed for the past. Those need the whole history.
"""

from typing import Final, TypeAlias

import numpy as np

from rules.alert_columns import observe, show, show_grounds
from rules.alerts import Grounds, collect_grounds, open_grounds
from rules.block import Folded, fold_history
from rules.carried import Carried, OpenAlerts, Shown, nothing_carried
from rules.codes import AlertCode
from rules.columns import BoolArray, InstantArray, Int64Array, Readings, Records, Residents
from rules.lanes import LONG_AGO, NEVER
from rules.limits import ProfileTable, pick, rows_at
from rules.local_time import local_date
from rules.machine import IS_QUIET, Action
from rules.scene import set_scene

_Spans: TypeAlias = tuple[Int64Array, Int64Array, Int64Array]
"""Resident, first instant, first instant after it, microseconds; no cut inside."""
_ROUNDS_MAX: Final = 8
_NEVER_OVER: Final = np.iinfo(np.int64).max


def take_checkpoint(
    readings: Readings,
    records: Records,
    residents: Residents,
    limits: ProfileTable,
    *,
    before: np.datetime64,
    as_of: np.datetime64,
    start: Carried | None = None,
    at_rest: bool = False,
) -> Carried:
    """Fold everything up to ``before``, or to the last instant earlier at which nothing is open.

    Args:
        readings: Of these residents, in any order.
        records: In any order.
        residents: m residents.
        limits: The profiles in use.
        before: Where the tail should begin.
        as_of: The clock: what has not settled by then stays in the tail.
        start: The checkpoint before; nobody's new one lies before it.
        at_rest: Go back to where no alert is open and no case asks for anything; who was never
            at rest since ``start`` stays there.

    Returns:
        What to hand to ``judge`` as ``start``, together with the tail (or with everything).
    """
    start = nothing_carried(len(residents)) if start is None else start
    given = _Given(readings, records, residents, limits, as_of=as_of, start=start)
    everything = np.full(len(residents), np.datetime64("9999-01-01", "us"))
    whole = given.fold(everything)
    latest = np.full(len(residents), before.astype("datetime64[us]"))
    until = np.maximum(latest, start.until)
    spans = _open_spans(whole)
    if at_rest:
        spans = _joined(spans, _answered_spans(whole, as_of))
    until = _find_cut(whole, until, spans)
    folded = given.fold(until)
    for _ in range(_ROUNDS_MAX if at_rest else 0):
        restless, began = _find_restless(folded, start)
        if not restless.any():
            return _carry(folded, until)
        until = _find_cut(whole, np.where(restless, np.minimum(until, began), until), spans)
        folded = given.fold(until)
    if at_rest:
        restless, _ = _find_restless(folded, start)
        until = np.where(restless, start.until, until)
        folded = given.fold(until)
    return _carry(folded, until)


class _Given:
    """What is known, to be folded up to any instant of each resident."""

    def __init__(
        self,
        readings: Readings,
        records: Records,
        residents: Residents,
        limits: ProfileTable,
        *,
        as_of: np.datetime64,
        start: Carried,
    ) -> None:
        self._readings = readings.take(
            np.flatnonzero(~start.is_past(readings.resident, readings.effective_at))
        )
        self._records = records.take(np.flatnonzero(~start.is_past(records.resident, records.at)))
        self._residents, self._limits, self._as_of = residents, limits, as_of
        self._start = start

    def fold(self, until: InstantArray) -> Folded:
        """Everything before ``until``, shape (m,)."""
        readings, records = self._readings, self._records
        past = readings.take(np.flatnonzero(readings.effective_at < until[readings.resident]))
        said = records.take(np.flatnonzero(records.at < until[records.resident]))
        closed = self._start.closed_residents()
        scene = set_scene(past, said, self._residents, self._limits, closed)
        return fold_history(scene, said, as_of=self._as_of, start=self._start)


def _carry(folded: Folded, until: InstantArray) -> Carried:
    """Keep the lanes, the open alerts, and of the moments only those that these hang on."""
    whole = Carried(
        until=until,
        lanes=folded.told.lanes,
        alerts=_open_alerts(folded, open_grounds(folded.told, folded.advised)),
        moments=folded.told.moments,
        shown=_show_moments(folded),
        high_normal_on=folded.high_normal_on,
    )
    return whole.of(0, len(until))[0]


def _show_moments(folded: Folded) -> Shown:
    """What is seen at every moment: an overdue alert of the tail may hang on any of them."""
    ordered, told = folded.scene.ordered, folded.told
    observed = observe(ordered, (folded.office.sessions, folded.home.sessions))
    moments = np.arange(len(told.moments))
    urgent = np.isin(moments, told.lanes.decided[told.lanes.cause == np.int8(Action.EMERGENCY)])
    columns = show(urgent, moments, ordered, observed)
    first = len(told.moments) - len(told.carried.moments)
    for name, column in columns.items():
        column[first:] = getattr(told.carried.shown, name)
    return Shown(**columns)


def _open_alerts(folded: Folded, grounds: Grounds) -> OpenAlerts:
    ordered = folded.scene.ordered
    observed = observe(ordered, (folded.office.sessions, folded.home.sessions))
    rows = np.arange(len(grounds.code))
    return OpenAlerts(
        resident=grounds.resident,
        condition=grounds.condition,
        code=grounds.code,
        anchor=grounds.anchor,
        decided=grounds.decided,
        due=grounds.due,
        by_random=grounds.by_random,
        **show_grounds(grounds, rows, folded.told, ordered, observed),
    )


def _find_restless(folded: Folded, start: Carried) -> tuple[BoolArray, InstantArray]:
    """Who has something open, shape (m,), and since when; nobody since before ``start``."""
    told = folded.told
    lanes, many = told.lanes, len(start.until)
    since = start.until.view(np.int64).copy()
    asks = ~IS_QUIET[lanes.state] | (lanes.due != NEVER) | (lanes.high_day != LONG_AGO)
    asks |= (lanes.first_open != 0) | (lanes.reaction_open != 0)
    grounds = open_grounds(told, folded.advised)
    resident = np.concatenate((lanes.resident[asks], grounds.resident))
    anchor = np.concatenate((lanes.anchor[asks], grounds.anchor))
    restless = np.zeros(many, dtype=np.bool_)
    restless[resident] = True
    began = np.full(many, _NEVER_OVER)
    known = np.append(told.moments.at.view(np.int64), np.iinfo(np.int64).min)  # Anchor -1.
    np.minimum.at(began, resident, known[anchor])
    return restless, np.maximum(began, since).view("datetime64[us]")


def _answered_spans(folded: Folded, as_of: np.datetime64) -> _Spans:
    """From the anchor of every alert until after its answer; a routine visit is nobody's ground."""
    told, scene = folded.told, folded.scene
    today = int(local_date(np.array([as_of]), scene.limits.utc_offset)[0].astype(np.int64))
    grounds = collect_grounds(told, folded.advised, scene, today)
    rows = np.flatnonzero(grounds.code != np.int8(AlertCode.ROUTINE_OVERDUE))
    at = told.moments.at.view(np.int64)
    answer = grounds.resolved_by[rows]
    ends = np.where(answer >= 0, np.append(at, 0)[answer] + 1, _NEVER_OVER)
    return grounds.resident[rows], at[grounds.anchor[rows]], ends


def _joined(some: _Spans, others: _Spans) -> _Spans:
    one, two, three = (np.concatenate(pair) for pair in zip(some, others, strict=True))
    return one, two, three


def _find_cut(folded: Folded, latest: InstantArray, spans: _Spans) -> InstantArray:
    """Latest instant up to ``latest`` that no span and no waiting reading contains."""
    scene = folded.scene
    cut = latest.view(np.int64).copy()
    at = scene.ordered.effective_at.view(np.int64)
    waiting = np.concatenate([each.held for each in (folded.office, folded.home)])
    np.minimum.at(cut, scene.ordered.resident[waiting], at[waiting])
    while True:
        resident, first, end = spans
        here = cut[resident]
        inside = (first < here) & (here < end)
        if not inside.any():
            return cut.view("datetime64[us]")
        np.minimum.at(cut, resident[inside], first[inside])


def _open_spans(folded: Folded) -> _Spans:
    """Every session and assessment, until nothing can join it any more."""
    scene, limits = folded.scene, folded.scene.limits
    at = scene.ordered.effective_at.view(np.int64)
    parts = []
    for sittings in (folded.office, folded.home):
        first, last = sittings.sessions.first, sittings.sessions.last
        row = rows_at(scene.row, first)
        reach = np.minimum(
            at[last] + pick(limits.session_gap_us, row),
            at[first] + pick(limits.session_span_us, row),
        )
        parts.append((first, reach + 1))
    for member in folded.memberships.values():
        span = pick(limits.assessment_span_us, rows_at(scene.row, member.anchor))
        parts.append((member.anchor, at[member.anchor] + span))
    rows = np.concatenate([first for first, _ in parts])
    ends = np.concatenate([end for _, end in parts])
    return scene.ordered.resident[rows], at[rows], ends
