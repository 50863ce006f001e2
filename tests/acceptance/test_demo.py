"""The demo runs the whole way and proves it, also when ingest is killed in the middle."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.embedded.errors import StackError
from deploy.embedded.stack import Stack

_COMMAND = Path(sys.executable).with_name("suifang")
_SECONDS = 14
_SOME = 300
_ENOUGH = 6_000  # Of about 14,000 sent in that time: a slow machine sends fewer.


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of the demo's own, with the programs the checkout has unpacked."""
    found = tmp_path_factory.mktemp("demo") / ".suifang"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUIFANG_PACKAGES", str(Stack.of_checkout().fetch()))
        patch.setenv("SUIFANG_HOME", str(found))
        yield found
        Stack(found).erase()


def _pid_of(name: str, parent: int) -> int | None:
    """The running child of the demo that runs this sub-command."""
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            status = (entry / "status").read_text()
        except (OSError, NotADirectoryError):
            continue
        if f"PPid:\t{parent}\n" in status and name.encode() in command:
            return int(entry.name)
    return None


def _stored(home: Path) -> int:
    """How many readings the demo's database has by now."""
    stack = Stack(home)
    try:
        name = max((each for each in stack.list_databases() if each.startswith("demo")), default="")
        with psycopg.connect(stack.dsn(name), autocommit=True) as connection:
            row = connection.execute("SELECT count(*) FROM reading").fetchone()
    except (StackError, psycopg.Error):  # Not there yet.
        return 0
    return int(row[0]) if row else 0


@pytest.mark.slow
def test_killing_ingest_in_the_middle_of_the_demo_loses_nothing(home: Path) -> None:
    demo = subprocess.Popen(
        [_COMMAND, "demo", "--seconds", str(_SECONDS), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    killed: list[int] = []
    stored = 0
    deadline = time.monotonic() + 90
    while len(killed) < 2 and time.monotonic() < deadline and demo.poll() is None:
        pid = _pid_of("ingest", demo.pid)
        # Into the stream of readings, and again after its restart, however long that takes here.
        if pid is not None and pid not in killed and (now := _stored(home)) > stored + _SOME:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            stored = now
        time.sleep(0.1)
    stdout, stderr = demo.communicate(timeout=150)

    assert demo.returncode == 0, stderr
    report: dict[str, Any] = json.loads(stdout)
    assert report == json.loads((home / "demo.json").read_text())
    assert len(killed) == 2
    assert report["restarts"] == {"ingest": 2}
    assert report["conserved"] is True
    assert report["stored"] > _ENOUGH
    assert report["stored"] + report["duplicate"] + report["quarantined"] == report["sent"]
    assert report["hypertable"] is True
    assert report["timescaledb"]
    assert sum(report["cases"].values()) > 0
    assert {"code", "severity", "count", "cancelled"} == set(report["alerts"][0])
    assert 0 < report["first_stored_after_s"] < 60
    assert report["told"]["events"] > 0  # What is replayed is of yesterday, and pages nobody.
    assert report["told"]["refused"] == 0
    for figures in report["latency"].values():
        assert 0 < figures["p50_ms"] <= figures["p99_ms"]


def test_a_second_demo_in_one_checkout_says_so(home: Path) -> None:
    home.mkdir(mode=0o700, exist_ok=True)
    Stack(home).up()
    with (home / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = subprocess.run(
            [_COMMAND, "demo"], capture_output=True, text=True, check=False, timeout=60
        )

    assert said.returncode == 1
    assert "another demo runs" in said.stderr


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_wrong_duration_is_one_line_and_exit_2(seconds: str) -> None:
    said = subprocess.run(
        [_COMMAND, "demo"],
        env={**os.environ, "DEMO_SECONDS": seconds},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert said.returncode == 2
    assert len(said.stderr.strip().splitlines()) == 1
    assert "DEMO_SECONDS" in said.stderr
