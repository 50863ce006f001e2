"""The promise: numbers that contradict each other are told, each contradiction at its line."""

import pytest

from tests.unit.rules.rules_profile_text import (
    NORM,
    WUZHOU,
    append,
    change,
    drop,
    line_of,
    said,
)

ALONE = "never fires alone, since"
MOVE = "lower this or raise that"
ORDER = "let tiers ascend by age_min, each age once"
NO_GOOD = "leaves no good value, since glucose_emergency_low.limit is"
UNSEEN = "values between are unsatisfied with a diagnosis and not looked at without one"
HOME = "home values are usually the lower ones"
MEAL = "fasting values are usually the lower ones"
CONFIRM = "confirm it, or lower this"
OLDER = "of younger people"
STRICTER = "confirm that older people are to be judged more strictly"
OFFICE_TIER, HOME_TIER = "[[bp_office.tier]]", "[[bp_home.tier]]"
NEW_TIER = f"{OFFICE_TIER} # new"


def put(text: str, table: str, **numbers: float | str) -> str:
    """The text with other numbers in one table."""
    for name, number in numbers.items():
        text = change(text, table, name, f"{name} = {number}")
    return text


def with_tier(age_min: int, systolic: int, diastolic: int) -> str:
    """The national norm, whose office tier is 150/90 from 65, with one tier more."""
    sides = (f"systolic = {systolic}", f"diastolic = {diastolic}", 'source = "x"')
    return append(NORM, NEW_TIER, f"age_min = {age_min}", *sides)


def file_of(text: str) -> str:
    return "wuzhou.toml" if '"wuzhou"' in text else "cn_nbphs_2017.toml"


