"""``suifang gateway check`` finds what would stop the gateway, and leaves everything as it was."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.check import check
from gateway.settings import TABLES, GatewaySettings
from tests.unit.gateway.test_configuration import GOOD, write


def found(folder: Path, text: str, **environment: str) -> list[tuple[str, str, str]]:
    """Level, place and name of each finding."""
    report = check(environment, write(folder, text))
    return [(f.level, f.problem.where.rpartition(":")[2], f.problem.name) for f in report.findings]


def test_a_good_configuration_is_good_and_nothing_is_left_behind(tmp_path: Path) -> None:
    assert found(tmp_path, GOOD) == []
    assert [path.name for path in tmp_path.iterdir()] == ["gateway.toml"]


def test_a_file_that_others_can_change_is_told(tmp_path: Path) -> None:
    assert found(tmp_path, GOOD) == []
    (tmp_path / "gateway.toml").chmod(0o664)

    assert found(tmp_path, GOOD) == [("warning", "1", "file")]


def test_a_key_file_must_be_there_private_and_not_empty(tmp_path: Path) -> None:
    text = GOOD + '[identity]\npseudonym_key_file = "key"\n'
    wrong = [("error", "9", "identity.pseudonym_key_file")]
    assert found(tmp_path, text) == wrong

    key = tmp_path / "key"
    key.touch(0o600)
    assert found(tmp_path, text) == wrong
    key.write_bytes(b"k" * 32)
    assert found(tmp_path, text) == []
    key.chmod(0o640)
    assert found(tmp_path, text) == wrong


def test_a_spool_that_cannot_be_written_is_an_error_and_one_to_be_made_a_warning(
    tmp_path: Path,
) -> None:
    deep = GOOD.replace('"spool.db"', '"a/b/spool.db"')
    assert found(tmp_path, deep) == [("warning", "7", "spool.file")]
    assert not (tmp_path / "a").exists()

    (tmp_path / "a").touch()
    assert found(tmp_path, deep)[0][0] == "error"
    proc = GOOD.replace('"spool.db"', '"/proc/spool.db"')
    assert found(tmp_path, proc) == [("error", "7", "spool.file")]
    folder = GOOD.replace('"spool.db"', f'"{tmp_path}"')
    assert found(tmp_path, folder) == [("error", "7", "spool.file")]


def test_a_password_file_open_to_others_is_a_warning_in_a_container(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)

    assert found(tmp_path, GOOD, GATEWAY_BROKER_PASSWORD_FILE=str(secret)) == [
        ("warning", "environment", "GATEWAY_BROKER_PASSWORD_FILE")
    ]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin"},
    )


def test_the_command_says_all_of_it_and_its_exit_code_tells(tmp_path: Path) -> None:
    bad = write(tmp_path, GOOD.replace("host", "hots") + "x = 1\n")

    said = run("check", "--config", str(bad))
    assert said.returncode == 2
    assert len(said.stderr.splitlines()) == 3
    assert f"error: {bad}:5: broker.hots: unknown key; did you mean host?" in said.stderr

    shown = json.loads(run("--config", str(bad), "check", "--json").stdout)
    assert (shown["good"], len(shown["findings"])) == (False, 3)
    assert shown["findings"][0] == {
        "level": "error",
        "where": f"{bad}:4",
        "name": "broker.host",
        "problem": "is missing; set it",
    }

    good = run("check", "--config", str(write(tmp_path, GOOD)))
    assert (good.returncode, good.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [(), ("check",)], ids=["run", "check"])
def test_a_configuration_that_is_not_there_is_exit_2_and_one_line(arguments: tuple[str]) -> None:
    said = run("--config", "/nowhere/gateway.toml", *arguments)

    assert said.returncode == 2
    assert len(said.stderr.splitlines()) == 1


_VALUES = st.recursive(
    st.one_of(
        st.integers(-(2**70), 2**70).map(str),
        st.sampled_from(["true", "false", "nan", "-inf", "1e400", "0.1", "2026-03-02", "07:00:00"]),
        st.sampled_from(["2026-03-02T07:00:00Z", '""', '"\\u0000"', "'/proc/self/x'", '"yes"']),
        st.text(max_size=12).map(json.dumps),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda values: f"[{', '.join(values)}]"),
        inner.map(lambda value: f"{{ id = {value} }}"),
    ),
    max_leaves=4,
)
_TABLES = [*TABLES.fields, "devices", "strange"]
_KEYS = sorted({TABLES.place(f.name)[1] for f in dataclasses.fields(GatewaySettings)} | {"x"})


@st.composite
def _documents(draw: st.DrawFn) -> str:
    text = ""
    for table in draw(st.lists(st.sampled_from(_TABLES), unique=True, max_size=4)):
        text += f"[[{table}]]\n" if draw(st.booleans()) else f"[{table}]\n"
        for key in draw(st.lists(st.sampled_from(_KEYS), unique=True, max_size=5)):
            text += f"{key} = {draw(_VALUES)}\n"
    return text


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(_documents())
def test_whatever_stands_in_the_file_is_answered_with_lines_of_it(
    tmp_path: Path, text: str
) -> None:
    report = check({}, write(tmp_path, text))

    assert report.findings or report.settings is not None
    for finding in report.findings:
        line = int(finding.problem.where.rpartition(":")[2])
        assert 1 <= line <= max(text.count("\n"), 1)
        assert finding.problem.detail
