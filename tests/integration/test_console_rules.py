"""Promise: limits are shown with their sources, and two profiles are compared beside the API.

A real Chromium on the real API and database; the comparison is the command's own back-test.
"""

import json
from collections.abc import AsyncIterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, expect

from deploy.embedded.stack import Stack
from gateway.wire.times import utc_now
from ingest.backtest import Question, backtest
from ingest.profiles import Profiles
from rules.profiles import describe_profile, load_profile
from tests.builders import a_batch, a_blood_pressure
from tests.integration.console_bench import DESKTOP, DOCTOR, OPERATOR, PHONE, Console, a_desk
from tests.integration.operations_bench import RESIDENT, an_operators_console
from tests.integration.test_console import serious_violations

pytestmark = pytest.mark.asyncio(loop_scope="module")
BEFORE, AFTER = "wuzhou", "cn_nbphs_2017"
BY_WEEK: Final = ("alerts_by_week", "followups")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(stack: Stack, template_database: str) -> AsyncIterator[Console]:
    """One console, and a history on which the two profiles differ."""
    async with an_operators_console(stack, template_database) as running:
        now = utc_now()
        history = [
            a_blood_pressure(  # Above 140/90 for the one is 140/90 and above for the other.
                *("140", "85"), at=now - timedelta(days=9 * n, hours=3), resident_id=RESIDENT
            )
            for n in range(1, 6)
        ]
        await running.world.store(a_batch(*history), at=now)
        yield running


async def compare(page: Page, before: str, after: str) -> None:
    """Fill the form and begin."""
    await page.locator("select[name=before]").select_option(before)
    await page.locator("select[name=after]").select_option(after)
    await page.locator("#compare button").click()


async def test_every_limit_of_every_profile_is_there_with_its_source(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console) as desk:
        await desk.sign_in(OPERATOR)
        await desk.page.get_by_role("link", name="规则").click()
        text = await desk.page.locator(f"#profile-{BEFORE}").inner_text()
        await expect(desk.page.locator(f"#profile-{BEFORE} summary")).to_contain_text("本部署所用")
        await expect(desk.page.locator(f"#profile-{AFTER} summary")).to_contain_text("未使用")

    for _, limit, source in describe_profile(load_profile(BEFORE)):
        assert source in text
        if limit.endswith(("mmHg", "mmol/L")) and "more" not in limit:
            assert limit.replace(">=", "≥").replace("<=", "≤") in text
    assert "within" not in text
    assert desk.faults == []


async def test_a_comparison_runs_beside_the_page_and_says_what_the_command_says(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console, language="en") as desk:
        await desk.sign_in(OPERATOR)
        await desk.go("rules")
        first = await desk.page.locator("input[name=first]").input_value()
        last = await desk.page.locator("input[name=last]").input_value()
        await compare(desk.page, BEFORE, AFTER)
        await desk.page.locator('#comparison[data-state="done"]').wait_for()
        await expect(desk.page.locator("#comparison")).to_contain_text("Residents: 1; readings: 10")
        rows = {
            await row.get_attribute("data-code"): [
                int(cell.replace("−", "-")) for cell in await row.locator("td").all_inner_texts()
            ]
            for row in await desk.page.locator("#codes tbody tr").all()
        }
        drawn: dict[str, Any] = {}
        for name in BY_WEEK:
            chart = desk.page.locator(f"#weeks-{name}")
            drawn[name] = json.loads(await chart.get_attribute("data-weeks") or "")
            assert await chart.locator("svg path").count() > 0
        page = await desk.page.content()

    question = Question(
        before=Profiles(BEFORE),
        after=Profiles(AFTER),
        first=utc_now().date().fromisoformat(first),
        last=utc_now().date().fromisoformat(last),
    )
    told = (await backtest(console.world.connection, question, lambda _: None)).as_record(question)
    assert rows == {
        each["code"]: [each["before"], each["after"], each["new"], -each["lost"]]
        for each in told["alerts"]
    }
    assert any(values[2] or values[3] for values in rows.values())  # They do differ.
    for name, data in drawn.items():
        assert data["teams"] == ["east-1"]
        assert sum(data["extra"][0]) == sum(each["extra"] for each in told[name])
        mondays = [date.fromisoformat(f"{week}-1") for week in data["weeks"]]
        assert {b - a for a, b in pairwise(mondays)} == {timedelta(days=7)}  # None is left out.
    assert RESIDENT not in page
    noted = await console.world.rows(
        "SELECT subject, things FROM audit_entry WHERE object = 'backtest'"
    )
    assert noted == [(OPERATOR, [BEFORE, AFTER])]
    assert desk.faults == []


async def test_what_cannot_be_compared_is_said_beside_the_form(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console) as desk:
        await desk.sign_in(OPERATOR)
        await desk.go("rules")
        await compare(desk.page, BEFORE, BEFORE)
        await expect(desk.page.locator("#error-profiles")).to_contain_text("两个不同的规则集")
        await desk.page.locator("input[name=first]").fill("2026-03-02")
        await desk.page.locator("input[name=last]").fill("2026-03-01")
        await compare(desk.page, BEFORE, AFTER)
        await expect(desk.page.locator("#error-days")).to_contain_text("开始日不能晚于结束日")
        await expect(desk.page.locator("input[name=first]")).to_have_value("2026-03-02")
        await desk.page.locator("input[name=first]").fill("")
        await compare(desk.page, BEFORE, AFTER)
        await expect(desk.page.locator("#error-days")).to_contain_text("开始日")


async def test_doctors_get_no_rules_page_and_begin_nothing(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console) as desk:
        await desk.sign_in(DOCTOR)
        for address in ("rules", "rules/panel"):
            answer = await desk.page.request.get(f"{console.address}/console/{address}")
            assert answer.status == 403
        for address in ("rules/comparison", "rules/comparison/end"):
            answer = await desk.page.request.post(
                f"{console.address}/console/{address}",
                form={"before": BEFORE, "after": AFTER},
                headers={"Sec-Fetch-Site": "same-origin"},
            )
            assert answer.status == 403


async def test_where_nothing_is_simulated_there_is_no_simulator(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console) as desk:
        await desk.sign_in(OPERATOR)
        await expect(desk.page.get_by_role("link", name="模拟")).to_have_count(0)
        for address in ("simulator", "simulator/panel"):
            answer = await desk.page.request.get(f"{console.address}/console/{address}")
            assert answer.status == 404
        for address in ("simulator/run", "simulator/end"):
            answer = await desk.page.request.post(
                f"{console.address}/console/{address}",
                form={"scenario": "calm", "seconds": "10"},
                headers={"Sec-Fetch-Site": "same-origin"},
            )
            assert answer.status == 404


@pytest.mark.parametrize(
    "viewport", [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone")]
)
async def test_the_page_is_accessible_and_fits_its_screen(
    browser: Browser, console: Console, viewport: ViewportSize
) -> None:
    async with a_desk(browser, console, viewport=viewport, language="en") as desk:
        await desk.sign_in(OPERATOR)
        await desk.go("rules")
        found = await serious_violations(desk)
        width = await desk.page.evaluate("document.documentElement.scrollWidth")

    assert found == []
    assert width <= viewport["width"]
    assert desk.faults == []
