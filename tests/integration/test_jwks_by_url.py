"""The issuer's keys over HTTP, from a real server that also fails, stalls, redirects and lies."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from api.auth.key_set import KeySet
from api.auth.settings import AuthSettings
from api.errors import UnavailableError
from tests.fix_clock import TestClock
from tests.tokens import ISSUER, NOW, Signer

SIGNER = Signer()
Answer = Callable[[BaseHTTPRequestHandler], None]


class Issuer:
    """What the server answers with just now, and how often it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = publishes(SIGNER)
        self.asked: list[str] = []
        self.let_go = threading.Event()


def publishes(signer: Signer) -> Answer:
    return says(signer.jwks())


def says(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


@contextmanager
def serving(issuer: Issuer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            issuer.answer(self)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            issuer.let_go.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def url(issuer: Issuer) -> Iterator[str]:
    with serving(issuer) as address:
        yield address


@pytest.fixture
def time() -> TestClock:
    return TestClock(NOW)


def keys_of(url: str, time: TestClock, ms_max: int = 5_000) -> KeySet:
    settings = AuthSettings(issuer=ISSUER, jwks_url=f"{url}/jwks", jwks_fetch_ms_max=ms_max)
    return KeySet(settings, time)


@pytest.fixture
def keys(url: str, time: TestClock) -> KeySet:
    return keys_of(url, time)


async def test_keys_are_fetched_once_for_many_who_ask_at_once(keys: KeySet, issuer: Issuer) -> None:
    found = await asyncio.gather(*(keys.find(name) for name in ["ec", "rsa"] * 20))

    assert [each and each[0] for each in found] == ["ES256", "RS256"] * 20
    assert issuer.asked == ["/jwks"]


async def test_unknown_ids_do_not_make_it_ask_more_often(keys: KeySet, issuer: Issuer) -> None:
    for number in range(50):
        assert await keys.find(f"guess-{number}") is None

    assert len(issuer.asked) == 1


async def test_a_key_that_was_changed_is_good_and_the_old_one_is_not(
    keys: KeySet, issuer: Issuer, time: TestClock
) -> None:
    first = await keys.find("ec")
    issuer.answer = publishes(Signer())
    time.now += timedelta(seconds=601)

    second = await keys.find("ec")

    assert first is not None
    assert second is not None
    assert first[1].public_numbers() != second[1].public_numbers()
    assert keys.generation == 2


def stalls(issuer: Issuer) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.flush()
        issuer.let_go.wait(20)

    return answer


def breaks_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "5000")
    request.end_headers()
    request.wfile.write(SIGNER.jwks()[:100])


def never_ends(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b" " * 65_536)
    except OSError:
        return


LIES: dict[str, Callable[[Issuer, str], Answer]] = {
    "fails": lambda _, __: says(b"", 500),
    "stalls": lambda issuer, _: stalls(issuer),
    "breaks off": lambda _, __: breaks_off,
    "never ends": lambda _, __: never_ends,
    "is not JSON": lambda _, __: says(b"<html>"),
    "is empty": lambda _, __: says(b'{"keys": []}'),
    "has no signing key": lambda _, __: says(b'{"keys": [{"kty": "oct", "kid": "ec", "k": "AA"}]}'),
    "redirects": lambda _, url: says(b"", 302, Location=f"{url}/elsewhere"),
}


async def find_at_last(keys: KeySet, time: TestClock) -> object:
    """A key of an issuer that is well again; on a busy machine a fetch may be given up."""
    async with asyncio.timeout(20):
        while True:
            time.now += timedelta(seconds=11)
            with suppress(UnavailableError):
                return await keys.find("ec")


@pytest.mark.parametrize("lie", LIES)
async def test_an_answer_that_is_no_key_set_lets_nobody_in_and_forgets_nobody(
    issuer: Issuer, time: TestClock, url: str, lie: str
) -> None:
    keys = keys_of(url, time, 500 if lie == "stalls" else 5_000)  # That one takes all of it.
    wrong = LIES[lie](issuer, url)
    issuer.answer = wrong
    with pytest.raises(UnavailableError):
        await keys.find("ec")

    issuer.answer = publishes(SIGNER)
    good = await find_at_last(keys, time)
    time.now += timedelta(seconds=601)
    issuer.answer = wrong

    assert good is not None
    assert await keys.find("ec") == good  # While the issuer is away, known keys are good.
    assert set(issuer.asked) == {"/jwks"}
    time.now += timedelta(seconds=43_201)
    with pytest.raises(UnavailableError):
        await keys.find("ec")


async def test_an_issuer_that_is_not_there_lets_nobody_in(time: TestClock) -> None:
    issuer = Issuer()
    with serving(issuer) as gone:
        pass
    keys = KeySet(AuthSettings(issuer=ISSUER, jwks_url=gone, jwks_fetch_ms_max=5_000), time)

    with pytest.raises(UnavailableError):
        await keys.find("ec")
