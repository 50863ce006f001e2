"""docs/containers.md can be walked (`make walk-containers`): its commands and stand-ins exist."""

import re

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from tests.unit.deploy.test_compose import DEPLOY, SERVICES
from tests.walk.containers import DOCUMENT, HERE, stand_ins
from tests.walk.machine import ROOT, blocks

TEXT = "".join(blocks(DOCUMENT))
CALLS = r"(?m)(?:^tool|\btools|\$box) ([a-z][a-z-]+ [a-z]+)"
COMMANDS = sorted(set(re.findall(CALLS, DOCUMENT.read_text("utf-8"))))
IMAGES = (HERE / "images/Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_guide_exists(command: str) -> None:
    assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0


def test_the_walk_has_every_part_and_its_files() -> None:
    assert {"credentials make", "pki crl", "pki token", "gateway enroll"} <= set(COMMANDS)
    for path in re.findall(r"deploy/[\w./-]*\w", TEXT):
        assert (ROOT / path).exists(), path
    for service in re.findall(r"docker compose .*(?:run|exec) (?:--\S+ |-v \S+ )*([a-z-]+)", TEXT):
        assert service in SERVICES


def test_every_image_of_others_has_a_stand_in_with_its_account() -> None:
    images = {one["image"] for one in SERVICES.values()}
    ours = {each for each in images if each.startswith("suifang")}
    built = re.findall(r"(?m)^FROM (\S+)$", (DEPLOY / "server/Dockerfile").read_text("utf-8"))

    assert set(stand_ins().values()) == images - ours | set(built)
    assert re.findall(r"(?m)^FROM \S+ AS (\w+)$", IMAGES) == list(stand_ins())
    for service in ("postgres", "broker", "prometheus"):
        assert re.search(rf"\b{SERVICES[service]['user'].split(':')[0]}\b", IMAGES), service
    assert set(re.findall(r"-t (\S+) \.", TEXT)) == ours
