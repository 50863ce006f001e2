"""The compose file is one by the specification, and names only what exists in the code."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from typer.testing import CliRunner

from api.settings import ApiSettings
from deploy.cli import Suifang, app
from deploy.credential_folder import (
    BACKUP_DSN,
    BROKER_PASSWORDS,
    DATABASE_PASSWORDS,
    KEYS,
    LOGIN_DSNS,
    OWNER_DSN,
)
from tests.fix_prometheus import find_program
from tests.setting_names import build_settings, exists_as_a_setting

DEPLOY = Path(__file__).parents[3] / "deploy"
TEXT = re.sub(r"\$\{(\w+):-([^}]*)\}", r"\2", (DEPLOY / "compose.yaml").read_text("utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("suifang")}
PROCESSES = {
    name: one
    for name, one in OURS.items()
    if "healthcheck" in one and not name.startswith("backup-")
}
SECRETS = {*(OWNER_DSN, BACKUP_DSN, *KEYS, *LOGIN_DSNS, *BROKER_PASSWORDS, *DATABASE_PASSWORDS)}


def test_the_specification_takes_it() -> None:
    plain = yaml.safe_dump({k: v for k, v in COMPOSE.items() if not k.startswith("x-")})

    assert set(PyCompose.from_yaml(plain).service_names()) == SERVICES.keys()
    with pytest.raises(ValueError, match="restart"):
        PyCompose.from_yaml(plain.replace("restart: unless-stopped", "restart: perhaps", 1))


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_nobody_s_root_writes_nowhere_and_is_of_one_version(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) > 0
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+(-pg\d+)?", service["image"])
    assert "privileged" not in service


@pytest.mark.parametrize("name", [n for n, one in SERVICES.items() if one["restart"] != "no"])
def test_what_runs_for_ever_says_how_it_is(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", [n for n, one in OURS.items() if "command" in one])
def test_a_command_exists_with_its_options(name: str) -> None:
    given = OURS[name]["command"]
    scripts = re.findall(r"suifang ([a-z -]+?) *(?:&&|;)", given[0])
    commands = [script.split() for script in scripts] if "entrypoint" in OURS[name] else [given]

    assert commands
    for command in commands:
        assert command[0] in Suifang.COMMANDS
        words = [word for word in command if not word.startswith("/")]
        said = CliRunner().invoke(app, [*words[: 2 if len(words) > 1 else 1], "--help"])
        assert said.exit_code == 0, said.output
        for option in (word for word in words if word.startswith("--")):
            assert option in said.output


@pytest.mark.parametrize("name", OURS)
def test_settings_exist_and_secrets_are_files(name: str) -> None:
    environment = OURS[name].get("environment", {})

    for setting in [*environment, *(each for each in OURS[name].get("secrets", []))]:
        assert setting in SECRETS or exists_as_a_setting(setting), setting
    assert not [each for each in environment if re.search("DSN|PASSWORD|SECRET", each)]


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_takes_what_its_container_gives_it(name: str, tmp_path: Path) -> None:
    one = PROCESSES[name]
    mounted = {f"/run/secrets/{each}": each for each in one["secrets"]}
    if "volumes" in one:
        assert one["volumes"] == ["/etc/suifang/pki:/etc/suifang/pki:ro"]
        mounted |= {f"/etc/suifang/pki/{each}": each for each in ("ca.pem", "ca.key")}
    environment = {"CREDENTIALS_DIRECTORY": "/run/secrets", **one["environment"]}

    build_settings(one["command"][0], environment, mounted, tmp_path)


def test_every_secret_is_made_by_the_command_and_used() -> None:
    used = {each for one in SERVICES.values() for each in one.get("secrets", [])}

    assert COMPOSE["secrets"].keys() == SECRETS
    assert used == SECRETS


def test_the_logins_get_all_that_they_apply() -> None:
    assert set(SERVICES["logins"]["secrets"]) == {OWNER_DSN, *LOGIN_DSNS}
    assert set(SERVICES["broker-users"]["secrets"]) == set(BROKER_PASSWORDS)


def test_ports_are_those_of_the_processes_and_only_gateways_come_in_from_outside() -> None:
    published = [port for one in SERVICES.values() for port in one.get("ports", [])]

    assert [port for port in published if not port.startswith("127.0.0.1:")] == ["8883:8883"]
    assert f"127.0.0.1:8000:{ApiSettings.model_fields['port'].default}" in published
    listeners = re.findall(r"(?m)^listener (\d+)", (DEPLOY / "mosquitto/tls.conf").read_text())
    assert listeners == ["8883"]


def test_prometheus_asks_every_process_that_runs_where_it_answers() -> None:
    found = yaml.safe_load((DEPLOY / "prometheus" / "compose.yml").read_text("utf-8"))
    beside = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    asked = {
        target
        for job in found["scrape_configs"]
        for group in job.get("static_configs", [])
        for target in group["targets"]
    }
    answered = {
        f"{name}:{port}"
        for name, one in OURS.items()
        for setting, port in one.get("environment", {}).items()
        if setting.endswith("__PORT") and "profiles" not in one
    }

    assert asked == answered
    assert [job["job_name"] for job in found["scrape_configs"]] == [
        job["job_name"] for job in beside["scrape_configs"]
    ]


@pytest.mark.parametrize(
    ("name", "process", "target"),
    [
        ("compose.yml", "notify", "notify:9465"),
        ("compose.yml", "backup", "backup-watch:9467"),
        ("prometheus.yml", "notify", "127.0.0.1:9465"),
    ],
)
def test_what_does_not_run_at_first_is_asked_once_its_target_was_written(
    name: str, process: str, target: str, tmp_path: Path
) -> None:
    text = (DEPLOY / "prometheus" / name).read_text("utf-8")
    jobs = {job["job_name"]: job for job in yaml.safe_load(text)["scrape_configs"]}
    written = re.findall(rf"echo '(.*)' > /etc/\S*/{process}.yml", text)
    assert [yaml.safe_load(each) for each in written] == [[{"targets": [target]}]]
    (job,) = jobs[f"suifang-{process}"]["file_sd_configs"]
    assert "static_configs" not in jobs[f"suifang-{process}"]
    place = tmp_path / job["files"][0]
    place.parent.mkdir(exist_ok=True)
    place.write_text(written[0], "utf-8")
    (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "alerts.yml").write_bytes((DEPLOY / "prometheus/alerts.yml").read_bytes())
    done = subprocess.run(
        [find_program("promtool"), "check", "config", name],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_every_mounted_file_is_there() -> None:
    mounted = [volume for one in SERVICES.values() for volume in one.get("volumes", [])]

    for volume in mounted:
        if volume.startswith("./"):
            assert (DEPLOY / volume.split(":")[0]).is_file(), volume


def test_the_image_is_made_of_the_wheel_and_the_lock_file_alone() -> None:
    text = (DEPLOY / "server/Dockerfile").read_text("utf-8")
    ignored = (DEPLOY / "server/Dockerfile.dockerignore").read_text("utf-8").splitlines()

    assert re.findall(r"(?m)^COPY (.*) /tmp/$", text) == [
        "deploy/server/requirements.lock dist/suifang-*.whl"
    ]
    assert ignored[1:] == ["*", "!dist/*.whl", "!deploy/server/requirements.lock"]
    assert re.search(r"(?m)^USER 10001:10001$", text)
    assert "--require-hashes" in text


def test_the_image_that_takes_backups_has_the_server_s_own_programs() -> None:
    text = (DEPLOY / "server/backup.Dockerfile").read_text("utf-8")
    database = SERVICES["postgres"]
    major = re.findall(r"-pg(\d+)$", database["image"])[0]

    assert f"FROM {SERVICES['api']['image']}\n" in text
    assert f"postgresql-{major} postgresql-{major}-timescaledb" in text
    for name, service in SERVICES.items():
        if name.startswith("backup-"):
            assert service["user"] == database["user"]
            assert service["profiles"] == ["backup"]
    uid = database["user"].split(":")[0]
    assert f"usermod --uid {uid} --gid {uid} postgres" in text


def test_the_doctor_gets_what_every_process_gets() -> None:
    doctor = SERVICES["doctor"]
    given = {
        each for one in OURS.values() if "profiles" not in one for each in one.get("secrets", [])
    }
    unread = {"MAINTENANCE_DB_DSN", "COMMAND_BROKER_PASSWORD", "PROBE_BROKER_PASSWORD"}

    assert set(doctor["secrets"]) == given - unread
