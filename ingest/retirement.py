"""From a fresh judgement of some residents to checkpoints of them, and what may then be let go.

Pure. The judgement must be that of everything known of them, made under their fold rows: what
it has raised and changed is written before the past is closed, so nothing is closed untold.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np

from ingest.anchors import Anchors
from ingest.checkpoints import Facts, name_profiles, to_bytes
from ingest.columns import to_datetimes, to_instants
from ingest.db.checkpoints import CheckpointRow
from ingest.pasts import list_turns, partition_times
from ingest.verdicts import Verdict, tell
from rules.carried import Carried
from rules.checkpoint import take_checkpoint
from rules.codes import Condition
from rules.columns import IdArray
from rules.engine import judge
from rules.explain import Judged, explain_case
from rules.explain.related import find_answered
from rules.normalise import normalise

_CONDITIONS = {int(condition): condition.name.lower() for condition in Condition}


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """What to write."""

    checkpoints: list[CheckpointRow]
    held: list[UUID]  # Readings in front of the edge that must stay.
    released: list[UUID]  # Readings that were held, and need not be any more.


def retire(verdict: Verdict, *, edge: datetime) -> Retired:
    """Close the past of these residents up to the edge, or earlier where something is open.

    Args:
        verdict: On everything that is known of them.
        edge: Of the chunks that are to go.
    """
    judged, loaded = verdict.judged, verdict.loaded
    (before, as_of) = to_instants([edge, verdict.at])
    start = None if loaded.pasts is None else loaded.pasts.carried
    carried = take_checkpoint(
        judged.readings,
        judged.records,
        judged.residents,
        loaded.limits,
        before=before,
        as_of=as_of,
        start=start,
        at_rest=True,
    )
    facts = _collect_facts(verdict, carried)
    rows = []
    for row, (id_, until) in enumerate(zip(loaded.ids, to_datetimes(carried.until), strict=True)):
        mine, names = name_profiles(carried.of(row, row + 1)[0], loaded.limits)
        told = replace(facts[row], profiles=names)
        kept = {name: getattr(told, name) for name in Facts.__slots__}
        rows.append(CheckpointRow(id_, edge, until, to_bytes(mine), kept, verdict.at))
    held, released = _part_readings(verdict, carried, edge)
    return Retired(checkpoints=rows, held=held, released=released)


def _part_readings(
    verdict: Verdict, carried: Carried, edge: datetime
) -> tuple[list[UUID], list[UUID]]:
    """Of readings in front of the edge: which to hold, and which to hold no longer."""
    reported, loaded = verdict.loaded.reported, verdict.loaded
    normalised = normalise(reported, loaded.amendments, deduplicate=False)
    open_still = normalised.effective_at >= carried.until[reported.resident]
    in_front = partition_times(reported.ids) < to_instants([edge])[0]
    is_held = np.isin(reported.ids, loaded.held)
    to_hold = in_front & open_still & ~is_held
    to_release = is_held & ~open_still
    return _uuids(reported.ids[to_hold]), _uuids(reported.ids[to_release])


def _uuids(ids: IdArray) -> list[UUID]:
    return [UUID(bytes=bytes(id_).ljust(16, b"\0")) for id_ in ids.tolist()]


def _collect_facts(verdict: Verdict, carried: Carried) -> list[Facts]:
    """What will be told of the past when its readings are gone, by resident."""
    judged, loaded = verdict.judged, verdict.loaded
    cases = _explain_cases(verdict, carried)
    answered = _list_answered(verdict, carried)
    turns = list_turns(judged.records, carried.until)
    return [
        Facts(cases=cases[row], answered=answered[row], turns=turns[row])
        for row in range(len(loaded.ids))
    ]


def _explain_cases(verdict: Verdict, carried: Carried) -> list[dict[str, Any]]:
    """Why each case stands as it does at the end of the past; nothing of it waits for anybody."""
    judged, loaded = verdict.judged, verdict.loaded
    start = None if loaded.pasts is None else loaded.pasts.carried
    until = carried.until
    readings = judged.readings.take(
        np.flatnonzero(judged.readings.effective_at < until[judged.readings.resident])
    )
    records = judged.records.take(
        np.flatnonzero(judged.records.at < until[judged.records.resident])
    )
    (as_of,) = to_instants([verdict.at])
    judgement = judge(readings, records, judged.residents, loaded.limits, as_of=as_of, start=start)
    anchors = Anchors(
        ids=loaded.ids,
        readings=readings,
        records=records,
        residents=judged.residents,
        utc_offset=loaded.limits.utc_offset,
        carried=start,
    )
    past = Judged(
        readings=readings,
        records=records,
        residents=judged.residents,
        limits=loaded.limits,
        judgement=anchors.settle(judgement),
    )
    was_carried = anchors.is_carried(judgement.cases.anchor)
    found: list[dict[str, Any]] = [{} for _ in loaded.ids]
    for number, (resident, condition) in enumerate(
        zip(judgement.cases.resident.tolist(), judgement.cases.condition.tolist(), strict=True)
    ):
        name = _CONDITIONS[condition]
        if was_carried[number] and loaded.pasts is not None:
            found[resident][name] = loaded.pasts.facts[resident].cases[name]
        else:
            found[resident][name] = tell(explain_case(past, number))
    return found


def _list_answered(verdict: Verdict, carried: Carried) -> list[dict[str, Any]]:
    """What the visit answered from which the next one is counted, as [code, day]."""
    judged, pasts = verdict.judged, verdict.loaded.pasts
    lanes = carried.lanes
    anchors = replace(verdict.anchors, carried=carried).places_of(lanes.visit_anchor)
    found: list[dict[str, Any]] = [{} for _ in verdict.loaded.ids]
    columns = (lanes.resident.tolist(), lanes.condition.tolist(), anchors.tolist())
    for resident, condition, anchor in zip(*columns, strict=True):
        name = _CONDITIONS[condition]
        record = judged.record_row(anchor)
        if pasts is not None and 0 <= record < len(judged.records):
            at = judged.records.at[record : record + 1]
            if pasts.carried.is_past(np.array([resident]), at)[0]:
                found[resident][name] = pasts.facts[resident].answered.get(name, [])
                continue
        found[resident][name] = [
            [each.code.name, each.on.isoformat()]
            for each in find_answered(judged, resident, Condition(condition), anchor)
        ]
    return found
