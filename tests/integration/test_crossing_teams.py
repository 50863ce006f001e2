"""Promise: nobody reaches another team's or centre's data, by whatever route, id, filter or cursor.

Goes through every operation of the OpenAPI document as everybody in ``security_world.py`` and
looks at every text in every answer: it must name nobody whom that one may not see.
"""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.auth.permissions import Permission, Role
from api.auth.principal import Principal
from api.auth.settings import AuthSettings
from api.document import is_fhir
from api.limits import LimitSettings
from api.settings import ApiSettings
from deploy.embedded.stack import Stack
from gateway.wire.times import utc_now
from ingest.db.connections import Connection, connect
from tests.fix_db import Database as Fresh
from tests.fix_db import cloned
from tests.integration.api_processes import Told, an_api, listen
from tests.integration.crossing_writes import ids_about
from tests.integration.running_api import running
from tests.integration.security_world import (
    ALL_RESIDENTS,
    CENTRE_OF_TEAM,
    MEASURED_AT,
    NOW,
    OBSERVED,
    SEEN,
    build_world,
    id_of,
)
from tests.tokens import ISSUER, Signer

SIGNER = Signer()
KINDS = ("reading", "held", "alert", "record", "amendment")
NOBODY = "nobody-at-all"
UNLIMITED = LimitSettings(person_burst=10**6, machine_burst=10**6)
NEEDED = {
    "period": "2026",
    "from": "2026-03-01",
    "to": "2026-03-31",
}  # For queries that are nothing without it.
STREAM = "/v1/alerts/stream"
EVERYBODY = (*ALL_RESIDENTS, "", NOBODY)  # "" is of the unclaimed reading.
OF_FHIR = ("reading_id", "alert_id", "amendment_id", "record_id", "number")
# Nothing in this world has such an id, or nothing of a resident has.
LEADS_NOWHERE = {
    *("/fhir/Device/{id}", "/fhir/ServiceRequest/{id}", "/fhir/Task/{id}"),
    *("/v1/indicators/periods/{period}", "/v1/webhooks/{id}", "/v1/residents/{id}/personal-data"),
    *(f"/v1/{kind}/{{id}}" for kind in ("centres", "teams", "staff", "packages")),
    *(f"/v1/{kind}/{{id}}/history" for kind in ("centres", "teams", "staff", "packages")),
    *("/v1/staff/{id}/contact", "/v1/centres/{id}/duty-hours", "/v1/teams/{id}/duty-hours"),
}
FILTERS = {
    "team": [*CENTRE_OF_TEAM],
    "centre": ["north", "south"],
    "resident": [*ALL_RESIDENTS, NOBODY],
    "status": ["all"],
    "patient": [*ALL_RESIDENTS],
    "subject": [f"Patient/{name}" for name in ALL_RESIDENTS],
    "identifier": [*ALL_RESIDENTS, *(str(id_of("reading", name)) for name in MEASURED_AT)],
    "target": [f"Observation/{id_of('reading', name)}" for name in MEASURED_AT],
    "_id": ["carl", *(str(id_of(kind, "carl")) for kind in KINDS)],
}


def token_of(who: Principal, **claims: Any) -> str:  # noqa: ANN401 - claims are of any type
    return SIGNER.sign(
        SIGNER.claims(
            sub=who.subject,
            roles=sorted(who.roles),
            teams=sorted(who.team_ids),
            centres=sorted(who.centre_ids),
            **claims,
        )
    )


def forbidden_texts(name: str) -> set[str]:
    """All that names a resident whom this one may not see: pseudonyms, and ids about them."""
    _, own, at_centre, _ = SEEN[name]
    strangers = set(MEASURED_AT) - own - at_centre
    ids = {str(id_of(kind, stranger)) for kind in KINDS for stranger in strangers}
    return (strangers - {""}) | ids | {f"contract-{stranger}" for stranger in strangers}


def texts_in(value: object) -> Iterator[str]:
    """Every text in an answer, at any depth."""
    if isinstance(value, str):
        yield value
        if value[:1].isupper():
            yield from value.split("/")  # FHIR refers to "Patient/carl".
    elif isinstance(value, dict):
        yield from itertools.chain.from_iterable(map(texts_in, value.values()))
    elif isinstance(value, list):
        yield from itertools.chain.from_iterable(map(texts_in, value))


