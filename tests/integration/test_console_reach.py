"""Promise: no page of the console names anybody to one who may not see them.

Every page as everybody in ``security_world.py``, with every stranger's id in its address.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from itertools import product
from pathlib import Path
from typing import Final

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.auth.principal import Principal
from api.auth.settings import AuthSettings
from api.console.app import create_console
from api.settings import ApiSettings
from deploy.embedded.stack import Stack
from ingest.db.connections import Connection, connect
from tests.fix_db import Database as Fresh
from tests.fix_db import cloned
from tests.integration.crossing_writes import fingerprints, ids_about, new_id
from tests.integration.running_api import running
from tests.integration.security_world import ALL_RESIDENTS, NOW, OBSERVED, SEEN, build_world
from tests.integration.test_crossing_teams import (
    SIGNER,
    UNLIMITED,
    build,
    forbidden_texts,
    token_of,
)
from tests.tokens import ISSUER

# No keys; no team; no authority; no period; not begun here.
ELSE: Final = {"name": 503, "worklist": 400, "revocations": 503, "csv": 400, "return": 400}
# What stands in an address and is no resident.
PLACES: Final = {
    "{kind}": "visit",
    "{code}": "htn.control_rate",
}
_NAMES: Final = re.compile(r"[\w-]+")


def words_in(text: str) -> set[str]:
    """Every word of a page: ids, pseudonyms, texts."""
    return {*_NAMES.findall(text)}


class Desk:
    """The console in this process, on a world that stays as it is."""

    def __init__(self, dsn: str, folder: Path) -> None:
        keys = folder / "jwks.json"
        keys.write_bytes(SIGNER.jwks())
        settings = ApiSettings(
            db_dsn=SecretStr(dsn),
            auth=AuthSettings(issuer=ISSUER, jwks_file=keys),
            limits=UNLIMITED,
        )
        self.app = create_app(settings, lambda: NOW)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://api", timeout=20
        )

    async def get(self, who: Principal, path: str) -> httpx.Response:
        """One page as somebody signed in at a browser."""
        headers = {"Cookie": f"suifang_session={token_of(who)}", "Accept": "text/html"}
        return await self.client.get(f"/console{path}", headers=headers)

    async def post(self, who: Principal, path: str, form: dict[str, str]) -> httpx.Response:
        """A form of a page of ours, as somebody signed in at a browser."""
        headers = {"Cookie": f"suifang_session={token_of(who)}", "Sec-Fetch-Site": "same-origin"}
        return await self.client.post(f"/console{path}", headers=headers, data=form)

    def addresses(self) -> list[str]:
        """Every page, with every resident's id where it takes one."""
        found = []
        for path, methods in create_console(self.app.state.services).openapi()["paths"].items():
            if "get" not in methods or path == "/" or path.endswith("/stream"):
                continue  # The root only leads on; the stream does not end and is tried beside.
            for name, one in PLACES.items():
                path = path.replace(name, one)  # noqa: PLW2901 - the same for all
            for resident in ALL_RESIDENTS if "{" in path else [""]:
                address = path.replace("{reading_id}", ids_about(resident)["reading_id"])
                found.append(re.sub(r"\{[^}]*\}", resident, address))
        assert "/today" in found
        return found


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


async def test_no_page_names_anybody_to_one_who_may_not_see_them(desk: Desk) -> None:
    shown = 0
    values_shown = {True: 0, False: 0}  # By whether one sees measured values.
    for (name, (who, *_)), address in product(SEEN.items(), desk.addresses()):
        response = await desk.get(who, address)
        values_shown[who.sees_measured] += OBSERVED in response.text
        asked = {*address.split("/")}
        named = words_in(response.text) & (forbidden_texts(name) - {""} - asked)
        assert not named, (name, address)
        good = {200, ELSE.get(address.rpartition("/")[2])}
        allowed = {403, 404} | (good if asked.isdisjoint(forbidden_texts(name)) else set())
        assert response.status_code in allowed, (name, address, response.text)
        shown += response.status_code == 200
        if response.headers["content-type"].startswith("text/html"):
            assert "script-src 'self'" in response.headers["content-security-policy"]
    assert shown > len(SEEN)
    assert values_shown[True] > 0
    assert values_shown[False] == 0


