"""``make walk-containers``: docs/containers.md in real containers; then containers.sh.

A Debian 13 with Docker of its own (``tests.walk.machine`` says what that needs; some 8 GB of disk).
No registry is asked: the images of others are stand-ins made of Debian's packages
(images/Dockerfile), under the names and versions that deploy/compose.yaml has. Ours is built by its
own Dockerfile. Exit 1 with the block that failed.
"""

import re
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.walk import machine

DOCUMENT = machine.ROOT / "docs" / "containers.md"
HERE = Path(__file__).parent
DOCKER = ("curl", "docker-buildx", "docker-cli", "docker-compose", "docker.io", "jq", "python3")
DEBIAN = (
    *("busybox", "ca-certificates", "mosquitto", "netcat-openbsd", "postgresql-17-timescaledb"),
    *("procps", "prometheus", "python3", "python3-venv"),
)
"""What the stand-ins are made of."""


def stand_ins() -> dict[str, str]:
    """For each stage of images/Dockerfile the name under which it is asked for."""
    deploy = machine.ROOT / "deploy"
    compose: dict[str, Any] = yaml.safe_load((deploy / "compose.yaml").read_text("utf-8"))
    (python,) = re.findall(r"(?m)^FROM (\S+)$", (deploy / "server/Dockerfile").read_text("utf-8"))
    services = {"postgres": "postgres", "mosquitto": "broker", "prometheus": "prometheus"}
    named = {stage: compose["services"][one]["image"] for stage, one in services.items()}
    return {**named, "python": python}


def make_images(walked: Path, folder: Path, mirror: str) -> str:
    """Lay what the stand-ins are made of into the machine; returns what is to be run there."""
    context = walked / "srv" / "images"
    shutil.copytree(HERE / "images", context)
    shutil.copytree(folder / "luggage" / "wheels", context / "wheels")
    tree = machine.make_debian(folder / "debian", DEBIAN, mirror)
    machine.run("tar", "-C", tree, "-cf", context.parent / "debian.tar", ".")
    script = "cd /srv/images\ndocker import /srv/debian.tar walk-debian\nrm /srv/debian.tar\n"
    for stage, image in stand_ins().items():
        script += f"docker build -q --target {stage} -t {image} .\n"
    return script


def bound_files(deploy: Path) -> None:
    """Let the broker have as many open files as this host may give, where that is fewer."""
    compose: dict[str, Any] = yaml.safe_load((deploy / "compose.yaml").read_text("utf-8"))
    limits = {"nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[1]}
    if limits["nofile"] < compose["services"]["broker"]["ulimits"]["nofile"]:
        machine.say(f"this host gives nobody more than {limits['nofile']} open files")
        bounded = {"services": {"broker": {"ulimits": limits}}}
        (deploy / "compose.override.yaml").write_text(yaml.safe_dump(bounded), "utf-8")


def inside(pid: int, step: str, script: str) -> None:
    """Run a script there. Raises ``SystemExit`` when it fails."""
    machine.say(step)
    if machine.inside(pid, script, quiet=False) != 0:
        sys.exit(f"walk: {step} failed")


def main() -> None:
    """Walk; then check."""
    with machine.folder_and_mirror(__doc__) as (folder, mirror):
        root = machine.make_debian(folder / "docker", [*machine.BASE, *DOCKER], mirror)
        luggage, walked = machine.make_luggage(folder), folder / "walked-containers"
        machine.copy(root, walked)
        machine.copy(luggage, walked / machine.SOURCE.strip("/"))
        bound_files(walked / machine.SOURCE.strip("/") / "deploy")
        images = make_images(walked, folder, mirror)
        checks = (HERE / "containers.sh").read_text("utf-8")
        with machine.booted(walked) as pid:
            inside(pid, "the engine", "docker version")
            inside(pid, "stand-ins", images)
            machine.walk(pid, DOCUMENT)
            inside(pid, "containers.sh", checks)
            machine.say("containers hold what docs/containers.md says")


if __name__ == "__main__":
    main()
