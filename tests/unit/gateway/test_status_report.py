"""``suifang gateway status`` tells a gateway that runs from a dead, a stuck and an absent one."""

import json
import os
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.state_file import state_path
from gateway.status_report import Life, look_at_box
from tests.unit.gateway.gateway_builders import a_measurement
from tests.unit.gateway.test_cli import environment, run, start


def status(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON."""
    ended = run("status", *arguments, "--json", env=environment(folder))
    assert ended.stderr == ""
    found: dict[str, Any] = json.loads(ended.stdout)
    return ended.returncode, found


def until_reported(folder: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 20
    while not state_path(folder / "spool.db").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)


def test_it_says_running_and_after_a_kill_dead_with_the_readings_still_there(
    tmp_path: Path,
) -> None:
    gateway, terminal = start(tmp_path)
    with gateway, terminal:
        terminal.sendall(a_measurement() + b"\n")
        terminal.makefile().readline()
        until_reported(tmp_path, gateway)

        code, found = status(tmp_path)
        assert (found["life"], found["pid"], found["spool"]["rows"]) == ("running", gateway.pid, 1)
        assert code == 1  # Its clock is not known here, or the broker absent: not all is well.
        gateway.send_signal(signal.SIGKILL)
        gateway.wait(20)

        code, found = status(tmp_path)
    assert (code, found["life"], found["healthy"]) == (1, "dead", False)
    assert found["spool"]["counters"]["accepted"] == 1

    shown = run("status", "--spool", str(tmp_path / "spool.db"), env=os.environ.copy())
    assert "does not run" in shown.stdout
    assert "1 readings wait" in shown.stdout


def test_a_box_on_which_nothing_ever_ran_is_told_as_such(tmp_path: Path) -> None:
    code, found = status(tmp_path)

    assert (code, found["life"], found["status"], found["spool"]) == (1, "never", None, None)
    assert "cannot be read" in found["spool_error"]


@pytest.mark.parametrize(
    ("late_s", "life"), [(0, Life.RUNNING), (39, Life.RUNNING), (41, Life.SILENT)]
)
def test_a_process_that_does_not_report_is_silent(tmp_path: Path, late_s: int, life: Life) -> None:
    gateway, terminal = start(tmp_path)
    with gateway, terminal:
        until_reported(tmp_path, gateway)
        written = state_path(tmp_path / "spool.db").stat().st_mtime
        at = datetime.fromtimestamp(written, UTC) + timedelta(seconds=late_s)

        found = look_at_box(tmp_path / "spool.db", interval_s=10, clock=lambda: at)
        gateway.kill()

    assert found.life is life


def test_a_wrong_configuration_is_exit_2(tmp_path: Path) -> None:
    assert run("status", env=environment(tmp_path, GATEWAY_ID="Not A Name")).returncode == 2
