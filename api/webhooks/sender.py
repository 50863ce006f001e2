"""One attempt: a signed POST to a checked address, and what came of it.

It must never follow a redirect, use a proxy, send a cookie, read more of an answer than a few
kilobytes, or take longer than it may, whatever the receiver does. An answer counts by its status
alone. Invariant: the host is looked up once, and only the address that was checked is connected to.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from api.webhooks.addresses import ForbiddenAddressError, Network, Resolver, pin

_GONE: Final = 410
_ANSWER_BYTES_MAX: Final = 16_384  # Read so that the connection can be used again; never kept.
_DRAIN_S_MAX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt; ``problem`` is empty if it succeeded, and never quotes a body."""

    problem: str = ""
    gone: bool = False
    retry_after_s: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether the receiver has it."""
        return not self.problem


def make_tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Verifies receivers by the system's authorities, and by one more if given."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


class Sender:
    """Sends to one receiver; open it by ``open_sender``."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        allowed: list[Network],
        resolver: Resolver,
        answer_s_max: float,
    ) -> None:
        self._client = client
        self._url = httpx.URL(url)
        self._allowed = allowed
        self._resolver = resolver
        self._answer_s_max = answer_s_max

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One attempt, over within ``answer_s_max``. Cancellation closes the connection."""
        try:
            async with asyncio.timeout(self._answer_s_max):
                return await self._post(body, headers)
        except TimeoutError:
            return Answer(f"no answer within {self._answer_s_max:g} s")
        except ForbiddenAddressError as error:
            return Answer(str(error))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            return Answer(_describe(error))

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        address, tls = await pin(self._url, self._allowed, self._resolver)
        sent = {
            **headers,
            "host": self._url.netloc.decode("ascii"),
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": "Suifang-Webhooks",
        }
        async with self._client.stream(
            "POST", address, content=body, headers=sent, extensions=tls
        ) as response:
            answer = _judge(response)
            with contextlib.suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(_DRAIN_S_MAX):
                    await _drain(response)
        return answer


async def _drain(response: httpx.Response) -> None:
    read = 0
    async for piece in response.aiter_raw():
        read += len(piece)
        if read > _ANSWER_BYTES_MAX:
            return


def _judge(response: httpx.Response) -> Answer:
    if response.is_success:
        return Answer()
    told = response.headers.get("retry-after", "")
    asked_s = float(told) if told.isascii() and told.isdigit() and len(told) < 10 else None  # noqa: PLR2004 - no date
    return Answer(
        f"answered {response.status_code}"
        f"{', and redirects are not followed' if response.is_redirect else ''}",
        gone=response.status_code == _GONE,
        retry_after_s=asked_s,
    )


def _describe(error: Exception) -> str:
    """Which kind of failure; the words of a library may hold what the receiver sent."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"certificate refused: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, socket.gaierror):
        return "the name of the host means no address (DNS)"
    if isinstance(error, httpx.ConnectError):
        return "cannot be connected to"
    return f"broken off: {type(error).__name__}"


@asynccontextmanager
async def open_sender(
    url: str,
    *,
    tls: ssl.SSLContext,
    allowed: list[Network],
    resolver: Resolver,
    answer_s_max: float,
) -> AsyncIterator[Sender]:
    """One receiver's connection, which nobody else's requests ever use."""
    async with httpx.AsyncClient(
        verify=tls,
        trust_env=False,
        follow_redirects=False,
        timeout=answer_s_max,
        limits=httpx.Limits(max_connections=1),
    ) as client:
        yield Sender(client, url, allowed, resolver, answer_s_max)
