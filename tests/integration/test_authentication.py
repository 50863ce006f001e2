"""Promise: every route, now and to come, asks who comes, and opens to the roles of the table.

Goes through the whole OpenAPI document: a route that somebody adds is tested by being there. The
table is the one in docs/security.md, which is what people read.
"""

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from pydantic import SecretStr

from api.app import create_app
from api.auth import api_keys
from api.auth.permissions import PERMISSIONS, Permission, Role
from api.auth.settings import AuthSettings
from api.limits import LimitSettings
from api.settings import ApiSettings
from gateway.wire.enrolment import ENROLMENTS_PATH, RENEWALS_PATH
from ingest.db.connections import Connection
from tests.fix_db import Database as Fresh
from tests.integration.running_api import running
from tests.tokens import ISSUER, NOW, Signer, bad_tokens

Owner: TypeAlias = AsyncConnection[DictRow]
PUBLIC = {
    "/",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/fhir/metadata",
    ENROLMENTS_PATH,
    RENEWALS_PATH,
}
SIGNER = Signer()
TABLE = Path(__file__).parents[2] / "docs/security.md"


class Desk:
    """The API in this process, and a clock that is moved by hand."""

    def __init__(self, dsn: str, folder: Path) -> None:
        keys = folder / "jwks.json"
        keys.write_bytes(SIGNER.jwks())
        self.now = NOW
        self.app = create_app(
            ApiSettings(
                db_dsn=SecretStr(dsn),
                auth=AuthSettings(issuer=ISSUER, jwks_file=keys),
                limits=LimitSettings(person_burst=10**6),
            ),
            self.clock,
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://api", timeout=20
        )

    def clock(self) -> datetime:
        """What time it is here."""
        return self.now

    async def ask(self, method: str, path: str, credential: str | None) -> httpx.Response:
        """One request with a bearer credential."""
        headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        return await self.client.request(method, path, headers=headers)


@pytest.fixture
async def desk(database: Fresh, tmp_path: Path) -> AsyncIterator[Desk]:
    """With an empty database."""
    found = Desk(database.dsn, tmp_path)
    async with running(found.app), found.client:
        yield found


@pytest.fixture
async def owner(database: Fresh) -> AsyncIterator[Owner]:
    """A connection of the owner, with rows as mappings."""
    async with await AsyncConnection.connect(
        database.dsn, autocommit=True, row_factory=dict_row
    ) as connection:
        yield connection


def operations(desk: Desk) -> list[tuple[str, str, list[str]]]:
    """Method, address with something for each parameter, and the permissions it names."""
    found = []
    for path, methods in desk.app.openapi()["paths"].items():
        for method, operation in methods.items():
            address = re.sub(r"\{[^}]*\}", "7d4c1bd4-0000-7000-8000-000000000000", path)
            if path == "/v1/alerts/stream":
                address += "?after=9999"  # Refused for that, once it is allowed at all.
            (named,) = operation.get("security", [{}])
            found.append((method.upper(), address, named.get("bearer", [])))
    assert len(found) >= 7
    return found


def role_token(role: Role, **claims: Any) -> str:  # noqa: ANN401 - claims are of any type
    return SIGNER.sign(SIGNER.claims(roles=[str(role)], centres=["north"], **claims))


# --- who may do what -----------------------------------------------------------------------------


async def test_every_route_that_is_not_public_needs_a_credential_and_names_a_permission(
    desk: Desk,
) -> None:
    for method, address, permissions in operations(desk):
        response = await desk.ask(method, address, None)
        if address in PUBLIC:
            assert response.status_code in {200, 422, 503}, address
            continue
        assert permissions, address
        assert {*permissions} <= set(Permission)
        assert response.status_code == 401, address
        assert response.headers["www-authenticate"] == 'Bearer realm="suifang"'
        told = response.json()
        if address.startswith("/fhir"):
            assert told["issue"][0]["details"]["coding"][0]["code"] == "unauthenticated"
            continue
        assert told["type"] == "urn:suifang:problem:unauthenticated"


