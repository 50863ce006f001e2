"""The promise: a profile is complete, sourced and exact, and its versions follow each other."""

import dataclasses
import doctest
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from rules.codes import AlertCode, Severity
from rules.errors import ProfileError
from rules.limits import tabulate
from rules.profile import Comparator, Profile
from rules.profiles import (
    describe_profile,
    list_profiles,
    listing,
    load_profile,
    load_versions,
    read_profile_file,
)
from tests.unit.rules.rules_profile_text import NORM, WUZHOU, change, drop, line_of

SHIPPED = ["cn_nbphs_2017", "who_hearts", "wuzhou"]
SECOND = change(
    change(WUZHOU, "", "version", 'version = "2"'), "", "valid_from", "valid_from = 2026-03-01"
)


def sources_of(part: object) -> Iterator[str]:
    """Every source in a profile."""
    if isinstance(part, tuple):
        for each in part:
            yield from sources_of(each)
    elif dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if field.name.endswith("source"):
                yield value
            else:
                yield from sources_of(value)


def test_shipped_profiles_load() -> None:
    assert list_profiles() == SHIPPED
    assert [load_profile(name).id for name in SHIPPED] == SHIPPED
    assert [load_versions(name) for name in SHIPPED] == [(load_profile(name),) for name in SHIPPED]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_source_of_a_loaded_profile_says_something(name: str) -> None:
    sources = list(sources_of(load_profile(name)))

    assert len(sources) > 16
    assert all(sources)


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
    assert profile.bp_interarm.comparator is Comparator.AT_OR_ABOVE
    assert profile.glucose_emergency_low.comparator is Comparator.AT_OR_BELOW
    assert profile.bp_office.tiers == ()
    assert (profile.bp_screening.age_min, profile.bp_screening.due_days) == (18, 14)
    assert profile.severity(AlertCode.SCREEN_BP_HIGH) is Severity.WARN
    assert load_profile("cn_nbphs_2017").severity(AlertCode.SCREEN_BP_HIGH) is Severity.INFO


def test_numbers_are_exact_integers() -> None:
    profile = load_profile("wuzhou")

    assert profile.glucose_fasting.glucose_mmol_l_e4 == 70_000
    assert profile.glucose_emergency_low.glucose_mmol_l_e4 == 39_000
    assert profile.bp_office.base.systolic_mmhg_e13 == 140 * 10**13
    assert profile.bp_home.tiers[0].diastolic_mmhg_e13 == 85 * 10**13
    assert profile.bp_home.tiers[0].age_min == 65
    assert profile.utc_offset == np.timedelta64(8, "h")
    assert profile.valid_from == date(2015, 1, 1)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_the_decision_table_gives_for_every_profile(name: str) -> None:
    profile = load_profile(name)
    high_normal, arms = profile.bp_high_normal, profile.bp_interarm
    assert (high_normal.systolic_mmhg_e13, high_normal.diastolic_mmhg_e13) == (
        130 * 10**13,
        85 * 10**13,
    )
    assert high_normal.comparator is Comparator.AT_OR_ABOVE
    assert (arms.systolic_mmhg_e13, arms.comparator) == (20 * 10**13, Comparator.AT_OR_ABOVE)
    assert profile.glucose_screening_random_limit is not None
    assert profile.glucose_screening_random_limit.glucose_mmol_l_e4 == 111_000
    assert profile.glucose_screening_random is not None
    assert profile.glucose_screening_random.severity is Severity.INFO
    assert profile.glucose_screening_random.due_days is None
    assert profile.timing.third_reading_mmhg_e13 == 10 * 10**13
    followup = profile.followup
    assert (followup.second_days, followup.referral_days, followup.routine_days) == (14, 14, 90)
    assert (followup.routine_overdue_days, followup.face_to_face_per_year) == (90, 4)
    assert followup.unsatisfied_for_referral == 2
    assert followup.adverse_reactions_for_referral == 2
    assert followup.escalation_days == (7, 14)
    suspected = profile.bp_screening.suspected
    assert suspected is not None
    assert (suspected.days_high, suspected.within_days, suspected.due_days) == (3, 90, 14)


def test_spans_are_microseconds() -> None:
    timing = load_profile("wuzhou").timing

    assert timing.session_gap == timing.session_wait == np.timedelta64(600_000_000, "us")
    assert timing.session_span == np.timedelta64(60, "m")
    assert timing.assessment_span == timing.late_after == np.timedelta64(24, "h")
    assert timing.emergency_repeat == np.timedelta64(4, "h")
    assert timing.session_gap.dtype == timing.late_after.dtype == np.dtype("timedelta64[us]")


