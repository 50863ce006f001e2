"""The report opens in a real browser: nothing fails, nothing is asked outside, both languages."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from simulators.report.writing import write_report
from tests.unit.simulators.report.report_builders import a_report

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_report_opens_by_itself(browser: Browser, tmp_path: Path) -> None:
    written = write_report(a_report(partial="stopped after 3 s"), tmp_path)
    context = await browser.new_context()
    page = await context.new_page()
    problems: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(written.page.as_uri())
    assert await page.get_by_text("This run is partial").is_visible()
    assert not await page.get_by_text("早高峰").is_visible()
    assert await page.locator("svg").count() == 2
    await page.get_by_text("中文").click()
    assert await page.get_by_text("早高峰").is_visible()
    assert not await page.get_by_text("All was well.").is_visible()
    assert problems == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    await context.close()
