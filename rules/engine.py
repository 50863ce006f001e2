"""From readings and residents to cases, alerts and the next moment to ask again.

    order ─▶ emergencies ─┬──────────────────────────────▶ events ─▶ fold ─▶ cases, alerts
                          ├▶ office sessions ─▶ findings ─▶ assessments ─┘
                          └▶ home sessions, postprandial ─▶ advisories ────▶ alerts

Pure: the same rows in any order, with the same ``as_of``, give the same judgement. All
residents are judged at once; nothing here loops over residents.
"""

from typing import Final

import numpy as np

from rules.advisories import advise
from rules.alerts import collect_grounds, list_alerts, observe
from rules.assessments import group_findings, join, judge_fasting, judge_sessions
from rules.codes import CaseState
from rules.columns import (
    KIND_BLOOD_PRESSURE,
    SETTING_HOME,
    SETTING_OFFICE,
    BoolArray,
    DateArray,
    InstantArray,
    Int8Array,
    Readings,
    Residents,
    order_in_time,
)
from rules.emergencies import flag_emergencies
from rules.errors import UnknownCodeError
from rules.fold import IS_REFERRAL, Lanes, fold, order_events
from rules.judgement import Alerts, Cases, Judgement
from rules.local_time import local_date, local_midnight
from rules.profile import FollowUp, Profile
from rules.runs import RowArray
from rules.sessions import Sessions, build_sessions

__all__ = ["Alerts", "Cases", "Judgement", "is_pregnant", "judge"]

_NO_ANCHOR: Final = -1
_NEVER: Final = np.iinfo(np.int64).max


def is_pregnant(residents: Residents, resident: RowArray, day: DateArray) -> BoolArray:
    """Whether each row's resident is pregnant or lactating on that local day; shape (n,)."""
    since, until = residents.pregnant_since[resident], residents.pregnant_until[resident]
    pregnant: BoolArray = (since <= day) & ~(until < day)
    return pregnant


def judge(
    readings: Readings,
    residents: Residents,
    profile: Profile,
    *,
    as_of: np.datetime64,
    session_wait: np.timedelta64 | None = None,
    pregnant: BoolArray | None = None,
) -> Judgement:
    """Judge all residents on all their readings, as known and as the clock stands at ``as_of``.

    Emergencies count at once; a session counts once ``session_wait`` has passed since its last
    reading arrived. Due days and overdue are local calendar days of the profile's zone.

    Args:
        readings: Every usable reading of these residents, in any order.
        residents: m residents; ``readings.resident`` are rows here.
        profile: The numbers.
        as_of: The clock, UTC.
        session_wait: Instead of the profile's, for demonstrations.
        pregnant: Shape (n,), aligned with ``readings``: pregnant or lactating on that day, where
            a resident has more periods than the one of ``residents``. None: from ``residents``.

    Raises:
        UnknownCodeError: A reading names a row that ``residents`` does not have.
    """
    _require_rows(readings, residents)
    as_of = as_of.astype("datetime64[us]")
    wait = profile.timing.session_wait if session_wait is None else session_wait
    order = order_in_time(readings)
    ordered = readings.take(order)
    day = local_date(ordered.effective_at, profile.utc_offset)
    known = is_pregnant(residents, ordered.resident, day) if pregnant is None else pregnant[order]
    emergency = flag_emergencies(ordered, known, profile)

    office, home = _build_all_sessions(ordered, emergency, profile, wait)
    closed_office, closed_home = (each.take(each.closes_at <= as_of) for each in (office, home))
    findings = join(
        [
            judge_sessions(closed_office, day, residents, profile),
            judge_fasting(ordered, emergency, day, residents, profile),
        ]
    )
    assessed = group_findings(findings, ordered, profile.timing.assessment_span)
    events, lanes = order_events(assessed, emergency, ordered, day)
    raised = fold(events, lanes, profile)
    advisories = advise(
        closed_home, ordered, emergency=emergency, day=day, residents=residents, profile=profile
    )
    today = local_date(np.array([as_of]), profile.utc_offset)
    grounds = collect_grounds(events, lanes, raised, advisories, today)
    return Judgement(
        cases=_cases(lanes, today, order),
        alerts=list_alerts(
            grounds, ordered, order, profile, observe(ordered, (closed_office, closed_home))
        ),
        next_tick=_next_tick(len(residents), lanes, (office, home), as_of, profile),
    )


def _build_all_sessions(
    ordered: Readings, emergency: Int8Array, profile: Profile, wait: np.timedelta64
) -> tuple[Sessions, Sessions]:
    office, home = (
        build_sessions(
            ordered, _pressures(ordered, setting), emergency, timing=profile.timing, wait=wait
        )
        for setting in (SETTING_OFFICE, SETTING_HOME)
    )
    return office, home


def _require_rows(readings: Readings, residents: Residents) -> None:
    rows = readings.resident
    if len(rows) and not 0 <= rows.min() <= rows.max() < len(residents):
        msg = f"readings.resident must be rows of the {len(residents)} residents"
        raise UnknownCodeError(msg)


def _pressures(ordered: Readings, setting: int) -> RowArray:
    mine = ordered.countable & (ordered.kind == KIND_BLOOD_PRESSURE) & (ordered.setting == setting)
    return np.flatnonzero(mine)


def _cases(lanes: Lanes, today: DateArray, order: RowArray) -> Cases:
    rows = np.flatnonzero(lanes.state != CaseState.NONE)
    rows = rows[np.lexsort((lanes.condition[rows], lanes.resident[rows]))]
    state, due, anchor = lanes.state[rows], lanes.due[rows], lanes.anchor[rows]
    referred = IS_REFERRAL[state]
    overdue = due < today
    late_state = np.where(
        referred, CaseState.REFERRAL_FOLLOWUP_OVERDUE, CaseState.SECOND_FOLLOWUP_OVERDUE
    )
    none = np.datetime64("NaT", "D")
    return Cases(
        resident=lanes.resident[rows],
        condition=lanes.condition[rows],
        state=np.where(overdue, late_state, state).astype(np.int8),
        consecutive_unsatisfied=lanes.unsatisfied[rows],
        second_followup_due=np.where(referred, none, due),
        referral_followup_due=np.where(referred, due, none),
        next_routine_due=lanes.routine[rows],
        anchor=np.where(anchor == _NO_ANCHOR, _NO_ANCHOR, order[anchor]).astype(np.int64),
    )


def _next_tick(
    residents: int,
    lanes: Lanes,
    sessions: tuple[Sessions, ...],
    as_of: np.datetime64,
    profile: Profile,
) -> InstantArray:
    """Next session close, overdue day or escalation step of each resident."""
    tick = np.full(residents, _NEVER, dtype=np.int64)

    def consider(resident: RowArray, at: InstantArray) -> None:
        ahead = at > as_of  # NaT is never ahead.
        np.minimum.at(tick, resident[ahead], at[ahead].astype(np.int64))

    for each in sessions:
        consider(each.resident, each.closes_at)
    for days in _overdue_steps(profile.followup):
        consider(lanes.resident, local_midnight(lanes.due + days, profile.utc_offset))
    none = tick == _NEVER
    tick[none] = 0
    return np.where(none, np.datetime64("NaT", "us"), tick.astype("datetime64[us]"))


def _overdue_steps(followup: FollowUp) -> tuple[int, ...]:
    return (1, *followup.escalation_days)
