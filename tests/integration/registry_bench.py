"""The API in this process with a key file, a clock that stands, and a valid ID number."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr

from api.app import create_app
from api.settings import ApiSettings
from gateway.wire.pseudonyms import pseudonym
from ingest.db.keyring import add_key
from tests.integration.running_api import running

NOW: Final = datetime(2026, 3, 16, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai.
PSEUDONYM_KEY: Final = b"p" * 32
ID_NUMBER: Final = "99000019490101001X"  # District 990000 does not exist: nobody's.
RESIDENT_ID: Final = pseudonym(PSEUDONYM_KEY, ID_NUMBER)
PLACES: Final[Mapping[str, Any]] = {
    "centres/north": {"name": "North"},
    "centres/south": {"name": "South", "profile": "cn_nbphs_2017"},
    "teams/n1": {"name": "N1", "centre_id": "north"},
    "teams/s1": {"name": "S1", "centre_id": "south"},
    "packages/plain": {"name": "Plain"},
    "packages/strict": {"name": "Strict", "profile": "cn_nbphs_2017"},
}
RESIDENT: Final[Mapping[str, Any]] = {
    "team_id": "n1",
    "birth_date": "1949-01-01",
    "sex": "male",
    "enrolled_on": None,
    "conditions": [{"condition": "hypertension", "since": "2020-01-01", "until": None}],
}


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def pass_by(self, **span: float) -> None:
        """Move on."""
        self.now += timedelta(**span)


def make_key_file(folder: Path) -> Path:
    path = folder / "keys"
    add_key(path, "k1")
    return path


def make_pseudonym_key(folder: Path) -> Path:
    path = folder / "pseudonym-key"
    path.write_bytes(PSEUDONYM_KEY + b"\n")
    os.chmod(path, 0o600)  # noqa: PTH101 - as the document says it
    return path


@asynccontextmanager
async def a_registry(
    dsn: str,
    clock: Any = lambda: NOW,  # noqa: ANN401 - any clock
    **settings: Any,  # noqa: ANN401 - settings are of any type
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the whole application."""
    settings = {"authentication": "off", **settings}
    app = create_app(ApiSettings(db_dsn=SecretStr(dsn), **settings), clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        running(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", timeout=30) as client,
    ):
        yield client


async def put(
    client: httpx.AsyncClient, path: str, body: object, status: int | None = None, **headers: str
) -> httpx.Response:
    """``PUT /v1/{path}``; underscores of header names become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await client.put(f"/v1/{path}", json=body, headers=named)
    if status is not None:
        assert response.status_code == status, response.text
    return response


async def put_places(client: httpx.AsyncClient) -> None:
    """Two centres with a team each, two packages."""
    for path, body in PLACES.items():
        await put(client, path, body, 201)
