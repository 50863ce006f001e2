"""A wrong setting is one clear line that names it, before anything is opened."""

from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.settings import ClockTrust, GatewaySettings, settings_from

ENOUGH = {
    "GATEWAY_ID": "g1",
    "GATEWAY_CENTRE": "c1",
    "GATEWAY_BROKER_HOST": "localhost",
    "GATEWAY_SPOOL": "/var/lib/suifang/spool.db",
}


def test_four_settings_are_enough() -> None:
    settings = settings_from(ENOUGH)

    assert settings == GatewaySettings(
        id="g1", centre="c1", broker_host="localhost", spool=Path("/var/lib/suifang/spool.db")
    )


def test_every_field_can_be_set_from_the_environment() -> None:
    settings = settings_from(
        ENOUGH
        | {
            "GATEWAY_LINGER_MS": "5",
            "GATEWAY_CLOCK_SYNCHRONISED": "yes",
            "GATEWAY_PSEUDONYM_KEY_FILE": "/etc/suifang/key",
            "GATEWAY_BROKER_PASSWORD": "secret",
        }
    )

    assert (settings.linger_ms, settings.clock_synchronised) == (5, ClockTrust.YES)
    assert settings.pseudonym_key_file == Path("/etc/suifang/key")
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("name", ENOUGH)
@pytest.mark.parametrize("given", [None, ""], ids=["absent", "empty"])
def test_a_missing_setting_is_named(name: str, given: str | None) -> None:
    environment = {key: text for key, text in ENOUGH.items() if key != name}
    with pytest.raises(SettingsError, match=f"{name} is not set"):
        settings_from(environment | ({} if given is None else {name: given}))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("GATEWAY_ID", "G1"),
        ("GATEWAY_ID", "g/1"),
        ("GATEWAY_ID", "g1\n"),
        ("GATEWAY_CENTRE", "+"),
        ("GATEWAY_BROKER_PORT", "65536"),
        ("GATEWAY_BROKER_PORT", "mqtt"),
        ("GATEWAY_LISTEN_PORT", "-1"),
        ("GATEWAY_LISTEN_PORT", "1.5"),
        ("GATEWAY_LINGER_MS", "-1"),
        ("GATEWAY_CLOCK_SYNCHRONISED", "perhaps"),
        ("GATEWAY_SPOOL_ROWS_MAX", "0"),
        ("GATEWAY_SPOOL_BYTES_MAX", "99999999999999999999"),
        ("GATEWAY_KEEPALIVE_S", "70000"),
        ("GATEWAY_RESEND_S_MAX", "59"),
    ],
)
def test_a_wrong_setting_is_named_on_one_line(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        settings_from(ENOUGH | {name: text})
    assert "\n" not in str(caught.value)


def test_the_password_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("from a file\n")

    settings = settings_from(ENOUGH | {"GATEWAY_BROKER_PASSWORD_FILE": str(path)})

    assert settings.broker_password == "from a file"


def test_two_passwords_or_an_absent_file_are_refused(tmp_path: Path) -> None:
    absent = {"GATEWAY_BROKER_PASSWORD_FILE": str(tmp_path / "absent")}
    with pytest.raises(SettingsError, match="GATEWAY_BROKER_PASSWORD_FILE"):
        settings_from(ENOUGH | absent)
    with pytest.raises(SettingsError, match="exclude each other"):
        settings_from(ENOUGH | absent | {"GATEWAY_BROKER_PASSWORD": "x"})
