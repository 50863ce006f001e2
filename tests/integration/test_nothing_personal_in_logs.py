"""Promise: logs and addresses hold no name, no ID number, no pseudonym and no credential.

The API runs as a process of its own; everything it writes is read, whatever was asked of it.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.settings import ApiSettings
from gateway.wire.times import utc_now
from ingest.db.connections import Connection
from tests.fix_db import Database
from tests.integration.api_processes import API
from tests.integration.security_world import build_world
from tests.tokens import ISSUER, Signer

SIGNER: Final = Signer()
NAME, ID_NUMBER, PSEUDONYM = "王小明-marker", "11010519491231002X", "pseudonym-marker"
PERSONAL: Final = {"name", "id_number", "id_card", "phone", "address", "birth_date", "sex"}


def requests_of(token: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, address and the rest, of good requests, bad ones and broken ones."""
    key = f"sfk_{'a' * 12}_{'k' * 43}"
    body = {"personal": {"name": NAME, "id_number": ID_NUMBER}}
    bearer = {"headers": {"Authorization": f"Bearer {token}"}}
    as_json = {"headers": {**bearer["headers"], "Content-Type": "application/json"}}
    return [
        ("GET", f"/v1/residents/{PSEUDONYM}/readings", bearer),
        ("GET", f"/v1/alerts?resident={PSEUDONYM}", bearer),
        ("GET", f"/v1/alerts?resident={PSEUDONYM}&nonsense={ID_NUMBER}", bearer),
        ("GET", f"/v1/cases?cursor={ID_NUMBER}", bearer),
        ("GET", f"/{NAME}", bearer),
        ("PUT", f"/v1/residents/{PSEUDONYM}", {**bearer, "json": body}),
        ("PUT", f"/v1/residents/{PSEUDONYM}", {**bearer, "content": NAME.encode()}),
        ("PUT", f"/v1/residents/{PSEUDONYM}", {**as_json, "content": NAME.encode()}),
        ("POST", "/v1/residents/bulk", {**bearer, "content": json.dumps(body).encode()}),
        ("GET", f"/v1/residents/{PSEUDONYM}/personal-data", bearer),
        ("GET", "/v1/cases", {"headers": {"Authorization": f"Bearer {key}"}}),
        ("GET", "/v1/cases", {"headers": {"Authorization": f"Bearer {token}x"}}),
    ]


async def test_whatever_is_asked_the_log_names_nobody(
    database: Database, connection: Connection, tmp_path: Path
) -> None:
    await build_world(connection)
    keys, log = tmp_path / "jwks.json", tmp_path / "api.log"
    keys.write_bytes(SIGNER.jwks())
    at = int(utc_now().timestamp())
    token = SIGNER.sign(SIGNER.claims(roles=["contract_system"], iat=at, exp=at + 600))
    environment = {
        "API_DB_DSN": database.dsn_of("api"),
        "API_AUTH__ISSUER": ISSUER,
        "API_AUTH__JWKS_FILE": str(keys),
        "API_DB_WAIT_MS_MAX": "300",
    }
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-c", API, "--port", "0", "--json"),
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
    assert process.stdout is not None
    try:
        address = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))["address"]
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            statuses = [
                (await client.request(method, path, **more)).status_code
                for method, path, more in requests_of(token)
            ]
            await connection.execute("ALTER TABLE alert RENAME COLUMN code TO gone")
            broken = await client.get(
                f"/v1/alerts?resident={PSEUDONYM}", headers={"Authorization": f"Bearer {token}"}
            )
    finally:
        process.terminate()
        rest, _ = await process.communicate()

    assert {200, 400, 401, 404, 415, 422} <= {*statuses}
    assert broken.status_code >= 500
    written = log.read_text("utf-8") + rest.decode()
    for marker in (NAME, ID_NUMBER, PSEUDONYM, token, token.split(".")[2], "k" * 43, "suifang:"):
        assert marker not in written, marker


@pytest.mark.parametrize("place", ["path", "query", "header", "cookie"])
def test_no_address_and_no_header_asks_for_anything_personal(place: str) -> None:
    app = create_app(ApiSettings(db_dsn=SecretStr("host=127.0.0.1 port=1")), utc_now)
    asked = {
        parameter["name"]
        for operations in app.openapi()["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == place
    }

    assert not asked & PERSONAL
