"""The API in this process, as any principal: a token for each request. Used by the tests beside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr

from api.app import create_app
from api.auth.principal import Principal
from api.auth.settings import AuthSettings
from api.limits import LimitSettings
from api.settings import ApiSettings
from gateway.wire.times import Clock
from tests.integration.running_api import running
from tests.tokens import ISSUER, Signer

SIGNER: Final = Signer()
_UNLIMITED: Final = LimitSettings(person_burst=10**6, machine_burst=10**6)


class Desk:
    """Asks as somebody."""

    def __init__(self, client: httpx.AsyncClient, clock: Clock) -> None:
        self.client = client
        self._clock = clock

    async def ask(
        self,
        who: Principal,
        method: str,
        path: str,
        **more: Any,  # noqa: ANN401 - as httpx takes it
    ) -> httpx.Response:
        """One request."""
        at: datetime = self._clock()
        claims = SIGNER.claims(
            sub=who.subject,
            roles=sorted(who.roles),
            teams=sorted(who.team_ids),
            centres=sorted(who.centre_ids),
            iat=int(at.timestamp()),
            exp=int(at.timestamp()) + 300,
        )
        headers = {"Authorization": f"Bearer {SIGNER.sign(claims)}", **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)

    async def get(self, who: Principal, path: str, **asked: Any) -> httpx.Response:  # noqa: ANN401 - parameters of any type
        """One GET, with what it asks."""
        return await self.ask(who, "GET", path, params=asked)


@asynccontextmanager
async def a_desk(dsn: str, clock: Clock, folder: Path, **settings: Any) -> AsyncIterator[Desk]:  # noqa: ANN401 - settings are of any type
    """An API that asks for tokens, on this database."""
    keys = folder / "jwks.json"
    keys.write_bytes(SIGNER.jwks())
    auth = AuthSettings(issuer=ISSUER, jwks_file=keys)
    app = create_app(
        ApiSettings(db_dsn=SecretStr(dsn), auth=auth, limits=_UNLIMITED, **settings), clock
    )
    async with (
        running(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api", timeout=20
        ) as client,
    ):
        yield Desk(client, clock)
