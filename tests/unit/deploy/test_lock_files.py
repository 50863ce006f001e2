"""What a machine is installed from holds everything that its part of the program asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


@pytest.mark.parametrize(
    ("file", "extras"),
    [
        pytest.param("requirements.lock", list(EXTRAS), id="checkout"),
        pytest.param("deploy/server/requirements.lock", ["server", "simulators"], id="server"),
        pytest.param("deploy/gateway/requirements.lock", [], id="gateway"),
        pytest.param("deploy/gateway/tests.lock", ["gateway-tests"], id="gateway-tests"),
    ],
)
def test_a_lock_file_has_all_that_is_asked_for_in_a_version_that_fits(
    file: str, extras: list[str]
) -> None:
    text = (ROOT / file).read_text("utf-8")
    locked = dict(re.findall(r"(?m)^([a-z0-9-]+)==([^ ;]+)", text))
    asked = [*PROJECT["dependencies"], *(each for extra in extras for each in EXTRAS[extra])]

    assert asked
    for requirement in map(Requirement, asked):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name != "suifang":
            assert name in locked, f"{requirement} is not in {file}: make lock"
            assert requirement.specifier.contains(locked[name], prereleases=True), requirement
