"""The promise: people read value, limit, profile, source and due day, in Chinese and in English."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from rules.codes import AlertCode, CaseState
from rules.columns import RANGE_HIGH
from rules.explain import explain_alert, explain_case
from rules.explain.explanation import Explanation
from rules.explain.sentences import Language, sentence
from rules.machine import Action
from tests.unit.rules.rules_explained import (
    ALERTS,
    CASES,
    DIABETIC,
    HIGHS,
    LONG_AGO,
    History,
    Person,
    bp,
    explained,
    explained_case,
    on_day,
    sugar,
    visit,
)
from tests.unit.rules.rules_random import HISTORIES

LANGUAGES: tuple[Language, ...] = ("zh", "en")
FORBIDDEN = ("None", "{", "}", "  ", "。。", "，，", "mg", "剂量", "dose", "诊断为")


def _without_basis(told: Explanation, language: Language) -> str:
    """The sentence up to profile and source."""
    return sentence(told, language).partition({"zh": "方案 ", "en": " Profile "}[language])[0]


def _assert_complete(told: Explanation) -> None:
    for language in LANGUAGES:
        said = sentence(told, language)
        assert (told.observed or "") in said
        assert (told.limit.number or "") in said
        assert str(told.due or "") in said
        assert f"{told.profile} " in said
        assert str(told.profile_valid_from) in said
        assert told.limit.source in said
        assert str(told.next_routine_due or "") in said
        assert all(str(moment.on) in said for moment in told.earlier)
        assert not [word for word in FORBIDDEN if word in said.replace(told.limit.source, "")]


@pytest.mark.parametrize("code", AlertCode, ids=lambda code: code.name)
def test_an_alert_of_every_code_is_said_completely(code: AlertCode) -> None:
    _assert_complete(explained(ALERTS[code], code))


@pytest.mark.parametrize("action", CASES, ids=lambda action: action.name)
def test_every_transition_is_said_completely(action: Action) -> None:
    history, condition = CASES[action]

    _assert_complete(explained_case(history, condition))


@pytest.mark.parametrize(
    "opened_by",
    [
        AlertCode.BP_UNSATISFIED_2,
        AlertCode.GLU_UNSATISFIED_2,
        AlertCode.ADR_2,
        AlertCode.SCREEN_HTN_SUSPECTED,
    ],
    ids=lambda code: code.name,
)
def test_an_overdue_referral_says_how_often_it_was_before(opened_by: AlertCode) -> None:
    history = replace(ALERTS[opened_by], until=80)

    told = explained(history, AlertCode.REFERRAL_FOLLOWUP_OVERDUE)

    assert told.opened_by is opened_by
    _assert_complete(told)


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_whatever_is_judged_is_said_completely(history: History) -> None:
    judged = history.judged()
    for number in range(len(judged.judgement.alerts)):
        _assert_complete(explain_alert(judged, number))
    for number in range(len(judged.judgement.cases)):
        _assert_complete(explain_case(judged, number))


def test_a_first_unsatisfied_session_word_by_word() -> None:
    told = explained(ALERTS[AlertCode.BP_UNSATISFIED_1], AlertCode.BP_UNSATISFIED_1)

    assert sentence(told, "zh") == (
        "2026-03-02 12:00 诊室血压 151/87 mmHg（2次测量均值），高于 140/90 mmHg"
        "（收缩压超出 11 mmHg，舒张压未超出）：血压控制不满意。"
        "请不晚于 2026-03-16 完成二次随访。"
        "若收缩压和舒张压均值都不高于 140/90 mmHg，则不会作此判定。"
        "方案 wuzhou 版本 1（2015-01-01 起施行），"
        "依据：Wuzhou brief: 血压高于 140/90 mmHg; decision table 1.5, 2.3 B1。"
    )
    assert sentence(told, "en") == (
        "2026-03-02 12:00 office blood pressure 151/87 mmHg (mean of 2 readings) is above "
        "140/90 mmHg (systolic 11 mmHg above, diastolic did not cross): blood pressure not "
        "satisfactorily controlled. Second follow-up by 2026-03-16. It would not have come to "
        "this with the systolic and diastolic mean both at or below 140/90 mmHg. Profile wuzhou "
        "version 1, in force from 2015-01-01; source: Wuzhou brief: 血压高于 140/90 mmHg; "
        "decision table 1.5, 2.3 B1."
    )


@pytest.mark.parametrize(
    ("history", "code", "zh", "en"),
    [
        pytest.param(
            ALERTS[AlertCode.GLU_UNSATISFIED_2],
            AlertCode.GLU_UNSATISFIED_2,
            "2026-03-14 12:00 空腹血糖 8.2 mmol/L，高于 7.0 mmol/L（血糖超出 1.2 mmol/L）："
            "空腹血糖连续2次控制不满意（此前 2026-03-02 7.4 mmol/L 亦然）。"
            "建议转诊，并不晚于 2026-03-28 随访转诊结果。"
            "若血糖不高于 7.0 mmol/L，或 2026-03-02 那次控制满意，则不会作此判定。",
            "2026-03-14 12:00 fasting glucose 8.2 mmol/L is above 7.0 mmol/L (glucose 1.2 mmol/L "
            "above): fasting glucose not satisfactorily controlled 2 times in a row (so before: "
            "2026-03-02 7.4 mmol/L). Referral is advised; follow it up by 2026-03-28. It would "
            "not have come to this with glucose at or below 7.0 mmol/L, or with 2026-03-02 "
            "satisfactory.",
            id="second",
        ),
        pytest.param(
            History(person=DIABETIC, taken=[sugar(0, None, range_status=RANGE_HIGH)]),
            AlertCode.GLU_EMERGENCY_HIGH,
            "2026-03-02 12:00 空腹血糖 HI，达到或高于 16.7 mmol/L：血糖偏高，达到紧急转诊标准。"
            "请立即转诊，并不晚于 2026-03-16 随访转诊结果。"
            "若血糖低于 16.7 mmol/L，则不会作此判定。",
            "2026-03-02 12:00 fasting glucose HI is at or above 16.7 mmol/L: high glucose at the "
            "level of an urgent referral. Refer at once and follow the referral up by 2026-03-16. "
            "It would not have come to this with glucose below 16.7 mmol/L.",
            id="beyond-the-meter",
        ),
        pytest.param(
            History(
                taken=[bp(0, 146, 90, arm="left"), bp(0, 140, 85, arm="right", minute=2)],
                person=Person(hypertension=LONG_AGO),
                profile="cn_nbphs_2017",
            ),
            AlertCode.BP_UNSATISFIED_1,
            "2026-03-02 12:00 诊室血压 146/90 mmHg（左臂，另有1次不计入），达到或高于 140/90 mmHg"
            "（收缩压超出 6 mmHg，舒张压等于限值）：血压控制不满意。"
            "请不晚于 2026-03-16 完成二次随访。"
            "若每臂的收缩压和舒张压均值都低于 140/90 mmHg，则不会作此判定。",
            "2026-03-02 12:00 office blood pressure 146/90 mmHg (left arm, 1 not counted) is at or "
            "above 140/90 mmHg (systolic 6 mmHg above, diastolic at the limit): blood pressure not "
            "satisfactorily controlled. Second follow-up by 2026-03-16. It would not have come to "
            "this with the systolic and diastolic mean of each arm below 140/90 mmHg.",
            id="two-arms-at-the-limit",
        ),
        pytest.param(
            History(taken=HIGHS, said=[visit(2, reaction=True)], until=17),
            AlertCode.FOLLOWUP_OVERDUE,
            "2026-03-04 随访记录：出现药物不良反应，应在14日内完成二次随访。"
            "应不晚于 2026-03-18 完成，已逾期1日（由团队处理），请立即完成。"
            "若不晚于 2026-03-18 完成复查评估和随访，则不会逾期。",
            "2026-03-04 recorded visit: adverse drug reaction; second follow-up within 14 days. "
            "It was due by 2026-03-18 and is 1 day overdue (with the team); complete it now. It "
            "would not have been overdue with an assessment and a visit by 2026-03-18.",
            id="overdue-by-one-day",
        ),
        pytest.param(
            History(taken=[*HIGHS, bp(18, 128, 80)], until=18),
            AlertCode.FOLLOWUP_OVERDUE,
            "2026-03-02 12:00 诊室血压 151/87 mmHg（2次测量均值）：血压控制不满意，"
            "应在14日内完成二次随访。应不晚于 2026-03-16 完成，逾期4日（由团队处理）。"
            "已于 2026-03-20 因后续评估（128/80 mmHg）解除。"
            "若不晚于 2026-03-16 完成复查评估，则不会逾期。",
            "2026-03-02 12:00 office blood pressure 151/87 mmHg (mean of 2 readings): blood "
            "pressure not satisfactorily controlled; second follow-up within 14 days. It was due "
            "by 2026-03-16 and came 4 days late (with the team). Resolved on 2026-03-20 by the "
            "assessment (128/80 mmHg). It would not have been overdue with an assessment by "
            "2026-03-16.",
            id="overdue-and-answered",
        ),
        pytest.param(
            ALERTS[AlertCode.ADR_2],
            AlertCode.ADR_2,
            "2026-03-11 随访记录：连续2次随访出现药物不良反应（此前 2026-03-02 随访 亦然）。"
            "建议转诊，并不晚于 2026-03-25 随访转诊结果。"
            "若该次随访无药物不良反应，或 2026-03-02 那次随访无药物不良反应，则不会作此判定。",
            "2026-03-11 recorded visit: adverse drug reaction at 2 visits in a row (so before: "
            "visit of 2026-03-02). Referral is advised; follow it up by 2026-03-25. It would not "
            "have come to this with a visit without an adverse drug reaction, or with the visit "
            "of 2026-03-02 without an adverse drug reaction.",
            id="second-reaction",
        ),
    ],
)
def test_sentences_word_by_word(history: History, code: AlertCode, zh: str, en: str) -> None:
    told = explained(history, code)

    assert _without_basis(told, "zh") == zh
    assert _without_basis(told, "en") == en


def test_a_satisfied_case_word_by_word() -> None:
    told = explained_case(CASES[Action.SATISFIED][0])

    assert _without_basis(told, "zh") == (
        "2026-03-02 12:00 诊室血压 128/78 mmHg，未高于 140/90 mmHg：血压控制满意。"
        "病例状态：控制满意，下次常规随访不晚于 2026-05-31。"
        "若收缩压或舒张压高于 140/90 mmHg，则为控制不满意。"
    )
    assert _without_basis(told, "en") == (
        "2026-03-02 12:00 office blood pressure 128/78 mmHg is not above 140/90 mmHg: blood "
        "pressure satisfactorily controlled. State of the case: controlled, next routine visit by "
        "2026-05-31. It would have been unsatisfactory with systolic or diastolic above "
        "140/90 mmHg."
    )


def test_a_doctor_s_decision_is_said_with_its_day_and_the_state() -> None:
    history, condition = CASES[Action.OVERRIDDEN_OPEN]
    said = _without_basis(explained_case(history, condition), "zh")

    assert said == (
        "2026-03-02 医生决定：病例状态由医生设定。处理期限为 2026-03-07。"
        "病例状态：随访逾期，已逾期3日。若无此记录，则病例不会有此变动。"
    )


def test_an_overdue_follow_up_that_a_doctor_asked_for_names_the_doctor() -> None:
    history, _ = CASES[Action.OVERRIDDEN_OPEN]
    said = _without_basis(explained(history, AlertCode.FOLLOWUP_OVERDUE), "en")

    assert said.startswith(
        "2026-03-02 doctor's decision; follow-up by the day that the doctor set."
    )


def test_a_closed_case_is_said_with_its_reason() -> None:
    history, condition = CASES[Action.CLOSED]
    told = explained_case(history, condition)

    assert "病例结案（死亡）" in sentence(told, "zh")
    assert "case closed (death)" in sentence(told, "en")


def test_a_routine_visit_counts_from_the_enrolment_or_a_later_diagnosis() -> None:
    enrolled = Person(hypertension=LONG_AGO, enrolled=on_day(0))
    later = replace(enrolled, hypertension=on_day(9))

    def said(person: Person) -> str:
        history = History(person=person, until=120)
        return sentence(explained(history, AlertCode.ROUTINE_OVERDUE), "zh")

    assert said(enrolled).startswith("自 2026-03-02 纳入管理起已超过90日未做面对面随访")
    assert said(later).startswith("自 2026-03-11 诊断登记起已超过90日未做面对面随访")


def test_every_step_of_an_escalation_has_words() -> None:
    told = explained(ALERTS[AlertCode.FOLLOWUP_OVERDUE], AlertCode.FOLLOWUP_OVERDUE)
    steps = [sentence(replace(told, escalation=step), "zh") for step in range(4)]

    for said, words in zip(
        steps, ("由团队处理", *["已上报团队长"], *["已上报中心"] * 2), strict=True
    ):
        assert words in said


def test_every_state_has_words_in_both_languages() -> None:
    told = explained_case(CASES[Action.SATISFIED][0])

    for language in LANGUAGES:
        said = {sentence(replace(told, state=state), language) for state in CaseState}
        assert len(said) == len(CaseState)
