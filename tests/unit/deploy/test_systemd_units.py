"""The units run what exists, forbid what they can, and systemd finds nothing wrong with them."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.setting_names import exists_as_a_setting

SYSTEMD = Path(__file__).parents[3] / "deploy" / "systemd"
UNITS = sorted(path.name for path in SYSTEMD.glob("*.service"))
PROCESSES = sorted(name for name in UNITS if "Type=notify" in (SYSTEMD / name).read_text())
EXPOSURE_MAX = 20  # Of 100: `systemd-analyze security`; below 50 is "OK".


def directives(*names: str) -> dict[str, list[str]]:
    found = defaultdict(list)
    for name in names:
        for line in (SYSTEMD / name).read_text("utf-8").splitlines():
            if line and line[0] not in "#;[":
                key, _, value = line.partition("=")
                found[key].append(value)
    return found


def test_every_process_has_its_unit() -> None:
    commands = {directives(name)["ExecStart"][0].split()[1] for name in PROCESSES}

    assert commands == {"ingest", "judge", "dispatcher", "deliver", "notify", "api"}


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_watched_restarted_for_ever_and_given_time_to_end(name: str) -> None:
    found = directives(name)

    assert found["NotifyAccess"] == ["main"]
    assert found["WatchdogSec"] == ["60"]
    assert found["Restart"] == ["always"]
    assert found["StartLimitIntervalSec"] == ["0"]
    assert int(found["TimeoutStopSec"][0]) > 10  # shutdown_s_max of ingest and the API.
    assert found["User"] == ["suifang"]


@pytest.mark.parametrize("name", UNITS)
def test_settings_of_a_unit_exist_and_secrets_come_as_credentials(name: str) -> None:
    found = directives(name)
    plain = [pair.split("=")[0] for line in found["Environment"] for pair in line.split()]
    credentials = [line.partition(":")[0] for line in found["LoadCredential"]]

    for setting in [*plain, *(each for each in credentials if each.isupper())]:
        assert exists_as_a_setting(setting), setting
    assert not [each for each in plain if re.search("DSN|PASSWORD|SECRET", each)]
    assert all(line.split(":")[1].startswith("/etc/suifang/") for line in found["LoadCredential"])


HARDENING = "suifang-.service.d/hardening.conf"
AS_POSTGRES = [name for name in UNITS if directives(name)["User"] == ["postgres"]]


@pytest.mark.parametrize("name", AS_POSTGRES)
def test_a_unit_of_the_account_of_postgresql_leaves_its_shared_memory_alone(name: str) -> None:
    """Systemd removes all of the account's when the last such unit ends: no connection then."""
    effective = directives(name, HARDENING)["RemoveIPC"][-1:]  # A drop-in has the last word.

    assert effective in ([], ["no"])


def test_units_of_the_account_of_postgresql_are_known() -> None:
    assert {name for name in UNITS if "backup" in name} == set(AS_POSTGRES)


@pytest.mark.parametrize("path", sorted(SYSTEMD.glob("*.timer")), ids=lambda path: path.name)
def test_a_timer_has_its_service_and_makes_up_for_what_it_missed(path: Path) -> None:
    assert path.with_suffix(".service").is_file()
    assert "Persistent=true" in path.read_text()


def systemd_analyze(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("systemd-analyze")
    assert program is not None, "apt install systemd"
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("name", UNITS)
def test_systemd_counts_little_that_a_unit_may_do(name: str) -> None:
    said = systemd_analyze(
        "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", SYSTEMD / name
    )

    assert said.returncode == 0, said.stdout + said.stderr


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    folder = shutil.copytree(SYSTEMD, tmp_path / "units")
    for unit in folder.glob("*.service"):
        text = unit.read_text("utf-8").replace("/opt/suifang/bin/suifang", "/bin/true")
        unit.write_text(re.sub(r"(?m)^(User|Group)=.*$", r"\1=root", text), "utf-8")
        if "@" in unit.name:
            unit.rename(unit.with_name(unit.name.replace("@", "@1")))

    said = systemd_analyze("verify", *(path for path in folder.glob("*.*") if path.is_file()))

    assert [line for line in said.stderr.splitlines() if "suifang" in line] == []
    broken = folder / "suifang-api.service"
    broken.write_text(broken.read_text().replace("WatchdogSec=60", "WatchdogSec=sixty"))
    assert "sixty" in systemd_analyze("verify", broken).stderr
