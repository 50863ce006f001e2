"""A process imports what it needs and no more: the gateway runs on a small edge box."""

import subprocess
import sys

import pytest

_SERVER = ("numpy", "psycopg", "fastapi", "msgspec", "mqtt5", "structlog", "sqlalchemy", "uvicorn")


def _imported(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(said.stdout.split())


@pytest.mark.parametrize(
    "module", ["gateway", "gateway.cli", "gateway.runtime", "gateway.wire.readings"]
)
def test_the_gateway_pulls_in_nothing_of_the_server(module: str) -> None:
    found = _imported(f"import {module}")

    assert found.isdisjoint({*_SERVER, "ingest", "rules", "api", "simulators"})


def test_the_command_itself_imports_no_process() -> None:
    found = _imported("import deploy.cli")

    assert found.isdisjoint({*_SERVER, "gateway", "ingest", "rules", "api", "simulators", "paho"})


def test_rules_need_numpy_only() -> None:
    found = _imported("import rules.engine, rules.profiles, rules.explain")

    assert found.isdisjoint({"psycopg", "pydantic", "asyncio", "gateway", "ingest"})


def test_the_api_does_not_load_ingest_s_stages() -> None:
    found = _imported("import api.app")

    assert "fastapi" in found
    assert found.isdisjoint({"mqtt5", "numpy"})


def test_a_gateway_without_a_radio_does_not_load_one() -> None:
    found = _imported("import gateway.runtime, gateway.cli")

    assert found.isdisjoint({"bleak", "dbus_fast", "bumble"})
