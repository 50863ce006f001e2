"""The broker of a server, laid as docs/operations.md and workers.conf say: who comes in where.

A real Mosquitto on the shipped files; only folders and ports are others. Gateways come by their
certificate, our processes on other machines by TLS and their password, and nobody else.
"""

import asyncio
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import yaml
from pydantic import SecretStr

from api.enrolment.authority import Authority, to_pem
from deploy.credential_folder import CredentialFolder
from deploy.doctor import broker as doctor
from deploy.doctor.findings import Verdict
from deploy.embedded.programs import find_broker
from deploy.embedded.stack import Stack
from deploy.pki.folder import AuthorityFolder
from gateway.wire.times import utc_now
from ingest.settings import BrokerSettings, IngestSettings
from tests.certificates import a_context, an_identity
from tests.fix_ports import free_port
from tests.fix_prometheus import ROOT

SHIPPED = ROOT / "deploy" / "mosquitto"
V5 = aiomqtt.ProtocolVersion.V5
PLAIN, GATEWAYS, WORKERS = 1883, 8883, 8884


@dataclass(frozen=True)
class Server:
    """The running broker and what belongs to it."""

    folder: Path
    ports: dict[int, int]  # By the shipped one.
    credentials: CredentialFolder
    authority: Authority

    def client(self, listener: int, **options: Any) -> aiomqtt.Client:  # noqa: ANN401 - as they are
        """Whoever the options say."""
        given: dict[str, Any] = {"protocol": V5, "timeout": 20, **options}
        return aiomqtt.Client("127.0.0.1", self.ports[listener], **given)

    def ingest(self, listener: int = WORKERS, **options: Any) -> aiomqtt.Client:  # noqa: ANN401 - likewise
        """As ingest elsewhere comes in."""
        password = self.credentials.read("INGEST_BROKER_PASSWORD")
        context = ssl.create_default_context(cafile=self.folder / "tls" / "ca.pem")
        given = {"username": "ingest", "password": password, "tls_context": context, **options}
        return self.client(listener, **given)


def _lay(folder: Path) -> tuple[dict[int, int], CredentialFolder, Authority]:
    """The files of sections 2 and 4 of the guide, and the listener for workers."""
    ports = {listener: free_port() for listener in (PLAIN, GATEWAYS, WORKERS)}
    places = {"/etc/mosquitto/": f"{folder}/", "/var/lib/mosquitto/": f"{folder}/data/"}
    for name in ("server.conf", "mosquitto.conf", "tls.conf", "workers.conf", "acl"):
        text = (SHIPPED / name).read_text("utf-8")
        text = text.replace(" /mosquitto/tls/", f" {folder}/tls/")  # As sed does in the guide.
        for before, after in places.items():
            text = text.replace(before, after)
        text = text.replace(f"listener {PLAIN} ", f"listener {ports[PLAIN]} ")
        for listener in (GATEWAYS, WORKERS):
            text = text.replace(f"listener {listener}\n", f"listener {ports[listener]} 127.0.0.1\n")
        if name == "server.conf" and os.geteuid() == 0:
            text += "user root\n"  # The test's folders are root's.
        own = {"server.conf": folder / "mosquitto.conf", "acl": folder / "acl"}
        (folder / "conf.d").mkdir(exist_ok=True)
        (own.get(name) or folder / "conf.d" / name).write_text(text, "utf-8")
    (folder / "acl").chmod(0o600)
    (folder / "data").mkdir()
    credentials = CredentialFolder(folder / "credentials")
    credentials.make(host="127.0.0.1", port=5432, database="suifang", at=utc_now())
    credentials.write_broker_users(folder / "passwords")
    return ports, credentials, _lay_certificates(folder)


def _lay_certificates(folder: Path) -> Authority:
    at = utc_now()
    pki = AuthorityFolder(folder / "pki")
    authority = pki.make("Suifang test", at=at)
    made = pki.make_server(["localhost", "127.0.0.1"], at=at)
    tls = folder / "tls"
    tls.mkdir()
    (tls / "ca.pem").write_text(authority.certificate_pem)
    (tls / "server.pem").write_text(made.certificate)
    (tls / "server.key").write_text(made.key)
    (tls / "crl.pem").write_text(to_pem(authority.sign_crl((), number=0, at=at)))
    return authority


