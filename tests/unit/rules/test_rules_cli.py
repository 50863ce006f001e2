"""The promise: ``suifang rules`` says what it found in words or JSON; its exit code says the rest.

0: as it should be. 1: a difference, or an error in a profile, named. 2: what it was given cannot
be read, said in one line that names the case, the event and the field.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.rules_cli import app
from rules import profiles
from tests.unit.rules.oracle.told import at, bp

CASES = Path(__file__).parent / "data" / "clinical_cases.json"
SUIFANG = Path(sys.executable).with_name("suifang")


def suifang_rules(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the installed command."""
    command = [SUIFANG, "rules", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def invoke(*arguments: str | Path) -> tuple[int, str, str]:
    """The same in this process: exit code, stdout, stderr."""
    answer = CliRunner().invoke(app, [str(each) for each in arguments])
    assert answer.exception is None or isinstance(answer.exception, SystemExit)
    return answer.exit_code, answer.stdout, answer.stderr


def write(folder: Path, content: object) -> Path:
    file = folder / "cases.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return file


def a_file(folder: Path, event: object, **changes: object) -> Path:
    """A file with one case, C9, of one event."""
    case = {
        "id": "C9",
        "profile": "wuzhou",
        "resident": {"id": "R1", "conditions": ["hypertension"]},
        "events": [event],
        "as_of": at("03-05 09:00"),
    }
    return write(folder, {"cases": [case | changes]})


def test_all_worked_cases_match() -> None:
    done = suifang_rules("evaluate", CASES, "--json", "--check")

    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (report["matched"], report["different"], len(report["cases"])) == (42, [], 42)
    first = report["cases"][0]
    assert {"id", "alerts", "cases", "dispositions", "normalized"} <= first.keys()
    assert first["differences"] == []


def test_a_changed_expectation_is_named_and_is_code_1(tmp_path: Path) -> None:
    content = json.loads(CASES.read_text("utf-8"))
    content["cases"][0]["expected"]["cases"]["hypertension"]["state"] = "closed"
    file = write(tmp_path, content)

    done = suifang_rules("evaluate", file, "--json", "--check")

    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert (report["matched"], report["different"]) == (41, ["C01"])
    assert report["cases"][0]["differences"] == [
        "case hypertension: state is controlled, expected closed"
    ]


def test_a_case_that_cannot_be_read_is_one_line_and_hides_no_other(tmp_path: Path) -> None:
    file = a_file(tmp_path, bp("e7", "03-02 09:00", 152, 94, arm="foot"))
    content = json.loads(file.read_text("utf-8"))
    content["cases"] += json.loads(CASES.read_text("utf-8"))["cases"][:1]
    file = write(tmp_path, content)

    done = suifang_rules("evaluate", file, "--json", "--check")

    assert done.returncode == 2
    report = json.loads(done.stdout)
    assert (report["matched"], report["different"]) == (1, [])
    assert "e7.arm" in report["cases"][0]["error"]
    assert done.stderr == (
        f"suifang: {file}: case C9: e7.arm: is 'foot'; expected one of left, right\n"
    )


def test_in_words_a_difference_stands_under_its_case(tmp_path: Path) -> None:
    content = json.loads(CASES.read_text("utf-8"))
    content["cases"][0]["expected"]["alerts"] = [{"code": "ADR_1"}]
    file = write(tmp_path, {"cases": content["cases"][:2]})

    code, told, _ = invoke("evaluate", file, "--check")

    assert code == 1
    assert told.splitlines() == [
        "C01 differs",
        "  alert missing: code ADR_1",
        "C02 ok",
        "1 of 2 cases match",
    ]


def test_in_words_alerts_and_cases_are_told(tmp_path: Path) -> None:
    code, told, _ = invoke("evaluate", a_file(tmp_path, bp("e1", "03-02 09:00", 152, 94)))

    assert code == 0
    assert told.splitlines() == [
        "C9",
        "  alert BP_UNSATISFIED_1 active, anchor e1, due 2026-03-16",
        "  case hypertension: second_followup_open",
    ]


def test_an_indicator_case_is_told_in_words() -> None:
    code, told, _ = invoke("evaluate", CASES, "--case", "I02")

    assert code == 0
    assert told.splitlines() == ["I02", "  local_date: 2027-01-01", "  counts_for_year: 2027"]


def test_one_case_can_be_asked_for() -> None:
    code, told, _ = invoke("evaluate", CASES, "--case", "C05", "--json", "--check")

    assert code == 0
    assert [case["id"] for case in json.loads(told)["cases"]] == ["C05"]


def test_without_check_nothing_is_compared(tmp_path: Path) -> None:
    file = a_file(tmp_path, bp("e1", "03-02 09:00", 152, 94))

    code, told, _ = invoke("evaluate", file, "--json")

    (case,) = json.loads(told)["cases"]
    assert code == 0
    assert "differences" not in case
    assert case["normalized"]["e1"]["sbp"] == 152


def test_a_difference_of_an_indicator_is_named(tmp_path: Path) -> None:
    case = {"id": "I9", "visit_at": "2026-12-31T17:00:00+00:00", "expected": {"counts_for_year": 3}}
    file = write(tmp_path, {"indicator_cases": [case]})

    code, told, _ = invoke("evaluate", file, "--json", "--check")

    assert code == 1
    assert json.loads(told)["cases"][0]["differences"] == ["counts_for_year is 2027, expected 3"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("{", "is not JSON", id="not-json"),
        pytest.param("[]", "holds no cases", id="empty-list"),
        pytest.param("{}", "holds no cases", id="empty-object"),
        pytest.param('{"cases": {}}', "holds no cases", id="cases-is-no-list"),
        pytest.param('{"cases": [1]}', "holds no cases", id="case-is-no-object"),
        pytest.param("3", "holds no cases", id="a-number"),
    ],
)
def test_a_file_without_cases_is_one_line_and_code_2(
    content: str, problem: str, tmp_path: Path
) -> None:
    code, told, error = invoke("evaluate", write(tmp_path, content), "--check")

    assert (code, told) == (2, "")
    assert problem in error
    assert error.count("\n") == 1


