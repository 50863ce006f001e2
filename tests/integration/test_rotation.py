"""Promise: what docs/rotation.md replaces is replaced while terminals are read; nothing is lost.

A server of its own, real processes that have their secrets from a folder as systemd gives them, a
gateway with a certificate, and a fleet that sends all the time; ``suifang reconcile`` judges.
"""

import asyncio
import base64
import hmac
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import psycopg
import pytest

from api.auth.key_set import read_keys
from api.auth.permissions import Role
from deploy.credential_folder import BACKUP_DSN, OWNER_DSN, CredentialFolder
from deploy.embedded.issuer import Issuer
from deploy.embedded.stack import Stack
from gateway.wire.times import utc_now
from ingest.db.connections import Connection
from tests.certificates import an_identity
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.fix_processes import eventually
from tests.integration.api_processes import a_process, an_api
from tests.integration.backup_bench import CENTRE, GATEWAY, Installation, enrol_gateway, running
from tests.integration.notify_bench import NotifyBench, a_crew
from tests.integration.registry_bench import make_key_file
from tests.integration.test_credentials import a_folder, run
from tests.integration.test_notify import NOTIFY


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A server of its own: roles and passwords belong to a whole server. ``dsn`` is kept right."""
    with running(tmp_path_factory.mktemp("server")) as installation:
        yield installation


class Operator:
    """Who replaces secrets, by the commands of docs/rotation.md."""

    def __init__(self, server: Installation) -> None:
        self.server = server
        self.stack = server.stack
        self.folder = a_folder(server.processes.folder / "credentials", server.dsn)
        self.broker_conf = self.stack._layout().root / "broker" / "conf"
        self._worker: subprocess.Popen[str] | None = None

    def told(self, *arguments: str | Path) -> str:
        """Run a command that must work."""
        said = run(*arguments)
        assert said.returncode == 0, said.stderr
        return said.stdout

    def apply(self) -> None:
        """Tell the database."""
        self.told("credentials", "apply", self.folder.root)

    def restart_broker(self) -> None:
        """Let it read its files."""
        self.stack.stop("broker")
        self.stack.start("broker")

    def tell_broker(self) -> None:
        """Write its password file, and let it read it."""
        file = self.broker_conf / "passwords"
        self.told("credentials", "broker", self.folder.root, "--passwords", file)
        self.restart_broker()

    def start_ingest(self) -> None:
        """One worker, with its secrets from the folder."""
        self._worker = self.server.processes.start(
            "ingest",
            {
                "CREDENTIALS_DIRECTORY": str(self.folder.root),
                "INGEST_BROKER__PORT": str(self.stack.broker_port),
                "INGEST_BROKER__CLIENT_ID": "ingest-1",
            },
        )
        assert self._worker.stdout is not None
        assert "subscribed" in self._worker.stdout.readline()

    def stop_ingest(self) -> None:
        """As systemd does."""
        assert self._worker is not None
        self._worker.terminate()
        self._worker.wait(timeout=60)

    def start_gateway(self) -> None:
        """One with a certificate, over TLS."""
        authority = self.stack.authority.load()
        identity = an_identity(self.server.processes.folder, authority, GATEWAY)
        key = self.server.processes.folder / "pseudonym.key"
        key.touch(mode=0o600)
        key.write_bytes(b"k" * 32)
        process = self.server.processes.start(
            "gateway",
            {
                "GATEWAY_ID": GATEWAY,
                "GATEWAY_CENTRE": CENTRE,
                "GATEWAY_BROKER_HOST": self.stack.broker_host,
                "GATEWAY_BROKER_PORT": str(self.stack.broker_tls_port),
                "GATEWAY_TLS_IDENTITY_DIRECTORY": str(identity),
                "GATEWAY_SPOOL": str(self.server.spool),
                "GATEWAY_PSEUDONYM_KEY_FILE": str(key),
                "GATEWAY_CLOCK_SYNCHRONISED": "true",
            },
        )
        assert process.stdout is not None
        self.server.address = json.loads(process.stdout.readline())["listening"]

    def stored(self) -> int:
        """Readings in the database, counted by its owner of now."""
        with psycopg.connect(self.folder.read(OWNER_DSN)) as connection:
            row = connection.execute("SELECT count(*) FROM reading").fetchone()
        return 0 if row is None else int(row[0])

    def sees_more(self) -> None:
        """Wait until readings are stored that were not there before."""
        before = self.stored()
        eventually(lambda: self.stored() > before, within_s=120)

    def is_refused(self, dsn: str) -> bool:
        """Whether nobody logs in so."""
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError as error:
            return "password authentication failed" in str(error)
        return False


@pytest.mark.slow
async def test_passwords_and_the_broker_s_certificate_change_while_a_fleet_sends(
    server: Installation,
) -> None:
    """Owner, ingest at the database, ingest at the broker, the broker's own certificate."""
    await enrol_gateway(server)
    operator = Operator(server)
    operator.apply()
    operator.tell_broker()
    operator.start_ingest()
    operator.start_gateway()
    old = {name: operator.folder.read(name) for name in (OWNER_DSN, "INGEST_DB_DSN")}
    served = (operator.broker_conf / "tls" / "server.pem").read_bytes()

    enough = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(_send_until, enough, server)
        try:
            _replace_passwords(operator)
            _replace_certificate(operator)
            operator.sees_more()
        finally:
            enough.set()
        taken = sending.result()
    eventually(lambda: server.waiting() == 0, within_s=240)

    assert (operator.broker_conf / "tls" / "server.pem").read_bytes() != served
    assert all(operator.is_refused(dsn) for dsn in old.values())
    server.dsn = operator.folder.read(OWNER_DSN)
    report = server.reconcile()
    assert report["agrees"], report
    assert report["taken"] == taken