def forms_about(resident: str) -> dict[str, dict[str, str]]:
    """What pages post about somebody."""
    ids, reason = ids_about(resident), {"reason": "typed from the display"}
    alert, reading = ids["alert_id"], f"/residents/{resident}/readings/{ids['reading_id']}"
    value = {"id": new_id(), "glucose": "7.50", "unit": "mmol/L"}
    seen = {"seen": f"{alert} warn 0"}
    visit = {"condition": "diabetes", "mode": "clinic", "at": "2026-03-16T10:00"}
    return {
        f"/alerts/{alert}/acknowledgement": {"reason": "contacted", **seen},
        f"/alerts/{alert}/reopening": seen,
        f"/alerts/{alert}/snooze": {"hours": "2", **seen},
        f"/residents/{resident}/records/visit": {**visit, "record_id": new_id()},
        f"/residents/{resident}/records/{ids['record_id']}/withdrawal": {"note": "by mistake"},
        f"{reading}/correction": {**value, **reason},
        f"{reading}/amendments/{ids['amendment_id']}/undo": reason,
        f"{reading}/retraction": {"id": new_id(), **reason},
        f"{reading}/claim": reason,
    }


async def test_what_pages_post_is_done_to_ones_own(
    database: Fresh, connection: Connection, tmp_path: Path
) -> None:
    await build_world(connection)
    mine = Desk(database.dsn, tmp_path)
    async with running(mine.app), mine.client:
        for address, form in forms_about("anna").items():
            who = SEEN["doctor of n1"][0]
            if "/readings/" in address:  # A form says what stood when it was shown.
                page = await mine.get(who, re.sub(r"(/readings/[^/]+).*", r"\1", address))
                form["seen"] = re.findall('name="seen" value="([0-9]+)"', page.text)[-1]
            before = await fingerprints(connection)
            response = await mine.post(who, address, form)
            if address.endswith("/claim"):  # It came with its resident.
                assert response.status_code == 422
                continue
            assert response.status_code in {200, 303}, (address, response.text)
            assert await fingerprints(connection) != before, address


async def test_nothing_that_pages_post_is_done_to_another_ones(desk: Desk, world: Fresh) -> None:
    posts = create_console(desk.app.state.services).openapi()["paths"]
    about = {path for path, methods in posts.items() if "post" in methods and "{" in path}
    about -= {"/fleet/gateways/{gateway}/revocation"}  # Of no resident.
    assert len(about) == len(forms_about("anna"))
    async with await connect(world.dsn, application_name="test", autocommit=True) as connection:
        before = await fingerprints(connection)
        for name, (who, own, at_centre, _) in SEEN.items():
            for stranger in ALL_RESIDENTS - own - at_centre:
                for address, form in forms_about(stranger).items():
                    response = await desk.post(who, address, form)
                    assert response.status_code in {403, 404}, (name, address, response.text)
        assert await fingerprints(connection) == before


async def test_everybody_finds_their_own_on_the_page_of_today(desk: Desk) -> None:
    for name, (who, own, _, _) in SEEN.items():
        response = await desk.get(who, "/today")
        if response.status_code == 403:
            continue
        links = {*re.findall(r"/console/residents/([\w-]+)", response.text)}
        assert own <= links, name


async def test_without_a_session_every_page_leads_to_the_sign_in_page(desk: Desk) -> None:
    for address in desk.addresses():
        if address.startswith("/sign-in"):
            continue
        response = await desk.client.get(f"/console{address}", headers={"Accept": "text/html"})
        part = await desk.client.get(f"/console{address}", headers={"HX-Request": "true"})

        assert response.status_code == 303, address
        assert response.headers["location"].startswith("/console/sign-in?next=%2Fconsole%2F")
        assert (part.status_code, part.headers["hx-redirect"]) == (401, "/console/sign-in")
