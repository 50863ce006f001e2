"""A sender of FHIR with a token, in a database with two centres, and what it does there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from api.app import create_app
from api.auth.permissions import Role
from api.auth.settings import AuthSettings
from api.fhir.resources.meta import EXACT
from api.settings import ApiSettings
from ingest.db.connections import Connection
from tests.fhir_world import Json, check, exact
from tests.fix_db import Database as Fresh
from tests.integration.registry_bench import NOW
from tests.integration.running_api import running
from tests.tokens import ISSUER, Signer

SIGNER = Signer()
JSON = {"Content-Type": "application/fhir+json"}


def as_sender(
    role: Role = Role.CONTRACT_SYSTEM,
    subject: str = "his-north",
    **claims: Any,  # noqa: ANN401
) -> dict[str, str]:
    at = int(NOW.timestamp())
    claims |= {"sub": subject, "roles": [str(role)], "iat": at, "exp": at + 300}
    token = SIGNER.sign(SIGNER.claims(**claims))
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def an_api(database: Fresh, folder: Path, **claims: Any) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ANN401
    """A sender's client; unless claims say otherwise, of the whole deployment."""
    keys = folder / "jwks.json"
    keys.write_bytes(SIGNER.jwks())
    auth = AuthSettings(issuer=ISSUER, jwks_file=keys)
    app = create_app(ApiSettings(db_dsn=SecretStr(database.dsn), auth=auth), lambda: NOW)
    transport = httpx.ASGITransport(app)
    async with (
        running(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://api", timeout=30, headers=as_sender(**claims)
        ) as client,
    ):
        yield client


async def fill(connection: Connection) -> Connection:
    """Two centres with a sender, a team and a resident each."""
    await connection.execute("INSERT INTO centre VALUES ('north', 'North'), ('south', 'South')")
    await connection.execute("INSERT INTO team VALUES ('n1', 'north', 'N1'), ('s1', 'south', 'S1')")
    for gateway, centre in (("his-north", "north"), ("his-south", "south")):
        await connection.execute(
            "INSERT INTO gateway (id, centre_id, enrolled_at) VALUES (%s, %s, %s)",
            (gateway, centre, NOW),
        )
    for resident, team in (("anna", "n1"), ("carl", "s1")):
        await connection.execute(
            "INSERT INTO resident (id, team_id, created_at) VALUES (%s, %s, %s)",
            (resident, team, NOW),
        )
    return connection


async def post(
    client: httpx.AsyncClient,
    resource: Json,
    status: int,
    path: str = "/Observation",
    **headers: str,
) -> Json:
    """Send it; the answer, checked."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await client.post(
        f"/fhir{path}", content=EXACT.encode(resource), headers={**JSON, **named}
    )
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/fhir+json")
    found = exact(response.text)
    check(found)
    return found


async def count(connection: Connection, table: str) -> int:
    row = await (await connection.execute(f"SELECT count(*) FROM {table}".encode())).fetchone()  # noqa: S608
    assert row is not None
    return int(row[0])


def expressions(outcome: Json) -> list[str]:
    return [path for issue in outcome["issue"] for path in issue["expression"]]