def _send_until(enough: threading.Event, server: Installation) -> int:
    """A fleet of terminals, one behind the other; how many readings were taken."""
    taken = 0
    while not enough.is_set():
        taken += server.send(f"ledger-{len(server.ledgers)}", 5)
    return taken


def _replace_passwords(operator: Operator) -> None:
    """One after the other, each while readings are stored."""
    operator.sees_more()
    assert "in force" in operator.told("credentials", "rotate", operator.folder.root, OWNER_DSN)
    operator.sees_more()
    operator.told("credentials", "rotate", operator.folder.root, "INGEST_DB_DSN")
    operator.apply()  # As the owner, by the new password.
    operator.sees_more()  # What is connected goes on.
    operator.stop_ingest()
    operator.start_ingest()
    operator.sees_more()
    operator.told("credentials", "rotate", operator.folder.root, "INGEST_BROKER_PASSWORD")
    operator.stop_ingest()
    operator.tell_broker()
    operator.start_ingest()
    operator.sees_more()


def _replace_certificate(operator: Operator) -> None:
    """`suifang pki server`, and the broker reads it."""
    output = operator.broker_conf / "tls"
    owner = (output / "server.pem").stat()
    names = ("localhost", "127.0.0.1")
    where = ("--directory", operator.stack.authority.folder, "--output", output)
    operator.told("pki", "server", *names, *where)
    for path in output.iterdir():
        os.chown(path, owner.st_uid, owner.st_gid)  # As docs/operations.md does.
    operator.restart_broker()


@pytest.mark.slow
def test_the_backups_password_changes_while_the_log_is_received(server: Installation) -> None:
    """The receiver that is connected goes on; the next backup is taken by the new password."""
    operator = Operator(server)
    (operator.folder.root / BACKUP_DSN).chmod(0o644)
    (operator.folder.root / BACKUP_DSN).write_text(server.stack.backup_dsn())
    old = operator.folder.read(BACKUP_DSN)
    receiver = server.receive_log()

    operator.told("credentials", "rotate", operator.folder.root, BACKUP_DSN)

    assert operator.is_refused(old)
    server._backup_dsn = operator.folder.read(BACKUP_DSN)
    server.write_log(1)
    assert server.backup("take")["bytes"] > 0
    assert receiver.poll() is None


