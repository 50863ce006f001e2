"""The example configuration and the reference of settings say what the program does."""

import dataclasses
import re
from pathlib import Path
from typing import get_type_hints

from gateway.configuration import _inner
from gateway.devices.ble_settings import BleSettings
from gateway.settings import TABLES, GatewaySettings, settings_from
from tests.unit.gateway.test_configuration import write

ROOT = Path(__file__).parents[3]
HINTS = get_type_hints(GatewaySettings)
EXAMPLE = ROOT / "deploy" / "gateway" / "gateway.example.toml"


def test_the_example_loads_and_every_line_it_comments_out_shows_a_default(tmp_path: Path) -> None:
    text = EXAMPLE.read_text("utf-8")
    bare = settings_from({}, write(tmp_path, text))
    secrets = (
        *("password_file", "pseudonym_key_file", "ca_file", "certificate_file", "key_file"),
        "file",
    )
    shown = re.sub(rf"(?m)^# (?!(?:{'|'.join(secrets)}) )(\w+ = )", r"\1", text)
    assert shown != text

    assert settings_from({}, write(tmp_path, shown)) == bare


def test_the_reference_lists_every_setting_with_its_key_variable_and_default() -> None:
    text = (ROOT / "docs" / "gateway-settings.md").read_text("utf-8")
    listed = dict(re.findall(r"(?m)^\| `([^`]+)` \| `GATEWAY_\w+` \| ([^|]+?) \|", text))
    variables = dict(re.findall(r"(?m)^\| `([^`]+)` \| `(GATEWAY_\w+)` \|", text))

    plain = [f for f in dataclasses.fields(GatewaySettings) if not _inner(HINTS[f.name])[0]]
    expected = {}
    for setting in plain:
        table, key = TABLES.place(setting.name)
        default = "needed" if setting.default is dataclasses.MISSING else _shown(setting.default)
        expected[f"[{table}] {key}"] = default
        assert variables.get(f"[{table}] {key}") == f"GATEWAY_{setting.name.upper()}"
    for setting in dataclasses.fields(BleSettings):
        if setting.name != "known":
            expected[f"[ble] {setting.name}"] = _shown(setting.default)
            variable = f"GATEWAY_BLE_{setting.name.upper()}"
            assert variables.get(f"[ble] {setting.name}") == variable
    assert listed == expected


def _shown(default: object) -> str:
    if default in {None, ""}:
        return "none"
    return str(default).lower() if isinstance(default, bool) else str(default)
