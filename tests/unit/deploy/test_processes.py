"""Only a process the stack started is ever signalled, whatever number it has."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.embedded.errors import ServiceError
from deploy.embedded.folders import Account
from deploy.embedded.processes import (
    Identity,
    identify,
    is_alive,
    parse_stat,
    read_record,
    send_signal,
    spawn,
    stop,
    wait_gone,
)

CALLER = Account(os.geteuid(), os.getegid(), dropped=False)
KILL = ((signal.SIGKILL, 5.0),)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def known(pid: int) -> Identity:
    identity = identify(pid)
    assert identity is not None
    return identity


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("sleep", 991, id="plain"),
        pytest.param("a) S 1 (b", 991, id="brackets-in-the-name"),
        pytest.param("two words", 991, id="space-in-the-name"),
    ],
)
def test_start_time_is_read_whatever_the_program_is_called(name: str, expected: int) -> None:
    text = f"7 ({name}) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 991 0"

    assert parse_stat(text) == (7, "S", expected)


def test_a_reused_number_does_not_kill_a_stranger(stranger: subprocess.Popen[bytes]) -> None:
    ours_long_ago = replace(known(stranger.pid), start_ticks=known(stranger.pid).start_ticks - 1)

    assert not is_alive(ours_long_ago)
    assert not send_signal(ours_long_ago, signal.SIGKILL)
    assert stop(ours_long_ago, KILL)
    assert stranger.poll() is None


def test_a_number_of_another_boot_does_not_kill_a_stranger(
    stranger: subprocess.Popen[bytes],
) -> None:
    before_the_reboot = replace(known(stranger.pid), boot_id="another")

    assert not send_signal(before_the_reboot, signal.SIGKILL)
    assert wait_gone(before_the_reboot, 0.1)
    assert stranger.poll() is None


def test_a_corpse_is_not_alive() -> None:
    with subprocess.Popen(["true"]) as process:
        identity_or_corpse = identify(process.pid)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # Dead, not yet buried.

        assert identify(process.pid) is None
        assert not is_alive(identity_or_corpse)


def test_a_spawned_process_has_recorded_itself_and_is_no_child(tmp_path: Path) -> None:
    record, log = tmp_path / "record", tmp_path / "log"

    identity = spawn("sleeper", ["sleep", "60"], record=record, log=log, account=CALLER)

    assert read_record(record) == identity
    assert is_alive(identity)
    with pytest.raises(ChildProcessError):
        os.waitpid(identity.pid, os.WNOHANG)
    assert stop(identity, KILL)
    assert not is_alive(identity)


def test_a_spawned_process_sees_nothing_of_the_callers_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    log = tmp_path / "log"

    identity = spawn("env", ["env"], record=tmp_path / "record", log=log, account=CALLER)
    assert wait_gone(identity, 5)

    assert "secret" not in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_stop_goes_on_to_the_next_signal_when_one_is_ignored(tmp_path: Path) -> None:
    deaf = ["sh", "-c", "trap '' TERM; echo deaf; for i in $(seq 600); do sleep 0.05; done"]
    log = tmp_path / "log"
    identity = spawn("deaf", deaf, record=tmp_path / "record", log=log, account=CALLER)
    deadline = time.monotonic() + 5
    while not (log.exists() and "deaf" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not stop(identity, [(signal.SIGTERM, 0.2)])
    assert stop(identity, [(signal.SIGTERM, 0.1), (signal.SIGKILL, 5.0)])


@pytest.mark.parametrize("text", ["", "7 (sh) S 1\n", "nonsense\nboot\n"])
def test_half_a_record_names_nobody(tmp_path: Path, text: str) -> None:
    record = tmp_path / "record"
    record.write_text(text)

    assert read_record(record) is None


def test_a_record_that_cannot_be_written_is_an_error_of_the_service(tmp_path: Path) -> None:
    with pytest.raises((ServiceError, FileNotFoundError)):
        spawn(
            "nowhere",
            ["true"],
            record=tmp_path / "missing" / "record",
            log=tmp_path / "log",
            account=CALLER,
        )
