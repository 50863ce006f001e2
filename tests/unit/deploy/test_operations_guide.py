"""docs/operations.md can be walked (`make walk` does, on an empty Debian): its commands exist."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.credential_folder import (
    BROKER_PASSWORDS,
    DATABASE_PASSWORDS,
    KEYS,
    LOGIN_DSNS,
    OWN_DSNS,
)
from tests.setting_names import exists_as_a_setting, known_settings
from tests.walk.__main__ import DOCUMENT, packages
from tests.walk.machine import blocks

ROOT = Path(__file__).parents[3]
ROTATION = (ROOT / "docs/rotation.md").read_text("utf-8")
SECRET_SETTING = re.compile(r"(DSN|PASSWORD|(KEY|SECRET|PASSWORD)_FILE(S_BEFORE)?)$")
TEXT = "".join(blocks(DOCUMENT))
COMMANDS = sorted(set(re.findall(r"(?m)(?:^|-- )suifang ([a-z][a-z-]+(?: [a-z][a-z-]+)?)", TEXT)))


def test_the_walk_has_every_part() -> None:
    assert len(blocks(DOCUMENT)) >= 8
    assert {"postgresql-17-timescaledb", "mosquitto"} <= set(packages())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_guide_exists(command: str) -> None:
    assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0


def test_files_units_and_settings_of_the_guide_exist() -> None:
    for path in re.findall(r"deploy/[\w./-]*\w", TEXT):
        assert (ROOT / path).exists(), path
    for unit in re.findall(r"suifang-[a-z-]+@?(?:\.timer|\.service)?", TEXT):
        name = unit if "." in unit else f"{unit}.service"
        assert any((ROOT / "deploy" / d / name).is_file() for d in ("systemd", "gateway")), unit
    for setting in re.findall(r"(?m)^([A-Z][A-Z_]+)=", TEXT):
        assert exists_as_a_setting(setting), setting


def test_every_secret_of_the_folder_stands_in_the_table_of_rotation() -> None:
    for name in (*DATABASE_PASSWORDS, *BROKER_PASSWORDS, *OWN_DSNS, *LOGIN_DSNS, *KEYS):
        assert f"`{name}`" in ROTATION, name


def test_every_setting_that_is_or_names_a_secret_stands_in_the_table_of_rotation() -> None:
    found = {name for name in known_settings() if SECRET_SETTING.search(name)}

    assert {"API_DB_DSN", "API_AUDIT__KEY_FILE", "INGEST_BROKER_PASSWORD"} < found
    for name in found:
        assert f"`{name}`" in ROTATION, name


def test_the_tests_that_show_a_rotation_exist() -> None:
    shown = re.findall(r"`(test_\w+\.py)::(test_\w+)`", ROTATION)

    assert len(shown) >= 20
    for file, test in shown:
        assert f"def {test}(" in (ROOT / "tests/integration" / file).read_text("utf-8"), test


@pytest.mark.parametrize(
    "name", ["operations", "rotation", "containers", "backup", "capacity", "failure-modes"]
)
def test_what_a_page_points_to_is_there(name: str) -> None:
    text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")

    for path in re.findall(r"tests/[\w/.]*\w", text):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (ROOT / "docs" / link).exists(), link
