"""The folder of secrets opens database and broker, to each process its own part of it."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from deploy.credential_folder import BROKER_PASSWORDS, LOGIN_DSNS, OWNER_DSN, CredentialFolder
from deploy.embedded.broker import _knock
from deploy.embedded.stack import Stack
from tests.fix_db import Database
from tests.fix_processes import COMMAND, Processes, eventually
from tests.integration.backup_bench import running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    """A server of its own: roles belong to a whole server, not to a test's database."""
    with running(tmp_path_factory.mktemp("server")) as installation:
        yield installation.stack, installation.dsn


def run(*arguments: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def a_folder(path: Path, dsn: str) -> CredentialFolder:
    """A folder for the server of the tests, whose owner has a password already."""
    at = urlsplit(dsn)
    where = ("--host", str(at.hostname), "--port", str(at.port), "--database", at.path[1:])
    said = run("credentials", "make", path, *where)
    assert said.returncode == 0, said.stderr
    (path / OWNER_DSN).chmod(0o644)
    (path / OWNER_DSN).write_text(dsn)
    return CredentialFolder(path)


@pytest.mark.slow
def test_every_process_logs_in_by_its_file_and_a_rotated_one_by_its_new_one(
    server: tuple[Stack, str], tmp_path: Path
) -> None:
    folder = a_folder(tmp_path / "credentials", server[1])
    assert oct(folder.root.stat().st_mode)[-3:] == "700"

    for _ in range(2):  # The second changes nothing.
        said = run("credentials", "apply", folder.root)
        assert said.returncode == 0, said.stderr
        for name in LOGIN_DSNS:
            psycopg.connect(folder.read(name)).close()

    old = folder.read("INGEST_DB_DSN")
    stays = psycopg.connect(old)  # What is connected goes on.
    assert run("credentials", "rotate", folder.root, "INGEST_DB_DSN").returncode == 0
    assert run("credentials", "apply", folder.root).returncode == 0
    psycopg.connect(folder.read("INGEST_DB_DSN")).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(old)
    stays.execute("SELECT 1")
    stays.close()


def test_a_second_make_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    assert run("credentials", "make", folder).returncode == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    said = run("credentials", "make", folder, "--json")

    assert said.stdout == '{"names": []}\n'
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert "is not rotated here" in run("credentials", "rotate", folder, "names.key").stderr


@pytest.mark.slow
def test_the_broker_takes_the_password_file_and_keeps_gateways(
    server: tuple[Stack, str], tmp_path: Path
) -> None:
    stack, dsn = server
    folder = a_folder(tmp_path / "credentials", dsn)
    stack.set_broker_users({"gw-1": "of the gateway"})
    file = stack._layout().root / "broker" / "conf" / "passwords"
    kept = next(line for line in file.read_text().splitlines() if line.startswith("gw-1:"))

    assert run("credentials", "broker", folder.root, "--passwords", file).returncode == 0
    written = file.read_text()
    assert run("credentials", "broker", folder.root, "--passwords", file).returncode == 0
    assert file.read_text() == written
    assert kept in written.splitlines()
    stack.stop("broker")
    stack.start("broker")

    for name, user in BROKER_PASSWORDS.items():
        assert _knock(stack.broker_port, user, folder.read(name)) == 0
        assert _knock(stack.broker_port, user, "another") != 0


@pytest.mark.slow
def test_ingest_starts_from_the_folder_alone(server: tuple[Stack, str], tmp_path: Path) -> None:
    """As under systemd: no secret in its environment, only where they lie."""
    stack, dsn = server
    folder = a_folder(tmp_path / "credentials", dsn)
    assert run("credentials", "apply", folder.root).returncode == 0
    file = stack._layout().root / "broker" / "conf" / "passwords"
    assert run("credentials", "broker", folder.root, "--passwords", file).returncode == 0
    stack.stop("broker")
    stack.start("broker")
    processes = Processes(Database("", dsn), None, tmp_path)  # type: ignore[arg-type]
    worker = processes.start(
        "ingest",
        {
            "CREDENTIALS_DIRECTORY": str(folder.root),
            "INGEST_BROKER__PORT": str(stack.broker_port),
            "INGEST_BROKER__CLIENT_ID": "ingest-1",
        },
    )
    try:
        assert worker.stdout is not None
        assert '"subscribed": "ingest-1"' in worker.stdout.readline()
        with psycopg.connect(dsn, autocommit=True) as connection:  # Looks anew each time.
            query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'suifang_ingest_login'"
            eventually(lambda: connection.execute(query).fetchone() != (0,), within_s=60)
    finally:
        processes.stop_all()


def apply(stack: Stack, folder: CredentialFolder) -> None:
    """Tell database and broker, and have the broker read it."""
    file = stack._layout().root / "broker" / "conf" / "passwords"
    assert run("credentials", "apply", folder.root).returncode == 0
    assert run("credentials", "broker", folder.root, "--passwords", file).returncode == 0
    stack.stop("broker")
    stack.start("broker")


def start(processes: Processes, stack: Stack, folder: CredentialFolder, **settings: str) -> str:
    """Start ingest from the folder; returns where it tells how it is."""
    settings |= {
        "CREDENTIALS_DIRECTORY": str(folder.root),
        "INGEST_BROKER__PORT": str(stack.broker_port),
        "INGEST_BROKER__CLIENT_ID": "ingest-7",
        "INGEST_OBSERVATION__PORT": "0",
    }
    worker = processes.start("ingest", settings)
    assert worker.stdout is not None
    return str(json.loads(worker.stdout.readline())["observation"])


def received(at: str) -> float:
    """Messages that ingest was given."""
    with urllib.request.urlopen(f"{at}/metrics", timeout=10) as answer:  # noqa: S310 - ours
        lines = answer.read().decode().splitlines()
    name = "suifang_ingest_messages_received_total"
    return sum(float(line.split()[1]) for line in lines if line.startswith(name))


def publish(stack: Stack, user: str, messages: int) -> None:
    """Send what ingest puts into quarantine."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(user, "of the gateway")
    client.connect(stack.broker_host, stack.broker_port)
    client.loop_start()
    for _ in range(messages):
        client.publish(f"suifang/v1/east/{user}/readings", b"{}", qos=1).wait_for_publish(20)
    client.disconnect()
    client.loop_stop()


@pytest.mark.slow
def test_after_a_new_password_at_the_broker_ingest_hears_everything_once(
    server: tuple[Stack, str], tmp_path: Path
) -> None:
    """Its share group is named by the password; nobody stays a member of the old one."""
    stack, dsn = server
    folder = a_folder(tmp_path / "credentials", dsn)
    processes = Processes(Database("", dsn), None, tmp_path)  # type: ignore[arg-type]
    stack.set_broker_users({"gw-2": "of the gateway"})
    try:
        apply(stack, folder)
        start(processes, stack, folder)
        assert run("credentials", "rotate", folder.root, "INGEST_BROKER_PASSWORD").returncode == 0
        processes.stop_all()  # Its sessions stay at the broker.
        apply(stack, folder)
        at = start(processes, stack, folder)
        publish(stack, "gw-2", 10)
        eventually(lambda: received(at) >= 10, within_s=60)
        time.sleep(0.5)
        assert received(at) == 10
    finally:
        processes.stop_all()
