"""The promise: every alert code has a limit, in words, and the document it comes from."""

from dataclasses import replace

import pytest

from rules.codes import AlertCode
from rules.explain.thresholds import limit_of
from rules.profiles import load_profile


@pytest.mark.parametrize(
    ("code", "wuzhou", "norm"),
    [
        (AlertCode.BP_EMERGENCY, ">= 180/110 mmHg", ">= 180/110 mmHg"),
        (AlertCode.BP_PREG_HIGH, ">= 140/90 mmHg", ">= 140/90 mmHg"),
        (AlertCode.GLU_EMERGENCY_HIGH, ">= 16.7 mmol/L", ">= 16.7 mmol/L"),
        (AlertCode.GLU_EMERGENCY_LOW, "<= 3.9 mmol/L", "<= 3.9 mmol/L"),
        (AlertCode.BP_UNSATISFIED_1, "> 140/90 mmHg", ">= 140/90 mmHg; from 65 years 150/90"),
        (AlertCode.BP_UNSATISFIED_2, "> 140/90 mmHg", ">= 140/90 mmHg; from 65 years 150/90"),
        (AlertCode.GLU_UNSATISFIED_1, "> 7.0 mmol/L", ">= 7.0 mmol/L"),
        (AlertCode.GLU_UNSATISFIED_2, "> 7.0 mmol/L", ">= 7.0 mmol/L"),
        (AlertCode.FOLLOWUP_OVERDUE, "within 14 days", "within 14 days"),
        (AlertCode.REFERRAL_FOLLOWUP_OVERDUE, "within 14 days", "within 14 days"),
        (AlertCode.SCREEN_BP_HIGH, "> 140/90 mmHg", ">= 140/90 mmHg"),
        (
            AlertCode.SCREEN_HTN_SUSPECTED,
            "> 140/90 mmHg on 3 local days within 90",
            ">= 140/90 mmHg on 3 local days within 90",
        ),
        (AlertCode.SCREEN_GLU_HIGH, "> 7.0 mmol/L", ">= 7.0 mmol/L"),
        (AlertCode.BP_HOME_HIGH, *[">= 135/85 mmHg; from 65 years 145/85"] * 2),
        (AlertCode.GLU_POSTPRANDIAL_HIGH, ">= 10.0 mmol/L", ">= 10.0 mmol/L"),
        (AlertCode.BP_INTERARM_DIFF, *[">= 20 mmHg systolic between the arms"] * 2),
        (AlertCode.ADR_1, *["adverse reaction at a visit"] * 2),
        (AlertCode.ADR_2, *["adverse reaction at 2 visits in a row"] * 2),
        (AlertCode.COMPLICATION, *["new or worse complication at a visit"] * 2),
        (
            AlertCode.ROUTINE_OVERDUE,
            *["more than 90 days since the last face-to-face visit"] * 2,
        ),
    ],
)
def test_every_code_has_a_limit_and_a_source(code: AlertCode, wuzhou: str, norm: str) -> None:
    limits = [limit_of(load_profile(name), code) for name in ("wuzhou", "cn_nbphs_2017")]

    assert [limit.threshold for limit in limits] == [wuzhou, norm]
    assert all(limit.source for limit in limits)


@pytest.mark.parametrize(("age", "number"), [(-1, 140), (0, 140), (64, 140), (65, 150), (90, 150)])
def test_the_limit_of_an_age_is_that_of_its_tier(age: int, number: int) -> None:
    limit = limit_of(load_profile("cn_nbphs_2017"), AlertCode.BP_UNSATISFIED_1, age=age)

    assert limit.threshold == f">= {number}/90 mmHg"
    assert limit.rule == ("bp_office.tier" if number == 150 else "bp_office")


def test_a_random_glucose_has_its_own_limit() -> None:
    limit = limit_of(load_profile("wuzhou"), AlertCode.SCREEN_GLU_HIGH, by_random=True)

    assert limit.threshold == ">= 11.1 mmol/L random or 2 h after a meal"
    assert limit.rule == "glucose_screening_random"


def test_a_rule_that_the_profile_does_not_have_is_an_error() -> None:
    profile = load_profile("wuzhou")
    screening = replace(profile.bp_screening, suspected=None)
    without = replace(profile, bp_screening=screening, glucose_screening_random_limit=None)

    with pytest.raises(KeyError):
        limit_of(without, AlertCode.SCREEN_HTN_SUSPECTED)
    with pytest.raises(KeyError):
        limit_of(without, AlertCode.SCREEN_GLU_HIGH, by_random=True)
