"""What must be written so that the stored outcome says what the rules say now. Pure.

Nothing is rewritten (I5): an alert without ground is cancelled and stays, one whose ground
returns is active again, and one that still holds stays as it was told, under whatever profile.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeAlias
from uuid import UUID

from ingest.db.alerts import Standing
from ingest.db.cases import CaseRow
from rules.machine import EMERGENCY_CODES

CaseKey: TypeAlias = tuple[str, str]
"""Pseudonym, condition."""
_Ground: TypeAlias = tuple[str | None, str, str, UUID]

_OF_ONE_READING: Final = frozenset(code.name for code in EMERGENCY_CODES)


@dataclass(frozen=True, slots=True)
class AlertDifference:
    """What to do about the alerts of some residents."""

    raised: list[UUID]  # Of the wanted ones: to be inserted.
    changed: dict[UUID, Standing]  # Stored id to how it stands now.
    kept: dict[UUID, UUID] = field(default_factory=dict)  # Stored id to wanted id, if it holds.


def compare_alerts(
    stored: Mapping[UUID, Standing],
    wanted: Mapping[UUID, Standing],
    *,
    assessed_at: Callable[[UUID], UUID | None],
    was_seen: Callable[[Standing], bool],
    kin: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> AlertDifference:
    """Find each wanted alert its stored row: by id, by its present anchor, or by assessment.

    The id comes first: an anchor that moved away and returns finds the row that it once made.
    An alert whose anchor was only not the first of its assessment keeps its row (and so its
    acknowledgement) and gets the new anchor; an emergency is of one reading and is not moved.

    Args:
        stored: Every alert of these residents by id; of nobody, those of readings that were
            claimed since.
        wanted: What the rules say, by the id that a new alert would get.
        assessed_at: Anchor of the assessment to which a reading belongs now.
        was_seen: Whether what an alert rests on was looked at: only then can it be missing.
        kin: Of a resident, those who are or were merged with them: their alerts may be its own.
    """
    kept = {id_: id_ for id_ in wanted.keys() & stored.keys()}
    _keep_by_ground(stored, wanted, kept, kin)
    _keep_by_assessment(stored, wanted, kept, assessed_at, kin)
    found = set(kept.values())
    changed = {id_: wanted[now_id] for id_, now_id in kept.items() if stored[id_] != wanted[now_id]}
    for id_, standing in stored.items():
        if id_ not in kept and standing.status != "cancelled" and was_seen(standing):
            changed[id_] = standing._replace(status="cancelled")
    return AlertDifference(
        raised=[id_ for id_ in wanted if id_ not in found], changed=changed, kept=kept
    )


def _ground(standing: Standing, resident_id: str | None) -> _Ground:
    return resident_id, standing.condition, standing.code, standing.anchor_id


def _keep_by_ground(
    stored: Mapping[UUID, Standing],
    wanted: Mapping[UUID, Standing],
    kept: dict[UUID, UUID],
    kin: Mapping[str, Collection[str]],
) -> None:
    """Same resident, kin, or nobody until now, same condition, code and present anchor."""
    free = {_ground(s, s.resident_id): id_ for id_, s in stored.items() if id_ not in kept}
    found = set(kept.values())
    for now_id, standing in wanted.items():
        if now_id in found:
            continue
        mine = standing.resident_id
        for owner in (mine, *sorted(kin.get(mine or "", ())), None):
            id_ = free.pop(_ground(standing, owner), None)
            if id_ is not None:
                kept[id_] = now_id
                break


def _keep_by_assessment(
    stored: Mapping[UUID, Standing],
    wanted: Mapping[UUID, Standing],
    kept: dict[UUID, UUID],
    assessed_at: Callable[[UUID], UUID | None],
    kin: Mapping[str, Collection[str]],
) -> None:
    """An alert that lost its ground moves to the first reading of its anchor's assessment."""
    found = set(kept.values())
    missing = {
        _ground(standing, standing.resident_id): now_id
        for now_id, standing in wanted.items()
        if now_id not in found and standing.anchor_kind == "reading"
    }
    lost = sorted(
        (standing.effective_at, id_)
        for id_, standing in stored.items()
        if id_ not in kept
        and standing.anchor_kind == "reading"
        and standing.status != "cancelled"
        and standing.code not in _OF_ONE_READING
    )
    for _, id_ in lost if missing else ():
        anchor = assessed_at(stored[id_].anchor_id)
        if anchor is not None:
            moved = stored[id_]._replace(anchor_id=anchor)
            mine = moved.resident_id
            for owner in (mine, *sorted(kin.get(mine or "", ()))):
                now_id = missing.pop(_ground(moved, owner), None)
                if now_id is not None:
                    kept[id_] = now_id
                    break


def compare_cases(
    stored: Mapping[CaseKey, CaseRow], wanted: Mapping[CaseKey, CaseRow], *, at: datetime
) -> list[tuple[str, CaseRow]]:
    """(Previous state, case as it is now) of every case that differs.

    A case that the rules no longer see goes back to none. One that stands as it stood, only
    under another profile, stays as it was told.

    Args:
        stored: By resident and condition.
        wanted: Likewise; none of them is in state none.
        at: The clock.
    """
    gone = {
        key: _emptied(case, at)
        for key, case in stored.items()
        if key not in wanted and case.state != "none"
    }
    return [
        (stored[key].state if key in stored else "none", case)
        for key, case in _in_order(wanted, gone)
        if key not in stored or _substance(stored[key]) != _substance(case)
    ]


def _in_order(*parts: Mapping[CaseKey, CaseRow]) -> Iterable[tuple[CaseKey, CaseRow]]:
    return sorted(item for part in parts for item in part.items())


def _substance(case: CaseRow) -> CaseRow:
    return case._replace(profile="", profile_version="", updated_at=datetime.min)  # noqa: DTZ901 - compared with itself only


def _emptied(case: CaseRow, at: datetime) -> CaseRow:
    return case._replace(
        state="none",
        consecutive_unsatisfied=0,
        second_followup_due=None,
        referral_followup_due=None,
        next_routine_due=None,
        anchor_id=None,
        anchor_kind=None,
        cause=None,
        severity=None,
        updated_at=at,
    )
