"""No request may send more than a little: a body is read into memory before it is judged."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TOO_LARGE = 413


class BodyLimit:
    """Middleware that refuses a body above ``bytes_max`` as soon as that many have come."""

    def __init__(
        self, app: ASGIApp, *, bytes_max: int, streams: frozenset[str] = frozenset()
    ) -> None:
        """Of ``streams``, addresses that read line by line, only a line has a bound, of its own."""
        self._app = app
        self._streams = streams
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["path"] in self._streams:
            await self._app(scope, receive, send)
            return
        seen = 0

        async def receive_some() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._bytes_max:
                detail = f"the body is larger than {self._bytes_max} bytes"
                raise HTTPException(_TOO_LARGE, detail)
            return message

        await self._app(scope, receive_some, send)
