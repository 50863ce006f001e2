"""Our own processes, started as an operator starts them: by command, settings by environment."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fix_broker import TestBroker
from tests.fix_db import Database

COMMAND = Path(sys.executable).with_name("suifang")


@dataclass(slots=True)
class Processes:
    """Starts ``suifang`` sub-commands and ends every one of them."""

    database: Database
    broker: TestBroker
    folder: Path
    running: list["subprocess.Popen[str]"] = field(default_factory=list)

    def start(self, name: str, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
        """Start one; its stderr goes to a file of the test, its stdout is a pipe."""
        log = (self.folder / f"{name}-{len(self.running)}.log").open("w")
        process = subprocess.Popen(
            [COMMAND, name],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        self.running.append(process)
        return process

    def start_ingest(self, number: int = 0, **settings: str) -> "subprocess.Popen[str]":
        """One ingest worker on the test's database and the real broker."""
        return self.start(
            "ingest",
            {
                "INGEST_DB_DSN": self.database.dsn_of("ingest"),
                "INGEST_BROKER__HOST": self.broker.host,
                "INGEST_BROKER__PORT": str(self.broker.port),
                "INGEST_BROKER_PASSWORD": self.broker.password_of("ingest"),
                "INGEST_BROKER__CLIENT_ID": f"ingest-{number}",
                **settings,
            },
        )

    def start_judge(self, *, session_wait_s: float = 0.2) -> "subprocess.Popen[str]":
        """One judge that does not wait ten minutes for a session to close."""
        return self.start(
            "judge",
            {
                "JUDGE_DB_DSN": self.database.dsn_of("judge"),
                "JUDGE_SESSION_WAIT_S": str(session_wait_s),
                "JUDGE_POLL_MS": "50",
            },
        )

    def start_gateway(self, gateway: str, centre: str, **settings: str) -> str:
        """One gateway with its spool in the test's folder; returns its address."""
        password = self.broker.passwords.get(gateway) or self.broker.add_user(gateway)
        key = self.folder / "pseudonym.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(b"k" * 32)
        process = self.start(
            "gateway",
            {
                "GATEWAY_ID": gateway,
                "GATEWAY_CENTRE": centre,
                "GATEWAY_BROKER_HOST": self.broker.host,
                "GATEWAY_BROKER_PORT": str(self.broker.port),
                "GATEWAY_BROKER_PASSWORD": password,
                "GATEWAY_SPOOL": str(self.folder / f"{gateway}.spool"),
                "GATEWAY_PSEUDONYM_KEY_FILE": str(key),
                "GATEWAY_CLOCK_SYNCHRONISED": "true",
                **settings,
            },
        )
        assert process.stdout is not None
        said: dict[str, Any] = json.loads(process.stdout.readline())
        return str(said["listening"])

    def stop_all(self) -> None:
        """End everything, gently first."""
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.running:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def processes(database: Database, broker: TestBroker, tmp_path: Path) -> Iterator[Processes]:
    """Starts our processes for one test."""
    found = Processes(database, broker, tmp_path)
    yield found
    found.stop_all()


def eventually(holds: Callable[[], bool], *, within_s: float = 20) -> None:
    """Wait until something holds; fail when it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"did not come true within {within_s} s"
        time.sleep(0.05)
