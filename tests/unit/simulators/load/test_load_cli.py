"""A wrong command line is one line and exit 2, before anything is started or written."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.simulate_cli import app


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--rate", "0"], "--rate must be above 0"),
        (["--seconds", "inf"], "--seconds must be above 0"),
        (["--gateways", "10", "--terminals", "3"], "--terminals 3 are fewer than --gateways 10"),
        (["--no-ledger", "--ledger", "x"], "--ledger and --no-ledger exclude each other"),
        (["--broker", "nowhere"], "--broker 'nowhere' is not HOST:PORT"),
        (["--broker", "127.0.0.1:1883"], "--broker needs --gateways-file"),
        (["--watch", "ingest=1"], "go with --broker"),
        (["--broker", "127.0.0.1:1", "--tls"], "with --broker give --ca"),
        (["--speed", "2"], "--speed and --key go with --replay"),
        (["--replay", "absent.csv"], "cannot read the recording absent.csv"),
        (["--replay", "builtin", "--find-capacity"], "--find-capacity draws its own readings"),
        (["--replay", "builtin", "--key", "k"], "--key is of a deployment"),
    ],
)
def test_a_wrong_command_line_starts_nothing(
    arguments: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUIFANG_HOME", str(tmp_path / "home"))
    answer = CliRunner().invoke(app, ["load", *arguments])

    assert answer.exit_code == 2, answer.output
    assert problem in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_is_never_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUIFANG_HOME", str(tmp_path / "home"))
    (tmp_path / "ledger.ndjson").write_text("kept")
    answer = CliRunner().invoke(app, ["load", "--report", str(tmp_path)])

    assert answer.exit_code == 2
    assert "exists already" in answer.stderr
    assert (tmp_path / "ledger.ndjson").read_text() == "kept"
    assert not (tmp_path / "report.html").exists()


def test_a_report_that_cannot_be_a_folder_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUIFANG_HOME", str(tmp_path / "home"))
    (tmp_path / "file").write_text("kept")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        answer = CliRunner().invoke(
            app, ["load", "--report", str(folder), "--ledger", str(tmp_path / "new")]
        )
        assert answer.exit_code == 2, answer.output
        assert f"--report {folder} cannot be a folder" in answer.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
