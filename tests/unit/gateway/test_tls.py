"""Nothing is said in clear text to another machine, and no server is believed that is not ours."""

import dataclasses
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from api.enrolment.authority import Authority
from gateway.check import check
from gateway.errors import SettingsError
from gateway.settings import GatewaySettings, settings_from
from gateway.tls import TlsFiles, build_context, is_loopback, load_certificate
from gateway.wire.times import utc_now
from tests.certificates import a_key, an_identity, write_identity

PLAIN = {"GATEWAY_ID": "g1", "GATEWAY_CENTRE": "c1", "GATEWAY_SPOOL": "/tmp/spool"}  # noqa: S108
AWAY = PLAIN | {"GATEWAY_BROKER_HOST": "broker.example"}


def test_plain_text_to_another_machine_needs_an_explicit_word() -> None:
    with pytest.raises(SettingsError, match="GATEWAY_BROKER_PLAIN_ALLOWED"):
        settings_from(AWAY)

    assert settings_from(AWAY | {"GATEWAY_BROKER_PLAIN_ALLOWED": "yes"}).tls is None
    assert settings_from(PLAIN | {"GATEWAY_BROKER_HOST": "127.0.0.1"}).tls is None


def test_an_enrolment_s_folder_is_all_that_tls_needs() -> None:
    settings = settings_from(AWAY | {"GATEWAY_TLS_IDENTITY_DIRECTORY": "/etc/suifang/identity"})

    folder = Path("/etc/suifang/identity")
    assert settings.tls == TlsFiles(folder / "ca.pem", folder / "identity.pem")
    assert settings.broker_port == 8883


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"TLS_CERTIFICATE_FILE": "c"}, "TLS_CERTIFICATE_FILE needs the ca_file"),
        ({"TLS_KEY_FILE": "k", "TLS_CA_FILE": "a"}, "TLS_KEY_FILE needs the certificate_file"),
        ({"TLS_KEY_FILE": "k"}, "TLS_KEY_FILE needs the ca_file"),
        ({"TLS_CA_FILE": "a", "TLS_IDENTITY_DIRECTORY": "d"}, "TLS_CA_FILE and the identity"),
        ({"BROKER_PASSWORD": "p", "TLS_IDENTITY_DIRECTORY": "d"}, "BROKER_PASSWORD is of no use"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=f"GATEWAY_{named}"):
        settings_from(AWAY | {f"GATEWAY_{name}": value for name, value in wrong.items()})


def test_a_password_over_tls_needs_no_certificate() -> None:
    given = {"GATEWAY_TLS_CA_FILE": "/a", "GATEWAY_BROKER_PASSWORD": "p"}

    settings = settings_from(AWAY | given)

    assert settings.tls == TlsFiles(Path("/a"))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("localhost", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("10.0.0.5", False),
        ("0.0.0.0", False),  # noqa: S104 - a name to judge
        ("", False),
    ],
)
def test_loopback_is_this_machine_and_nothing_like_it(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.fixture
def authority() -> Authority:
    return Authority.make("Test authority", at=utc_now())


@pytest.fixture
def folder(authority: Authority, tmp_path: Path) -> Path:
    """An enrolled gateway's."""
    return an_identity(tmp_path, authority, "g1")


def test_a_file_that_is_missing_or_wrong_is_named(folder: Path) -> None:
    files = TlsFiles.of_folder(folder)
    build_context(files)
    for name, path in (("authority", files.authority), ("certificate", folder / "identity.pem")):
        content = path.read_bytes()
        path.write_text("nonsense")
        with pytest.raises(SettingsError, match=re.escape(str(path))):
            build_context(files)
        path.write_bytes(content)
        absent = dataclasses.replace(files, **{name: folder / "absent"})
        with pytest.raises(SettingsError, match="absent"):
            build_context(absent)


def test_a_key_that_others_may_read_is_refused(folder: Path) -> None:
    (folder / "identity.pem").chmod(0o640)

    with pytest.raises(SettingsError, match="chmod 600"):
        build_context(TlsFiles.of_folder(folder))


def test_another_one_s_key_is_refused(authority: Authority, tmp_path: Path) -> None:
    key, other = a_key(), a_key()
    certificate = authority.sign_gateway("g2", key.public_key(), at=utc_now())
    mixed = write_identity(tmp_path / "mixed", certificate, other, authority)

    with pytest.raises(SettingsError, match="enroll"):
        build_context(TlsFiles.of_folder(mixed))


def test_check_finds_a_bad_certificate_before_the_gateway_runs(folder: Path) -> None:
    environment = AWAY | {"GATEWAY_TLS_IDENTITY_DIRECTORY": str(folder)}
    assert check(environment).good

    (folder / "identity.pem").write_text("nonsense")
    report = check(environment)

    (wrong,) = [finding for finding in report.findings if finding.level == "error"]
    assert wrong.problem.name == "GATEWAY_TLS_IDENTITY_DIRECTORY"
    assert "identity.pem" in wrong.problem.detail


@contextmanager
def a_server(context: ssl.SSLContext) -> Iterator[int]:
    """Shakes hands with one client on loopback; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                stream = listening.accept()[0]
                with stream, context.wrap_socket(stream, server_side=True) as wrapped:
                    wrapped.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
    thread.join(5)


def server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "identity.pem")
    return context


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    with (
        a_server(server) as port,
        socket.create_connection(("127.0.0.1", port), 5) as stream,
        client.wrap_socket(stream, server_hostname=host),
    ):
        pass


def a_server_identity(authority: Authority, folder: Path, *names: str) -> ssl.SSLContext:
    key = a_key()
    certificate = authority.sign_server(names, key.public_key(), at=utc_now())
    return server_context(write_identity(folder, certificate, key, authority))


def test_the_broker_is_known_by_its_authority_and_its_name(
    authority: Authority, folder: Path, tmp_path: Path
) -> None:
    server = a_server_identity(authority, tmp_path / "server", "broker.example", "127.0.0.1")
    client = build_context(TlsFiles.of_folder(folder))

    shake_hands(client, server, "broker.example")
    shake_hands(client, server, "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)hostname mismatch"):
        shake_hands(client, server, "elsewhere.example")


def test_a_server_of_another_authority_is_not_believed(folder: Path, tmp_path: Path) -> None:
    other = Authority.make("Test authority", at=utc_now())
    server = a_server_identity(other, tmp_path / "server", "broker.example")

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(build_context(TlsFiles.of_folder(folder)), server, "broker.example")


def test_a_gateway_s_certificate_does_not_make_a_broker(
    authority: Authority, folder: Path, tmp_path: Path
) -> None:
    """Not even when it is named like one."""
    liar = server_context(an_identity(tmp_path, authority, "broker"))

    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)purpose"):
        shake_hands(build_context(TlsFiles.of_folder(folder)), liar, "broker")


def test_a_renewed_certificate_with_a_new_key_is_shown_without_a_new_context(
    authority: Authority, folder: Path
) -> None:
    files = TlsFiles.of_folder(folder)
    context = build_context(files)
    an_identity(folder.parent, authority, folder.name)

    load_certificate(context, files)

    asking = server_context(folder)
    asking.verify_mode = ssl.CERT_REQUIRED
    asking.load_verify_locations(folder / "ca.pem")
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    shake_hands(context, asking, "g1")


def test_settings_keep_the_tls_files_out_of_sight_of_nobody() -> None:
    """They are paths, not secrets; the password stays hidden."""
    settings = GatewaySettings(
        id="g1",
        centre="c1",
        broker_host="localhost",
        spool=Path("s"),
        broker_password="secret",
    )

    assert "secret" not in repr(settings)
