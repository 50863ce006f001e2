"""An OIDC provider that is strict about codes: each good once, for whom it was asked."""

import asyncio
import base64
import hashlib
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gateway.wire.times import utc_now
from tests.tokens import ISSUER, Signer

CLIENT = "suifang-console"


@dataclass
class Provider:
    """Who signs in here is whoever ``claims`` says."""

    address: str
    signer: Signer = field(default_factory=Signer)
    claims: dict[str, Any] = field(default_factory=dict)
    token_status: int = 200
    secret: str | None = None  # Of the console; None: it needs none.
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    async def authorize(self, request: Request) -> Response:
        """The page where one says who one is."""
        asked = dict(request.query_params)
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"], "iss": ISSUER})
        link = f'<a id="allow" href="{asked["redirect_uri"]}?{back}">allow</a>'
        return HTMLResponse(f'<link rel="icon" href="data:,">{link}')

    async def token(self, request: Request) -> Response:
        """A token for a code."""
        given = {k: v[-1] for k, v in parse_qs((await request.body()).decode()).items()}
        asked = self.codes.pop(given.get("code", ""), None)
        if self.token_status != 200:
            return JSONResponse({"error": "server_error"}, status_code=self.token_status)
        said = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic "))
        if self.secret is not None and said.decode() != f"{CLIENT}:{self.secret}":
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or asked["code_challenge_method"] != "S256"
            or asked["code_challenge"] != base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            or (given["client_id"], asked["client_id"]) != (CLIENT, CLIENT)
            or given["redirect_uri"] != asked["redirect_uri"]
        ):
            self.refused.append(given.get("code", ""))
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        at = int(utc_now().timestamp())
        claims = self.signer.claims(**{"iat": at - 1, "exp": at + 3_600, **self.claims})
        return JSONResponse({"access_token": self.signer.sign(claims), "token_type": "Bearer"})


@asynccontextmanager
async def a_provider() -> AsyncIterator[Provider]:
    """A running one, at another site than the console: ``localhost`` is not ``127.0.0.1``."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        provider = Provider(f"http://localhost:{listening.getsockname()[1]}")
        app = Starlette(
            routes=[
                Route("/authorize", provider.authorize),
                Route("/token", provider.token, methods=["POST"]),
            ]
        )
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        async with running(server, listening):
            yield provider


@asynccontextmanager
async def running(server: uvicorn.Server, listening: socket.socket) -> AsyncIterator[None]:
    """A server in this loop, ended at the end."""
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(sockets=[listening]), name="provider")
        try:
            yield
        finally:
            server.should_exit = True
            await serving
