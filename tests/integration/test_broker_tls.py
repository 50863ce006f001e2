"""Only a gateway with a good certificate comes in, and it can be nobody but itself.

An enrolled gateway is not trusted either: whatever it says in CONNECT, subscribes to or
publishes, it cannot speak as another, hear another, throw another out, or take what ingest
should get.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiomqtt
import pytest

from api.enrolment.authority import Authority, AuthorityError, Revoked, to_pem
from deploy.embedded.stack import Stack
from gateway.wire.times import utc_now
from tests.certificates import (
    DAY,
    a_context,
    a_key,
    an_identity,
    valid_between,
    write_identity,
)
from tests.fix_broker import TestBroker

ANSWER_S_MAX = 5.0
V5 = aiomqtt.ProtocolVersion.V5
CONNACK = b"\x20\x02\x00\x00"  # Accepted (MQTT 3.1.1, 3.2).


@pytest.fixture(scope="module")
def authority(stack: Stack) -> Authority:
    """The stack's own."""
    return stack.authority.load()


@pytest.fixture
def names() -> tuple[str, str]:
    """Two gateways that no other test knows."""
    return f"good-{uuid4().hex[:8]}", f"evil-{uuid4().hex[:8]}"


def connect(
    stack: Stack,
    context: ssl.SSLContext | None,
    **options: Any,  # noqa: ANN401 - passed on as they are
) -> aiomqtt.Client:
    given: dict[str, Any] = {"protocol": V5, "timeout": ANSWER_S_MAX, **options}
    return aiomqtt.Client(stack.broker_host, stack.broker_tls_port, tls_context=context, **given)


@asynccontextmanager
async def as_user(broker: TestBroker, user: str = "ingest") -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        username=user,
        password=broker.password_of(user),
        protocol=V5,
        timeout=ANSWER_S_MAX,
    ) as client:
        yield client


async def hear(client: aiomqtt.Client) -> tuple[str, bytes]:
    async with asyncio.timeout(ANSWER_S_MAX):
        message = await anext(aiter(client.messages))
    assert isinstance(message.payload, bytes)
    return message.topic.value, message.payload


async def is_refused(
    stack: Stack, context: ssl.SSLContext | None, *, will: str = "", login: Sequence[str] = ()
) -> bool:
    """Whether a CONNECT is answered by a closed line. With TLS 1.3 that follows the handshake.

    The line is then cut without a goodbye, so a last will is published.
    """
    fields = ["knocking", *([will, f"will for {will}"] if will else []), *login]
    flags = 0x02 | (0x0C if will else 0) | (0xC0 if login else 0)
    packet = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x3c"
    packet += b"".join(len(each).to_bytes(2, "big") + each.encode() for each in fields)
    assert len(packet) < 128
    writer = None
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            reader, writer = await asyncio.open_connection(
                stack.broker_host, stack.broker_tls_port, ssl=context
            )
            writer.write(b"\x10" + bytes([len(packet)]) + packet)
            answer = await reader.read(4)
    except OSError:
        return True
    finally:
        if writer is not None:
            writer.transport.abort()
    assert answer in {b"", CONNACK}
    return answer == b""


# --- who comes in --------------------------------------------------------------------------------


async def test_a_certificate_of_the_authority_is_enough(
    stack: Stack, authority: Authority, tmp_path: Path
) -> None:
    context = a_context(an_identity(tmp_path, authority, "fine-gateway"))

    assert not await is_refused(stack, context)


Bad = Callable[[Authority, Path], ssl.SSLContext]


def expired(authority: Authority, folder: Path) -> ssl.SSLContext:
    key, now = a_key(), utc_now()
    certificate = valid_between(authority, "late", key, now - 3 * DAY, now - DAY / 24)
    return a_context(write_identity(folder, certificate, key, authority))


def not_yet_valid(authority: Authority, folder: Path) -> ssl.SSLContext:
    key, now = a_key(), utc_now()
    certificate = valid_between(authority, "early", key, now + DAY / 24, now + 3 * DAY)
    return a_context(write_identity(folder, certificate, key, authority))


