"""A wrong command line is one clear line and exit 2; a failure is exit 1."""

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from simulators.cli import app, reconcile_app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["replay", "--gateway", "a=127.0.0.1:1"], "FILE or --builtin", id="nothing"),
        pytest.param(["replay", "--builtin"], "name a running gateway", id="no-gateway"),
        pytest.param(["fleet"], "name a running gateway", id="fleet-no-gateway"),
        pytest.param(["replay", "--builtin", "--gateway", "host"], "HOST:PORT", id="no-port"),
        pytest.param(["fleet", "--gateway", "h:0"], "HOST:PORT", id="port-0"),
        pytest.param(["fleet", "--gateway", "h:99999"], "HOST:PORT", id="port-too-high"),
        pytest.param(["fleet", "--gateway", "A b=h:1"], "HOST:PORT", id="bad-id"),
        pytest.param(
            ["fleet", "--gateway", "a=h:1", "--gateway", "a=h:2"], "names a twice", id="twice"
        ),
        pytest.param(["fleet", "--rate", "0", "--gateway", "h:1"], "--rate must be", id="rate-0"),
        pytest.param(["fleet", "--rate", "nan", "--gateway", "h:1"], "--rate must", id="rate-nan"),
        pytest.param(["replay", "absent.csv", "--gateway", "h:1"], "cannot read", id="no-file"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(
    tmp_path: Path, arguments: list[str], problem: str
) -> None:
    result = run(*arguments, "--ledger", str(tmp_path / "ledger"))

    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stderr.startswith("suifang: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "ledger").exists()


def test_a_gateway_that_is_not_there_is_exit_1_and_says_how_to_start_one(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        result = run("fleet", "--gateway", address, "--ledger", str(tmp_path / "ledger"))

    assert result.exit_code == 1
    assert "suifang gateway" in result.stderr
    assert not (tmp_path / "ledger").exists()


def test_a_ledger_that_cannot_be_read_is_exit_1(tmp_path: Path) -> None:
    arguments = ["--ledger", str(tmp_path / "absent"), "--database", "host=/nowhere"]
    result = CliRunner().invoke(reconcile_app, arguments)

    assert result.exit_code == 1
    assert "cannot read the ledger" in result.stderr


def test_a_database_that_is_not_there_is_exit_1(tmp_path: Path) -> None:
    (tmp_path / "ledger").touch()
    arguments = ["--ledger", str(tmp_path / "ledger"), "--database", "host=/nowhere"]
    result = CliRunner().invoke(reconcile_app, arguments)

    assert result.exit_code == 1
    assert result.stderr.startswith("suifang: cannot read the database")


def test_a_spool_that_is_not_there_is_exit_1(tmp_path: Path) -> None:
    (tmp_path / "ledger").touch()
    arguments = ["--ledger", str(tmp_path / "ledger"), "--spool", str(tmp_path / "absent")]
    result = CliRunner().invoke(reconcile_app, [*arguments, "--database", "host=/nowhere"])

    assert result.exit_code == 1
    assert "spool" in result.stderr


def test_json_is_machine_readable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        ledger = str(tmp_path / "ledger")
        result = run(
            "fleet", "--gateway", address, "--ledger", ledger, "--seconds", "0.001", "--rate",
            "0.001", "--json",
        )  # fmt: skip

    assert result.exit_code == 0
    assert json.loads(result.stdout)["sent"] == 0
