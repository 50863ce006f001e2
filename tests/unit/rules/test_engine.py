"""The promise: the engine refuses what does not fit, and says what it judged by and on what."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from rules.checkpoint import take_checkpoint
from rules.codes import AlertCode, AlertStatus, CaseState
from rules.columns import MISSING, Records
from rules.engine import Judgement, judge
from rules.errors import UnknownCodeError
from rules.limits import ProfileTable, tabulate
from rules.machine import Action
from rules.profiles import load_profile, load_versions
from tests.unit.rules.rules_builders import (
    MINUTE,
    MMHG,
    NOON,
    periods,
    readings,
    records,
    residents,
)
from tests.unit.rules.rules_crowd import LIMITS

WUZHOU = tabulate([load_versions("wuzhou")])
DAY = np.timedelta64(1, "D")
ILL = {"hypertension_since": ["2010-01-01"]}


def say(
    table: Any,  # noqa: ANN401 - readings
    said: Records | None = None,
    people: dict[str, Any] | None = None,
    limits: ProfileTable = WUZHOU,
    **options: Any,  # noqa: ANN401 - passed on
) -> Judgement:
    options.setdefault("as_of", NOON + DAY)
    return judge(table, said or Records.none(), residents(**people or ILL), limits, **options)


def states(judgement: Judgement) -> list[str]:
    return [CaseState(each).name for each in judgement.cases.state]


def test_nobody_and_nothing_is_judged_without_complaint() -> None:
    nothing = readings().take(np.zeros(0, np.intp))

    empty = judge(nothing, Records.none(), residents(0), WUZHOU, as_of=NOON)
    idle = say(nothing)

    assert (len(empty.cases), len(empty.alerts), empty.next_tick.shape) == (0, 0, (0,))
    assert empty.high_normal_on.shape == (0,)
    assert (len(idle.cases), len(idle.alerts), idle.trace.session.shape) == (0, 0, (0,))
    assert np.isnat(idle.next_tick).tolist() == [True]


@pytest.mark.parametrize("resident", [-1, 1])
def test_whoever_is_not_among_the_residents_is_refused(resident: int) -> None:
    with pytest.raises(UnknownCodeError, match="resident must be a row of the 1 residents"):
        say(readings(resident=resident))
    with pytest.raises(UnknownCodeError, match="resident must be a row of the 1 residents"):
        say(readings(), records(resident=resident))


def test_a_shorter_wait_can_be_asked_for() -> None:
    table = readings(systolic=152, diastolic=94)

    assert states(say(table, as_of=NOON)) == []
    shorter = say(table, as_of=NOON, session_wait=np.timedelta64(0, "s"))
    assert states(shorter) == ["SECOND_FOLLOWUP_OPEN"]
    assert states(say(table, as_of=NOON + MINUTE, session_wait=2 * MINUTE)) == []
    assert WUZHOU.session_wait_us.tolist() == [600_000_000]


def test_an_open_session_raises_its_emergency_and_ticks_at_its_close() -> None:
    found = say(readings(systolic=182, diastolic=104), as_of=NOON)

    assert states(found) == ["EMERGENCY_REFERRAL"]
    assert found.cases.consecutive_unsatisfied.tolist() == [0]
    assert found.next_tick.tolist() == [(NOON + 10 * MINUTE).item()]


def test_ticks_stop_after_the_last_escalation() -> None:
    table = readings(systolic=152, diastolic=94)
    overdue = np.datetime64("2026-03-16T16:00", "us")  # Midnight in Shanghai.

    def tick(as_of: np.datetime64) -> object:
        return say(table, as_of=as_of).next_tick[0].item()

    assert tick(NOON + DAY) == overdue.item()
    assert tick(overdue) == (overdue + 6 * DAY).item()
    assert tick(overdue + 6 * DAY) == (overdue + 13 * DAY).item()
    assert tick(overdue + 13 * DAY) is None


def test_a_routine_visit_ticks_on_the_day_it_is_overdue_until_the_contract_ends() -> None:
    nothing = readings().take(np.zeros(0, np.intp))
    enrolled = ILL | {"enrolled_on": ["2026-03-02"]}
    closure = records(kind=4, reason=1, condition=0)

    found = say(nothing, people=enrolled)

    assert found.next_tick.tolist() == [np.datetime64("2026-05-31T16:00", "us").item()]
    assert np.isnat(say(nothing, closure, enrolled).next_tick).tolist() == [True]


def test_an_alert_shows_what_was_seen_and_who_resolved_it() -> None:
    table = readings(
        systolic=[150, 154, 190, 120],
        diastolic=[92, 96, 99, 70],
        effective_at=[NOON, NOON + MINUTE, NOON + 2 * DAY, NOON + 5 * DAY],
        ids=[b"a", b"b", b"c", b"d"],
    )
    said = records(kind=2, at=NOON + 4 * DAY, received_at=NOON + 4 * DAY)

    alerts = say(table, said, as_of=NOON + 9 * DAY).alerts

    names = [AlertCode(each).name for each in alerts.code]
    assert names == ["BP_UNSATISFIED_1", "BP_EMERGENCY"]
    assert (alerts.systolic_sum // MMHG).tolist() == [304, 190]
    assert (alerts.diastolic_sum // MMHG).tolist() == [188, 99]
    assert alerts.count.tolist() == [2, 1]
    assert alerts.anchor.tolist() == alerts.decided.tolist() == [0, 2]
    assert alerts.resolved_by.tolist() == [2, 4]  # The emergency; the record after four readings.
    assert alerts.became_true_at.tolist() == [NOON.item(), (NOON + 2 * DAY).item()]


@pytest.mark.parametrize("answered", [False, True], ids=["open", "answered"])
@pytest.mark.parametrize(
    ("systolic", "row"),
    [
        pytest.param(190, 0, id="an-emergency-by-the-deployment-s"),
        pytest.param(160, 1, id="a-value-by-the-contract-s"),
    ],
)
def test_an_overdue_alert_is_judged_by_the_profile_that_gave_its_day(
    systolic: int, row: int, *, answered: bool
) -> None:
    people = ILL | {"profiles": periods((0, "2020-01-01", "NaT", 1))}
    table = readings(
        systolic=[systolic, 120],
        effective_at=[NOON, NOON + 19 * DAY],
        ids=[b"a", b"b"],
    )
    late = {"kind": 2, "at": NOON + 20 * DAY, "received_at": NOON + 20 * DAY}
    said = records(**late) if answered else Records.none()
    table = table if answered else table.take(slice(0, 1))

    alerts = say(table, said, people, LIMITS, as_of=NOON + 21 * DAY).alerts

    overdue = np.isin(
        alerts.code, [AlertCode.FOLLOWUP_OVERDUE, AlertCode.REFERRAL_FOLLOWUP_OVERDUE]
    )
    assert (alerts.status[overdue] == AlertStatus.RESOLVED).tolist() == [answered]
    assert alerts.row[overdue].tolist() == [row]
    assert (alerts.systolic_sum[overdue] // MMHG).tolist() == [systolic]


@pytest.mark.parametrize("answered", [False, True], ids=["open", "answered"])
@pytest.mark.parametrize("from_checkpoint", [False, True], ids=["whole", "from-checkpoint"])
def test_an_overdue_referral_shows_the_emergency_and_not_the_mean_of_its_session(
    *, answered: bool, from_checkpoint: bool
) -> None:
    table = readings(
        systolic=[190, 150],
        diastolic=[99, 88],
        effective_at=[NOON, NOON + 5 * MINUTE],
        ids=[b"a", b"b"],
    )
    late = {"kind": 2, "at": NOON + 20 * DAY, "received_at": NOON + 20 * DAY}
    said = records(**late) if answered else Records.none()
    as_of = NOON + 21 * DAY
    people = residents(hypertension_since=["2010-01-01"])
    past = take_checkpoint(table, said, people, WUZHOU, before=NOON + 10 * DAY, as_of=as_of)

    alerts = say(table, said, as_of=as_of, start=past if from_checkpoint else None).alerts

    assert [AlertCode(each).name for each in alerts.code] == [
        "BP_EMERGENCY",
        "REFERRAL_FOLLOWUP_OVERDUE",
    ]
    assert (alerts.systolic_sum // MMHG).tolist() == [190, 190]
    assert (alerts.diastolic_sum // MMHG).tolist() == [99, 99]
    assert alerts.count.tolist() == [1, 1]
    assert (alerts.status == AlertStatus.RESOLVED).tolist() == [answered, answered]


def test_an_alert_of_a_record_shows_no_value() -> None:
    visit = records(adverse_reaction=True)
    nothing, one = readings().take(np.zeros(0, np.intp)), readings(effective_at=NOON - DAY)

    for table in (nothing, one):
        alerts = say(table, visit).alerts
        assert [AlertCode(each).name for each in alerts.code] == ["ADR_1"]
        for name in ("systolic_sum", "diastolic_sum", "glucose_mmol_l_e4"):
            assert getattr(alerts, name).tolist() == [MISSING]
        assert (alerts.count.tolist(), alerts.range_status.tolist()) == ([1], [0])


def test_a_case_names_what_moved_it() -> None:
    table = readings(
        systolic=[120, 152],
        diastolic=[70, 94],
        effective_at=[NOON, NOON + 60 * MINUTE],
        ids=[b"a", b"b"],
    )

    cases = say(table, as_of=NOON + DAY).cases

    assert (cases.anchor.tolist(), cases.decided.tolist()) == ([0], [1])
    assert [Action(each) for each in cases.cause] == [Action.FIRST_UNSATISFIED]
    assert cases.row.tolist() == [0]


def test_each_reading_knows_its_session_and_its_assessment() -> None:
    table = readings(
        ids=[b"a", b"b", b"c", b"d", b"e", b"f"],
        kind=[1, 1, 1, 1, 2, 2],
        setting=[1, 1, 1, 3, 1, 1],
        meal_context=[0, 0, 0, 0, 1, 4],
        glucose_mmol_l_e4=[-1, -1, -1, -1, 56_000, 56_000],
        effective_at=[NOON, NOON + MINUTE, NOON + 60 * MINUTE, *[NOON] * 3],
    )
    people = ILL | {"diabetes_since": ["2010-01-01"]}

    trace = say(table, people=people).trace

    assert trace.session.tolist() == [0, 0, 2, -1, 4, 5]
    assert trace.group.tolist() == [0, 0, 0, -1, 4, -1]


def test_a_contract_s_profile_judges_from_its_first_day_to_its_last() -> None:
    people = ILL | {
        "birth_date": ["1968-01-01"],
        "profiles": periods((0, "2026-03-02", "2026-03-04", 1)),
    }
    days = [NOON + number * DAY for number in range(-1, 4)]
    table = readings(
        systolic=[140] * 5,
        effective_at=days,
        ids=[b"a", b"b", b"c", b"d", b"e"],
    )
    last = []
    for row in range(5):
        found = say(
            table.take(slice(row, row + 1)), people=people, limits=LIMITS, as_of=NOON + 9 * DAY
        )
        last.append((states(found)[0], found.cases.row.tolist()))

    assert last == [
        ("CONTROLLED", [0]),
        *[("SECOND_FOLLOWUP_OPEN", [1])] * 3,
        ("CONTROLLED", [0]),
    ]


def test_a_newer_version_judges_from_its_day_on() -> None:
    wuzhou = load_profile("wuzhou")
    limit = replace(wuzhou.bp_office.base, systolic_mmhg_e13=130 * MMHG)
    newer = replace(
        wuzhou,
        version="2",
        valid_from=date(2026, 3, 2),
        bp_office=replace(wuzhou.bp_office, base=limit),
    )
    limits = tabulate([[wuzhou, newer]])

    for at, expected in ((NOON - DAY, "CONTROLLED"), (NOON, "SECOND_FOLLOWUP_OPEN")):
        found = say(readings(systolic=135, effective_at=at), limits=limits)
        assert states(found) == [expected]


def test_emergencies_are_judged_by_the_deployment_s_profile() -> None:
    wuzhou = load_profile("wuzhou")
    limit = replace(wuzhou.bp_emergency, systolic_mmhg_e13=200 * MMHG)
    lenient = replace(wuzhou, bp_emergency=limit)
    people = ILL | {"profiles": periods((0, "2020-01-01", "NaT", 1))}
    table = readings(systolic=190, diastolic=80)

    def codes(limits: ProfileTable) -> list[str]:
        return [
            AlertCode(each).name for each in say(table, people=people, limits=limits).alerts.code
        ]

    assert codes(tabulate([[wuzhou], [lenient]])) == ["BP_EMERGENCY"]
    assert codes(tabulate([[lenient], [wuzhou]])) == ["BP_UNSATISFIED_1"]


def test_a_reading_that_does_not_count_moves_nothing() -> None:
    table = readings(systolic=[190, 152], diastolic=[120, 94], countable=[False, False])

    found = say(table)

    assert (len(found.cases), len(found.alerts)) == (0, 0)
    assert found.trace.session.tolist() == [-1, -1]


def test_the_clock_may_be_given_in_any_unit() -> None:
    table = readings(systolic=152, diastolic=94)

    assert states(say(table, as_of=np.datetime64("2026-03-03"))) == ["SECOND_FOLLOWUP_OPEN"]
