"""``suifang gateway selftest`` finds what is broken, and disturbs nothing that works."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cryptography import x509

from api.enrolment.authority import Authority, Revoked, to_pem
from gateway.counters import read_counters
from gateway.runtime import Gateway
from gateway.settings import GatewaySettings
from gateway.wire.times import utc_now
from tests.certificates import an_identity
from tests.fix_broker import TestBroker
from tests.integration.gateway_bench import fresh_settings, say
from tests.integration.test_gateway_operations import an_operator, hear, topic_of

ROOT = Path(__file__).parents[2]
BROKER = ("broker name", "broker line", "broker TLS", "broker login", "broker reading")


@pytest.fixture
def settings(broker: TestBroker, tmp_path: Path) -> GatewaySettings:
    """A gateway that nobody else uses."""
    return fresh_settings(broker, tmp_path)


async def selftest(settings: GatewaySettings) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run it as a command; its exit code, and the steps by name."""
    environment = {
        "PATH": os.environ["PATH"],
        "GATEWAY_ID": settings.id,
        "GATEWAY_CENTRE": settings.centre,
        "GATEWAY_BROKER_HOST": settings.broker_host,
        "GATEWAY_BROKER_PORT": str(settings.broker_port),
        "GATEWAY_BROKER_PASSWORD": settings.broker_password or "",
        "GATEWAY_SPOOL": str(settings.spool),
        "GATEWAY_LISTEN_PORT": str(settings.listen_port),
        "GATEWAY_TLS_IDENTITY_DIRECTORY": str(settings.tls_identity_directory or ""),
        "GATEWAY_CONNECT_S_MAX": "10",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "selftest", "--json"),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert err == b""
    said = json.loads(out)
    code = process.returncode
    assert code is not None
    assert said["good"] == (code == 0)
    return code, {step["step"]: step for step in said["steps"]}


def verdicts(steps: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: step["verdict"] for name, step in steps.items() if name.startswith("broker")}


async def test_a_good_box_passes_and_nothing_is_left_behind(settings: GatewaySettings) -> None:
    code, steps = await selftest(settings)

    assert code == 0, steps
    assert verdicts(steps) == dict.fromkeys(BROKER, "good") | {
        "broker TLS": "doubtful",
        "broker writing": "good",
        "broker echo": "good",
    }
    assert (steps["spool"]["verdict"], steps["terminals"]["verdict"]) == ("good", "good")
    assert list(settings.spool.parent.iterdir()) == []


async def test_a_wrong_password_is_found_at_the_login(settings: GatewaySettings) -> None:
    code, steps = await selftest(replace(settings, broker_password="wrong"))

    assert code == 1
    assert verdicts(steps)["broker login"] == "bad"
    assert "password" in steps["broker login"]["remedy"]
    assert "broker reading" not in steps


async def test_a_name_and_a_port_that_are_not_there_are_told_apart(
    settings: GatewaySettings,
) -> None:
    _, steps = await selftest(replace(settings, broker_port=1))
    assert (steps["broker name"]["verdict"], steps["broker line"]["verdict"]) == ("good", "bad")


async def test_a_port_that_something_else_has_is_found(settings: GatewaySettings) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        taken = server.sockets[0].getsockname()[1]
        code, steps = await selftest(replace(settings, listen_port=taken))

    assert (code, steps["terminals"]["verdict"]) == (1, "bad")


async def test_a_running_gateway_is_not_disturbed(
    broker: TestBroker, settings: GatewaySettings
) -> None:
    async with Gateway(settings, utc_now), an_operator(broker, settings) as operator:
        while not (await hear(operator)).online:
            pass

        code, steps = await selftest(settings)

        assert code == 0
        assert "runs as process" in steps["gateway"]["found"]
        assert steps["broker session"]["verdict"] == "good"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    assert (await hear(operator)).online


async def test_a_receipt_that_waits_at_the_broker_is_left_for_the_gateway(
    broker: TestBroker, settings: GatewaySettings
) -> None:
    async with (
        aiomqtt.Client(
            broker.host,
            broker.port,
            username="ingest",
            password=broker.password_of("ingest"),
            protocol=aiomqtt.ProtocolVersion.V5,
        ) as ingest,
    ):
        await ingest.subscribe(topic_of(settings, "readings"), qos=1)
        async with Gateway(settings, utc_now) as gateway:
            await say(gateway.address, 0, 1)
            async with asyncio.timeout(20):
                message = await anext(aiter(ingest.messages))
        assert isinstance(message.payload, bytes)
        counts = {"stored": 1, "duplicate": 0, "quarantined": []}
        receipt = {"receipts": [{"batch": json.loads(message.payload)["batch"], **counts}]}
        await ingest.publish(topic_of(settings, "receipts"), json.dumps(receipt), qos=1)

    code, steps = await selftest(settings)
    assert code == 0
    assert steps["readings"]["found"].startswith("1 wait")

    async with Gateway(settings, utc_now) as gateway, asyncio.timeout(20):
        while gateway.waiting_rows:  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.02)
    counters = await asyncio.to_thread(read_counters, settings.spool)
    assert (counters.confirmed_stored, counters.batches_resent) == (1, 0)


def with_tls(broker: TestBroker, settings: GatewaySettings, folder: Path) -> GatewaySettings:
    """The same box, enrolled at an authority of the test's choice."""
    return replace(
        settings,
        broker_password=None,
        broker_port=broker.stack.broker_tls_port,
        tls_identity_directory=folder,
    )


async def test_an_enrolled_box_passes_over_tls(
    broker: TestBroker, settings: GatewaySettings, tmp_path: Path
) -> None:
    folder = an_identity(tmp_path, broker.stack.authority.load(), settings.id)

    code, steps = await selftest(with_tls(broker, settings, folder))

    assert code == 0, steps
    assert set(verdicts(steps).values()) == {"good"}
    assert steps["broker TLS"]["found"].startswith("TLSv1.")


async def test_the_certificate_of_another_gateway_is_found_by_what_it_may_not_do(
    broker: TestBroker, settings: GatewaySettings, tmp_path: Path
) -> None:
    folder = an_identity(tmp_path, broker.stack.authority.load(), f"{settings.id}-other")

    code, steps = await selftest(with_tls(broker, settings, folder))

    assert code == 1
    assert steps["broker login"]["verdict"] == "good"
    assert steps["broker writing"]["verdict"] == "bad"
    assert "access rules" in steps["broker writing"]["remedy"]


async def test_a_revoked_certificate_is_found_at_the_login(
    broker: TestBroker, settings: GatewaySettings, tmp_path: Path
) -> None:
    authority, now = broker.stack.authority.load(), utc_now()
    folder = an_identity(tmp_path, authority, settings.id)
    serial = x509.load_pem_x509_certificate((folder / "identity.pem").read_bytes()).serial_number
    crl = authority.sign_crl([Revoked(serial, now)], number=11, at=now)
    await asyncio.to_thread(broker.stack.set_revocations, to_pem(crl))

    code, steps = await selftest(with_tls(broker, settings, folder))

    assert code == 1
    assert "bad" in {verdicts(steps).get(name) for name in ("broker TLS", "broker login")}
    assert "enrol" in str(steps)


async def test_a_broker_of_another_authority_is_found_at_tls(
    broker: TestBroker, settings: GatewaySettings, tmp_path: Path
) -> None:
    stranger = Authority.make("stranger", at=utc_now())
    folder = an_identity(tmp_path, stranger, settings.id)

    code, steps = await selftest(with_tls(broker, settings, folder))

    assert (code, steps["broker TLS"]["verdict"]) == (1, "bad")
    assert "broker login" not in steps