def told_in(response: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    """What an answer says: JSON, or the cells of a table."""
    if response.headers.get("content-type", "").startswith("text/csv"):
        return [cell.strip("'\"") for cell in re.split(r"[,\r\n]", response.text)]
    return response.json() if response.content else None


def addresses_of(path: str, resident: str) -> list[str]:
    """An address filled in with what is of somebody; several where any id may stand."""
    ids = ids_about(resident) | {"period": "2025", "code": "signing.all"}
    fixed = {name: id_ for name, id_ in ids.items() if id_}
    if "{id}" not in path:
        names = {*re.findall(r"\{(\w+)\}", path)}
        return [path.format_map(fixed)] if names <= {*fixed} else []
    kinds = ("resident_id", *(OF_FHIR if is_fhir(path) else ()))
    if path.startswith("/v1/contracts"):
        kinds = ("contract_id",)
    return [path.format_map({**fixed, "id": fixed[kind]}) for kind in kinds if kind in fixed]


class Attempt(NamedTuple):
    """One request that somebody tries."""

    method: str
    path: str
    asked: dict[str, str]


class Desk:
    """The API in this process, on the world that stays as it is."""

    def __init__(self, dsn: str, folder: Path) -> None:
        keys = folder / "jwks.json"
        keys.write_bytes(SIGNER.jwks())
        auth = AuthSettings(issuer=ISSUER, jwks_file=keys)
        settings = ApiSettings(db_dsn=SecretStr(dsn), auth=auth, limits=UNLIMITED)
        self.app = create_app(settings, lambda: NOW)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://api", timeout=20
        )

    async def attempt(self, who: Principal, attempt: Attempt) -> httpx.Response:
        """One request as somebody."""
        method, path, asked = attempt
        headers = {"Authorization": f"Bearer {token_of(who)}"}
        return await self.client.request(method, path, params=asked, headers=headers)

    def attempts(self) -> list[Attempt]:
        """Every GET, with everybody's ids in its path and in each of its filters."""
        found = []
        for path, methods in self.app.openapi()["paths"].items():
            operation = methods.get("get", {})
            if path == STREAM or not operation.get("security"):
                continue  # The stream does not end; see below.
            parameters = operation.get("parameters", [])
            needed = {
                p["name"]: NEEDED[p["name"]]
                for p in parameters
                if p["name"] in NEEDED and p["required"]
            }
            addresses = [address for each in EVERYBODY for address in addresses_of(path, each)]
            for address in dict.fromkeys(addresses):
                found.append(Attempt("GET", address, needed))
                found += [
                    Attempt("GET", address, {**needed, parameter["name"]: value})
                    for parameter in parameters
                    for value in FILTERS.get(parameter["name"], [])
                ]
        assert len(found) > 400
        return found

    def templates(self) -> list[str]:
        """Paths of what one can get by an id."""
        paths: dict[str, dict[str, Any]] = self.app.openapi()["paths"]
        return [path for path, methods in paths.items() if "{" in path and "get" in methods]


async def build(dsn: str) -> None:
    async with await connect(dsn, application_name="test", autocommit=True) as connection:
        await build_world(connection)


@pytest.fixture(scope="module")
def world(stack: Stack, template_database: str) -> Iterator[Fresh]:
    """The same world for all that only look."""
    with cloned(stack, template_database) as clone:
        asyncio.run(build(clone.dsn))
        yield clone


@pytest.fixture
async def desk(world: Fresh, tmp_path: Path) -> AsyncIterator[Desk]:
    """Where they all try."""
    found = Desk(world.dsn, tmp_path)
    async with running(found.app), found.client:
        yield found


@pytest.mark.parametrize("name", SEEN)
async def test_no_route_names_anybody_to_one_who_may_not_see_them(desk: Desk, name: str) -> None:
    """Nor does one tell a measured value to who sees none."""
    who, strange = SEEN[name][0], forbidden_texts(name)
    for attempt in desk.attempts():
        if attempt.path == "/v1/audit" and Role.AUDITOR in who.roles:
            continue  # Whom others saw is what an auditor is for.
        response = await desk.attempt(who, attempt)
        named = {*texts_in(told_in(response))} & strange
        assert not named, attempt
        assert who.sees_measured or OBSERVED not in response.text, attempt
        assert response.status_code != 500, attempt


async def test_every_filter_is_one_and_every_kind_of_address_leads_somewhere(desk: Desk) -> None:
    good = [
        attempt
        for attempt in desk.attempts()
        if (await desk.attempt(SEEN["contract system"][0], attempt)).status_code == 200
    ]

    assert {name for attempt in good for name in attempt.asked} == {*FILTERS, *NEEDED}
    led = {attempt.path for attempt in good}
    empty = {path for path in desk.templates() if not led.intersection(all_addresses(path))}
    assert empty == LEADS_NOWHERE


def all_addresses(path: str) -> set[str]:
    return {address for each in EVERYBODY for address in addresses_of(path, each)}


