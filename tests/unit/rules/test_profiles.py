"""The promise: a profile is complete, sourced and exact, or it is refused by file and key."""

from datetime import date
from importlib.resources import files

import numpy as np
import pytest

from rules.codes import AlertCode, Severity
from rules.errors import ProfileError
from rules.profile import Comparator
from rules.profiles import list_profiles, load_profile, parse_profile

TEXT = files("rules.profiles").joinpath("wuzhou.toml").read_text(encoding="utf-8")


def test_shipped_profiles_load() -> None:
    assert list_profiles() == ["cn_nbphs_2017", "wuzhou"]
    assert [load_profile(name).id for name in list_profiles()] == list_profiles()


def test_wuzhou_is_strict_only_where_the_brief_is() -> None:
    profile = load_profile("wuzhou")

    strict = {
        profile.bp_office.base.comparator,
        profile.bp_screening_limit.comparator,
        profile.glucose_fasting.comparator,
        profile.glucose_screening_limit.comparator,
    }
    assert strict == {Comparator.ABOVE}
    assert profile.bp_emergency.comparator is Comparator.AT_OR_ABOVE
    assert profile.bp_office.tiers == ()
    assert (profile.bp_screening.age_min, profile.bp_screening.due_days) == (18, 14)
    assert profile.severity(AlertCode.SCREEN_BP_HIGH) is Severity.WARN
    assert load_profile("cn_nbphs_2017").severity(AlertCode.SCREEN_BP_HIGH) is Severity.INFO


def test_numbers_are_exact_integers() -> None:
    profile = load_profile("wuzhou")

    assert profile.glucose_fasting.glucose_mmol_l_e4 == 70_000
    assert profile.glucose_emergency_low.glucose_mmol_l_e4 == 39_000
    assert profile.bp_office.base.systolic_mmhg_e13 == 140 * 10**13
    assert profile.utc_offset == np.timedelta64(8, "h")
    assert profile.valid_from == date(2015, 1, 1)


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        pytest.param('version = "1"', "", "version", id="missing-key"),
        pytest.param('version = "1"', 'version = " "', "version", id="empty-text"),
        pytest.param('version = "1"', 'version = "1"\nlimt = 3', "limt", id="unknown-key"),
        pytest.param("valid_from = 2015-01-01", "valid_from = 2015", "valid_from", id="no-date"),
        pytest.param('"Asia/Shanghai"', '"Asia/Nowhere"', "time_zone", id="unknown-zone"),
        pytest.param('"Asia/Shanghai"', '"Europe/Berlin"', "time_zone", id="zone-with-summer-time"),
        pytest.param("systolic = 180", 'systolic = "180"', "bp_emergency.systolic", id="text"),
        pytest.param("systolic = 180", "systolic = nan", "bp_emergency.systolic", id="nan"),
        pytest.param("systolic = 180", "systolic = inf", "bp_emergency.systolic", id="infinite"),
        pytest.param("systolic = 180", "systolic = -1", "bp_emergency.systolic", id="negative"),
        pytest.param("systolic = 180", "systolic = true", "bp_emergency.systolic", id="boolean"),
        pytest.param("systolic = 180", "systolic = 100", "bp_emergency.systolic", id="crossed"),
        pytest.param("limit = 3.9", "limit = 3.99999", "glucose_emergency_low.limit", id="digits"),
        pytest.param(
            'unit = "mmol/L"', 'unit = "mg/dL"', "glucose_emergency_high.unit", id="other-unit"
        ),
        pytest.param(
            '"at_or_below"', '"above"', "glucose_emergency_low.comparator", id="wrong-side"
        ),
        pytest.param(
            "days_high = 3", "days_high = 4", "bp_screening.suspected.days_high", id="days"
        ),
        pytest.param("[7, 14]", "[14, 7]", "followup.escalation_days", id="descending"),
        pytest.param("[7, 14]", "7", "followup.escalation_days", id="no-list"),
        pytest.param("[session]", "[sessions]", "session", id="misspelt-table"),
        pytest.param("age_min = 65", "age_min = 0", "bp_home.tier[0].age_min", id="tier-from-0"),
        pytest.param("[[bp_home.tier]]", "[bp_home.tier]", "bp_home.tier", id="tier-no-list"),
    ],
)
def test_bad_profile_is_refused_by_file_and_key(before: str, after: str, key: str) -> None:
    assert before in TEXT

    with pytest.raises(ProfileError) as caught:
        parse_profile(TEXT.replace(before, after, 1), file="mine.toml")

    assert (caught.value.file, caught.value.key) == ("mine.toml", key)


def test_broken_toml_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"mine\.toml: is not TOML"):
        parse_profile("id = ", file="mine.toml")


@pytest.mark.parametrize("name", ["", "nowhere", "../wuzhou"])
def test_unknown_profile_names_those_there_are(name: str) -> None:
    with pytest.raises(ProfileError, match="cn_nbphs_2017, wuzhou"):
        load_profile(name)
