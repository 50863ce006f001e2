"""Settings come as files where a service manager keeps secrets; the environment still wins."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.credentials import CredentialError, read_credentials

COMMAND = Path(sys.executable).with_name("suifang")


def test_a_file_is_the_setting_it_is_named_after(tmp_path: Path) -> None:
    (tmp_path / "INGEST_DB_DSN").write_text("postgresql://a:b@c/d\n")
    (tmp_path / "INGEST_BROKER_PASSWORD").write_text("from the file")
    (tmp_path / "names.key").write_bytes(b"\xff" * 32)  # No setting: whoever names it reads it.
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path), "INGEST_BROKER_PASSWORD": "given"}

    assert read_credentials(given) == {"INGEST_DB_DSN": "postgresql://a:b@c/d"}
    assert read_credentials({}) == {}


@pytest.mark.parametrize("content", [b"", b"two\nlines", b"\xff", b"a\0b", b"x" * 70_000])
def test_what_is_no_line_of_text_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "API_DB_DSN").write_bytes(content)

    with pytest.raises(CredentialError, match="API_DB_DSN"):
        read_credentials({"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_the_command_reads_them_and_never_repeats_one(tmp_path: Path) -> None:
    secret = tmp_path / "SUIFANG_DB_DSN"
    outer = {k: v for k, v in os.environ.items() if k != "SUIFANG_DB_DSN"}

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [COMMAND, "migrate", "status"],
            env=outer | {"CREDENTIALS_DIRECTORY": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    secret.write_text("no conninfo with hunter2")
    said = run()
    assert said.returncode == 2
    assert "no PostgreSQL connection string" in said.stderr
    assert "hunter2" not in said.stderr

    secret.write_bytes(b"")
    said = run()
    assert said.returncode == 2
    assert said.stderr.startswith(f"suifang: {secret} must hold one line")