@pytest.mark.parametrize("name", SEEN)
async def test_a_strangers_id_is_answered_like_one_that_is_not_there(desk: Desk, name: str) -> None:
    who, own, at_centre, _ = SEEN[name]
    for path in desk.templates():
        nowhere = addresses_of(path, NOBODY)
        absent = [await desk.attempt(who, Attempt("GET", address, {})) for address in nowhere]
        for stranger in ALL_RESIDENTS - own - at_centre:
            addresses = addresses_of(path, stranger)
            for there, not_there, nobody in zip(addresses, nowhere, absent, strict=True):
                response = await desk.attempt(who, Attempt("GET", there, {}))
                assert response.status_code == nobody.status_code, there
                assert plain(response, there, stranger) == plain(nobody, not_there, NOBODY)


def plain(response: httpx.Response, address: str, resident: str) -> str:
    """An answer without the address and the ids that were asked about."""
    text = response.text.replace(address, "address")
    for kind, id_ in ids_about(resident).items():
        text = text if kind == "number" else text.replace(id_, kind)
    return text


@pytest.mark.parametrize("path", ["/v1/cases", "/v1/alerts"])
async def test_another_ones_cursor_opens_nothing(desk: Desk, path: str) -> None:
    everybody = SEEN["contract system"][0]
    cursors, asked = [], {"limit": "1"}
    while True:
        page = (await desk.attempt(everybody, Attempt("GET", path, asked))).json()
        if page["next_cursor"] is None:
            break
        cursors.append(page["next_cursor"])
        asked = {"limit": "1", "cursor": page["next_cursor"]}
    assert len(cursors) >= 4

    for name, (who, *_) in SEEN.items():
        for cursor in cursors:
            attempt = Attempt("GET", path, {"cursor": cursor, "limit": "500"})
            response = await desk.attempt(who, attempt)
            assert not {*texts_in(response.json())} & forbidden_texts(name)


async def test_everybody_does_see_their_own_through_the_routes(desk: Desk) -> None:
    for who, own, at_centre, measured in SEEN.values():
        cases = await desk.attempt(who, Attempt("GET", "/v1/cases", {}))
        alerts = await desk.attempt(who, Attempt("GET", "/v1/alerts", {}))
        if not who.permissions or cases.status_code == 403:
            continue
        assert {item["resident_id"] for item in cases.json()["items"]} == own
        seen = {item["resident_id"] or "" for item in alerts.json()["items"]}
        assert seen == own | at_centre
        for resident in own if measured else ():
            path = f"/v1/residents/{resident}/readings"
            page = (await desk.attempt(who, Attempt("GET", path, {}))).json()
            assert len(page["items"]) == 2


# --- the live stream -----------------------------------------------------------------------------


@pytest.fixture
async def owner(connection: Connection) -> Connection:
    """The owner's connection, in a database with a world of its own."""
    await build_world(connection)
    return connection


def by_the_real_clock(who: Principal) -> dict[str, str]:
    at = int(utc_now().timestamp())
    return {"Authorization": f"Bearer {token_of(who, iat=at, exp=at + 300)}"}


async def heard(client: httpx.AsyncClient, who: Principal, upto: int) -> set[str]:
    """Whom the events up to a number are about, as this one hears them; none says too much."""
    client.headers.update(by_the_real_clock(who))
    about: set[str] = set()
    observed = OBSERVED if who.sees_measured else "(not shown)"
    async with asyncio.timeout(30), aclosing(listen(client, after=0)) as stream:
        async for told in stream:
            number = told.number if isinstance(told, Told) else told
            if isinstance(told, Told):
                about.add(told.data["about"])
                assert told.data["observed"] == observed
            if number >= upto:
                break
    return about


async def test_the_stream_tells_each_their_own_also_after_a_resident_has_moved(
    database: Fresh, owner: Connection, tmp_path: Path
) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_bytes(SIGNER.jwks())
    settings = {
        "API_AUTHENTICATION": "required",
        "API_AUTH__ISSUER": ISSUER,
        "API_AUTH__JWKS_FILE": str(keys),
        "API_FEED__KEEP_ALIVE_MS": "100",
    }
    listening = [entry for entry in SEEN.values() if entry[0].may(Permission.ALERTS_READ)]
    assert len(listening) >= 8
    async with an_api(database, **settings) as api:
        for who, own, at_centre, _ in listening:
            assert await heard(api.client, who, 6) == own | at_centre
        await owner.execute("UPDATE resident SET team_id = 's1' WHERE id = 'anna'")
        doctor, leader = SEEN["doctor of n1"][0], SEEN["leader of n1 and s1"][0]
        assert await heard(api.client, doctor, 6) == set()
        assert await heard(api.client, leader, 6) == {"anna", "carl"}
        api.client.headers.pop("Authorization")
        assert (await api.client.get(STREAM)).status_code == 401


def test_the_world_has_somebody_to_hide_from_everyone_but_those_who_see_all() -> None:
    sees_all = {name for name in SEEN if not forbidden_texts(name)}

    assert sees_all == {"contract system", "supervisor"}