def test_a_rotation_cut_short_is_ended_by_the_next(server: Installation) -> None:
    """Killed after the database had changed and before the folder had."""
    operator = Operator(server)
    folder = CredentialFolder(operator.folder.root)
    old = folder.read(OWNER_DSN)
    fresh = old.replace(old.split(":")[2].split("@")[0], "another-password")
    (folder.root / f".{OWNER_DSN}.next").write_text(fresh)
    with psycopg.connect(old, autocommit=True) as connection:
        connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'another-password'")

    operator.told("credentials", "rotate", folder.root, OWNER_DSN)

    assert folder.read(OWNER_DSN) == fresh
    assert folder.read("OWNER_PASSWORD") == "another-password"
    assert not (folder.root / f".{OWNER_DSN}.next").exists()
    assert operator.is_refused(old)
    server.dsn = fresh


# --- secrets of files that a process reads -------------------------------------------------------


async def test_a_notifier_started_again_with_a_new_secret_sends_what_waited(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> None:
    """A real one; the receiver takes what is signed by its new secret only."""
    secrets = {name: base64.b64encode(os.urandom(32)).decode() for name in ("old", "new")}
    file = tmp_path / "secret"
    file.write_text(f"whsec_{secrets['old']}")
    came = {200: asyncio.Event(), 401: asyncio.Event()}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        right = hmac.digest(base64.b64decode(secrets["new"]), signed, "sha256")
        said = head.partition("webhook-signature: v1,")[2].split("\r\n")[0]
        status = 200 if said == base64.b64encode(right).decode() else 401
        came[status].set()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    await a_crew(connection)
    await NotifyBench(connection, database, clock, []).raise_alert()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    settings = {
        "NOTIFY_DB_DSN": database.dsn_of("notify"),
        "NOTIFY_WEBHOOK__URL": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/page",
        "NOTIFY_WEBHOOK__SECRET_FILE": str(file),
        "NOTIFY_AGAIN_S_MIN": "1",
        "NOTIFY_AGAIN_S_MAX": "1",
        "NOTIFY_REFUSED_S_MAX": "1",
        "NOTIFY_POLL_MS": "50",
    }
    async with asyncio.timeout(120):
        async with a_process(NOTIFY, **settings):
            await came[401].wait()
        assert not came[200].is_set()
        file.write_text(f"whsec_{secrets['new']}")
        async with a_process(NOTIFY, **settings):
            await came[200].wait()
    server.close()


async def test_names_get_a_new_key_while_an_api_writes_and_shows_them(
    database: Database, tmp_path: Path
) -> None:
    """A real API, never started again; the old key is gone from its file at the end."""
    file = make_key_file(tmp_path)
    resident = {"personal": {"name": "某某"}}
    async with an_api(database, API_KEY_FILE=str(file)) as api:
        for number in range(3):
            if number == 1:
                keys("new", file, "--id", "k2")
            if number == 2:
                keys("rotate", file, "--database", database.dsn)
                file.write_text(file.read_text().splitlines()[0] + "\n")
            put = await api.client.put(f"/v1/residents/r-{number}", json=resident)
            assert put.status_code == 201, put.text
            for known in range(number + 1):
                shown = await api.client.get(f"/v1/residents/r-{known}/personal-data")
                assert shown.json()["name"] == "某某", shown.text
    assert file.read_text().startswith("k2:")


def keys(*arguments: str | Path) -> None:
    """`suifang keys …`."""
    said = run("keys", *arguments)
    assert said.returncode == 0, said.stderr


def test_a_deleted_folder_is_another_issuer_whose_forerunner_nobody_believes(
    stack: Stack, tmp_path: Path
) -> None:
    """Of the demo: its key is made with it."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "stack.json").write_bytes((stack.home / "stack.json").read_bytes())
    found = []
    for _ in range(2):
        issuer = Issuer(home)
        token = issuer.issue(subject="dr-1", roles=[Role.DOCTOR], teams=["t"], at=utc_now())
        published = read_keys(Path(issuer.environment()["API_AUTH__JWKS_FILE"]).read_bytes())
        found.append((token, published))
        shutil.rmtree(home / "issuer")

    (token, own), (_, others) = found
    assert jwt.get_unverified_header(token)["kid"] in own
    assert not own.keys() & others.keys()
