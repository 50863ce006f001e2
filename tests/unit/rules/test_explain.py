"""The promise: every alert and every transition names its readings, mean, limit and profile."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings

from rules.codes import AlertCode, AlertStatus, CaseState, Severity
from rules.columns import RANGE_HIGH
from rules.engine import judge
from rules.errors import UnknownCodeError
from rules.explain import Judged, explain_alert, explain_case, observed_text
from rules.explain.explanation import Answer, ChangeKind, Explanation, Happening, Json
from rules.machine import ACTIONS, EMERGENCY_CODES, Action
from tests.unit.rules.rules_explained import (
    ALERTS,
    CASES,
    DIABETIC,
    HEALTHY,
    HIGHS,
    LONG_AGO,
    NOON_UTC,
    SUGAR,
    History,
    Person,
    bp,
    explained,
    explained_case,
    identifier,
    on_day,
    sugar,
    visit,
)
from tests.unit.rules.rules_random import HISTORIES


def _everything(judged: Judged) -> Iterator[Explanation]:
    for number in range(len(judged.judgement.alerts)):
        yield explain_alert(judged, number)
    for number in range(len(judged.judgement.cases)):
        yield explain_case(judged, number)


def test_there_is_a_history_for_every_code_and_for_every_action_that_can_be_a_cause() -> None:
    moving = {
        action
        for action, effect in ACTIONS.items()
        if effect.anchors and effect.state is not CaseState.NONE
    }

    assert set(ALERTS) == set(AlertCode)
    assert set(CASES) == moving


@pytest.mark.parametrize("code", AlertCode, ids=lambda code: code.name)
def test_an_alert_of_every_code_is_explained(code: AlertCode) -> None:
    told = explained(ALERTS[code], code)

    assert told.code is code
    assert told.action is None
    assert told.severity is not None
    assert (told.profile, told.profile_version) == ("wuzhou", "1")
    assert told.limit.rule
    assert told.limit.source
    assert told.counterfactual
    json.dumps(told.as_record())


@pytest.mark.parametrize("action", CASES, ids=lambda action: action.name)
def test_every_transition_is_explained(action: Action) -> None:
    history, condition = CASES[action]
    told = explained_case(history, condition)

    assert told.action is action
    assert told.state is not None
    assert told.counterfactual
    json.dumps(told.as_record())


def _reading(number: int, value: str, minute: int) -> Json:
    return {
        "id": identifier(number),
        "kind": "blood_pressure",
        "value": value,
        "unit": "mmHg",
        "setting": "office",
        "arm": None,
        "meal_context": None,
        "effective_at": f"2026-03-02T12:{minute:02}:00+08:00",
        "counted": True,
    }


_FIRST: Json = {
    "what": "reading",
    "id": identifier(0),
    "on": "2026-03-02",
    "observed": None,
    "reason": None,
}
_RECORD: Json = {
    "resident": 0,
    "condition": "hypertension",
    "code": "BP_UNSATISFIED_1",
    "profile": "wuzhou",
    "profile_version": "1",
    "profile_valid_from": "2015-01-01",
    "limit": {
        "threshold": "> 140/90 mmHg",
        "source": "Wuzhou brief: 血压高于 140/90 mmHg; decision table 1.5, 2.3 B1",
        "rule": "bp_office",
        "comparator": "above",
        "number": "140/90 mmHg",
        "age_min": 0,
        "times": None,
        "days": None,
    },
    "sides": [
        {
            "quantity": "systolic",
            "value": "151",
            "limit": "140",
            "crossed": True,
            "beyond": "11",
        },
        {
            "quantity": "diastolic",
            "value": "87",
            "limit": "90",
            "crossed": False,
            "beyond": None,
        },
    ],
    "observed": "151/87 mmHg",
    "session_mean": "151/87 mmHg, mean of 2",
    "arms": [],
    "readings": [_reading(0, "152/88", 0), _reading(1, "150/86", 5)],
    "anchor": _FIRST,
    "decided": _FIRST,
    "earlier": [],
    "answered": [],
    "counterfactual": [
        {"change": "value", "scope": "mean", "needed": "at_or_below", "limit": "140/90 mmHg"}
    ],
    "opened_by": None,
    "severity": "warn",
    "status": "active",
    "resolved_by": None,
    "due": "2026-03-16",
    "overdue_days": 0,
    "escalation": 0,
    "action": None,
    "state": None,
    "consecutive_unsatisfied": None,
    "next_routine_due": None,
}


def test_the_record_of_a_first_unsatisfied_session_says_everything() -> None:
    told = explained(ALERTS[AlertCode.BP_UNSATISFIED_1], AlertCode.BP_UNSATISFIED_1)

    assert told.as_record() == _RECORD


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_what_is_told_is_what_the_engine_found(history: History) -> None:
    judged = history.judged()
    ids = {judged.id_of(row) for row in range(len(judged.readings))}
    for told in _everything(judged):
        json.dumps(told.as_record())
        assert {reading.id for reading in told.readings} <= ids
        crossed = any(side.crossed for side in told.sides)
        if told.action is Action.SATISFIED:
            assert not crossed
        elif told.sides:
            assert crossed
    alerts = judged.judgement.alerts
    for number in range(len(alerts)):
        told = explain_alert(judged, number)
        if told.code in (AlertCode.BP_INTERARM_DIFF, *EMERGENCY_CODES) or told.opened_by:
            continue
        counted = sum(reading.counted for reading in told.readings)
        if told.session_mean is not None:
            assert counted == alerts.count[number]
            assert told.session_mean == observed_text(
                systolic_mmhg_e13=int(alerts.systolic_sum[number]),
                diastolic_mmhg_e13=int(alerts.diastolic_sum[number]),
                count=int(alerts.count[number]),
            )


@settings(max_examples=25, deadline=None)
@given(HISTORIES)
def test_neither_the_order_of_rows_nor_other_people_change_an_explanation(
    history: History,
) -> None:
    alone = history.judged()
    backwards = np.arange(len(alone.readings))[::-1]
    readings = alone.readings.take(np.concatenate((backwards, backwards)))
    owners = np.repeat(np.array([1, 0]), len(backwards))
    two = replace(readings, resident=owners)
    first = alone.residents.of(0, 1)
    residents = replace(
        first,
        birth_date=np.repeat(first.birth_date, 2),
        hypertension_since=np.repeat(first.hypertension_since, 2),
        diabetes_since=np.repeat(first.diabetes_since, 2),
        enrolled_on=np.repeat(first.enrolled_on, 2),
    )
    as_of = NOON_UTC + np.timedelta64(history.until * 24 + 11, "h")
    judgement = judge(two, alone.records, residents, alone.limits, as_of=as_of)
    both = replace(alone, readings=two, residents=residents, judgement=judgement)

    assert [told for told in _everything(both) if told.resident == 0] == list(_everything(alone))


def test_the_other_arm_is_listed_and_not_counted() -> None:
    history = History(
        taken=[
            bp(0, 150, 92, arm="left"),
            bp(0, 146, 90, arm="right", minute=2),
            bp(0, 154, 94, arm="left", minute=4),
            bp(0, 120, 70, minute=6),
        ]
    )
    told = explained(history, AlertCode.BP_UNSATISFIED_1)

    assert [reading.counted for reading in told.readings] == [True, False, True, False]
    assert told.session_mean == "152/93 mmHg, mean of 2"
    assert told.arms == ("152/93", "146/90")


def test_the_difference_of_the_arms_is_told_with_both_means() -> None:
    told = explained(ALERTS[AlertCode.BP_INTERARM_DIFF], AlertCode.BP_INTERARM_DIFF)

    assert (told.observed, told.arms) == ("22 mmHg", ("138/80", "116/78"))
    assert [side.beyond for side in told.sides] == ["2"]


def test_the_second_unsatisfied_session_names_the_first() -> None:
    told = explained(ALERTS[AlertCode.BP_UNSATISFIED_2], AlertCode.BP_UNSATISFIED_2)

    assert [(moment.on, moment.observed) for moment in told.earlier] == [(on_day(0), "151/87 mmHg")]
    assert [(each.code, each.on) for each in told.answered] == [
        (AlertCode.BP_UNSATISFIED_1, on_day(0))
    ]


def test_the_deciding_session_of_an_assessment_is_told_and_not_its_first() -> None:
    history = History(taken=[bp(0, 130, 80), bp(0, 150, 95, minute=720)], until=17)
    first = explained(history, AlertCode.BP_UNSATISFIED_1)
    overdue = explained(history, AlertCode.FOLLOWUP_OVERDUE)

    assert first.anchor.id == identifier(0)
    assert [reading.id for reading in first.readings] == [identifier(1)]
    assert first.decided.on == on_day(1)
    assert (first.due, overdue.due) == (on_day(14), on_day(14))
    assert overdue.observed == "150/95 mmHg"


def test_what_resolved_an_alert_is_told() -> None:
    history = History(taken=[*HIGHS, bp(10, 128, 80)], until=10)
    told = explained(history, AlertCode.BP_UNSATISFIED_1)

    assert told.status is AlertStatus.RESOLVED
    assert told.resolved_by is not None
    assert told.resolved_by.what is Happening.ASSESSMENT
    assert (told.resolved_by.on, told.resolved_by.observed) == (on_day(10), "128/80 mmHg")


def test_an_emergency_resolves_before_the_assessment_that_holds_it() -> None:
    history = History(taken=[*HIGHS, bp(10, 186, 96)], until=10)
    told = explained(history, AlertCode.BP_UNSATISFIED_1)

    assert told.resolved_by is not None
    assert told.resolved_by.what is Happening.EMERGENCY


def test_the_limit_of_another_age_is_named_only_where_it_would_have_spared() -> None:
    spared = Person(hypertension=LONG_AGO, born=date(1965, 1, 1))

    def ages(systolic: int, person: Person = spared) -> list[tuple[int | None, int | None]]:
        history = History(person=person, taken=[bp(0, systolic, 80)], profile="cn_nbphs_2017")
        told = explained_case(history)
        return [
            (change.age_min, change.age_below)
            for change in told.counterfactual
            if change.change is ChangeKind.AGE_LIMIT
        ]

    old = Person(hypertension=LONG_AGO, born=date(1950, 1, 1))
    assert ages(149) == [(65, None)]
    assert ages(150) == []
    assert ages(139) == []
    assert ages(149, old) == [(None, 65)]
    assert ages(150, old) == []


def test_the_profile_of_the_contract_is_named_and_the_deployment_s_for_an_emergency() -> None:
    history = History(taken=[bp(0, 140, 90), bp(1, 186, 96)], package="cn_nbphs_2017", until=1)

    assert explained(history, AlertCode.BP_UNSATISFIED_1).profile == "cn_nbphs_2017"
    assert explained(history, AlertCode.BP_EMERGENCY).profile == "wuzhou"
    assert explained_case(history).profile == "wuzhou"


def test_a_random_glucose_is_told_with_its_own_severity_and_limit() -> None:
    told = explained(ALERTS[AlertCode.SCREEN_GLU_HIGH], AlertCode.SCREEN_GLU_HIGH)
    fasting = History(person=HEALTHY, taken=[sugar(0, "7.1")])

    assert (told.severity, told.limit.rule) == (Severity.INFO, "glucose_screening_random")
    assert explained(fasting, AlertCode.SCREEN_GLU_HIGH).limit.rule == "glucose_screening_fasting"


def test_overdue_waits_for_a_visit_too_where_an_adverse_reaction_is_open() -> None:
    history = History(taken=HIGHS, said=[visit(2, reaction=True)], until=20)
    told = explained(history, AlertCode.FOLLOWUP_OVERDUE)

    assert told.counterfactual[0].answers == (Answer.ASSESSMENT, Answer.VISIT)
    assert told.opened_by is AlertCode.ADR_1


def test_a_value_beyond_the_meter_has_no_sides() -> None:
    history = History(person=DIABETIC, taken=[sugar(0, None, range_status=RANGE_HIGH)])
    told = explained_case(history, SUGAR)

    assert (told.observed, told.sides) == ("HI", ())


@pytest.mark.parametrize(
    ("anchor", "problem"), [(len(HIGHS) + 1, "whole history"), (-1, "no anchor")]
)
def test_an_anchor_that_is_no_part_of_the_history_is_refused(anchor: int, problem: str) -> None:
    judged = History(taken=HIGHS).judged()
    alerts = replace(judged.judgement.alerts, anchor=np.array([anchor]))
    elsewhere = replace(judged, judgement=replace(judged.judgement, alerts=alerts))

    with pytest.raises(UnknownCodeError, match=problem):
        explain_alert(elsewhere, 0)
