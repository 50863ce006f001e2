"""What every request of the console passes: its cookie becomes the API's bearer token.

The cookie is sent by the browser whoever made the page that asks, so a request that changes
something must come from a page of ours: the browser says so (``Sec-Fetch-Site``; where it does
not, ``Origin``). Beside ``SameSite=Strict`` that is the second lock against forged requests.
It must never let a token into an address, a page or a log. Invariant: from here on the guard of
the API decides, the same as for every other client.

Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet, fetch metadata headers.
"""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE: Final = "suifang_session"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Doorkeeper:
    """ASGI middleware of the console alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] not in _SAFE and not is_of_this_site(headers):
            refused = PlainTextResponse(
                "This request did not come from a page of the console, so nothing was changed. "
                "此请求并非来自本系统页面，未作任何更改。\n",
                status_code=403,
            )
            await refused(scope, receive, send)
            return
        token = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if token and token.isascii() and "authorization" not in headers:
            named = (b"authorization", f"Bearer {token}".encode("ascii"))
            scope = {**scope, "headers": [*scope["headers"], named]}
        await self._app(scope, receive, send)


def is_of_this_site(headers: Headers) -> bool:
    """Whether the browser says that a page of this very host and port asks."""
    said = headers.get("sec-fetch-site")
    if said is not None:
        return said == "same-origin"
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host", "").lower() != ""