def test_decimals_are_read_as_they_are_written() -> None:
    text = change(WUZHOU, "[bp_office]", "systolic", "systolic = 140.0000000000001")
    text = change(text, "[glucose_fasting]", "limit", "limit = 7.0001")

    profile = read_profile_file(text, file="mine.toml")

    assert profile.bp_office.base.systolic_mmhg_e13 == 140 * 10**13 + 1
    assert profile.glucose_fasting.glucose_mmol_l_e4 == 70_001


def test_rules_that_a_profile_may_do_without_are_none() -> None:
    text = drop(drop(WUZHOU, "[glucose_screening_random]"), "[bp_screening.suspected]")

    profile = read_profile_file(text, file="mine.toml")

    assert profile.glucose_screening_random_limit is None
    assert profile.glucose_screening_random is None
    assert profile.bp_screening.suspected is None


@pytest.mark.parametrize("name", ["", "nowhere", "../wuzhou", "wuzhou.toml", "wuzhou-1"])
def test_unknown_profile_names_those_there_are(name: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load_profile(name)

    there_are = "no profile has this id; there are cn_nbphs_2017, who_hearts, wuzhou"
    assert str(caught.value) == f"{name}: {there_are}"
    assert (caught.value.file, caught.value.key, caught.value.line) == (name, "", None)


def test_versions_of_a_profile_ascend_by_date_whatever_their_names(tmp_path: Path) -> None:
    third = SECOND.replace('"2"', '"10"').replace("2026-03-01", "2027-01-01")
    (tmp_path / "wuzhou-10.toml").write_text(third, encoding="utf-8")
    (tmp_path / "wuzhou-2.toml").write_text(SECOND, encoding="utf-8")
    (tmp_path / "wuzhou2.toml").write_text(NORM, encoding="utf-8")
    (tmp_path / "README.md").write_text("no profile", encoding="utf-8")

    versions = load_versions("wuzhou", tmp_path)

    assert [version.version for version in versions] == ["1", "2", "10"]
    assert [version.valid_from.year for version in versions] == [2015, 2026, 2027]
    assert list_profiles(tmp_path) == [*SHIPPED, "wuzhou2"]
    assert load_profile("wuzhou").version == "1"


def test_the_version_of_a_day_is_the_latest_then_valid_or_the_first(tmp_path: Path) -> None:
    (tmp_path / "wuzhou-2.toml").write_text(SECOND, encoding="utf-8")
    versions = load_versions("wuzhou", tmp_path)
    days = np.array(["2001-01-01", "2026-02-28", "2026-03-01"], dtype="datetime64[D]")

    rows = tabulate([versions]).choose(np.zeros(3, np.int8), days)

    assert [versions[row].version for row in np.atleast_1d(rows)] == ["1", "1", "2"]


def test_a_packaged_file_that_is_found_twice_counts_once() -> None:
    folder = Path(listing.__file__).parent

    assert load_versions("wuzhou", folder) == load_versions("wuzhou")


@pytest.mark.parametrize(
    ("file", "text", "refused"),
    [
        pytest.param(
            "wuzhou-2.toml",
            SECOND.replace("2026-03-01", "2015-01-01"),
            "wuzhou.toml: valid_from: is also that of wuzhou-2.toml; state another",
            id="same-date",
        ),
        pytest.param(
            "wuzhou-1.toml",
            SECOND.replace('"2"', '"1"'),
            "wuzhou-1.toml: version: is also that of wuzhou.toml; state another",
            id="same-version",
        ),
        pytest.param(
            "wuzhou.toml",
            WUZHOU.replace("systolic = 180", "systolic = 200"),
            "wuzhou.toml: version: is also that of wuzhou.toml; state another",
            id="replaces-a-packaged-one",
        ),
        pytest.param(
            "wuzhou-3.toml",
            SECOND,
            f"wuzhou-3.toml:{line_of(SECOND, '', 'version')}: version: is 2, which the file's "
            "name wuzhou-3.toml does not promise; name it <id>.toml or <id>-<version>.toml",
            id="other-version-than-named",
        ),
        pytest.param(
            "wuzhou-2.toml",
            SECOND.replace('id = "wuzhou"', 'id = "yinzhou"'),
            f"wuzhou-2.toml:{line_of(SECOND, '', 'id')}: id: is yinzhou, which the file's "
            "name wuzhou-2.toml does not promise; name it <id>.toml or <id>-<version>.toml",
            id="other-id-than-named",
        ),
        pytest.param(
            "wuzhou-2.toml",
            change(SECOND, "[session]", "source", None),
            f"wuzhou-2.toml:{line_of(SECOND, '[session]')}: session.source: is missing; "
            'write source = "…", the document and section',
            id="broken",
        ),
    ],
)
def test_versions_that_cannot_be_told_apart_or_used_are_refused(
    tmp_path: Path, file: str, text: str, refused: str
) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")

    with pytest.raises(ProfileError) as caught:
        load_versions("wuzhou", tmp_path)

    assert str(caught.value) == refused


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'id = "\xe9"')
    (tmp_path / "folder.toml").mkdir()

    for name, reason in (
        ("latin", "latin.toml: is not UTF-8; save it as UTF-8"),
        ("folder", "folder.toml: cannot be read: Is a directory"),
    ):
        with pytest.raises(ProfileError) as caught:
            load_versions(name, tmp_path)
        assert str(caught.value) == reason

    with pytest.raises(ProfileError) as caught:
        list_profiles(tmp_path / "nowhere")
    assert (
        str(caught.value) == f"{tmp_path / 'nowhere'}: cannot be listed: No such file or directory"
    )