ERRORS = {
    "sides-equal": (
        put(WUZHOU, "[bp_emergency]", systolic=181, diastolic=181),
        ("[bp_emergency]", "systolic"),
        "bp_emergency.systolic: 181 must lie above diastolic, 181; correct one of them",
    ),
    "sides-crossed": (
        put(WUZHOU, "[bp_high_normal]", systolic=80),
        ("[bp_high_normal]", "systolic"),
        "bp_high_normal.systolic: 80 must lie above diastolic, 85; correct one of them",
    ),
    "pregnancy-at-emergency": (
        put(WUZHOU, "[bp_pregnancy]", systolic=180),
        ("[bp_pregnancy]", "systolic"),
        f"bp_pregnancy.systolic: 180 {ALONE} bp_emergency.systolic is 180; {MOVE}",
    ),
    "pregnancy-diastolic-above-emergency": (
        put(WUZHOU, "[bp_pregnancy]", diastolic="110.5"),
        ("[bp_pregnancy]", "diastolic"),
        f"bp_pregnancy.diastolic: 110.5 {ALONE} bp_emergency.diastolic is 110; {MOVE}",
    ),
    "office-at-emergency": (
        put(WUZHOU, "[bp_office]", systolic=180),
        ("[bp_office]", "systolic"),
        f"bp_office.systolic: 180 {ALONE} bp_emergency.systolic is 180; {MOVE}",
    ),
    "office-tier-at-emergency": (
        put(NORM, OFFICE_TIER, diastolic=110),
        (OFFICE_TIER, "diastolic"),
        f"bp_office.tier[0].diastolic: 110 {ALONE} bp_emergency.diastolic is 110; {MOVE}",
    ),
    "home-tier-above-emergency": (
        put(WUZHOU, HOME_TIER, systolic="180.1"),
        (HOME_TIER, "systolic"),
        f"bp_home.tier[0].systolic: 180.1 {ALONE} bp_emergency.systolic is 180; {MOVE}",
    ),
    "high-normal-at-screening": (
        put(NORM, "[bp_high_normal]", diastolic=90),
        ("[bp_high_normal]", "diastolic"),
        f"bp_high_normal.diastolic: 90 {ALONE} bp_screening.diastolic is 90; {MOVE}",
    ),
    "postprandial-at-emergency": (
        put(WUZHOU, "[glucose_postprandial_2h]", limit="16.7"),
        ("[glucose_postprandial_2h]", "limit"),
        f"glucose_postprandial_2h.limit: 16.7 {ALONE} glucose_emergency_high.limit is 16.7; {MOVE}",
    ),
    "random-above-emergency": (
        put(WUZHOU, "[glucose_screening_random]", limit=17),
        ("[glucose_screening_random]", "limit"),
        f"glucose_screening_random.limit: 17 {ALONE} glucose_emergency_high.limit is 16.7; {MOVE}",
    ),
    "screening-at-low-emergency": (
        put(WUZHOU, "[glucose_screening_fasting]", limit="3.8"),
        ("[glucose_screening_fasting]", "limit"),
        f"glucose_screening_fasting.limit: 3.8 {NO_GOOD} 3.9; raise this or lower that",
    ),
    "window-too-short-for-its-days": (
        put(WUZHOU, "[bp_screening.suspected]", within_days=1),
        ("[bp_screening.suspected]", "within_days"),
        (
            "bp_screening.suspected.within_days: 1 is too short: "
            "the last of 3 days is 2 days later; widen the window"
        ),
    ),
    "span-shorter-than-gap": (
        put(WUZHOU, "[session]", span_minutes=9),
        ("[session]", "span_minutes"),
        (
            "session.span_minutes: 9 ends every session before a gap of 10 can; "
            "raise it, or shorten the gap"
        ),
    ),
    "span-longer-than-assessment": (
        put(WUZHOU, "[session]", span_minutes=1441),
        ("[session]", "span_minutes"),
        (
            "session.span_minutes: 1441 minutes are longer than an assessment, 24 hours; "
            "shorten it, or raise assessment.span_hours"
        ),
    ),
    "wait-longer-than-assessment": (
        put(WUZHOU, "[session]", wait_minutes=1441),
        ("[session]", "wait_minutes"),
        (
            "session.wait_minutes: 1441 minutes are longer than an assessment, 24 hours; "
            "shorten it, or raise assessment.span_hours"
        ),
    ),
    "overdue-before-due": (
        put(WUZHOU, "[followup]", routine_overdue_days=89),
        ("[followup]", "routine_overdue_days"),
        (
            "followup.routine_overdue_days: 89 makes a visit overdue that is due after 90 days; "
            "raise it to 90 at least"
        ),
    ),
    "tier-of-the-same-age": (
        with_tier(65, 155, 90),
        (NEW_TIER, "age_min"),
        f"bp_office.tier[1].age_min: 65 overlaps a tier of the same age; {ORDER}",
    ),
    "tier-out-of-order": (
        with_tier(64, 145, 90),
        (NEW_TIER, "age_min"),
        f"bp_office.tier[1].age_min: 64 comes too late; {ORDER}",
    ),
}
WARNINGS = {
    "tier-stricter-than-base": (
        put(WUZHOU, HOME_TIER, systolic=134),
        (HOME_TIER, "systolic"),
        f"bp_home.tier[0].systolic: 134 lies below the limit {OLDER}, 135; {STRICTER}",
    ),
    "tier-stricter-than-tier": (
        with_tier(80, 150, 89),
        (NEW_TIER, "diastolic"),
        f"bp_office.tier[1].diastolic: 89 lies below the limit {OLDER}, 90; {STRICTER}",
    ),
    "tier-changes-nothing": (
        with_tier(80, 150, 90),
        (NEW_TIER, ""),
        (
            f"bp_office.tier[1]: repeats the limits {OLDER}; "
            "remove it, or state what differs from that age on"
        ),
    ),
    "home-above-office": (
        put(WUZHOU, "[bp_home]", systolic=141),
        ("[bp_home]", "systolic"),
        f"bp_home.systolic: 141 lies above bp_office.systolic, 140: {HOME}; {CONFIRM}",
    ),
    "screening-above-office": (
        put(WUZHOU, "[bp_screening]", diastolic=91),
        ("[bp_screening]", "diastolic"),
        f"bp_screening.diastolic: 91 lies above bp_office.diastolic, 90: {UNSEEN}; {CONFIRM}",
    ),
    "fasting-screening-above-fasting": (
        put(WUZHOU, "[glucose_screening_fasting]", limit="7.1"),
        ("[glucose_screening_fasting]", "limit"),
        (
            "glucose_screening_fasting.limit: 7.1 lies above glucose_fasting.limit, 7.0: "
            f"{UNSEEN}; {CONFIRM}"
        ),
    ),
    "fasting-above-postprandial": (
        put(WUZHOU, "[glucose_fasting]", limit="10.1"),
        ("[glucose_fasting]", "limit"),
        (
            "glucose_fasting.limit: 10.1 lies above glucose_postprandial_2h.limit, 10.0: "
            f"{MEAL}; {CONFIRM}"
        ),
    ),
    "fasting-screening-above-random": (
        put(WUZHOU, "[glucose_screening_random]", limit="6.9"),
        ("[glucose_screening_fasting]", "limit"),
        (
            "glucose_screening_fasting.limit: 7.0 lies above glucose_screening_random.limit, 6.9: "
            f"{MEAL}; {CONFIRM}"
        ),
    ),
    "window-shorter-than-the-rechecks": (
        put(WUZHOU, "[bp_screening.suspected]", within_days=27),
        ("[bp_screening.suspected]", "within_days"),
        (
            "bp_screening.suspected.within_days: 27 is shorter than 2 rechecks, "
            "each due in 14 days; widen the window, or set bp_screening.due_days earlier"
        ),
    ),
    "wait-shorter-than-gap": (
        put(WUZHOU, "[session]", wait_minutes=9),
        ("[session]", "wait_minutes"),
        (
            "session.wait_minutes: 9 judges a session that may grow for 10 minutes; "
            "raise it, unless alerts may come and go"
        ),
    ),
    "visits-too-far-apart": (
        put(WUZHOU, "[followup]", routine_days=92, routine_overdue_days=92),
        ("[followup]", "routine_days"),
        "followup.routine_days: every 92 days do not make 4 visits a year; shorten it",
    ),
    "one-visit-later-than-the-year": (
        put(
            WUZHOU,
            "[followup]",
            routine_days=367,
            routine_overdue_days=367,
            face_to_face_per_year=1,
        ),
        ("[followup]", "routine_days"),
        "followup.routine_days: every 367 days do not make 1 visits a year; shorten it",
    ),
    "never-suspected": (
        drop(WUZHOU, "[bp_screening.suspected]"),
        ("[bp_screening]", ""),
        (
            "bp_screening.suspected: is absent: highs on several days lead to no referral; "
            "write [bp_screening.suspected], or confirm it"
        ),
    ),
    "random-not-looked-at": (
        drop(WUZHOU, "[glucose_screening_random]"),
        ("", ""),
        (
            "glucose_screening_random: is absent: "
            "without a diagnosis only fasting values are looked at; "
            "write [glucose_screening_random], or confirm it"
        ),
    ),
    "screening-later-than-the-norm": (
        put(WUZHOU, "[bp_screening]", age_min=36),
        ("[bp_screening]", "age_min"),
        (
            "bp_screening.age_min: leaves out ages 35 to 35, which cn_nbphs_2017 screens; "
            "confirm it, or lower this"
        ),
    ),
    "glucose-screening-later-than-the-norm": (
        put(WUZHOU, "[glucose_screening_fasting]", age_min=40),
        ("[glucose_screening_fasting]", "age_min"),
        (
            "glucose_screening_fasting.age_min: leaves out ages 35 to 39, "
            "which cn_nbphs_2017 screens; confirm it, or lower this"
        ),
    ),
    "random-screening-later-than-the-norm": (
        change(WUZHOU, "[glucose_screening_random]", "severity", 'severity="warn"\nage_min = 40'),
        ("[glucose_screening_random]", "age_min"),
        (
            "glucose_screening_random.age_min: leaves out ages 35 to 39, "
            "which cn_nbphs_2017 screens; confirm it, or lower this"
        ),
    ),
}


