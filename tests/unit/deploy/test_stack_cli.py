"""``suifang stack`` answers in words or in one JSON object, and its exit code says the rest."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.embedded.cli import app
from deploy.embedded.errors import NotReadyError
from deploy.embedded.stack import Stack


@pytest.fixture(autouse=True)
def _an_empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUIFANG_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("command", ["status", "down"])
def test_a_stack_that_never_was_is_not_running(command: str) -> None:
    answer = CliRunner().invoke(app, [command, "--json"])

    found = json.loads(answer.stdout)
    assert answer.exit_code == (1 if command == "status" else 0)
    assert found["running"] is False
    assert [each["name"] for each in found["services"]] == ["postgres", "broker"]
    assert found["services"][0]["pid"] is None


def test_looking_makes_no_folder(tmp_path: Path) -> None:
    CliRunner().invoke(app, ["status"])

    assert not (tmp_path / "home").exists()


def test_wrong_usage_is_code_2() -> None:
    assert CliRunner().invoke(app, ["sideways"]).exit_code == 2


def test_an_error_is_one_json_object_and_code_1(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file in the way")

    answer = CliRunner().invoke(app, ["up", "--json"])

    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["error"] == "UnsafeFolderError"


def test_asking_a_stack_that_never_was_says_what_to_do() -> None:
    with pytest.raises(NotReadyError, match="Run: suifang stack up"):
        Stack.of_checkout().dsn("suifang")


def test_the_address_of_a_stack_that_never_was_is_one_line_and_code_1() -> None:
    answer = CliRunner().invoke(app, ["dsn", "demo", "--json"])

    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["error"] == "NotReadyError"


def test_the_home_of_a_checkout_is_found_from_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUIFANG_HOME")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")

    assert Stack.of_checkout().home == (tmp_path / ".suifang").resolve()
