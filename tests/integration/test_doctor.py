"""Promise: the doctor finds an installation well, and names each thing that was broken for real."""

import json
import os
import socket
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from deploy.credential_folder import CredentialFolder
from deploy.doctor.cli import app
from deploy.doctor.database import judge_timescale
from deploy.doctor.findings import Verdict
from deploy.doctor.machine import check_machine
from deploy.doctor.processes import is_given_alone
from deploy.embedded.stack import Stack
from gateway.kernel_time import KernelTime
from ingest.db import migrate
from ingest.db.keyring import add_key
from tests.fix_broker import TestBroker
from tests.fix_db import Database
from tests.fix_ports import free_port
from tests.fix_processes import COMMAND
from tests.fix_prometheus import ROOT

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MOSQUITTO = ROOT / "deploy" / "mosquitto"
SHIPPED = MOSQUITTO / "mosquitto.conf"
PAGES = b"""
INSERT INTO alert (id, condition, code, severity, status, anchor_id, effective_at, raised_at, page,
    late, observed, threshold, source, profile, profile_version, raised_by, updated_at, anchor_kind)
SELECT id, 'hypertension', 'BP_EMERGENCY', 'critical', 'active', id, at, at, true,
    false, '186/112 mmHg', '>= 180/110 mmHg', 'x', 'wuzhou', '1', 'judge', at, 'resident'
FROM (SELECT gen_random_uuid() AS id, timestamptz '2020-01-01T00:00Z' AS at) one"""
WAITS = b"UPDATE alert_attention SET look_at = '2020-01-01T00:00Z'"


