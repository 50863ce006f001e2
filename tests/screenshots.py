"""Pictures of every page of the console for the documents: ``make screenshots``.

The world of the console's tests, a desktop of a clinic and a phone, both languages.
"""

import asyncio
import json
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final

from playwright.async_api import async_playwright

from deploy.embedded.stack import Stack
from gateway.wire.times import utc_now
from ingest.db import migrate
from ingest.db.connections import connect
from tests.builders import a_batch, a_blood_pressure, a_glucose
from tests.fix_browser import FLAGS, find_chromium
from tests.fix_db import Database
from tests.integration.console_bench import (
    DESKTOP,
    DOCTOR,
    OPERATOR,
    PHONE,
    Console,
    Desk,
    a_console,
    a_desk,
)
from tests.integration.console_world import LONG, PEOPLE, build_world
from tests.integration.judge_bench import JudgeBench
from tests.integration.operations_bench import ONLINE, RESIDENT, an_operators_console

FOLDER: Final = Path(__file__).parents[1] / "docs" / "images"
NAME: Final = "console_screenshots"
SIZES: Final = {"desktop": DESKTOP, "phone": PHONE}
PAGES: Final = {
    "sign-in": "sign-in",
    "today": "today",
    "worklist": "worklist",
    "worklist-print": "worklist/print",
    "resident": "residents/{id}?days=1095",
    "record": "today",
    "quality": "quality",
}
OPERATORS: Final = {
    "fleet": "fleet",
    "flow": "flow",
    "flow-item": "flow/items/1/bytes",
    "rules": "rules",
    "comparison": "rules",
    "simulator": "simulator",
}


async def _prepare(world: JudgeBench) -> None:
    """Two emergencies of this morning, the second not judged yet."""
    now = utc_now()
    early = a_blood_pressure("186", "112", at=now - timedelta(minutes=52), resident_id=PEOPLE[9].id)
    late = a_glucose("3.4", at=now - timedelta(minutes=3), resident_id=PEOPLE[8].id)
    world.clock.now = now - timedelta(minutes=40)
    await world.store(a_batch(early), at=world.clock.now)
    await world.settle(minutes=15)
    await world.store(a_batch(late), at=now)


async def _take(desk: Desk, page: str, address: str, suffix: str) -> None:
    await desk.go(address)
    if page in {"today", "record"}:
        await desk.is_live()
    if page == "record":
        await desk.page.locator(".record-link").nth(3).click()
        await desk.page.locator("#record-title").wait_for()
    if page == "resident":
        await desk.page.locator('#charts[aria-busy="false"]').wait_for()
    await desk.page.screenshot(path=FOLDER / f"console-{page}-{suffix}.png")


async def _take_all(console: Console) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for size, viewport in SIZES.items():
            for language in ("zh", "en"):
                async with a_desk(browser, console, viewport=viewport, language=language) as desk:
                    for page, address in PAGES.items():
                        if page == "today":
                            await desk.sign_in(DOCTOR)
                        await _take(desk, page, address.format(id=LONG.id), f"{language}-{size}")
                    sys.stdout.write(f"{language} {size}: {len(desk.faults)} faults\n")
        await browser.close()


async def _compare(desk: Desk) -> None:
    """Two profiles on history, once; every picture shows what it found."""
    await desk.go("rules")
    await desk.page.locator("select[name=after]").select_option("cn_nbphs_2017")
    await desk.page.locator("#compare button").click()
    await desk.page.locator('#comparison[data-state="done"]').wait_for()


async def _take_operators(console: Console) -> None:
    """The operators' pages: one gateway opened, one comparison done."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        async with a_desk(browser, console) as desk:
            await desk.sign_in(OPERATOR)
            await _compare(desk)
        for size, viewport in SIZES.items():
            for language in ("zh", "en"):
                async with a_desk(browser, console, viewport=viewport, language=language) as desk:
                    await desk.sign_in(OPERATOR)
                    for page, address in OPERATORS.items():
                        await desk.go(address)
                        if page == "fleet":
                            await desk.page.locator('#rate[aria-busy="false"]').wait_for()
                            await desk.page.locator(f"#gateway-{ONLINE} summary").click()
                        if page == "comparison":
                            await desk.page.locator("#comparison").evaluate(
                                "part => part.scrollIntoView()"
                            )
                        path = FOLDER / f"console-{page}-{language}-{size}.png"
                        await desk.page.screenshot(path=path)
                    sys.stdout.write(f"{language} {size}: {len(desk.faults)} faults\n")
        await browser.close()


async def _show_operators(stack: Stack, template: str, folder: Path) -> None:
    file = folder / "simulator.json"
    file.write_text(json.dumps({"folder": str(folder), "gateways": {"gateway-1": ["", 1]}}))
    settings = {"API_CONSOLE__SIMULATOR_FILE": str(file), "API_OPERATIONS__SAMPLE_S": "0.3"}
    async with an_operators_console(stack, template, **settings) as console:
        now = utc_now()
        limits = [("140", "85"), ("141", "86"), ("140", "84"), ("140", "83")]
        history = [
            a_blood_pressure(*values, at=now - timedelta(days=9 * n + 9), resident_id=RESIDENT)
            for n, values in enumerate(limits)
        ]
        await console.world.store(a_batch(*history), at=now)
        await _take_operators(console)


async def main() -> None:
    """Make the world, show it, take the pictures, take the world away."""
    checkout = Stack.of_checkout()
    os.environ["SUIFANG_PACKAGES"] = str(checkout.fetch())
    stack = Stack.of_checkout(checkout.home / "test")
    stack.up()
    FOLDER.mkdir(exist_ok=True)
    stack.drop_database(NAME)  # Of a run that was interrupted: it would be in the pictures.
    database = Database(NAME, stack.create_database(NAME), stack)
    migrate.upgrade(database.dsn)
    with tempfile.TemporaryDirectory() as folder:
        await _show_operators(stack, NAME, Path(folder))
    async with await connect(database.dsn, application_name="test", autocommit=True) as connection:
        world = await build_world(connection, database, utc_now() - timedelta(minutes=55))
        await _prepare(world)
        async with a_console(stack, database, world) as console:
            await _take_all(console)
    stack.drop_database(NAME)


if __name__ == "__main__":
    asyncio.run(main())
