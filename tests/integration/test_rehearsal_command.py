"""``suifang simulate run`` as a process: what it says, how it ends, and that nothing is left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from deploy.embedded.stack import Stack

ROOT = Path(__file__).parents[2]
COMMAND = [str(Path(sys.executable).with_name("suifang")), "simulate", "run"]


def refused(*arguments: str) -> str:
    said = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=120, cwd=ROOT
    )
    assert said.returncode == 2
    assert said.stdout == ""
    (line,) = said.stderr.splitlines()
    return line


def test_a_wrong_file_is_one_line_and_exit_2(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('id = "wrong"\ntitle = "x"\nbegins = 2026-03-02\ndays = 9999\n', "utf-8")

    line = refused(str(wrong))

    assert f"{wrong}, line 4: days is 9999; write a whole number from 1 to 800" in line


def test_a_folder_that_holds_a_report_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")

    assert "is not empty" in refused("morning-peak", "--report", str(tmp_path))


def test_ctrl_c_leaves_a_report_and_no_process(stack: Stack, tmp_path: Path) -> None:
    """With a home of its own, so that it starts and stops a stack of its own."""
    home = tmp_path / "home"
    environment = {**os.environ, "SUIFANG_HOME": str(home)}
    report = tmp_path / "report"
    with subprocess.Popen(
        [*COMMAND, "flu-season", "--report", str(report)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as process:
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("day "):
                process.send_signal(signal.SIGINT)
                break
        said += list(process.stderr)
        code = process.wait(timeout=120)

    written = json.loads((report / "report.json").read_text("utf-8"))
    own = Stack.of_checkout(home / "rehearsal")
    try:
        assert code == 130, said
        assert written["problem"] == "interrupted"
        assert 0 < written["days_played"] < written["days"]
        assert written["conservation"]["conserved"]
        assert "This run is partial" in (report / "report.html").read_text("utf-8")
        assert not own.status().running
    finally:
        own.erase()
    assert stack.status().running