class Site:
    """An installation's environment, and the doctor who looks at it."""

    def __init__(self, database: Database, broker: TestBroker, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "names.key"
        add_key(self.key, "k1")
        self.environment = {
            "INGEST_DB_DSN": database.dsn_of("ingest"),
            "INGEST_BROKER__HOST": broker.host,
            "INGEST_BROKER__PORT": str(broker.port),
            "INGEST_BROKER_PASSWORD": broker.password_of("ingest"),
            "INGEST_OBSERVATION__PORT": str(free_port()),
            "JUDGE_DB_DSN": database.dsn_of("judge"),
            "DISPATCHER_DB_DSN": database.dsn_of("dispatcher"),
            "DELIVER_DB_DSN": database.dsn_of("deliver"),
            "NOTIFY_DB_DSN": database.dsn_of("notify"),
            "NOTIFY_EMAIL__HOST": "127.0.0.1",
            "NOTIFY_EMAIL__SENDER": "suifang@centre.example",
            "API_DB_DSN": database.dsn_of("api"),
            "API_PORT": str(free_port()),
            "API_KEY_FILE": str(self.key),
        }

    def configure_broker(self, own: str, shared: str | None = None) -> Path:
        """A broker's configuration: lines of its own, then what includes ours (or ``shared``)."""
        included = self.folder / "conf.d"
        included.mkdir(exist_ok=True)
        text = SHIPPED.read_text("utf-8") if shared is None else shared
        (included / "mosquitto.conf").write_text(text, "utf-8")
        (included / "tls.conf").write_bytes((MOSQUITTO / "tls.conf").read_bytes())
        theirs = self.folder / "mosquitto.conf"
        theirs.write_text(f"{own}\ninclude_dir {included}\n", "utf-8")
        return theirs

    def look(
        self, *options: str, code: int = 1, limit: int | None = None, **changed: str
    ) -> dict[str, Mapping[str, Any]]:
        """What is not well, by area and check; the exit code must be this.

        Args:
            options: Of the command.
            code: What it must end with.
            limit: Of open files; in a process of its own.
            changed: Settings that are not as they should be.
        """
        file = self.folder / "suifang.env"
        file.touch(mode=0o600)
        lines = [f"{name}='{value}'" for name, value in {**self.environment, **changed}.items()]
        file.write_text("# as systemd reads it\n" + "\n".join(lines), "utf-8")
        arguments = ["--json", "--env", str(file), "--data", str(self.folder), *options]
        if limit is None:
            outside = dict(os.environ)
            done = CliRunner().invoke(app, arguments)
            os.environ.clear()
            os.environ.update(outside)
            ended, output = done.exit_code, done.stdout
        else:
            command: list[str | Path] = [
                "bash",
                "-c",
                f'ulimit -n {limit}; exec "$@"',
                "-",
                COMMAND,
                "doctor",
            ]
            process = subprocess.run(
                [*command, *arguments], capture_output=True, text=True, check=False, timeout=120
            )
            ended, output = process.returncode, process.stdout
        assert ended == code, output
        said = json.loads(output)
        assert said["healthy"] is (code == 0)
        wrong = [each for each in said["findings"] if each["verdict"] != "ok"]
        assert all(each["remedy"] for each in wrong)
        for secret in (self.environment["INGEST_BROKER_PASSWORD"], "password="):
            assert secret not in output
        of_whoever_tests = {"clock", "disk-room", "disk-speed"}
        if limit is None:
            of_whoever_tests.add("open-files")
        return {
            f"{each['area']}: {each['check']}": each
            for each in wrong
            if each["check"] not in of_whoever_tests
        }


@pytest.fixture
def site(database: Database, broker: TestBroker, tmp_path: Path) -> Site:
    """One that is well."""
    return Site(database, broker, tmp_path)


def test_a_sound_installation_is_well_with_its_schema_and_broker(
    site: Site, database: Database
) -> None:
    config = site.configure_broker(f"listener 1883 127.0.0.1\nacl_file {MOSQUITTO / 'acl'}")
    ours = ("--database", database.dsn, "--broker-config", str(config))
    found = site.look(*ours, code=0, limit=4_096)
    assert found == {}


def test_each_way_into_the_database_is_tried_as_its_process(site: Site, database: Database) -> None:
    found = site.look(
        INGEST_DB_DSN=database.dsn_of("judge"),
        JUDGE_DB_DSN="host=127.0.0.1 port=1 user=x dbname=y",
        NOTIFY_DB_DSN=database.dsn_of("notify").replace("notify_login:", "notify_login:x"),
    )
    assert "GRANT suifang_ingest TO" in found["database: ingest"]["remedy"]
    assert "JUDGE_DB_DSN" in found["database: judge"]["remedy"]
    assert "NOTIFY_DB_DSN" in found["database: notify"]["remedy"]
    assert len(found) == 3


def test_settings_of_the_server_that_lose_readings_are_named(
    site: Site, database: Database
) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off'.encode())
    found = site.look()
    assert found.keys() == {"database: synchronous_commit"}
    assert "synchronous_commit = on" in found["database: synchronous_commit"]["remedy"]


def test_an_old_schema_and_a_database_without_one_are_told_apart(
    site: Site, database: Database, stack: Stack
) -> None:
    migrate.downgrade(database.dsn, "0027")
    found = site.look("--database", database.dsn)
    assert "at 0027" in found["database: schema"]["found"]
    assert "suifang migrate up" in found["database: schema"]["remedy"]
    found = site.look("--database", stack.dsn("postgres"))
    assert "nothing yet" in found["database: schema"]["found"]
    assert "database: timescaledb" in found


def test_a_broker_that_is_away_or_does_not_know_us_is_named(site: Site) -> None:
    found = site.look(INGEST_BROKER__PORT="1")
    assert "INGEST_BROKER__HOST" in found["broker: session"]["remedy"]
    found = site.look(INGEST_BROKER_PASSWORD="wrong")
    assert "INGEST_BROKER_PASSWORD" in found["broker: session"]["remedy"]


def test_a_configuration_of_the_broker_is_compared_line_by_line(site: Site) -> None:
    text = SHIPPED.read_text("utf-8").replace("allow_anonymous false", "allow_anonymous true")
    text = text.replace("max_inflight_messages 65535", "").replace("log_type notice", "")
    text += "\nmax_keepalive 60\nmax_packet_size 1000\n"
    theirs = site.configure_broker(f"acl_file {MOSQUITTO / 'acl'}", text)
    found = site.look("--broker-config", str(theirs))
    assert {name: each["verdict"] for name, each in found.items()} == {
        "broker: allow_anonymous": "failed",
        "broker: max_inflight_messages": "warning",
        "broker: max_packet_size": "warning",
        "broker: max_keepalive": "failed",
    }
    assert "max_inflight_messages 65535" in found["broker: max_inflight_messages"]["remedy"]
    gone = site.look("--broker-config", str(site.folder / "nowhere.conf"))
    assert gone.keys() == {"broker: configuration"}


def test_a_broker_without_access_rules_or_open_to_others_is_named(site: Site) -> None:
    theirs = site.configure_broker("listener 1883 0.0.0.0")
    found = site.look("--broker-config", str(theirs))
    assert found.keys() == {"broker: acl_file", "broker: listener"}
    assert "127.0.0.1" in found["broker: listener"]["remedy"]
    assert {each["verdict"] for each in found.values()} == {"failed"}
    theirs = site.configure_broker("port 1883\nacl_file /nowhere/acl")
    found = site.look("--broker-config", str(theirs))
    assert found.keys() == {"broker: acl_file", "broker: listener"}


def test_access_rules_are_compared_with_ours(site: Site) -> None:
    rules = (MOSQUITTO / "acl").read_text("utf-8")
    acl = site.folder / "acl"
    theirs = site.configure_broker(f"listener 1883 127.0.0.1\nacl_file {acl}")
    acl.write_text(rules + "\nuser watcher\ntopic read $SYS/#\n", "utf-8")
    found = site.look("--broker-config", str(theirs), code=0)
    assert found["broker: acl_file"]["verdict"] == "warning"
    wider = rules + "\npattern read suifang/#\n"
    fewer = rules.replace("topic write suifang/v1/+/+/receipts", "")
    for spoilt in ("topic read suifang/#\n", wider, fewer):
        acl.write_text(spoilt, "utf-8")
        found = site.look("--broker-config", str(theirs))
        assert found["broker: acl_file"]["verdict"] == "failed"


def test_an_installation_as_documented_is_well(site: Site) -> None:
    folder = CredentialFolder(site.folder / "credentials")
    folder.make(host="127.0.0.1", port=5432, database="suifang", at=NOON)
    for name in [each for each in site.environment if each.startswith("NOTIFY_EMAIL")]:
        del site.environment[name]
    named = site.folder / "plain.env"
    named.write_text("API_PORT=0\n", "utf-8")
    named.chmod(0o644)
    (site.folder / "credentials").chmod(0o700)
    site.folder.chmod(0o755)
    found = site.look("--env", str(named), code=0, CREDENTIALS_DIRECTORY=str(folder.root))
    assert found.keys() == {"settings: notify"}
    assert "docs/alerts.md" in found["settings: notify"]["remedy"]
    folder.root.chmod(0o755)
    found = site.look(CREDENTIALS_DIRECTORY=str(folder.root))
    assert "open to others" in found["files: secret"]["found"]
    folder.root.chmod(0o750)
    found = site.look(code=0, CREDENTIALS_DIRECTORY=str(folder.root))
    assert "its group" in found["files: secret"]["found"]


def test_a_secret_that_is_mounted_for_a_container_alone_is_no_danger() -> None:
    mounts = (
        "1 2 0:50 / / rw - overlay overlay rw\n"
        "3 1 8:1 /etc/suifang/API_DB_DSN /run/secrets/API_DB_DSN ro,relatime - ext4 x rw\n"
        "4 1 8:1 /x /run/secrets/with\\040space ro - ext4 x rw\n"
        "5 1 8:1 /y /run/secrets/writable rw,relatime - ext4 x ro\n"
    )
    folder = Path("/run/secrets")
    assert is_given_alone(folder / "API_DB_DSN", mounts)
    assert is_given_alone(folder / "with space", mounts)
    assert not is_given_alone(folder / "writable", mounts)
    assert not is_given_alone(folder, mounts)
    assert not is_given_alone(folder / "another", mounts)
    again = "6 1 8:1 /z /run/secrets/API_DB_DSN rw - a b c\n"
    assert not is_given_alone(folder / "API_DB_DSN", mounts + again)


def test_alerts_that_page_and_that_nobody_tells_are_named_once(
    site: Site, database: Database
) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(PAGES)
        assert connection.execute(WAITS).rowcount == 1
    found = site.look()
    assert "suifang notify" in found["database: telling"]["remedy"]
    for name in [each for each in site.environment if each.startswith("NOTIFY_")]:
        del site.environment[name]
    found = site.look(code=0)
    assert found.keys() == {"database: telling"}
    assert "nobody runs a notifier" in found["database: telling"]["found"]


def test_secrets_that_others_read_and_keys_that_are_none_are_named(site: Site) -> None:
    site.folder.chmod(0o755)
    site.key.chmod(0o644)
    found = site.look()
    assert found["files: secret"]["remedy"] == f"chmod 600 {site.key}"
    assert found["files: key"]["verdict"] == "failed"
    site.key.chmod(0o600)
    site.key.write_text("no key\n", "utf-8")
    found = site.look()
    assert found.keys() == {"files: key"}
    assert "line 1" in found["files: key"]["found"]


def test_a_port_that_somebody_else_has_is_named(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = site.look(API_PORT=port)
    assert found.keys() == {"ports: api"}
    assert port in found["ports: api"]["remedy"]


def test_settings_that_are_wrong_or_missing_are_named_without_their_values(site: Site) -> None:
    found = site.look(JUDGE_POLL_MS="soon", API_PROT="1", API_PORT="70000")
    assert "JUDGE_POLL_MS" in found["settings: judge"]["found"]
    assert "API_P" in found["settings: api"]["found"]
    assert "soon" not in json.dumps(found)


def test_few_open_files_are_named(site: Site) -> None:
    found = site.look(limit=256, code=0)
    assert found["machine: open-files"]["verdict"] == "warning"


def test_a_wrong_command_line_is_one_line_and_exit_2(tmp_path: Path) -> None:
    odd = tmp_path / "odd.env"
    odd.write_text("A=1\nwhat\n", "utf-8")
    for arguments in (["--env", odd], ["--database", "x y"]):
        done = subprocess.run(
            [COMMAND, "doctor", *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 2, done.stdout
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("clock", "verdict"),
    [
        (KernelTime(synchronised=True, error_s=0.01), Verdict.OK),
        (KernelTime(synchronised=True, error_s=3.0), Verdict.WARNING),
        (KernelTime(synchronised=False, error_s=0.01), Verdict.WARNING),
    ],
)
def test_a_clock_that_follows_nobody_is_named(clock: KernelTime, verdict: Verdict) -> None:
    found = {each.check: each for each in check_machine([], kernel_time=lambda: clock)}
    assert found["clock"].verdict is verdict


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = {each.check: each for each in check_machine([tmp_path / "none"])}
    assert found["disk-room"].verdict is Verdict.FAILED
    assert "--data" in found["disk-room"].remedy


@pytest.mark.parametrize(
    ("version", "verdict"),
    [("2.10.3", Verdict.FAILED), ("2.11.0", Verdict.OK), ("3.0.1-dev", Verdict.OK)],
)
def test_a_timescaledb_that_is_too_old_is_named(version: str, verdict: Verdict) -> None:
    assert judge_timescale(version).verdict is verdict
