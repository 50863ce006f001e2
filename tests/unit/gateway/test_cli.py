"""The command runs alone, stops when told, and says what is wrong on one line.

It brings in nothing of the server.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.counters import read_counters, waiting_ids
from tests.unit.gateway.gateway_builders import a_measurement

ROOT = Path(__file__).parents[3]
GATEWAY = [sys.executable, "-m", "gateway.cli"]


def environment(folder: Path, **changes: str) -> dict[str, str]:
    settings = {
        "GATEWAY_ID": "g1",
        "GATEWAY_CENTRE": "c1",
        "GATEWAY_BROKER_HOST": "127.0.0.1",
        "GATEWAY_BROKER_PORT": "1",
        "GATEWAY_SPOOL": str(folder / "spool.db"),
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ["PATH"],
    }
    return settings | changes


def run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GATEWAY, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def start(folder: Path) -> tuple[subprocess.Popen[str], socket.socket]:
    """Start a gateway and connect a terminal."""
    gateway = subprocess.Popen(
        GATEWAY,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert gateway.stdout is not None
    host, port = json.loads(gateway.stdout.readline())["listening"].rsplit(":", 1)
    return gateway, socket.create_connection((host, int(port)), timeout=20)


def test_it_takes_readings_without_a_broker_and_stops_on_sigterm(tmp_path: Path) -> None:
    gateway, terminal = start(tmp_path)
    with gateway, terminal:
        terminal.sendall(a_measurement() + b"\n")
        taken = json.loads(terminal.makefile().readline())["taken"]

        gateway.send_signal(signal.SIGTERM)
        _, said = gateway.communicate(timeout=30)

    assert gateway.returncode == 0, said
    assert "Traceback" not in said
    assert {str(identifier) for identifier in waiting_ids(tmp_path / "spool.db")} == {taken}
    shown = run("counters", "--spool", str(tmp_path / "spool.db"), "--json", env=os.environ.copy())
    counters = json.loads(shown.stdout)
    assert (counters["accepted"], counters["waiting"], counters["conserved"]) == (1, 1, True)


def test_a_spool_that_breaks_ends_the_process_with_one_clear_line(tmp_path: Path) -> None:
    gateway, terminal = start(tmp_path)
    with gateway, terminal:
        terminal.sendall(a_measurement() + b"\n")
        terminal.makefile().readline()
        for file in tmp_path.glob("spool.db*"):
            with file.open("r+b") as broken:  # Not shorter: what is mapped would be gone (SIGBUS).
                broken.write(b"x" * file.stat().st_size)

        terminal.sendall(a_measurement() + b"\n")
        _, said = gateway.communicate(timeout=30)

    assert gateway.returncode == 1
    assert "Start the gateway again: it puts the file aside" in said.splitlines()[-1]
    assert "Traceback" not in said


def test_after_that_it_starts_with_a_new_spool_and_tells_what_is_lost(tmp_path: Path) -> None:
    gateway, terminal = start(tmp_path)
    with gateway, terminal:
        terminal.sendall(a_measurement() + b"\n")
        terminal.makefile().readline()
        gateway.kill()
    for file in (tmp_path / "spool.db", tmp_path / "spool.db-wal"):
        file.write_bytes(b"x" * file.stat().st_size)

    gateway, terminal = start(tmp_path)
    with gateway, terminal:
        terminal.sendall(a_measurement() + b"\n")
        assert "taken" in json.loads(terminal.makefile().readline())
        gateway.send_signal(signal.SIGTERM)
        _, said = gateway.communicate(timeout=30)

    assert "It was put aside as" in said
    assert "at least 1 are lost: have the terminals offer theirs again" in said
    counters = read_counters(tmp_path / "spool.db")
    assert (counters.accepted, counters.waiting, counters.lost) == (2, 1, 1)
    assert counters.conserved
    assert (tmp_path / "spool.db.damaged-1").read_bytes().startswith(b"xxxx")


def test_salvage_reads_a_ruined_file_into_a_new_spool(tmp_path: Path) -> None:
    gateway, terminal = start(tmp_path)
    with gateway, terminal:
        terminal.sendall(a_measurement() + b"\n")
        taken = json.loads(terminal.makefile().readline())["taken"]
        gateway.kill()
    ruined, new = str(tmp_path / "spool.db"), str(tmp_path / "new.db")
    arguments = ("salvage", "--spool", new, "--damaged", ruined, "--json")

    assert run(*arguments, env=environment(tmp_path)).returncode == 2
    ended = run(*arguments, "--gateway", "g1", env=environment(tmp_path))

    assert json.loads(ended.stdout)["kept"] == 1
    assert {str(identifier) for identifier in waiting_ids(Path(new))} == {taken}
    again = run(*arguments, env=environment(tmp_path))
    assert (json.loads(again.stdout)["kept"], json.loads(again.stdout)["known"]) == (0, 1)
    absent = run("salvage", "--spool", new, "--damaged", "/nowhere", env=environment(tmp_path))
    assert absent.returncode == 1
    assert len(absent.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"GATEWAY_ID": "Not A Name"},
        {"GATEWAY_LISTEN_PORT": "x"},
        {"GATEWAY_PSEUDONYM_KEY_FILE": "/nowhere/key"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_wrong_setting_is_one_line_and_exit_2(tmp_path: Path, changes: dict[str, str]) -> None:
    ended = run(env=environment(tmp_path, **changes))

    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


def test_a_wrong_command_line_is_exit_2(tmp_path: Path) -> None:
    assert run("--no-such-option", env=environment(tmp_path)).returncode == 2
    assert run("counters", env=environment(tmp_path)).returncode == 2


def test_counters_of_no_spool_is_exit_1(tmp_path: Path) -> None:
    ended = run("counters", "--spool", str(tmp_path / "absent"), env=environment(tmp_path))

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1


def test_the_gateway_brings_in_nothing_of_the_server() -> None:
    program = """
import sys, gateway.cli, gateway.runtime
heavy = {"numpy", "psycopg", "fastapi", "msgspec", "mqtt5", "structlog", "pydantic_settings"}
ours = {"ingest", "rules", "api", "simulators", "deploy"}
print(sorted((heavy | ours) & {name.split(".")[0] for name in sys.modules}))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert ended.stdout.strip() == "[]"
