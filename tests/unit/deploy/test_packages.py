"""Unpacked programs are whole, at their place and safe, or they are not used."""

import json
from pathlib import Path

import pytest

from deploy.embedded.errors import UnsafeFolderError, UnsupportedHostError
from deploy.embedded.packages import NOT_NEEDED, WANTED, Packages, require_host_can_unpack


def a_marker(packages: Packages, folder: str) -> None:
    packages.folder.mkdir(parents=True)
    (packages.folder / "complete.json").write_text(json.dumps({"folder": folder}))


def test_a_host_without_apt_is_told_about_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(UnsupportedHostError, match=r"docs/containers\.md"):
        require_host_can_unpack()


def test_another_machine_is_told_about_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    with pytest.raises(UnsupportedHostError, match=r"docs/containers\.md"):
        require_host_can_unpack()


def test_half_a_folder_is_not_used(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    packages.folder.mkdir()

    assert packages.postgres() is None
    assert packages.broker() is None


def test_a_folder_that_was_moved_is_not_used(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    a_marker(packages, "/elsewhere")

    assert packages.broker() is None


def test_programs_that_others_could_change_are_refused(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    a_marker(packages, str(packages.folder))
    packages.folder.chmod(0o777)

    with pytest.raises(UnsafeFolderError, match="that others could change"):
        packages.postgres()


def test_what_is_wanted_is_not_declared_unneeded() -> None:
    assert not set(WANTED) & set(NOT_NEEDED)
