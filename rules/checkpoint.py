"""A folded past: fold(checkpoint, tail) = fold(all), so that long histories stay cheap.

A checkpoint holds, for every resident, the state of both cases and the open alerts as they
stand before an instant at which nothing is unfinished: no session, no assessment and no arrival
cluster spans it. Readings and records from that instant on are the tail.

What a checkpoint must never be used for: data older than its instant that came later, or a
diagnosis, birth date or profile that changed for the past. Those need the whole history.
"""

import numpy as np

from rules.alert_columns import observe, show
from rules.alerts import Grounds, open_grounds
from rules.block import Folded, fold_history
from rules.carried import Carried, OpenAlerts, Shown
from rules.columns import InstantArray, Int64Array, Readings, Records, Residents
from rules.limits import ProfileTable, pick, rows_at
from rules.machine import Action
from rules.scene import set_scene


def take_checkpoint(
    readings: Readings,
    records: Records,
    residents: Residents,
    limits: ProfileTable,
    *,
    before: np.datetime64,
    as_of: np.datetime64,
) -> Carried:
    """Fold everything up to ``before``, or to the last instant earlier at which nothing is open.

    Args:
        readings: Of these residents, in any order.
        records: In any order.
        residents: m residents.
        limits: The profiles in use.
        before: Where the tail should begin.
        as_of: The clock: what has not settled by then stays in the tail.

    Returns:
        What to hand to ``judge`` as ``start``, together with the tail (or with everything).
    """
    whole = fold_history(set_scene(readings, records, residents, limits), records, as_of=as_of)
    until = _find_cut(whole, before)
    past = readings.take(np.flatnonzero(readings.effective_at < until[readings.resident]))
    said = records.take(np.flatnonzero(records.at < until[records.resident]))
    return _carry(fold_history(set_scene(past, said, residents, limits), said, as_of=as_of), until)


def _carry(folded: Folded, until: InstantArray) -> Carried:
    """Keep the lanes, the open alerts, and of the moments only those that these hang on."""
    grounds = open_grounds(folded.told, folded.advised.advisories)
    whole = Carried(
        until=until,
        lanes=folded.told.lanes,
        alerts=_open_alerts(folded, grounds),
        moments=folded.told.moments,
        shown=_show_moments(folded),
        high_normal_on=folded.high_normal_on,
    )
    return whole.of(0, len(until))[0]


def _show_moments(folded: Folded) -> Shown:
    """What is seen at every moment: an overdue alert of the tail may hang on any of them."""
    ordered, lanes = folded.scene.ordered, folded.told.lanes
    observed = observe(ordered, (folded.office.sessions, folded.home.sessions))
    moments = np.arange(len(folded.told.moments))
    urgent = np.isin(moments, lanes.decided[lanes.cause == np.int8(Action.EMERGENCY)])
    return Shown(**show(urgent, moments, ordered, observed))


def _open_alerts(folded: Folded, grounds: Grounds) -> OpenAlerts:
    ordered = folded.scene.ordered
    observed = observe(ordered, (folded.office.sessions, folded.home.sessions))
    return OpenAlerts(
        resident=grounds.resident,
        condition=grounds.condition,
        code=grounds.code,
        anchor=grounds.anchor,
        decided=grounds.decided,
        due=grounds.due,
        by_random=grounds.by_random,
        **show(grounds.urgent, grounds.decided, ordered, observed),
    )


def _find_cut(folded: Folded, before: np.datetime64) -> InstantArray:
    """Latest instant up to ``before`` that no session, assessment or waiting reading spans."""
    scene = folded.scene
    latest = before.astype("datetime64[us]").view(np.int64)
    cut = np.full(len(scene.residents), latest, dtype=np.int64)
    at = scene.ordered.effective_at.view(np.int64)
    waiting = np.concatenate([each.held for each in (folded.office, folded.home)])
    np.minimum.at(cut, scene.ordered.resident[waiting], at[waiting])
    spans = _open_spans(folded, at)
    while True:
        resident, first, end = spans
        here = cut[resident]
        inside = (first < here) & (here < end)
        if not inside.any():
            return cut.view("datetime64[us]")
        np.minimum.at(cut, resident[inside], first[inside])


def _open_spans(folded: Folded, at: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
    """(resident, first instant, first instant at which nothing can join any more) of everything."""
    scene, limits = folded.scene, folded.scene.limits
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