def of_another_authority(authority: Authority, folder: Path) -> ssl.SSLContext:
    """It even has the same name as ours."""
    name = str(authority.certificate.subject.rdns[0].rfc4514_string()).removeprefix("CN=")
    other = Authority.make(name, at=utc_now())
    trusted = folder / "ours.pem"
    trusted.write_text(authority.certificate_pem)
    return a_context(an_identity(folder, other, "stranger"), authority=trusted)


def self_signed(authority: Authority, folder: Path) -> ssl.SSLContext:
    alone = Authority.make("gw-alone", at=utc_now())
    folder = write_identity(folder, alone.certificate, alone._key, authority)
    return a_context(folder)


def of_a_server(authority: Authority, folder: Path) -> ssl.SSLContext:
    key = a_key()
    certificate = authority.sign_server(["gw-server"], key.public_key(), at=utc_now())
    return a_context(write_identity(folder, certificate, key, authority))


def no_certificate(authority: Authority, folder: Path) -> ssl.SSLContext:
    trusted = folder / "ours.pem"
    trusted.write_text(authority.certificate_pem)
    return ssl.create_default_context(cafile=trusted)


@pytest.mark.parametrize(
    "bad", [expired, not_yet_valid, of_another_authority, self_signed, of_a_server, no_certificate]
)
async def test_any_other_certificate_is_refused(
    stack: Stack, authority: Authority, tmp_path: Path, bad: Bad
) -> None:
    assert await is_refused(stack, bad(authority, tmp_path))


async def test_a_password_does_not_replace_a_certificate(
    stack: Stack, broker: TestBroker, authority: Authority, tmp_path: Path
) -> None:
    password = broker.password_of("ingest")

    assert await is_refused(stack, no_certificate(authority, tmp_path), login=("ingest", password))


async def test_a_plain_connection_to_the_tls_port_is_refused(
    stack: Stack, broker: TestBroker
) -> None:
    assert await is_refused(stack, None, login=("ingest", broker.password_of("ingest")))


async def test_tls_before_1_2_is_refused_and_1_3_is_spoken(
    stack: Stack, authority: Authority, tmp_path: Path
) -> None:
    folder = an_identity(tmp_path, authority, "old-gateway")
    old, new = a_context(folder), a_context(folder)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    new.minimum_version = ssl.TLSVersion.TLSv1_3

    assert await is_refused(stack, old)
    assert not await is_refused(stack, new)


async def test_a_revoked_certificate_is_refused_once_the_broker_has_restarted(
    stack: Stack, authority: Authority, tmp_path: Path
) -> None:
    """Mosquitto 2.0.21 reads the list at its start; its session and the other gateways stay."""
    key, now = a_key(), utc_now()
    lost = authority.sign_gateway("lost-gateway", key.public_key(), at=now)
    context = a_context(write_identity(tmp_path / "lost", lost, key, authority))
    kept = a_context(an_identity(tmp_path, authority, "kept-gateway"))
    assert not await is_refused(stack, context)

    crl = to_pem(authority.sign_crl([Revoked(lost.serial_number, now)], number=1, at=now))
    await asyncio.to_thread(stack.set_revocations, crl)

    assert await is_refused(stack, context)
    assert not await is_refused(stack, kept)


def test_what_is_no_revocation_list_never_reaches_the_broker(stack: Stack) -> None:
    """With a broken list it would not start again."""
    with pytest.raises(ValueError, match=r".+"):
        stack.set_revocations("no list")


# --- what an enrolled gateway can do to others ---------------------------------------------------


@pytest.fixture
async def evil(
    stack: Stack, authority: Authority, names: tuple[str, str], tmp_path: Path
) -> AsyncIterator[aiomqtt.Client]:
    """An enrolled gateway that says in CONNECT that it is the other one."""
    good, name = names
    context = a_context(an_identity(tmp_path, authority, name))
    async with connect(
        stack, context, username=good, password="any", identifier=f"gateway-{good}"
    ) as client:
        yield client


