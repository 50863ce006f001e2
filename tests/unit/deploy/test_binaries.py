"""The host's programs are used only when they are new enough and complete."""

from pathlib import Path

import pytest

from deploy.embedded.binaries import (
    find_host_broker,
    find_host_postgres,
    inspect_broker,
    parse_version,
)


def a_program(file: Path, output: str) -> Path:
    """A program that says ``output`` whatever it is asked."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{output}'\nexit 3\n")
    file.chmod(0o755)
    return file


def a_postgres(root: Path, version: str, timescaledb: str | None) -> None:
    """A PostgreSQL in Debian's places."""
    major = version.split(".", maxsplit=1)[0]
    folder = root / f"usr/lib/postgresql/{major}"
    a_program(folder / "bin/postgres", f"postgres (PostgreSQL) {version} (Debian {version}-1)")
    a_program(folder / "bin/initdb", "initdb")
    if timescaledb is None:
        return
    (folder / "lib").mkdir()
    (folder / "lib/timescaledb.so").touch()
    share = root / f"usr/share/postgresql/{major}/extension"
    share.mkdir(parents=True)
    (share / "timescaledb.control").write_text(f"default_version = '{timescaledb}'\n")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        pytest.param("postgres (PostgreSQL) 17.6 (Debian 17.6-0+deb13u1)", (17, 6), id="debian"),
        pytest.param("postgres (PostgreSQL) 18beta1", (18,), id="beta"),
        pytest.param("mosquitto version 2.0.21", (2, 0, 21), id="mosquitto"),
        pytest.param("command not found", (), id="none"),
    ],
)
def test_versions_are_read_from_what_programs_say(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("version", "timescaledb", "usable"),
    [
        pytest.param("16.0", "2.14.0", True, id="oldest-usable"),
        pytest.param("15.9", "2.19.3", False, id="postgresql-too-old"),
        pytest.param("17.6", "2.13.1", False, id="timescaledb-too-old"),
        pytest.param("17.6", None, False, id="no-timescaledb"),
    ],
)
def test_a_host_postgresql_is_used_from_16_with_timescaledb_from_2_14(
    tmp_path: Path, version: str, timescaledb: str | None, *, usable: bool
) -> None:
    a_postgres(tmp_path, version, timescaledb)

    found = find_host_postgres(root=tmp_path)

    assert (found is not None) == usable


def test_the_newest_usable_postgresql_wins_unless_the_data_says_otherwise(tmp_path: Path) -> None:
    a_postgres(tmp_path, "16.4", "2.19.3")
    a_postgres(tmp_path, "17.6", "2.19.3")
    a_postgres(tmp_path, "18.1", None)

    newest, older = find_host_postgres(root=tmp_path), find_host_postgres(16, root=tmp_path)

    assert newest is not None
    assert (newest.version, newest.timescaledb, newest.origin) == ("17.6", "2.19.3", "host")
    assert older is not None
    assert older.major == 16
    assert find_host_postgres(15, root=tmp_path) is None


@pytest.mark.parametrize(
    ("version", "usable"), [("2.0.18", True), ("2.1.0", True), ("2.0.11", False)]
)
def test_a_host_mosquitto_is_used_from_2_0_18(
    tmp_path: Path, version: str, *, usable: bool
) -> None:
    server = a_program(tmp_path / "mosquitto", f"mosquitto version {version}")

    assert (inspect_broker(server, tmp_path / "mosquitto_passwd", "host") is not None) == usable


def test_a_mosquitto_without_its_password_program_is_not_used(tmp_path: Path) -> None:
    a_program(tmp_path / "sbin/mosquitto", "mosquitto version 2.0.21")
    assert find_host_broker([tmp_path / "sbin"]) is None

    a_program(tmp_path / "bin/mosquitto_passwd", "")
    assert find_host_broker([tmp_path / "sbin"]) is not None


def test_a_program_that_cannot_run_is_no_program(tmp_path: Path) -> None:
    broken = tmp_path / "mosquitto"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)

    assert inspect_broker(broken, broken, "host") is None
