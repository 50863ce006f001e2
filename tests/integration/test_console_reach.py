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
from tests.fix_db import Database as Fresh
from tests.fix_db import cloned
from tests.integration.security_world import ALL_RESIDENTS, NOW, SEEN
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
    "{reading_id}": "00000000-0000-4000-8000-000000000000",
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

    def addresses(self) -> list[str]:
        """Every page, with every resident's id where it takes one."""
        found = []
        for path, methods in create_console(self.app.state.services).openapi()["paths"].items():
            if "get" not in methods or path == "/" or path.endswith("/stream"):
                continue  # The root only leads on; the stream does not end and is tried beside.
            for name, one in PLACES.items():
                path = path.replace(name, one)  # noqa: PLW2901 - the same for all
            places = ALL_RESIDENTS if "{" in path else [""]
            found += [re.sub(r"\{[^}]*\}", place, path) for place in places]
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
    async with found.app.router.lifespan_context(found.app), found.client:
        yield found


async def test_no_page_names_anybody_to_one_who_may_not_see_them(desk: Desk) -> None:
    shown = 0
    for (name, (who, *_)), address in product(SEEN.items(), desk.addresses()):
        response = await desk.get(who, address)
        asked = {*address.split("/")}
        named = words_in(response.text) & (forbidden_texts(name) - {""} - asked)
        assert not named, (name, address)
        also = ELSE.get(address.rpartition("/")[2])
        assert response.status_code in {200, 403, 404, also}, (name, address, response.text)
        shown += response.status_code == 200
        if response.headers["content-type"].startswith("text/html"):
            assert "script-src 'self'" in response.headers["content-security-policy"]
    assert shown > len(SEEN)


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
