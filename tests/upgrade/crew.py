"""Processes of one version, started as an operator does, and what they say of themselves.

A version is a checkout: its code goes first on the path, environment and dependencies are this
version's. Nothing here knows which version is the older one.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from tests.fix_ports import free_port
from tests.fix_processes import Processes
from tests.integration.backup_bench import DATABASE, Installation
from tests.upgrade.receiver import EVENTS, PEOPLE, Receiver

COMMAND: Final = "from deploy.cli import main; main()"
ELECTED: Final = ("dispatcher", "deliver", "notify")
PROCESSES: Final = ("ingest", "judge", *ELECTED, "api")
_LOOPBACK: Final = '["127.0.0.0/8"]'


@dataclass
class Crew:
    """The processes of one version."""

    name: str
    code: Path
    installation: Installation
    receiver: Receiver
    running: dict[str, "subprocess.Popen[str]"] = field(default_factory=dict)
    fell: list[str] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def api(self) -> str:
        """Address of its API."""
        return f"http://127.0.0.1:{self.ports['http']}"

    def start(self, *names: str, client_id: str = "ingest-0") -> None:
        """Start processes; as ``client_id`` ingest is known to the broker."""
        processes = self.installation.processes
        for name in names:
            self.ports[name] = free_port()
            if name == "api":
                self.ports["http"] = free_port()
            settings = self._settings(name) | _observed(name, self.ports[name])
            if name == "ingest":
                settings["INGEST_BROKER__CLIENT_ID"] = client_id
            with self._log(name).open("a") as log:
                process = subprocess.Popen(
                    [sys.executable, "-c", COMMAND, name],
                    cwd=self.code,
                    env={**os.environ, "PYTHONPATH": str(self.code), **settings},
                    stdout=log,
                    stderr=log,
                    text=True,
                )
            processes.running.append(process)
            self.running[client_id if name == "ingest" else name] = process

    def end(self, *names: str) -> None:
        """End processes (all unless named) as an operator does; who had ended is remembered."""
        for name in names or list(self.running):
            process = self.running.pop(name)
            if process.poll() is not None:
                self.fell.append(f"{self.name} {name}: exit {process.returncode}")
            process.terminate()
            process.wait(timeout=120)

    def is_ready(self, name: str) -> bool:
        """Whether it says so: of who is elected the log does, in older versions nothing else."""
        if name in ELECTED:
            return "elected" in self._log(name).read_text("utf-8")  # Itself, or another one.
        port = self.ports["http" if name == "api" else name]
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20).is_success
        except httpx.HTTPError:
            return False

    def is_elected(self, name: str) -> bool:
        """Whether it is, or was, the one that works."""
        return '"event": "elected"' in self._log(name).read_text("utf-8")

    def _log(self, name: str) -> Path:
        return self.installation.processes.folder / f"{self.name}-{name}.log"

    def _settings(self, name: str) -> dict[str, str]:
        stack, broker = self.installation.stack, self.installation.processes.broker
        secret = _secret(self.installation.processes)
        more: Mapping[str, dict[str, str]] = {
            "ingest": {
                "INGEST_BROKER__PORT": str(broker.port),
                "INGEST_BROKER_PASSWORD": broker.password_of("ingest"),
            },
            "judge": {"JUDGE_SESSION_WAIT_S": "0.2", "JUDGE_POLL_MS": "50"},
            "dispatcher": {},
            "deliver": {"DELIVER_ALLOWED_NETWORKS": _LOOPBACK},
            "notify": {
                "NOTIFY_WEBHOOK__URL": self.receiver.address(PEOPLE),
                "NOTIFY_WEBHOOK__SECRET_FILE": str(secret),
            },
            "api": {
                "API_AUTHENTICATION": "off",
                "API_PORT": str(self.ports.get("http", 0)),
                "API_WEBHOOKS__ALLOWED_NETWORKS": _LOOPBACK,
            },
        }
        return {f"{name.upper()}_DB_DSN": stack.process_dsn(name, DATABASE), **more[name]}

    def set_up_telling(self) -> None:
        """Through its API: a doctor who can be reached, and a subscriber of every event."""
        person = {"centre_id": "east", "role": "doctor", "since": "2026-01-01"}
        with httpx.Client(base_url=self.api, timeout=60) as client:
            for path, content in (
                ("/v1/staff/on-duty", {**person, "team_ids": ["east-1"]}),
                ("/v1/staff/on-duty/contact", {"duties": ["doctor", "team_leader", "centre"]}),
                ("/v1/webhooks/upgrade", {"url": self.receiver.address(EVENTS)}),
            ):
                client.put(path, json=content).raise_for_status()


def _observed(name: str, port: int) -> dict[str, str]:
    own = "OBSERVATION" if name in {"ingest", "judge"} else "METRICS"
    return {f"{name.upper()}_{own}__PORT": str(port)}


def _secret(processes: Processes) -> Path:
    """By which messages to people are signed; nobody looks here."""
    file = processes.folder / "notify.secret"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(f"whsec_{'A' * 43}=", "ascii")
    return file