@pytest.mark.parametrize(("text", "at", "told"), ERRORS.values(), ids=ERRORS)
def test_a_rule_that_cannot_work_is_an_error(text: str, at: tuple[str, str], told: str) -> None:
    file = file_of(text)
    errors = [line for line in said(text, file) if ": warning: " not in line]

    assert errors == [f"{file}:{line_of(text, *at)}: {told}"]


@pytest.mark.parametrize(("text", "at", "told"), WARNINGS.values(), ids=WARNINGS)
def test_what_may_be_meant_is_a_warning(text: str, at: tuple[str, str], told: str) -> None:
    file = file_of(text)

    assert said(text, file) == [f"{file}:{line_of(text, *at)}: warning: {told}"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(put(WUZHOU, "[bp_pregnancy]", systolic="179.9"), id="pregnancy"),
        pytest.param(put(WUZHOU, "[bp_high_normal]", systolic=140), id="high-normal-at-strict"),
        pytest.param(put(WUZHOU, "[bp_home]", systolic=140), id="home-as-office"),
        pytest.param(put(WUZHOU, "[glucose_postprandial_2h]", limit="16.6"), id="postprandial"),
        pytest.param(put(WUZHOU, "[bp_screening.suspected]", within_days=28), id="window"),
        pytest.param(put(NORM, "[bp_screening.suspected]", within_days=2), id="no-rechecks"),
        pytest.param(put(WUZHOU, "[session]", span_minutes=10), id="span-is-gap"),
        pytest.param(put(WUZHOU, "[session]", span_minutes=1440), id="span-is-assessment"),
        pytest.param(put(WUZHOU, "[session]", wait_minutes=1440), id="wait-is-assessment"),
        pytest.param(put(WUZHOU, "[followup]", routine_overdue_days=100), id="overdue-later"),
        pytest.param(
            put(WUZHOU, "[followup]", routine_days=61, face_to_face_per_year=6), id="six-visits"
        ),
        pytest.param(put(WUZHOU, HOME_TIER, age_min=1), id="first-tier"),
        pytest.param(with_tier(66, 151, 90), id="next-tier"),
        pytest.param(with_tier(66, 150, 91), id="next-tier-by-the-other-side"),
        pytest.param(put(WUZHOU, "[bp_screening]", age_min=35), id="screening-as-the-norm"),
    ],
)
def test_numbers_at_the_edge_of_a_contradiction_are_none(text: str) -> None:
    assert said(text, file_of(text)) == []


