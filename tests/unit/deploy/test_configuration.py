"""The shipped configuration keeps what the rest of Suifang relies on."""

from pathlib import Path

import pytest

from gateway.wire.limits import BATCH_BYTES_MAX

DEPLOY = Path(__file__).parents[3] / "deploy"
# Options that belong to a listener: named before any, they open port 1883 on every interface.
OF_A_LISTENER = {
    *("listener", "port", "bind_address", "max_connections", "max_topic_alias", "mount_point"),
    *("protocol", "socket_domain", "use_username_as_clientid", "use_identity_as_username"),
    *(
        "cafile",
        "certfile",
        "keyfile",
        "require_certificate",
        "http_dir",
        "accept_protocol_versions",
    ),
}


def settings(file: str, separator: str | None = None) -> dict[str, str]:
    """Names and values of a configuration file, comments left out."""
    lines = (line.partition("#")[0].strip() for line in (DEPLOY / file).read_text().splitlines())
    pairs = (line.split(separator, 1) for line in lines if line)
    return {name.strip(): value.strip() for name, value in pairs}


def test_the_shared_broker_file_opens_no_listener() -> None:
    assert not settings("mosquitto/mosquitto.conf").keys() & OF_A_LISTENER


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("allow_anonymous", "false"),
        ("persistence", "true"),
        ("max_queued_messages", "500000"),
        ("max_inflight_messages", "65535"),
        ("max_packet_size", "262144"),
        ("persistent_client_expiration", "14d"),
    ],
)
def test_the_broker_keeps_its_promises(name: str, value: str) -> None:
    assert settings("mosquitto/mosquitto.conf")[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("require_certificate", "true"),
        ("use_identity_as_username", "true"),
        ("use_username_as_clientid", "true"),
        ("tls_version", "tlsv1.2"),
    ],
)
def test_on_the_tls_listener_a_gateway_is_who_its_certificate_says(name: str, value: str) -> None:
    assert settings("mosquitto/tls.conf")[name] == value


def test_the_tls_listener_has_its_list_of_revoked_certificates() -> None:
    found = settings("mosquitto/tls.conf")

    assert {name: found[name] for name in ("cafile", "certfile", "keyfile", "crlfile")} == {
        "cafile": "/mosquitto/tls/ca.pem",
        "certfile": "/mosquitto/tls/server.pem",
        "keyfile": "/mosquitto/tls/server.key",
        "crlfile": "/mosquitto/tls/crl.pem",
    }


def test_a_full_batch_and_its_topic_fit_into_a_packet() -> None:
    packet_bytes_max = int(settings("mosquitto/mosquitto.conf")["max_packet_size"])

    assert packet_bytes_max >= BATCH_BYTES_MAX + 1_024


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("timescaledb.license", "'apache'"),
        ("timescaledb.telemetry_level", "off"),
        ("log_error_verbosity", "terse"),
        ("log_parameter_max_length", "0"),
        ("log_min_error_statement", "panic"),
    ],
)
def test_the_database_loses_nothing_and_tells_nothing(name: str, value: str) -> None:
    assert settings("postgresql/postgresql.conf", "=")[name] == value