@pytest.fixture(scope="module")
def server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mosquitto")
    found = Server(folder, *_lay(folder))
    program = find_broker(stack._layout()).server
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, "-c", folder / "mosquitto.conf"], stdout=output, stderr=output
        )
    try:
        _await_listeners(found, process, log)
        yield found
    finally:
        process.terminate()
        process.wait(timeout=60)


def _await_listeners(server: Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline_s = time.monotonic() + 120
    for port in server.ports.values():
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except OSError:
                text = log.read_text("utf-8")
                assert process.poll() is None, text
                assert time.monotonic() < deadline_s, text
                time.sleep(0.05)


async def test_ingest_on_another_machine_comes_in_by_tls_and_password_and_hears_a_gateway(
    server: Server, tmp_path: Path
) -> None:
    gateway = a_context(an_identity(tmp_path, server.authority, "gw-1"))
    topic = "suifang/v1/east/gw-1/readings"
    async with server.ingest() as ingest, server.client(GATEWAYS, tls_context=gateway) as box:
        await ingest.subscribe("suifang/v1/+/+/readings", qos=1)
        await box.publish(topic, b"one", qos=1)
        message = await anext(aiter(ingest.messages))
        assert (message.topic.value, message.payload) == (topic, b"one")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"password": "wrong"}, id="wrong-password"),
        pytest.param({"username": None, "password": None}, id="nobody"),
        pytest.param({"username": "gw-1", "password": None}, id="a-name-alone"),
        pytest.param({"tls_context": None}, id="no-tls"),
    ],
)
async def test_nobody_else_comes_in_where_workers_do(
    server: Server, options: dict[str, Any]
) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with server.ingest(**options):
            pass


async def test_a_gateways_certificate_opens_its_own_listener_only_and_no_password_opens_that(
    server: Server, tmp_path: Path
) -> None:
    gateway = a_context(an_identity(tmp_path, server.authority, "gw-2"))
    with pytest.raises(aiomqtt.MqttError):
        async with server.client(WORKERS, tls_context=gateway):
            pass
    with pytest.raises(aiomqtt.MqttError):
        async with server.ingest(GATEWAYS):
            pass


async def test_a_worker_refuses_a_broker_that_another_authority_vouches_for(
    server: Server, tmp_path: Path
) -> None:
    stranger = Authority.make("Somebody else", at=utc_now() - timedelta(days=1), days=30)
    (tmp_path / "ca.pem").write_text(stranger.certificate_pem)
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", server.ports[WORKERS], ssl=context)


def test_the_doctor_finds_nothing_wrong_with_these_files_nor_with_the_way_in(
    server: Server,
) -> None:
    settings = IngestSettings(
        db_dsn=SecretStr("postgresql:///nowhere"),
        broker_password=SecretStr(server.credentials.read("INGEST_BROKER_PASSWORD")),
        broker=BrokerSettings(
            host="127.0.0.1",
            port=server.ports[WORKERS],
            ca_file=server.folder / "tls" / "ca.pem",
        ),
    )
    found = [
        *doctor.check_session(settings),
        *doctor.check_configuration(server.folder / "mosquitto.conf"),
    ]
    assert [each for each in found if each.verdict is not Verdict.OK] == []
    assert sum(each.check == "listener" for each in found) == 3


def test_kubernetes_asks_for_this_listener() -> None:
    base = ROOT / "deploy" / "kubernetes" / "base"
    text = (SHIPPED / "workers.conf").read_text("utf-8")
    literals = yaml.safe_load((base / "kustomization.yaml").read_text("utf-8"))
    (generated,) = literals["configMapGenerator"]
    policies = yaml.safe_load_all((base / "network.yaml").read_text("utf-8"))
    (policy,) = [each for each in policies if each["metadata"]["name"] == "broker"]

    assert f"\nlistener {WORKERS}\n" in text
    assert f"INGEST_BROKER__PORT={WORKERS}" in generated["literals"]
    assert policy["spec"]["egress"][0]["ports"] == [{"protocol": "TCP", "port": WORKERS}]