def test_at_an_equal_number_the_comparators_decide() -> None:
    strict = change(WUZHOU, "[bp_emergency]", "comparator", 'comparator = "above"')

    def keys(text: str) -> list[str]:
        return [line.split(": ")[1] for line in said(text)]

    assert keys(put(strict, "[bp_pregnancy]", systolic=180)) == []
    assert keys(put(strict, "[bp_screening]", systolic=180)) == [
        "bp_screening.systolic",
        "warning",
    ]


def test_a_low_emergency_that_is_too_high_is_told_at_every_limit_below() -> None:
    told = said(put(WUZHOU, "[glucose_emergency_low]", limit="16.7"))

    assert [line.split(": ")[1] for line in told] == [
        "glucose_emergency_high.limit",
        "glucose_fasting.limit",
        "glucose_postprandial_2h.limit",
        "glucose_screening_fasting.limit",
        "glucose_screening_random.limit",
    ]
    assert all(f"{NO_GOOD} 16.7" in line for line in told)


def test_a_value_that_does_not_fit_contradicts_nothing() -> None:
    text = put(WUZHOU, "[bp_emergency]", systolic='"high"', diastolic=-1)
    text = put(text, "[session]", gap_minutes="inf")
    text = put(text, HOME_TIER, age_min=0, systolic='""')

    assert [line.split(": ")[1] for line in said(text)] == [
        "bp_emergency.systolic",
        "bp_emergency.diastolic",
        "bp_home.tier[0].age_min",
        "bp_home.tier[0].systolic",
        "session.gap_minutes",
    ]
