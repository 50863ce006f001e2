"""The promise: a profile that extends another invents nothing and hides nothing."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from rules.profile import PressureBands
from rules.profiles import (
    check_profile,
    load_profile,
    load_versions,
    problem_text,
    read_profile_file,
)
from tests.unit.rules.rules_profile_text import HEARTS, NORM, append, change, line_of, said

FILE = "who_hearts.toml"
MINE = HEARTS.replace('id = "who_hearts"', 'id = "mine"')
STRICTER = (
    "[bp_emergency]",
    'unit = "mmHg"',
    'comparator = "at_or_above"',
    "systolic = 150",
    "diastolic = 110",
    'source = "x"',
)


def test_who_hearts_is_the_national_norm_but_for_the_one_number_that_it_states() -> None:
    hearts, norm = load_profile("who_hearts"), load_profile("cn_nbphs_2017")
    own = hearts.bp_office

    assert own.tiers == ()
    assert "WHO 2021" in own.base.source
    assert own.base == replace(norm.bp_office.base, source=own.base.source)
    assert hearts == replace(
        norm,
        id="who_hearts",
        version="1",
        valid_from=date(2021, 1, 1),
        bp_office=PressureBands(base=own.base, tiers=()),
    )


def test_a_table_replaces_the_whole_table_of_the_base() -> None:
    text = append(HEARTS, "[bp_screening.suspected]", "days_high = 3")
    line = line_of(text, "[bp_screening.suspected]")

    assert [problem.line for problem in check_profile(text, file=FILE)] == [line] * 9
    assert f'{FILE}:{line}: bp_screening.unit: is missing; write unit = "mmHg"' in said(text, FILE)


def test_the_zone_may_differ_from_the_base() -> None:
    text = change(HEARTS, "", "extends_version", 'extends_version = "1"\ntime_zone = "UTC"')

    assert read_profile_file(text, file=FILE).time_zone == "UTC"


@pytest.mark.parametrize(
    ("name", "line", "problem"),
    [
        pytest.param(
            "extends",
            'extends = "cn_nbphs"',
            "is cn_nbphs, which is no profile; there are cn_nbphs_2017, who_hearts, wuzhou",
            id="no-such-profile",
        ),
        pytest.param(
            "extends",
            'extends = "../wuzhou"',
            'is "../wuzhou", not the id of a profile; write extends = "cn_nbphs_2017"',
            id="no-id",
        ),
        pytest.param(
            "extends",
            'extends = "who_hearts"',
            "leads back to this file; extend a profile that stands alone",
            id="itself",
        ),
        pytest.param(
            "extends_version",
            'extends_version = "2"',
            "is 2, which cn_nbphs_2017 does not have; there are 1",
            id="no-such-version",
        ),
        pytest.param(
            "extends_version",
            "extends_version = 1",
            "is 1, not the version of a profile; "
            'write extends_version = "1", the version that is meant',
            id="version-no-text",
        ),
    ],
)
def test_a_base_that_is_not_there_is_told_at_its_line(name: str, line: str, problem: str) -> None:
    text = change(HEARTS, "", name, line)

    assert said(text, FILE) == [f"{FILE}:{line_of(text, '', f'{name} =')}: {name}: {problem}"]


@pytest.mark.parametrize(
    ("gone", "remedy"),
    [
        ("extends", 'write extends = "cn_nbphs_2017"'),
        ("extends_version", 'write extends_version = "1", the version that is meant'),
    ],
)
def test_id_and_version_of_the_base_belong_together(gone: str, remedy: str) -> None:
    text = change(HEARTS, "", gone, None)

    assert said(text, FILE) == [f"{FILE}:1: {gone}: is missing; {remedy}"]


def test_a_contradiction_with_the_base_is_told_at_the_line_of_the_file_itself() -> None:
    low = change(HEARTS, "[bp_office]", "systolic", "systolic = 180")
    line = line_of(low, "[bp_office]", "systolic")
    assert said(low, FILE) == [
        (
            f"{FILE}:{line}: bp_office.systolic: 180 never fires alone, "
            "since bp_emergency.systolic is 180; lower this or raise that"
        )
    ]

    text = append(HEARTS, *STRICTER[:3], "systolic = 145", *STRICTER[4:])
    line = line_of(text, "[bp_emergency]", "systolic")
    assert said(text, FILE) == [
        (
            f"{FILE}:{line}: bp_home.tier[0].systolic: 145 never fires alone, "
            "since bp_emergency.systolic is 145; lower this or raise that"
        )
    ]


def test_the_other_number_of_a_contradiction_tells_the_line(tmp_path: Path) -> None:
    base = append(MINE, "[session]", "gap_minutes = 10", "span_minutes = 90", "wait_minutes = 10")
    base = append(base, "third_reading_mmhg = 10", 'source = "x"')
    (tmp_path / "mine.toml").write_text(base, encoding="utf-8")
    text = change(HEARTS, "", "extends", 'extends = "mine"')
    text = append(text, "[assessment]", "span_hours = 1", 'source = "x"')

    (problem,) = check_profile(text, file=FILE, directory=tmp_path)

    assert problem.key == "session.span_minutes"
    assert problem.line == line_of(text, "[assessment]", "span_hours")


def test_what_the_base_warns_of_is_not_told_again(tmp_path: Path) -> None:
    base = change(MINE, "[bp_office]", "systolic", "systolic = 134")
    (tmp_path / "mine.toml").write_text(base, encoding="utf-8")
    assert len(check_profile(base, file="mine.toml")) == 2
    text = 'id = "other"\nversion = "1"\nvalid_from = 2026-01-01\n'
    text += 'extends = "mine"\nextends_version = "1"'

    assert check_profile(text, file="other.toml", directory=tmp_path) == []
    (tmp_path / "other.toml").write_text(text, encoding="utf-8")
    assert load_versions("other", tmp_path)[0] == replace(
        load_versions("mine", tmp_path)[0], id="other", valid_from=date(2026, 1, 1)
    )


def test_the_version_of_the_base_is_the_one_named(tmp_path: Path) -> None:
    newer = change(NORM, "", "version", 'version = "2"')
    newer = change(newer, "", "valid_from", "valid_from = 2026-01-01")
    newer = change(newer, "[followup]", "second_days", "second_days = 7")
    (tmp_path / "cn_nbphs_2017-2.toml").write_text(newer, encoding="utf-8")
    text = change(MINE, "", "extends_version", 'extends_version = "2"')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    (tmp_path / "mine-0.toml").write_text(
        MINE.replace('\nversion = "1"', '\nversion = "0"').replace("2021-01-01", "2020-01-01"),
        encoding="utf-8",
    )

    versions = load_versions("mine", tmp_path)

    assert [(each.version, each.followup.second_days) for each in versions] == [
        ("0", 14),
        ("1", 7),
    ]
    assert [
        problem_text(problem, file="mine.toml")
        for problem in check_profile(
            change(MINE, "", "extends_version", 'extends_version = "3"'),
            file="mine.toml",
            directory=tmp_path,
        )
    ] == [
        (
            f"mine.toml:{line_of(MINE, '', 'extends_version')}: extends_version: "
            "is 3, which cn_nbphs_2017 does not have; there are 1, 2"
        )
    ]


def test_a_version_may_extend_an_earlier_one_of_the_same_profile(tmp_path: Path) -> None:
    text = change(HEARTS, "", "version", 'version = "2"')
    text = change(text, "", "valid_from", "valid_from = 2026-01-01")
    text = change(text, "", "extends", 'extends = "who_hearts"')
    (tmp_path / "who_hearts-2.toml").write_text(text, encoding="utf-8")

    first, second = load_versions("who_hearts", tmp_path)

    assert second == replace(first, version="2", valid_from=date(2026, 1, 1))


def test_a_base_with_errors_is_told_with_its_own_place(tmp_path: Path) -> None:
    base = change(MINE, "[bp_office]", "unit", None)
    (tmp_path / "mine.toml").write_text(base, encoding="utf-8")
    text = change(HEARTS, "", "extends", 'extends = "mine"')

    (problem,) = check_profile(text, file=FILE, directory=tmp_path)

    assert problem_text(problem, file=FILE) == (
        f"{FILE}:{line_of(text, '', 'extends')}: extends: cannot be followed: "
        f"mine.toml:{line_of(base, '[bp_office]')}: bp_office.unit: is missing; "
        'write unit = "mmHg"; correct that first'
    )


def test_bases_that_lead_in_a_circle_are_told(tmp_path: Path) -> None:
    first = change(MINE, "", "extends", 'extends = "other"')
    second = MINE.replace('id = "mine"', 'id = "other"')
    second = change(second, "", "extends", 'extends = "mine"')
    (tmp_path / "mine.toml").write_text(first, encoding="utf-8")
    (tmp_path / "other.toml").write_text(second, encoding="utf-8")

    (problem,) = check_profile(first, file="mine.toml", directory=tmp_path)

    assert problem.key == "extends"
    assert "other.toml:" in problem.problem
    assert "leads back to this file" in problem.problem


def test_a_base_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff")
    (tmp_path / "none.toml").write_text("version = ", encoding="utf-8")
    unreadable = change(HEARTS, "", "extends", 'extends = "mine"')
    (problem,) = check_profile(unreadable, file=FILE, directory=tmp_path)
    assert (problem.key, problem.line) == ("extends", line_of(HEARTS, "", "extends"))
    assert problem.sentence == (
        "cannot be followed: mine.toml: is not UTF-8; save it as UTF-8; correct that first"
    )

    no_toml = change(HEARTS, "", "extends", 'extends = "none"')
    (problem,) = check_profile(no_toml, file=FILE, directory=tmp_path)
    assert problem.sentence == "is 1, which none does not have; there are none that can be read"