def test_a_file_that_is_no_text_is_one_line_and_code_2(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    file.write_bytes(b"\xff\xfe\x00")

    for command in ("evaluate", "check"):
        code, _, error = invoke(command, file)
        assert (code, error.count("\n")) == (2, 1)


def test_a_file_that_is_not_there_is_code_2(tmp_path: Path) -> None:
    for command in ("evaluate", "check"):
        assert invoke(command, tmp_path / "nowhere.json")[0] == 2


def test_a_case_without_an_expectation_cannot_be_compared(tmp_path: Path) -> None:
    code, _, error = invoke("evaluate", a_file(tmp_path, bp("e1", "03-02 09:00", 1, 1)), "--check")

    assert code == 2
    assert "case C9 has no `expected` to compare with" in error


def test_an_unknown_case_is_code_2() -> None:
    code, _, error = invoke("evaluate", CASES, "--case", "C99")

    assert (code, error) == (2, f"suifang: {CASES}: no case has the id C99\n")


def profile_file(name: str) -> Path:
    return Path(profiles.__file__).parent / f"{name}.toml"


@pytest.mark.parametrize("name", ["wuzhou", "cn_nbphs_2017", "who_hearts"])
def test_the_profiles_that_we_ship_have_no_error(name: str) -> None:
    file = profile_file(name)

    code, told, _ = invoke("check", file, "--json")

    report = json.loads(told)
    assert (code, report["file"], report["errors"]) == (0, str(file), 0)


def test_an_error_in_a_profile_has_its_line_and_is_code_1(tmp_path: Path) -> None:
    file = tmp_path / "wuzhou.toml"
    text = profile_file("wuzhou").read_text("utf-8")
    file.write_text(text.replace('comparator = "above"', 'comparator = "over"', 1), "utf-8")
    line = 1 + text[: text.index('comparator = "above"')].count("\n")

    done = suifang_rules("check", file)
    code, told, _ = invoke("check", file, "--json")

    assert (done.returncode, code) == (1, 1)
    assert f"{file}:{line}: " in done.stdout
    assert f"{file}: 1 errors, " in done.stdout
    errors = [each for each in json.loads(told)["problems"] if each["severity"] == "error"]
    assert [each["line"] for each in errors] == [line]


def test_profiles_are_listed() -> None:
    code, told, _ = invoke("show")

    assert code == 0
    assert [line.split()[0] for line in told.splitlines()] == [
        "cn_nbphs_2017",
        "who_hearts",
        "wuzhou",
    ]


def test_a_profile_is_shown_with_its_limits_and_sources() -> None:
    done = suifang_rules("show", "wuzhou", "--json")
    code, told, _ = invoke("show", "wuzhou")

    (shown,) = json.loads(done.stdout)["profiles"]
    assert (done.returncode, code) == (0, 0)
    assert (shown["id"], shown["version"], shown["valid_from"]) == ("wuzhou", "1", "2015-01-01")
    assert told.splitlines()[0] == "wuzhou version 1, valid from 2015-01-01"
    rules: list[dict[str, Any]] = shown["rules"]
    office = next(rule for rule in rules if rule["rule"].startswith("bp_office"))
    assert "> 140/90 mmHg" in office["limit"]
    assert all(rule["source"] for rule in rules)
    assert f"  {office['rule']}: {office['limit']}\n    {office['source']}\n" in told


def test_an_unknown_profile_is_code_2() -> None:
    code, told, error = invoke("show", "nobody", "--json")

    assert (code, told) == (2, "")
    assert "no profile has this id; there are cn_nbphs_2017, who_hearts, wuzhou" in error
