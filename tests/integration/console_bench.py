"""The console as people meet it: API and dispatcher as processes, a browser, the world beside."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from playwright.async_api import Browser, ConsoleMessage, Page, ViewportSize, expect

from api.auth.permissions import Role
from api.auth.signing import Bearer
from deploy.embedded.issuer import Issuer
from deploy.embedded.stack import Stack
from gateway.wire.times import utc_now
from ingest.db import outbox
from ingest.db.connections import connect
from ingest.db.outbox import Event
from tests.builders import a_batch, a_blood_pressure
from tests.fix_db import Database
from tests.fix_ports import free_port
from tests.integration.api_processes import API, a_dispatcher, a_process, await_feed
from tests.integration.console_world import CENTRE, OTHER_TEAM, TEAM, TEAMS, Person
from tests.integration.judge_bench import JudgeBench

PATIENCE_MS: Final = 20_000  # Of a busy machine; nothing is measured by it.
expect.set_options(timeout=PATIENCE_MS)
DOCTOR: Final = "demo-doctor"
LEADER: Final = "demo-leader"
OTHER_DOCTOR: Final = "other-doctor"
OPERATOR: Final = "demo-operator"
ADMIN: Final = "demo-admin"
WHO: Final = (
    Bearer(subject=DOCTOR, roles=[Role.DOCTOR], teams=[TEAM]),
    Bearer(subject=LEADER, roles=[Role.TEAM_LEADER], teams=TEAMS),
    Bearer(subject=OTHER_DOCTOR, roles=[Role.DOCTOR], teams=[OTHER_TEAM]),
    Bearer(subject=OPERATOR, roles=[Role.OPS]),
    Bearer(subject=ADMIN, roles=[Role.CENTRE_ADMIN], centres=[CENTRE]),
)
DESKTOP: Final[ViewportSize] = {"width": 1366, "height": 768}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}

_REACHED: Final = """() => {
  const reached = document.activeElement, style = getComputedStyle(reached);
  reached.reached = true;
  return reached === document.body
    || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
}"""


@dataclass(slots=True)
class Console:
    """One running console, on a port that stays its own over restarts."""

    database: Database
    environment: dict[str, str]
    world: JudgeBench
    address: str
    port: int
    api: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Start the API and wait until its feed follows."""
        arguments = ("--port", str(self.port), "--json")
        process = await self.api.enter_async_context(
            a_process(API, *arguments, API_DB_DSN=self.database.dsn_of("api"), **self.environment)
        )
        assert process.stdout is not None
        said = await asyncio.wait_for(process.stdout.readline(), 30)
        assert json.loads(said)["address"] == self.address
        async with httpx.AsyncClient(base_url=self.address, timeout=20) as client:
            await await_feed(client)

    async def stop(self) -> None:
        """Kill the API."""
        await self.api.aclose()

    async def forget_events(self, up_to: int) -> None:
        """Something else happens; once the feed has come so far, all before the newest go."""
        told = Event("contract.changed", {"resident_id": "r-nobody"})
        async with (
            await connect(self.database.dsn, application_name="test", autocommit=True) as owner,
            asyncio.timeout(60),
        ):
            await outbox.insert(owner, [told], at=utc_now())
            while True:
                row = await (await owner.execute("SELECT max(number) FROM outbox")).fetchone()
                if row and (row[0] or 0) >= up_to:
                    break
                await asyncio.sleep(0.1)
            await owner.execute("DELETE FROM outbox WHERE number < %s", (row[0],))

    async def measure(self, person: Person, systolic: str, diastolic: str) -> dict[str, Any]:
        """A pressure arrives at ingest's writer, now."""
        at = utc_now()
        reading = a_blood_pressure(systolic, diastolic, at=at, resident_id=person.id)
        await self.world.store(a_batch(reading, at=at), at=at)
        return reading


@asynccontextmanager
async def a_console(
    stack: Stack, database: Database, world: JudgeBench, **settings: str
) -> AsyncIterator[Console]:
    """API and dispatcher on a database, with the people of ``WHO`` to sign in as."""
    issuer = Issuer(stack.home)
    port = free_port()
    environment = {**issuer.environment(), **issuer.console_environment(WHO), **settings}
    console = Console(database, environment, world, f"http://127.0.0.1:{port}", port)
    async with a_dispatcher(database):
        await console.start()
        try:
            yield console
        finally:
            await console.stop()


@dataclass  # Without slots: Playwright keeps something of its own on the owner of a handler.
class Desk:
    """One person at one browser; ``faults`` is what the browser complained about."""

    console: Console
    page: Page
    faults: list[str] = field(default_factory=list)

    def note(self, message: ConsoleMessage) -> None:
        """A line of the browser's console."""
        if message.type in {"error", "warning"}:
            self.faults.append(f"{message.type}: {message.text}")

    async def go(self, path: str) -> None:
        """Open a page and wait for its scripts."""
        await self.page.goto(f"{self.console.address}/console/{path}", wait_until="load")

    async def sign_in(self, subject: str) -> None:
        """As one of the people on the sign-in page."""
        await self.go("")
        await self.page.locator(f"form:has(input[value={subject}]) button").click()
        await self.page.wait_for_url(lambda address: "/sign-in" not in address)

    async def is_live(self) -> None:
        """Wait until the page follows the feed."""
        await self.page.locator('#live[data-state="live"]').wait_for()

    async def tab(self) -> bool:
        """Press Tab; whether what it reached shows that it was (or nothing was, past the end)."""
        await self.page.keyboard.press("Tab")
        shown: bool = await self.page.evaluate(_REACHED)
        return shown


@asynccontextmanager
async def a_desk(
    browser: Browser,
    console: Console,
    *,
    viewport: ViewportSize = DESKTOP,
    language: str = "zh",
    scripts: bool = True,
) -> AsyncIterator[Desk]:
    """A fresh browser profile; no request may leave this machine."""
    context = await browser.new_context(
        viewport=viewport,
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
        java_script_enabled=scripts,
    )
    await context.add_cookies(
        [
            {
                "name": "suifang_language",
                "value": language,
                "domain": "127.0.0.1",
                "path": "/console",
            }
        ]
    )
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    desk = Desk(console, page)
    page.on("console", desk.note)
    page.on("pageerror", lambda error: desk.faults.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((console.address, "data:"))
            else desk.faults.append(f"asked another host: {request.url}")
        ),
    )
    try:
        yield desk
    finally:
        await context.close()