async def test_it_cannot_publish_as_another(
    broker: TestBroker, evil: aiomqtt.Client, names: tuple[str, str]
) -> None:
    good, name = names
    async with as_user(broker, "probe") as probe:
        for channel in ("readings", "backlog", "status", "receipts", "commands"):
            await probe.subscribe(f"suifang/v1/+/{good}/{channel}", qos=1)
            await probe.subscribe(f"suifang/v1/+/{name}/{channel}", qos=1)
        for channel in ("readings", "backlog", "status", "receipts", "commands"):
            await evil.publish(f"suifang/v1/east/{good}/{channel}", b"forged", qos=1)
        await evil.publish(f"suifang/v1/east/{name}/receipts", b"forged", qos=1)
        await evil.publish(f"suifang/v1/east/{name}/readings", b"own", qos=1)

        assert await hear(probe) == (f"suifang/v1/east/{name}/readings", b"own")


@pytest.mark.parametrize("wanted", ["#", "suifang/#", "suifang/v1/+/+/receipts", "exact", "$SYS/#"])
async def test_it_cannot_hear_what_is_for_another(
    broker: TestBroker, evil: aiomqtt.Client, names: tuple[str, str], wanted: str
) -> None:
    good, name = names
    exact = f"suifang/v1/east/{good}/receipts"
    await evil.subscribe(exact if wanted == "exact" else wanted, qos=1)
    await evil.subscribe(f"suifang/v1/east/{name}/receipts", qos=1)
    async with as_user(broker) as ingest:
        for channel in ("receipts", "commands"):
            await ingest.publish(f"suifang/v1/east/{good}/{channel}", b"not yours", qos=1)
        await ingest.publish(f"suifang/v1/east/{name}/receipts", b"yours", qos=1)

        assert await hear(evil) == (f"suifang/v1/east/{name}/receipts", b"yours")


async def test_it_cannot_throw_another_out_under_its_client_id(
    broker: TestBroker, authority: Authority, names: tuple[str, str], tmp_path: Path
) -> None:
    """At the broker a gateway's client id is its certificate's name, whatever it says itself."""
    stack, (good, name) = broker.stack, names
    context = a_context(an_identity(tmp_path, authority, name))
    victims = a_context(an_identity(tmp_path, authority, good))
    async with as_user(broker) as ingest, connect(stack, victims) as victim:
        await victim.subscribe(f"suifang/v1/east/{good}/receipts", qos=1)
        for stolen in (good, f"gateway-{good}", "ingest-0", ""):
            async with connect(stack, context, identifier=stolen, clean_start=True):
                pass

        await ingest.publish(f"suifang/v1/east/{good}/receipts", b"still here", qos=1)
        assert await hear(victim) == (f"suifang/v1/east/{good}/receipts", b"still here")


async def test_its_last_will_cannot_speak_for_another(
    broker: TestBroker, authority: Authority, names: tuple[str, str], tmp_path: Path
) -> None:
    stack, (good, name) = broker.stack, names
    context = a_context(an_identity(tmp_path, authority, name))
    async with as_user(broker) as ingest:
        topics = [f"suifang/v1/e/{owner}/status" for owner in (good, name)]
        for topic in topics:
            await ingest.subscribe(topic, qos=1)
            await is_refused(stack, context, will=topic)

        assert await hear(ingest) == (topics[1], f"will for {topics[1]}".encode())


@pytest.mark.parametrize(
    "name", ["ingest", "probe", "ingest-0", "ingest-0-backlog", "probe-1", "operator"]
)
def test_nobody_gets_a_certificate_in_the_name_of_the_server_side(
    authority: Authority, name: str
) -> None:
    with pytest.raises(AuthorityError, match=name):
        authority.sign_gateway(name, a_key().public_key(), at=utc_now())
