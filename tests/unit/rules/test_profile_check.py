"""The promise: a profile that is wrong in one way is told exactly that, at exactly that line."""

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.errors import ProfileError
from rules.profiles import Problem, check_profile, problem_text, problems, read_profile_file
from tests.unit.rules.rules_profile_text import (
    HEARTS,
    NORM,
    WUZHOU,
    change,
    line_of,
    said,
)


@pytest.mark.parametrize(
    ("text", "file"),
    [(WUZHOU, "wuzhou.toml"), (NORM, "a/b/cn_nbphs_2017.toml"), (HEARTS, "who_hearts-1.toml")],
)
def test_shipped_profiles_have_neither_errors_nor_warnings(text: str, file: str) -> None:
    assert check_profile(text, file=file) == []


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        pytest.param("\n# x\nid = \n", 3, 6, id="no-value"),
        pytest.param('\n\nid = "x', 3, 1, id="unclosed-text-at-the-end"),
        pytest.param("a = [1\n\n# y\n\n\n", 3, 1, id="unclosed-list-before-empty-lines"),
        pytest.param('[a]\nid = "x\n[b]', 2, 8, id="unclosed-text"),
        pytest.param("[a]\n\n[a]", 3, 3, id="table-twice"),
        pytest.param("[a]\nb = 1\nb = 2\n", 3, 6, id="key-twice"),
        pytest.param("a = 2015-02-30", 1, 5, id="no-such-day"),
        pytest.param("\ufeffa = 1", 1, 1, id="byte-order-mark"),
        pytest.param(f"\na = {'1' * 5_000}", 1, 1, id="number-without-end"),
        pytest.param(f"\na = {'[' * 5_000}", 1, 1, id="brackets-without-end"),
    ],
)
def test_what_is_not_toml_is_told_by_line(text: str, line: int, column: int) -> None:
    (problem,) = check_profile(text, file="mine.toml")

    assert (problem.line, problem.column, problem.key) == (line, column, "")
    assert problem.problem.startswith("is not TOML: ")
    assert problem.remedy == "correct the syntax here or just above"
    assert " (at " not in problem.problem


def test_the_reason_why_something_is_not_toml_is_given() -> None:
    assert said("a = ") == [
        "wuzhou.toml:1: is not TOML: Invalid value; correct the syntax here or just above"
    ]


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    text = change(WUZHOU, "[session]", "gap_minutes", "gap_minutes = 0")
    text = change(text, "[bp_office]", "unit", None)
    text = change(text, "[bp_home]", "systolic", "systolic = 190")
    text = change(text, "", "id", "id = 3")

    found = check_profile(text, file="wuzhou.toml")

    assert [(p.key, p.severity) for p in found] == [
        ("id", "error"),
        ("bp_office.unit", "error"),
        ("bp_home.systolic", "error"),
        ("bp_home.systolic", "warning"),
        ("bp_home.tier[0].systolic", "warning"),
        ("session.gap_minutes", "error"),
    ]
    assert found == sorted(found, key=lambda p: (p.line, p.column))


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("mine.toml", "id", "wuzhou"),
        ("wuzhou.txt", "id", "wuzhou"),
        ("WUZHOU.toml", "id", "wuzhou"),
        ("a/wuzhou-2.toml", "version", "1"),
    ],
)
def test_a_file_under_whose_name_it_is_not_found_is_a_warning(
    file: str, key: str, value: str
) -> None:
    name = file.removeprefix("a/")

    assert said(WUZHOU, file) == [
        (
            f"{file}:{line_of(WUZHOU, '', key)}: warning: {key}: is {value}, "
            f"which the file's name {name} does not promise; "
            "name it <id>.toml or <id>-<version>.toml"
        )
    ]


def test_the_loader_stops_at_the_first_error_with_file_line_and_key() -> None:
    text = change(WUZHOU, "[bp_home]", "unit", 'unit = "kPa"')
    text = change(text, "[session]", "gap_minutes", "gap_minutes = 0")
    line = line_of(text, "[bp_home]", "unit")

    with pytest.raises(ProfileError) as caught:
        read_profile_file(text, file="mine.toml")

    error = caught.value
    assert (error.file, error.key, error.line) == ("mine.toml", "bp_home.unit", line)
    assert str(error) == (
        f'mine.toml:{line}: bp_home.unit: is "kPa", not "mmHg"; write unit = "mmHg"'
    )


def test_a_warning_does_not_keep_a_profile_from_being_loaded() -> None:
    text = change(WUZHOU, "[bp_home]", "systolic", "systolic = 142")

    assert [p.severity for p in check_profile(text, file="wuzhou.toml")] == ["warning"]
    assert read_profile_file(text, file="wuzhou.toml").id == "wuzhou"


def is_told_or_loads(text: str) -> None:
    """Either there are errors, each within the text, or the text is a profile."""
    found = check_profile(text, file="mine.toml")
    lines = text.split("\n")
    for problem in found:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
    errors = [problem for problem in found if problem.severity == "error"]
    if not errors:
        read_profile_file(text, file="mine.toml")
        return
    with pytest.raises(ProfileError) as caught:
        read_profile_file(text, file="mine.toml")
    assert str(caught.value) == problem_text(errors[0], file="mine.toml")


@pytest.mark.parametrize("text", [WUZHOU, NORM, HEARTS])
def test_without_any_one_line_a_profile_loads_or_its_problems_are_told(text: str) -> None:
    lines = text.split("\n")
    for gone in range(len(lines)):
        is_told_or_loads("\n".join(lines[:gone] + lines[gone + 1 :]))


@settings(deadline=None)
@given(text=st.sampled_from([WUZHOU, NORM, HEARTS]), data=st.data())
def test_however_its_lines_are_disturbed_a_profile_loads_or_is_told(
    text: str, data: st.DataObject
) -> None:
    lines = text.split("\n")
    for _ in range(data.draw(st.integers(1, 3))):
        source = data.draw(st.integers(0, len(lines) - 1))
        target = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, len(lines[source])))
        lines[target] = lines[source][cut:] + data.draw(
            st.sampled_from(["", "[", '"', "]", "=", "'''", "x = 1", ".5", "#", " = {}"])
        )
    is_told_or_loads("\n".join(lines))


def test_a_problem_is_printed_as_compilers_do() -> None:
    problem = Problem(line=3, column=1, key="", problem="is odd", remedy="look", severity="warning")

    assert problem_text(problem, file="a/x.toml") == "a/x.toml:3: warning: is odd; look"
    assert doctest.testmod(problems).failed == 0