def test_a_profile_is_listed_with_every_limit_and_its_source() -> None:
    assert [row[:2] for row in describe_profile(load_profile("cn_nbphs_2017"))] == [
        ("bp_emergency", ">= 180/110 mmHg"),
        ("bp_pregnancy", ">= 140/90 mmHg"),
        ("bp_office", ">= 140/90 mmHg"),
        ("bp_office, from 65 years", ">= 150/90 mmHg"),
        ("bp_home", ">= 135/85 mmHg"),
        ("bp_home, from 65 years", ">= 145/85 mmHg"),
        ("bp_screening", ">= 140/90 mmHg, from 35 years, info"),
        (
            "bp_screening.suspected",
            "high on 3 local days within 90 days, confirmed within 14 days",
        ),
        ("bp_high_normal", ">= 130/85 mmHg"),
        ("bp_interarm", ">= 20 mmHg systolic between arms"),
        ("glucose_emergency_high", ">= 16.7 mmol/L"),
        ("glucose_emergency_low", "<= 3.9 mmol/L"),
        ("glucose_fasting", ">= 7.0 mmol/L"),
        ("glucose_postprandial_2h", ">= 10.0 mmol/L"),
        ("glucose_screening_fasting", ">= 7.0 mmol/L, at every age, info"),
        ("glucose_screening_random", ">= 11.1 mmol/L, at every age, info"),
        ("followup.second_days", "within 14 days"),
        ("followup.referral_days", "within 14 days"),
        ("followup.routine_days", "within 90 days"),
        ("followup.routine_overdue_days", "more than 90 days"),
        ("followup.face_to_face_per_year", "at least 4 visits"),
        ("followup.unsatisfied_for_referral", "2 in a row"),
        ("followup.adverse_reactions_for_referral", "2 in a row"),
        ("followup.escalation_days", "from 7, 14 overdue days on"),
        ("session.gap_minutes", "at most 10 minutes"),
        ("session.span_minutes", "at most 60 minutes"),
        ("session.wait_minutes", "10 minutes"),
        ("session.third_reading_mmhg", "more than 10 mmHg"),
        ("assessment.span_hours", "less than 24 hours"),
        ("alerting.emergency_repeat_hours", "not again within 4 hours"),
        ("alerting.late_hours", "more than 24 hours"),
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_sources_listed_are_those_of_the_profile(name: str) -> None:
    profile: Profile = load_profile(name)

    assert {source for _, _, source in describe_profile(profile)} == set(sources_of(profile))


def test_a_listing_says_when_a_recheck_is_due_and_what_is_absent() -> None:
    rows = {rule: limit for rule, limit, _ in describe_profile(load_profile("wuzhou"))}
    assert rows["bp_screening"] == "> 140/90 mmHg, from 18 years, warn, recheck within 14 days"

    text = drop(drop(WUZHOU, "[glucose_screening_random]"), "[bp_screening.suspected]")
    text = change(text, "[followup]", "escalation_days", "escalation_days = []")
    text = change(text, "[glucose_fasting]", "limit", "limit = 7.25")
    rows = {
        rule: limit for rule, limit, _ in describe_profile(read_profile_file(text, file="x.toml"))
    }
    assert not {"glucose_screening_random", "bp_screening.suspected"} & set(rows)
    assert rows["followup.escalation_days"] == "none"
    assert rows["glucose_fasting"] == "> 7.25 mmol/L"


def test_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(listing).failed == 0
