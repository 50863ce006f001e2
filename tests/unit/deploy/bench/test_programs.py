"""No child outlives the benchmark, whatever ends it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deploy.bench.errors import BenchError
from deploy.bench.programs import Program
from deploy.embedded.processes import identify, is_alive

_PATIENCE_S = 60.0
_PARENT = """
import sys, time
from pathlib import Path
from deploy.bench.programs import Program
child = Program("sleeper", ["/bin/sleep", "600"], folder=Path(sys.argv[1]))
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_child_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, tmp_path], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = identify(int(parent.stdout.readline()))
        assert child is not None
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + _PATIENCE_S
        while is_alive(child) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_alive(child)


def test_a_child_is_the_command_itself_and_ends_when_it_is_told(tmp_path: Path) -> None:
    with Program("echo", ["/bin/sh", "-c", 'read line; echo "$line"'], folder=tmp_path) as child:
        child.tell('{"event": "said"}')
        assert child.wait_for("said", within_s=_PATIENCE_S) == {"event": "said"}
    assert identify(child.pid) is None


def test_a_command_that_does_not_exist_is_an_error_that_names_its_log(tmp_path: Path) -> None:
    with (
        Program("absent", [tmp_path / "absent"], folder=tmp_path) as child,
        pytest.raises(BenchError, match="absent ended"),
    ):
        child.wait_for(None, within_s=_PATIENCE_S)


def test_a_thread_that_may_end_before_the_process_starts_no_child(tmp_path: Path) -> None:
    problems: list[str] = []

    def start() -> None:
        with pytest.raises(RuntimeError) as refused:
            Program("sleeper", ["/bin/sleep", "600"], folder=tmp_path)
        problems.append(str(refused.value))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert problems == ["sleeper would end with a thread that is not the main one: start it there"]


def test_a_child_that_ended_without_a_word_is_told_without_one(tmp_path: Path) -> None:
    with Program("silent", ["/bin/false"], folder=tmp_path) as child:
        with pytest.raises(BenchError) as ended:
            child.wait_for(None, within_s=_PATIENCE_S)
        assert str(ended.value) == f"silent ended (1); see {child.log}"
