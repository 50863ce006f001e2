"""The table ``[ble]``: read from file and variables, and every mistake told where it was made."""

from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.settings import settings_from
from tests.unit.gateway.test_configuration import problems_of, write

BLE = """
[gateway]
id = "g1"
centre = "c1"
[broker]
host = "localhost"
[spool]
file = "spool.db"
[ble]
enabled = true
[[ble.known]]
id = "cuff-1"
address = "C0:11:22:33:44:55"
"""


def test_a_table_s_plain_keys_are_variables_too_and_those_win(tmp_path: Path) -> None:
    file = write(tmp_path, BLE)
    settings = settings_from({"GATEWAY_BLE_ADOPT": "all", "GATEWAY_BLE_POLL_MS": "7"}, file)

    assert settings.ble.enabled
    assert (settings.ble.adopt, settings.ble.poll_ms) == ("all", 7)
    assert [known.id for known in settings.ble.known] == ["cuff-1"]
    bare = settings_from(
        {
            "GATEWAY_ID": "g1",
            "GATEWAY_CENTRE": "c1",
            "GATEWAY_BROKER_HOST": "localhost",
            "GATEWAY_SPOOL": "x",
            "GATEWAY_BLE_ENABLED": "yes",
        }
    )
    assert bare.ble.enabled


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("GATEWAY_BLE_ADOPT", "some", "must be one of"),
        ("GATEWAY_BLE_POLL_MS", "soon", "must be a whole number"),
        ("GATEWAY_BLE_POLL_MS", "0", "must be 1 or more"),
        ("GATEWAY_BLE_ADOPTS", "all", "did you mean GATEWAY_BLE_ADOPT?"),
    ],
)
def test_a_wrong_variable_of_a_table_is_told_by_its_name(
    tmp_path: Path, variable: str, value: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings_from({variable: value}, write(tmp_path, BLE))

    (problem,) = caught.value.problems
    assert variable in str(problem)
    assert said in str(problem)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('address = "C0:11:22:33:44:55"', 'address = "C0:11"', 13, "must look like"),
        ('address = "C0:11:22:33:44:55"', 'pairing = "when_required"', 11, "no device is meant"),
        ('id = "cuff-1"', 'id = "cuff-1"\ntimezone = "Mars/North"', 13, "not known here"),
        ("enabled = true", "enabled = true\nadopt = 1", 11, "adopt"),
    ],
)
def test_what_is_wrong_with_a_bluetooth_device_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    problems = problems_of(tmp_path, BLE.replace(old, new))

    assert any(said in f"{name} {detail}" for _, name, detail in problems)
    assert {found for found, _, _ in problems} == {line}
