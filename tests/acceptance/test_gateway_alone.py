"""The gateway installs alone on a small box: little, no server, and its tests pass there.

A fresh environment gets the locked wheels and ours, nothing else; the tests run from a copy beside
no checkout, so what they import is what was installed.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_BYTES_MAX = 40_000_000  # Issue 5: wheel and dependencies.
_SERVER = {"alembic", "fastapi", "msgspec", "mqtt5", "numpy", "psycopg", "structlog", "uvicorn"}
_TESTS = ("unit/gateway", "contract", "builders.py", "certificates.py")

pytestmark = pytest.mark.slow


def _run(*command: str | Path, cwd: Path, **environment: str) -> str:
    said = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout


def _pip(python: Path, *arguments: str | Path, cwd: Path) -> str:
    settings = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    command = (python, "-m", "pip", "--disable-pip-version-check", *arguments)
    return _run(*command, cwd=cwd, **settings)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel and every wheel that the gateway's lock names."""
    folder = tmp_path_factory.mktemp("wheels")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=_ROOT)
    lock = _ROOT / "deploy" / "gateway" / "requirements.lock"
    options = ("--quiet", "--only-binary", ":all:", "--require-hashes")
    _pip(Path(sys.executable), "download", *options, "-r", lock, "-d", folder, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def box(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the gateway and what it needs."""
    folder = tmp_path_factory.mktemp("box")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    offline = ("--quiet", "--no-index", "--find-links", wheels)
    _pip(python, "install", *offline, "suifang", cwd=folder)
    return python


def test_the_wheels_are_small(wheels: Path) -> None:
    assert sum(wheel.stat().st_size for wheel in wheels.iterdir()) <= _BYTES_MAX


def test_nothing_of_the_server_is_installed(box: Path, tmp_path: Path) -> None:
    installed = _pip(box, "list", "--format", "freeze", cwd=tmp_path).lower().splitlines()
    names = {line.partition("==")[0].replace("-", "_") for line in installed}

    assert "suifang" in names
    assert names.isdisjoint(_SERVER)


def test_the_command_works(box: Path, tmp_path: Path) -> None:
    assert "suifang" in _run(box.with_name("suifang"), "--version", cwd=tmp_path)
    assert "counters" in _run(box.with_name("suifang"), "gateway", "--help", cwd=tmp_path)


def test_the_gateway_s_tests_pass_there(box: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"  # Beside the environment, which stays as a box has it.
    lock = _ROOT / "deploy" / "gateway" / "tests.lock"
    options = ("--quiet", "--only-binary", ":all:", "--require-hashes", "--no-deps")
    _pip(box, "install", *options, "--target", tools, "-r", lock, cwd=tmp_path)
    place = tmp_path / "place"
    for name in _TESTS:
        source, target = _ROOT / "tests" / name, place / "tests" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    shutil.copy(_ROOT / "pyproject.toml", place)

    command = (box, "-m", "pytest", "--noconftest", "-q", "-p", "no:cacheprovider", "tests")
    # By CI Hypothesis takes its own profile for it: its first draw builds tables, which takes more
    # than the second that it allows where the machine has much else to do.
    said = _run(*command, cwd=place, PYTHONPATH=str(tools), CI="true")

    assert " passed" in said
    assert "failed" not in said
    assert "skipped" not in said
