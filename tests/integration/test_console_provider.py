"""Promise: people sign in at the deployment's issuer, and nobody else is signed in by it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.fix_ports import free_port
from tests.integration.console_bench import Console, a_desk
from tests.integration.console_world import TEAM
from tests.integration.oidc_provider import CLIENT, Provider, a_provider
from tests.tokens import ISSUER

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def provider() -> AsyncIterator[Provider]:
    """Where people say who they are."""
    async with a_provider() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def deployed(
    console: Console, provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    """The console on the same world, of a deployment with an issuer of its own."""
    folder = tmp_path_factory.mktemp("issuer")
    keys = folder / "jwks.json"
    await asyncio.to_thread(keys.write_bytes, provider.signer.jwks())
    await asyncio.to_thread((folder / "secret").write_text, "first\n")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {
        "API_AUTH__ISSUER": ISSUER,
        "API_AUTH__JWKS_FILE": str(keys),
        "API_CONSOLE__OIDC__CLIENT_ID": CLIENT,
        "API_CONSOLE__OIDC__CLIENT_SECRET_FILE": str(folder / "secret"),
        "API_CONSOLE__OIDC__AUTHORIZE_URL": f"{provider.address}/authorize",
        "API_CONSOLE__OIDC__TOKEN_URL": f"{provider.address}/token",
        "API_CONSOLE__OIDC__RETURN_URL": f"{address}/console/sign-in/return",
    }
    found = Console(console.database, environment, console.world, address, port)
    await found.start()
    try:
        yield found
    finally:
        await found.stop()


async def test_one_signs_in_at_the_issuer_and_comes_back_to_where_one_wanted(
    chromium: Browser, deployed: Console, provider: Provider
) -> None:
    provider.claims = {"sub": "dr-1", "roles": ["doctor"], "teams": [TEAM]}
    async with a_desk(chromium, deployed) as desk:
        await desk.go("worklist?severity=high")
        await desk.page.get_by_role("link", name="使用单位账号登录").click()
        await desk.page.locator("#allow").click()
        await expect(desk.page.get_by_role("heading", name="工作清单")).to_be_visible()
        await expect(desk.page.locator("select[name=severity]")).to_have_value("high")
        await expect(desk.page.locator(".who")).to_contain_text("dr-1")
        cookies = {each["name"]: each for each in await desk.page.context.cookies()}
        await desk.page.get_by_role("button", name="退出").click()
        await desk.go("today")
        await expect(desk.page.get_by_role("link", name="使用单位账号登录")).to_be_visible()

    session = cookies["suifang_session"]
    assert (session["httpOnly"], session["sameSite"]) == (True, "Strict")
    assert "suifang_sign_in" not in cookies
    assert provider.refused == []
    assert [fault for fault in desk.faults if provider.address not in fault] == []


async def begin(client: httpx.AsyncClient) -> dict[str, str]:
    """Go to the issuer; what is asked there."""
    response = await client.get("/console/sign-in/begin?next=/console/today")
    assert response.status_code == 303
    return {k: v[0] for k, v in parse_qs(urlsplit(response.headers["location"]).query).items()}


async def allow(provider: Provider, asked: dict[str, str]) -> str:
    """Say who one is; the code."""
    async with httpx.AsyncClient(base_url=provider.address, timeout=20) as client:
        await client.get("/authorize", params=asked)
    return next(reversed(provider.codes))


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"state": "x"}, 400),
        ({"state": ""}, 400),
        ({"code": "x"}, 403),
        ({"code": ""}, 403),
        ({"iss": "https://other.example"}, 403),
    ],
)
async def test_what_did_not_begin_here_signs_nobody_in(
    deployed: Console, provider: Provider, wrong: dict[str, str], status: int
) -> None:
    async with httpx.AsyncClient(base_url=deployed.address, timeout=20) as client:
        asked = await begin(client)
        sent = {"code": await allow(provider, asked), "state": asked["state"], **wrong}
        response = await client.get("/console/sign-in/return", params=sent)

        assert response.status_code == status
        assert "suifang_session" not in client.cookies


async def test_a_new_secret_of_the_console_is_read_at_the_next_sign_in(
    deployed: Console, provider: Provider
) -> None:
    """By the running API; who is signed in notices nothing."""
    file = Path(deployed.environment["API_CONSOLE__OIDC__CLIENT_SECRET_FILE"])
    provider.claims = {"sub": "dr-1", "roles": ["doctor"], "teams": [TEAM]}
    statuses = []
    async with httpx.AsyncClient(base_url=deployed.address, timeout=20) as signed_in:
        for said, known in (("first", "first"), ("first", "second"), ("second", "second")):
            provider.secret = known
            await asyncio.to_thread(file.write_text, f"{said}\n")
            async with httpx.AsyncClient(base_url=deployed.address, timeout=20) as client:
                asked = await begin(client)
                sent = {"code": await allow(provider, asked), "state": asked["state"]}
                statuses.append(
                    (await client.get("/console/sign-in/return", params=sent)).status_code
                )
                if not signed_in.cookies:
                    signed_in.cookies = client.cookies
            page = await signed_in.get("/console/today")
            assert page.status_code == 200
    provider.secret = None

    assert statuses == [200, 403, 200]


async def test_a_code_of_another_browser_is_not_taken(
    deployed: Console, provider: Provider
) -> None:
    async with (
        httpx.AsyncClient(base_url=deployed.address, timeout=20) as thief,
        httpx.AsyncClient(base_url=deployed.address, timeout=20) as victim,
    ):
        asked = await begin(victim)
        code = await allow(provider, asked)
        bare = await thief.get(
            "/console/sign-in/return", params={"code": code, "state": asked["state"]}
        )
        own = await begin(thief)  # With a state of its own, but the verifier is not the victim's.
        mixed = await thief.get(
            "/console/sign-in/return", params={"code": code, "state": own["state"]}
        )

    assert (bare.status_code, mixed.status_code) == (400, 403)
    assert provider.refused[-1:] == [code]


@pytest.mark.parametrize(
    ("claims", "token_status", "status"),
    [
        ({"aud": "another"}, 200, 403),
        ({"exp": 1}, 200, 403),
        ({"roles": ["doctor", "ops"]}, 200, 403),
        ({}, 400, 403),
        ({}, 500, 503),
    ],
)
async def test_a_token_that_the_api_would_not_take_is_no_session(
    deployed: Console,
    provider: Provider,
    claims: dict[str, object],
    token_status: int,
    status: int,
) -> None:
    provider.claims, provider.token_status = {"sub": "dr-1", **claims}, token_status
    async with httpx.AsyncClient(base_url=deployed.address, timeout=20) as client:
        asked = await begin(client)
        sent = {"code": await allow(provider, asked), "state": asked["state"]}
        response = await client.get("/console/sign-in/return", params=sent)
        provider.token_status = 200

        assert response.status_code == status
        assert "suifang_session" not in client.cookies
        assert "suifang_sign_in" not in client.cookies  # A beginning is good once.
        assert "%2Fconsole%2Ftoday" in response.text
