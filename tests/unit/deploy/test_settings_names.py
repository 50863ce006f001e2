"""A setting that is nearly one of ours is refused by name, in one line, with exit 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.wire.environment import find_misspelt

_COMMAND = Path(sys.executable).with_name("suifang")
_NEEDED = {
    "INGEST_DB_DSN": "host=127.0.0.1",
    "INGEST_BROKER_PASSWORD": "x",
    "JUDGE_DB_DSN": "host=127.0.0.1",
    "API_DB_DSN": "host=127.0.0.1",
    "DISPATCHER_DB_DSN": "host=127.0.0.1",
    "NOTIFY_DB_DSN": "host=127.0.0.1",
    "GATEWAY_ID": "gw-1",
    "GATEWAY_CENTRE": "east",
    "GATEWAY_BROKER_HOST": "127.0.0.1",
    "GATEWAY_SPOOL": "/nonexistent/spool",
}


@pytest.mark.parametrize(
    ("command", "wrong", "meant"),
    [
        ("ingest", "INGEST_BROKER_PORT", "INGEST_BROKER__PORT"),
        ("judge", "JUDGE_SESSION_WAIT", "JUDGE_SESSION_WAIT_S"),
        ("api", "API_PORTS", "API_PORT"),
        ("dispatcher", "DISPATCHER_ROW_MAX", "DISPATCHER_ROWS_MAX"),
        ("notify", "NOTIFY_EMAIL_HOST", "NOTIFY_EMAIL__HOST"),
        ("gateway", "GATEWAY_BROKER_PORTS", "GATEWAY_BROKER_PORT"),
    ],
)
def test_a_misspelt_setting_is_one_line_and_exit_2(command: str, wrong: str, meant: str) -> None:
    said = subprocess.run(
        [_COMMAND, command],
        env={**os.environ, **_NEEDED, wrong: "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert said.returncode == 2
    assert len(said.stderr.strip().splitlines()) == 1
    assert f"{wrong} is no setting; did you mean {meant}?" in said.stderr


def test_strangers_under_a_prefix_are_left_alone() -> None:
    known = {"API_DB_DSN", "API_HOST", "API_PORT"}

    assert find_misspelt({"API_KEY", "API_TOKEN", "PATH", "API_PORT"}, "API_", known) == {}
