"""Promise: signatures are the specification's, waits have bounds, private places are left alone."""

import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.webhooks.addresses import find_mistake, is_allowed, read_networks
from api.webhooks.retries import RetrySettings, judge_failure
from api.webhooks.sender import _describe, _judge
from api.webhooks.signing import make_secret, sign, write_secret
from tests.webhook_verifier import NotGenuineError, verify

AT = datetime(2026, 3, 16, 8, 30, tzinfo=UTC)
SETTINGS = RetrySettings()


@given(body=st.binary(max_size=200), number=st.integers(1, 2**63 - 1), rotations=st.integers(1, 4))
def test_whoever_has_a_secret_in_force_can_verify(body: bytes, number: int, rotations: int) -> None:
    secrets = [make_secret() for _ in range(rotations)]
    headers = sign(secrets, message_id=f"evt_1_{number}", at=AT, body=body)

    for secret in secrets:
        found = verify(write_secret(secret), headers, body, now_s=AT.timestamp())
        assert found == f"evt_1_{number}"
    with pytest.raises(NotGenuineError):
        verify(write_secret(make_secret()), headers, body, now_s=AT.timestamp())
    with pytest.raises(NotGenuineError):
        verify(write_secret(secrets[0]), headers, body, now_s=AT.timestamp() + 301)


def test_a_known_signature_is_made() -> None:
    """By `openssl dgst -sha256 -hmac` over the same content, apart from any code of ours."""
    headers = sign([b"0" * 32], message_id="evt_1_2", at=AT, body=b'{"number" : 2}')

    assert headers == {
        "webhook-id": "evt_1_2",
        "webhook-timestamp": "1773649800",
        "webhook-signature": "v1,mIPgTvXyvs879+hS9GkbxK2AhRSHapVIQSCHVQ3Xh2I=",
    }


@given(
    failures=st.integers(1, 10**9),
    dice=st.floats(0, 1, exclude_max=True),
    asked_s=st.none() | st.floats(0, 10**9),
)
def test_a_wait_is_never_longer_than_what_is_allowed(
    failures: int, dice: float, asked_s: float | None
) -> None:
    verdict = judge_failure(
        SETTINGS, failures=failures, failing_since=AT, at=AT, asked_s=asked_s, dice=dice
    )
    wait_s = (verdict.next_at - AT).total_seconds()

    assert 2.5 <= wait_s <= max(1_800, min(asked_s or 0, 3_600))
    assert not verdict.parked


@pytest.mark.parametrize(
    ("hours", "parked"), [(71.9, False), (72, True), (1_000, True)], ids=["just-before", "at", "on"]
)
def test_patience_ends_after_three_days(hours: float, *, parked: bool) -> None:
    since = AT - timedelta(hours=hours)
    verdict = judge_failure(
        SETTINGS, failures=150, failing_since=since, at=AT, asked_s=None, dice=0.5
    )

    assert verdict.parked == parked


def test_by_default_it_is_tried_some_two_hundred_times() -> None:
    at, failures, parked = AT, 0, False
    while not parked:
        failures += 1
        verdict = judge_failure(
            SETTINGS, failures=failures, failing_since=AT, at=at, asked_s=None, dice=0.5
        )
        at, parked = verdict.next_at, verdict.parked

    assert 180 < failures < 220


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("0.0.0.1", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("2002:7f00:1::", "2002:a00:1::1"),
        *("fec0::1", "feff::1", "192.88.99.1", "::ffff:192.88.99.1", "3fff::1", "3fff:fff::1"),
    ],
)
def test_what_is_not_public_is_not_gone_to(address: str) -> None:
    assert not is_allowed(ip_address(address), [])


@pytest.mark.parametrize("address", ["8.8.8.8", "192.88.98.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_what_is_public_is(address: str) -> None:
    assert is_allowed(ip_address(address), [])


def test_what_the_operator_allows_is_gone_to_and_its_neighbours_are_not() -> None:
    allowed = read_networks(["10.1.0.0/16", "fd00:1::/32"])

    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd00:1::5"):
        assert is_allowed(ip_address(address), allowed)
    for address in ("10.2.0.1", "fd00:2::5", "127.0.0.1"):
        assert not is_allowed(ip_address(address), allowed)


@pytest.mark.parametrize(
    "url",
    [
        *("", "hooks.example.org", "ftp://hooks.example.org", "https://", "https:///path"),
        *("http://hooks.example.org", "https://user:word@hooks.example.org", "https://h/#part"),
        *("https://127.0.0.1/", "https://[::1]/", "https://192.168.0.9:8443/", "javascript:1"),
        *("https://h:99999/", "https://h\n/", "https://[::ffff:10.0.0.1]/"),
        *("https://2130706433/", "https://0x7f.1/", "https://017700000001/", "https://a b/"),
    ],
)
def test_an_address_that_cannot_be_is_named_at_once(url: str) -> None:
    assert find_mistake(url, [])


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/a?b=c",
        "https://8.8.8.8:8443/",
        "HTTPS://Hooks.Example",
        "https://例子.测试/",
    ],
)
def test_an_address_that_can_be_is_taken(url: str) -> None:
    assert find_mistake(url, []) is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "DNS"),
        (httpx.ConnectError("refused"), "cannot be connected to"),
        (httpx.ReadError("secret"), "broken off: ReadError"),
    ],
)
def test_a_failure_is_told_in_words_that_its_owner_can_act_on(wrong: Exception, words: str) -> None:
    assert words in _describe(wrong)
    assert "secret" not in _describe(wrong)


def test_of_a_redirect_it_is_told_that_nobody_follows_it() -> None:
    assert "not followed" in str(_judge(httpx.Response(302)).problem)
    assert _judge(httpx.Response(503)).problem == "answered 503"