async def test_no_bad_token_opens_any_route(desk: Desk) -> None:
    bad = bad_tokens(SIGNER)
    for method, address, permissions in operations(desk):
        for what, token in bad.items():
            if permissions and token.isascii():
                response = await desk.ask(method, address, token)
                assert response.status_code == 401, (address, what)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic dTpw", "bearer", "Token x", "Bearer x y", "Bearer  \t"],
)
async def test_a_header_of_another_kind_is_401(desk: Desk, header: str) -> None:
    response = await desk.client.get("/v1/cases", headers={"Authorization": header})

    assert response.status_code == 401


async def test_every_route_opens_to_the_roles_of_the_published_table_and_no_other(
    desk: Desk,
) -> None:
    published = read_table()
    for method, address, permissions in operations(desk):
        for role in Role:
            if not permissions:
                continue
            response = await desk.ask(method, address, role_token(role))
            allowed = all(name in published[role] for name in permissions)
            assert (response.status_code != 403) == allowed, (address, role)
            assert response.status_code != 401
            assert response.status_code != 500, (address, role)


def read_table() -> dict[Role, set[str]]:
    """Permissions by role, as docs/security.md tells people."""
    lines = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("|")]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    head = next(row for row in rows if row[0] == "permission")
    found: dict[Role, set[str]] = {role: set() for role in Role}
    for row in rows:
        if row[0] in set(Permission):
            for name, cell in zip(head[1:], row[1:], strict=True):
                if cell == "yes":
                    found[Role(name)].add(row[0])
    return found


def test_the_published_table_is_the_one_in_the_code() -> None:
    assert read_table() == {role: {str(p) for p in held} for role, held in PERMISSIONS.items()}


async def test_a_token_without_any_role_of_ours_is_403_everywhere(desk: Desk) -> None:
    token = SIGNER.sign(SIGNER.claims(roles=["something-else"]))
    for method, address, permissions in operations(desk):
        if permissions:
            assert (await desk.ask(method, address, token)).status_code == 403, address


async def test_a_token_is_good_until_it_ends_and_not_after_though_it_was_seen_before(
    desk: Desk,
) -> None:
    token = role_token(Role.DOCTOR)
    for seconds, status in ((0, 200), (659, 200), (1, 401)):
        desk.now += timedelta(seconds=seconds)
        assert (await desk.ask("GET", "/v1/cases", token)).status_code == status


async def test_what_one_may_not_see_is_like_what_is_not_there(
    desk: Desk, connection: Connection
) -> None:
    await connection.execute("INSERT INTO centre VALUES ('north', 'N')")
    await connection.execute("INSERT INTO team VALUES ('n1', 'north', 'x'), ('n2', 'north', 'x')")
    await connection.execute(
        "INSERT INTO resident (id, team_id, created_at) VALUES ('anna', 'n2', %s)", (NOW,)
    )
    answers = []
    for name in ("anna", "nobody"):
        response = await desk.ask("GET", f"/v1/residents/{name}/readings", role_token(Role.DOCTOR))
        answers.append((response.status_code, response.text.replace(name, "?")))

    assert answers[0] == answers[1]
    assert answers[0][0] == 404


# --- API keys ------------------------------------------------------------------------------------


async def make_key(owner: Owner, **more: Any) -> api_keys.MadeKey:  # noqa: ANN401 - of any type
    plain: dict[str, Any] = {
        "client": "contracts",
        "role": Role.CONTRACT_SYSTEM,
        "scopes": None,
        "team_ids": [],
        "centre_ids": [],
        "at": NOW,
        "lifetime": timedelta(days=30),
    }
    return await api_keys.create(owner, **{**plain, **more})


async def test_a_key_opens_what_its_role_and_scopes_allow(desk: Desk, owner: Owner) -> None:
    whole = await make_key(owner)
    narrow = await make_key(owner, scopes=[Permission.ALERTS_READ])

    assert (await desk.ask("GET", "/v1/cases", whole.key)).status_code == 200
    assert (await desk.ask("GET", "/v1/alerts", narrow.key)).status_code == 200
    assert (await desk.ask("GET", "/v1/cases", narrow.key)).status_code == 403


