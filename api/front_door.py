"""What every request passes and every response carries, before and after any route.

Too many, too long and too large are refused here, as problem+json, before anything is read. It
must never log an address or read a body itself. Invariants: every response has the security
headers, also those of errors and of addresses that do not exist; answers of an operation that is to
go have also those that say so.
"""

from collections import Counter
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.deprecation import headers_of
from api.document import list_single
from api.errors import (
    AddressTooLongError,
    ApiError,
    BadParameterError,
    TooLargeError,
    UnsupportedContentError,
)
from api.headers import HEADERS
from api.limits import Limiter, LimitSettings
from api.problems import answer_problem
from api.remedies import cut

_HSTS: Final = "max-age=31536000; includeSubDomains"
# As ASGI wants them: this is done for every response, and a class for it costs 25 µs.
_OURS: Final = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_OURS_BY_TLS: Final = [*_OURS, (b"strict-transport-security", _HSTS.encode())]


def address_of(scope: Scope) -> str:
    """The client's address as the server knows it; empty when it does not."""
    client = scope.get("client")
    return "" if client is None else str(client[0])


class HeadAsGet:
    """ASGI middleware, outermost: HEAD is answered as GET; the server leaves the body out.

    For those who watch an address. Not where an answer has no end: nothing would end it.
    """

    def __init__(self, app: ASGIApp, *, endless: frozenset[str]) -> None:
        self._app = app
        self._endless = endless

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. The server's own scope keeps its method: by that it knows what to leave."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        if is_head and scope["path"] not in self._endless:
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


class FrontDoor:
    """ASGI middleware; the outermost but for Starlette's own error page."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: LimitSettings,
        limiter: Limiter,
        streams: frozenset[str] = frozenset(),
    ) -> None:
        """Of ``streams``, addresses that read line by line, only a line has a bound, of its own."""
        self._app = app
        self._streams = streams
        self._limits = limits
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Nothing is buffered: bodies are counted as they pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                ours = _OURS_BY_TLS if scope["scheme"] == "https" else _OURS
                missing = [header for header in ours if header[0] not in given]
                going = headers_of(scope.get("route"))
                message["headers"] = [*message["headers"], *missing, *going]
            await send(message)

        try:
            bytes_max = self._admit(scope)
        except ApiError as refused:
            response = answer_problem(Request(scope), refused)
            await response(scope, receive, send_with_headers)
            return
        counted = receive if bytes_max is None else _counted(receive, bytes_max)
        await self._app(scope, counted, send_with_headers)

    def _admit(self, scope: Scope) -> int | None:
        """How many bytes its body may have; None: a stream. Raises what it is refused for."""
        self._limiter.take_from(address_of(scope))
        length = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if length > self._limits.address_bytes_max:
            msg = f"the address has {length} bytes; at most {self._limits.address_bytes_max}"
            raise AddressTooLongError(msg)
        _require_once(scope)
        headers = Headers(scope=scope)
        coding = headers.get("content-encoding", "identity")
        if coding.lower() != "identity":
            msg = f"Content-Encoding {cut(coding)!r} is not taken: send the body as it is"
            raise UnsupportedContentError(msg)
        if scope["path"] in self._streams:
            return None
        bytes_max = self._limits.body_bytes_max
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > bytes_max:
            raise TooLargeError(_too_large(bytes_max))
        return bytes_max


def _require_once(scope: Scope) -> None:
    """Refuse a parameter that is given twice where one counts: the other would be ignored.

    ``?team=a&team=b`` would be answered as if only one of the two had been asked for.
    """
    parts = scope["query_string"].split(b"&")
    if len(parts) == 1 or len({part.partition(b"=")[0] for part in parts}) == len(parts):
        return
    given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    times = Counter(name for name, _ in given)
    single = list_single(scope["app"].openapi(), scope["path"], scope["method"])
    for name, value in given:
        if times[name] > 1 and name in single:
            raise BadParameterError(field=name, value=value, remedy="may be given once only")


def _counted(receive: Receive, bytes_max: int) -> Receive:
    """The same messages; refused once they hold more than they may, whatever was declared."""
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > bytes_max:
            raise HTTPException(TooLargeError.status, _too_large(bytes_max))
        return message

    return counting


def _too_large(bytes_max: int) -> str:
    return f"the body has more than {bytes_max} bytes; send less at once"
