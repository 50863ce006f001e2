"""Promise: a wrong setting or command line is one clear line and exit 2, and tells no password."""

import pytest
from typer.testing import CliRunner

from api.cli import app, dispatcher_app

GOOD = "postgresql://reader:secret@127.0.0.1:5432/suifang"
OPEN = {"API_DB_DSN": GOOD, "API_AUTHENTICATION": "off"}
EMBEDDED = {
    "API_DB_DSN": GOOD,
    "API_AUTH__ISSUER": "urn:suifang:embedded",
    "API_AUTH__JWKS_FILE": "jwks.json",
}


@pytest.mark.parametrize(
    ("environment", "arguments", "named"),
    [
        pytest.param({}, [], "API_DB_DSN: is not set", id="no-dsn"),
        pytest.param({"API_DB_DSN": "secret what"}, [], "API_DB_DSN", id="no-connection-string"),
        pytest.param(OPEN | {"API_HOST": "0.0.0.0"}, [], "API_HOST", id="all-hosts"),  # noqa: S104
        pytest.param(OPEN, ["--host", "192.0.2.7"], "API_HOST", id="other-host"),
        pytest.param(OPEN, ["--host", "::"], "API_HOST", id="all-hosts-v6"),
        pytest.param({"API_DB_DSN": GOOD}, ["--host", "example.com"], "API_HOST", id="a-name"),
        pytest.param(EMBEDDED, ["--host", "::"], "API_HOST", id="embedded-issuer-outside"),
        pytest.param(
            {"API_DB_DSN": GOOD, "API_AUTHENTICATION": "no"}, [], "API_AUTHENTICATION", id="no-such"
        ),
        pytest.param(
            {"API_DB_DSN": GOOD, "API_AUTH__ISSUER": "x"}, [], "API_AUTH", id="issuer-without-keys"
        ),
        pytest.param({"API_DB_DSN": GOOD}, ["--port", "65536"], "API_PORT", id="no-such-port"),
        pytest.param(
            {"API_DB_DSN": GOOD, "API_FEED__LISTENERS_MAX": "0"},
            [],
            "API_FEED__LISTENERS_MAX",
            id="no-listeners",
        ),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], arguments: list[str], named: str
) -> None:
    monkeypatch.delenv("API_DB_DSN", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert named in result.stderr
    assert "secret" not in result.output


def test_the_dispatcher_says_what_it_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPATCHER_DB_DSN", raising=False)

    result = CliRunner().invoke(dispatcher_app, [])

    assert result.exit_code == 2
    assert result.stderr == "dispatcher: DISPATCHER_DB_DSN: is not set\n"


def test_a_dispatcher_that_would_be_dropped_while_it_waits_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DISPATCHER_DB_DSN", GOOD)
    monkeypatch.setenv("DISPATCHER_IDLE_S_MAX", "1")

    result = CliRunner().invoke(dispatcher_app, [])

    assert result.exit_code == 2
    assert result.stderr.startswith("dispatcher: DISPATCHER_IDLE_S_MAX must be longer")


@pytest.mark.parametrize("arguments", [["--bogus"], ["bogus"], ["--port", "x"]])
def test_a_wrong_command_line_is_exit_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2
