"""Promise: a scenario of the page goes the whole way, is counted live, and ends when told to.

A real Chromium, API, gateway, broker and ingest.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from deploy.embedded.stack import Stack
from gateway.wire.times import utc_now
from ingest.db.residents import load
from simulators.fleet import FleetPlan, build_fleet_population
from simulators.sites import sites_of
from tests.fix_broker import TestBroker
from tests.fix_processes import Processes
from tests.integration.console_bench import DOCTOR, OPERATOR, PHONE, Console, a_desk
from tests.integration.operations_bench import an_operators_console
from tests.integration.test_console import serious_violations

pytestmark = pytest.mark.asyncio(loop_scope="module")
SITES = sites_of(["gateway-1"])
PLAN = FleetPlan(terminals=6, rate_per_s=1, duration_s=1, seed=1, rehearsal="x")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo would keep its files."""
    return tmp_path_factory.mktemp("demo")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(stack: Stack, template_database: str, folder: Path) -> AsyncIterator[Console]:
    """One console with a gateway, a broker and an ingest behind it."""
    file = folder / "simulator.json"
    file.write_text("{}")
    settings = {"API_CONSOLE__SIMULATOR_FILE": str(file)}
    async with an_operators_console(stack, template_database, **settings) as running:
        now = utc_now()
        people = build_fleet_population(PLAN, SITES, key=b"k" * 32, today=now.date())
        await load(running.world.connection, people, at=now)
        broker = TestBroker(stack, stack.broker_host, stack.broker_port)
        await broker.forget_ingest_sessions()
        processes = Processes(running.database, broker, folder)
        try:
            processes.start_ingest()
            listening = processes.start_gateway("gateway-1", SITES[0].centre_id)
            host, _, port = listening.rpartition(":")
            offered = {"folder": str(folder), "terminals": PLAN.terminals, "seed": PLAN.seed}
            offered["gateways"] = {"gateway-1": [host, int(port)]}
            file.write_text(json.dumps(offered))
            yield running
        finally:
            processes.stop_all()


def count_taken(folder: Path) -> int:
    """By the one ledger that the page's run has left."""
    (ledger,) = folder.glob("console-*.ledger")
    return sum("taken" in json.loads(line) for line in ledger.read_text().splitlines())


async def test_a_scenario_is_started_counted_live_and_stopped(
    browser: Browser, console: Console, folder: Path
) -> None:
    async with a_desk(browser, console) as desk:
        await desk.sign_in(OPERATOR)
        await desk.page.get_by_role("link", name="模拟").click()
        await desk.page.get_by_label("持续秒数").fill("300")
        await desk.page.get_by_role("button", name="开始：大量危急").click()
        panel = desk.page.locator("#rehearsal")
        await expect(panel).to_have_attribute("data-state", "running")
        for name in ("taken", "stored"):
            await expect(panel.locator(f"[data-count={name}]")).not_to_have_text("0")
        await desk.page.get_by_role("button", name="开始：早高峰").click()
        await expect(desk.page.locator("#error-scenario")).to_contain_text("已有一个正在运行")
        await desk.page.get_by_role("button", name="停止", exact=True).click()
        await expect(panel).to_have_attribute("data-state", "stopped")
        await expect(panel).to_contain_text("已停止")
        taken = await panel.locator("[data-count=taken]").inner_text()

    assert count_taken(folder) >= int(taken.replace(",", "")) > 0
    stored = await console.world.rows("SELECT FROM reading WHERE gateway_id = 'gateway-1' LIMIT 1")
    assert len(stored) == 1
    noted = await console.world.rows(
        "SELECT subject, things FROM audit_entry WHERE object = 'simulator'"
    )
    assert (OPERATOR, ["emergencies"]) in noted


async def test_bad_input_is_refused_in_words(browser: Browser, console: Console) -> None:
    async with a_desk(browser, console, language="en") as desk:
        await desk.sign_in(OPERATOR)
        await desk.go("simulator")
        await desk.page.get_by_label("For how many seconds").fill("")
        await desk.page.get_by_role("button", name="Start: A calm day").click()
        await expect(desk.page.locator("#error-seconds")).to_contain_text("From 10 to 3,600")
        await desk.page.get_by_label("For how many seconds").fill("9")
        await desk.page.get_by_role("button", name="Start: A calm day").click()
        await expect(desk.page.locator("#error-seconds")).to_contain_text("From 10 to 3,600")
        answer = await desk.page.request.post(
            f"{console.address}/console/simulator/run",
            form={"scenario": "../../etc", "seconds": "10"},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        assert answer.status == 422


async def test_only_operators_play_and_the_page_fits_a_phone(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console, viewport=PHONE) as desk:
        await desk.sign_in(DOCTOR)
        answer = await desk.page.request.post(
            f"{console.address}/console/simulator/run",
            form={"scenario": "calm", "seconds": "10"},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        assert answer.status == 403
        await desk.page.get_by_role("button", name="退出").click()
        await desk.sign_in(OPERATOR)
        await desk.go("simulator")
        assert await serious_violations(desk) == []
        assert await desk.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