async def test_only_a_hash_of_the_key_is_stored_and_its_use_is_noted(
    desk: Desk,
    owner: Owner,
) -> None:
    made = await make_key(owner)
    await desk.ask("GET", "/v1/cases", made.key)
    cursor = await owner.execute("SELECT *, api_key::text AS whole FROM api_key")
    (row,) = await cursor.fetchall()

    assert made.key[-43:] not in row["whole"]
    assert made.key[-43:] not in str(made.row)
    assert row["last_used_at"] == NOW


@pytest.mark.parametrize("place", [4, 10, 18, -1])
async def test_a_key_with_one_letter_changed_is_no_key(
    desk: Desk,
    owner: Owner,
    place: int,
) -> None:
    key = (await make_key(owner)).key
    letters = list(key)
    letters[place] = "b" if letters[place] == "a" else "a"

    refused = await desk.ask("GET", "/v1/cases", "".join(letters))

    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].endswith('error="invalid_token"')
    assert (await desk.ask("GET", "/v1/cases", "sfk_nonsense")).json() == refused.json()


async def test_a_rotated_key_is_good_for_the_overlap_and_its_successor_after_it(
    desk: Desk,
    owner: Owner,
) -> None:
    old = await make_key(owner)
    overlap = timedelta(hours=1)
    new = await api_keys.rotate(owner, old.row["id"], at=NOW, overlap=overlap)
    assert new is not None
    assert new.row["expires_at"] == NOW + timedelta(days=30)
    found = []
    for hours in (0, 0.99, 0.01, 24 * 30 - 2, 1):
        desk.now += timedelta(hours=hours)
        found.append(
            tuple(
                [
                    (await desk.ask("GET", "/v1/cases", key)).status_code
                    for key in (old.key, new.key)
                ]
            )
        )

    assert found == [(200, 200), (200, 200), (401, 200), (401, 200), (401, 401)]
    assert await api_keys.rotate(owner, old.row["id"], at=desk.now, overlap=overlap) is None


async def test_a_revoked_key_ends_within_the_time_it_may_be_remembered(
    desk: Desk,
    owner: Owner,
) -> None:
    made = await make_key(owner)
    assert (await desk.ask("GET", "/v1/cases", made.key)).status_code == 200

    await api_keys.revoke(owner, made.row["id"], at=desk.now)
    desk.now += timedelta(seconds=10)

    assert (await desk.ask("GET", "/v1/cases", made.key)).status_code == 401
    assert await api_keys.rotate(owner, made.row["id"], at=desk.now, overlap=timedelta()) is None


async def test_a_doctor_works_on_beside_one_who_guesses_at_the_same_address(desk: Desk) -> None:
    transport = httpx.ASGITransport(desk.app, client=("192.0.2.7", 1))
    desk.client = httpx.AsyncClient(transport=transport, base_url="http://api", timeout=20)
    doctor = SIGNER.sign()
    assert (await desk.ask("GET", "/v1/cases", doctor)).status_code == 200

    tried = [await desk.ask("GET", "/v1/cases", f"guess{n}") for n in range(40)]
    found = [response.status_code for response in tried]
    assert (found[0], found[-1]) == (401, 429)
    assert int(tried[-1].headers["retry-after"]) > 0

    assert (await desk.ask("GET", "/v1/cases", doctor)).status_code == 200
    assert (await desk.ask("GET", "/v1/cases", None)).status_code == 401


async def test_a_forgotten_page_without_a_session_is_in_nobodys_way(desk: Desk) -> None:
    transport = httpx.ASGITransport(desk.app, client=("192.0.2.7", 1))
    desk.client = httpx.AsyncClient(transport=transport, base_url="http://api", timeout=20)
    for _ in range(40):
        assert (await desk.ask("GET", "/v1/cases", None)).status_code == 401
    for _ in range(20):
        assert (await desk.ask("GET", "/v1/cases", "ended")).status_code == 401

    assert (await desk.ask("GET", "/v1/cases", SIGNER.sign())).status_code == 200


async def test_when_the_database_is_away_a_key_is_no_401(tmp_path: Path) -> None:
    desk = Desk("host=127.0.0.1 port=1 connect_timeout=1", tmp_path)
    async with desk.app.router.lifespan_context(desk.app), desk.client:
        response = await desk.ask("GET", "/v1/cases", f"sfk_{'a' * 12}_{'b' * 43}")

    assert response.status_code == 503
