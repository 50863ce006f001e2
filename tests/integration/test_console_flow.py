"""Promise: the law is shown as it stands, and nobody's data leave the quarantine unnoticed.

A real Chromium on the real API and database; items are filed by ingest's writer and replayed by it.
"""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, expect

from deploy.embedded.stack import Stack
from gateway.wire.errors import Reason
from gateway.wire.times import utc_now
from ingest.db import gateway_status
from ingest.db.quarantine import QuarantineRow, insert_new
from tests.builders import a_batch, to_bytes
from tests.integration.console_bench import (
    DESKTOP,
    DOCTOR,
    OPERATOR,
    PHONE,
    Console,
    a_desk,
)
from tests.integration.operations_bench import (
    OFFLINE,
    ONLINE,
    RESIDENT,
    SECRET_VALUE,
    SILENT,
    a_reading,
    a_status,
    an_operators_console,
)
from tests.integration.test_console import serious_violations

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(stack: Stack, template_database: str) -> AsyncIterator[Console]:
    """One console for all tests of this file."""
    async with an_operators_console(stack, template_database) as running:
        yield running


async def a_curable_item(console: Console) -> tuple[int, dict[str, Any]]:
    """A good reading that an older decoder refused; its number, and itself."""
    reading = a_reading(utc_now() - timedelta(minutes=30))
    raw = to_bytes(reading)
    row = QuarantineRow(
        item_hash=raw[:32],
        reading_id=None,
        content_hash=1,
        settles=False,
        topic=f"suifang/v1/east/{ONLINE}/readings",
        centre_id="east",
        gateway_id=ONLINE,
        batch_id=None,
        reason=Reason.UNKNOWN_SCHEMA,
        field="schema",
        detail="2 is not known",
        payload=a_batch(reading),
        payload_bytes=len(a_batch(reading)),
        received_at=utc_now(),
    )
    payload = row.payload
    row = row._replace(item_hash=payload[-32:], payload=payload, payload_bytes=len(payload))
    await insert_new(console.world.connection, [row])
    ((number,),) = await console.world.rows("SELECT max(number) FROM quarantine")
    return number, reading


async def cells(page: Page, gateway: str) -> dict[str, str]:
    """The numbers of a gateway's line."""
    row = page.locator(f'tr[data-gateway="{gateway}"]')
    found = await row.locator("td[data-name]").all()
    return {
        (await cell.get_attribute("data-name")) or "": await cell.inner_text() for cell in found
    }


async def test_the_law_is_shown_by_gateway_and_follows_what_arrives(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console, language="en") as desk:
        await desk.sign_in(OPERATOR)
        await desk.page.get_by_role("link", name="Flow").click()
        line = desk.page.locator(f'tr[data-gateway="{ONLINE}"]')
        before = await cells(desk.page, ONLINE)
        await expect(line).to_have_attribute("data-verdict", "balanced")
        now = utc_now()
        await console.world.store(a_batch(a_reading(now - timedelta(seconds=9))), at=now)
        await expect(line.locator('[data-name="stored"]')).to_have_text("6")
        ((settled,),) = await console.world.rows(
            "SELECT sum(stored + duplicate + quarantined) FROM gateway_day"
            " WHERE gateway_id = 'gw-1'"
        )
        after = await cells(desk.page, ONLINE)

    assert before["accepted"] == "9"
    assert [before[name] for name in ("stored", "duplicate", "quarantined")] == ["5", "1", "2"]
    assert sum(int(after[name]) for name in ("stored", "duplicate", "quarantined")) == settled
    assert desk.faults == []


async def test_what_a_gateway_had_a_receipt_for_and_is_not_here_is_missing_at_once(
    browser: Browser, console: Console
) -> None:
    connection, now = console.world.connection, utc_now()
    async with a_desk(browser, console) as desk:
        await desk.sign_in(OPERATOR)
        await desk.go("flow")
        await expect(desk.page.locator(f'tr[data-gateway="{SILENT}"]')).to_contain_text("守恒")
        lossy = a_status(now, accepted=1_007, rows=4)
        await gateway_status.put(connection, SILENT, "east", lossy, heard_at=now)
        line = desk.page.locator('tr[data-verdict="missing"]')
        await expect(line).to_contain_text("缺 1,003 条")
        await expect(desk.page.locator("#law .banner-critical")).to_contain_text(
            "缺少 1,003 条读数"
        )
        first = desk.page.locator("#law tbody tr").first
        await expect(first).to_have_attribute("data-gateway", SILENT)
        healed = a_status(now, accepted=4, rows=4)
        await gateway_status.put(connection, SILENT, "east", healed, heard_at=now)
        await expect(line).to_have_count(0)


async def test_of_a_box_with_a_new_spool_nobody_says_that_it_adds_up(
    browser: Browser, console: Console
) -> None:
    connection, now = console.world.connection, utc_now()
    await connection.execute(
        "INSERT INTO gateway_day (gateway_id, day, stored, duplicate, quarantined)"
        " VALUES (%s, %s, 40, 6, 4)",
        (OFFLINE, now.date() - timedelta(days=1)),
    )
    verdicts = []
    async with a_desk(browser, console, language="en") as desk:
        await desk.sign_in(OPERATOR)
        for accepted, rows in ((50, 0), (53, 3), (49, 0), (3, 0), (60, 9)):
            said = a_status(now, accepted=accepted, rows=rows)
            await gateway_status.put(connection, OFFLINE, "west", said, heard_at=now)
            await desk.go("flow")
            line = desk.page.locator(f'tr[data-gateway="{OFFLINE}"]')
            verdicts.append(await line.get_attribute("data-verdict"))
    await connection.execute("DELETE FROM gateway_day WHERE gateway_id = %s", (OFFLINE,))
    healed = a_status(now)
    await gateway_status.put(connection, OFFLINE, "west", healed, heard_at=now)

    assert verdicts == ["balanced", "balanced", "restarted", "restarted", "missing"]


async def test_the_quarantine_shows_no_value_until_asked_and_then_notes_who_looked(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console, language="en") as desk:
        await desk.sign_in(OPERATOR)
        await desk.go("flow?reason=unknown_unit")
        pages = [await desk.page.content()]
        await desk.page.locator("#items tbody a").first.click()
        await expect(desk.page.get_by_text("The unit is none of the contract.")).to_be_visible()
        pages.append(await desk.page.content())
        await desk.page.get_by_role("link", name="Show the bytes").click()
        text = await desk.page.locator("#as-text").inner_text()
        digits = await desk.page.locator("#as-hex").inner_text()

    assert not [page for page in pages if RESIDENT in page or SECRET_VALUE in page]
    assert RESIDENT in text
    assert digits.startswith("00000000  7b 22")
    noted = await console.world.rows(
        "SELECT subject, action, things FROM audit_entry WHERE object = 'quarantine_payload'"
    )
    assert noted == [(OPERATOR, "read", ["1"])]
    assert desk.faults == []


async def test_a_replay_says_what_became_of_each_and_stores_what_can_be_judged(
    browser: Browser, console: Console
) -> None:
    number, reading = await a_curable_item(console)
    async with a_desk(browser, console, language="en") as desk:
        await desk.sign_in(OPERATOR)
        await desk.go("flow")
        await desk.page.get_by_role("button", name="Replay the chosen").click()
        await expect(desk.page.locator("#error-items")).to_contain_text("at least one")
        await desk.page.get_by_label(f"Choose item {number}").check()
        await desk.page.get_by_label("Choose item 1", exact=True).check()
        await desk.page.get_by_role("button", name="Replay the chosen").click()
        told = desk.page.locator("#told")
        await expect(told).to_contain_text("1 whole messages, split into their readings")
        await expect(told).to_contain_text("1 refused again")
        await expect(desk.page.locator(f'tr[data-item="{number}"]')).to_have_count(0)

    stored = await console.world.rows(f"SELECT FROM reading WHERE id = '{reading['id']}'")
    noted = await console.world.rows(
        "SELECT subject, things FROM audit_entry WHERE action = 'replay'"
    )
    assert len(stored) == 1
    assert noted == [(OPERATOR, ["1", str(number)])]
    assert all("422" in fault for fault in desk.faults)  # The browser tells of the refused form.


async def test_a_drop_needs_a_reason_and_deletes_nothing(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console) as desk:
        await desk.sign_in(OPERATOR)
        await desk.go("flow")
        await desk.page.get_by_label("选择第 2 条", exact=True).check()
        await desk.page.get_by_role("button", name="放弃所选").click()
        await expect(desk.page.locator("#error-because")).to_contain_text("请写明原因")
        await desk.page.get_by_label("选择第 2 条", exact=True).check()
        await desk.page.get_by_label("放弃原因").fill("居民已重测")
        sessions = await desk.page.context.cookies()
        await desk.page.context.clear_cookies()  # The session ends; parts are asked for again.
        await expect(desk.page.locator("#unanswered")).to_be_visible()
        await expect(desk.page.get_by_label("放弃原因")).to_have_value("居民已重测")
        await desk.page.context.add_cookies(
            [
                {"name": each["name"], "value": each["value"], "domain": "127.0.0.1", "path": "/"}
                for each in sessions
            ]
        )
        await desk.page.get_by_role("button", name="放弃所选").click()
        await expect(desk.page.locator("#told")).to_contain_text("已放弃 1 条")
        await desk.go("flow/items/2")
        await expect(desk.page.locator(".facts")).to_contain_text(f"{OPERATOR}: 居民已重测")

    rows = await console.world.rows(
        "SELECT resolution, settles, octet_length(payload) > 0 FROM quarantine WHERE number = 2"
    )
    assert rows == [("dropped", True, True)]


async def test_nobody_else_sees_or_resolves_anything(browser: Browser, console: Console) -> None:
    async with a_desk(browser, console) as desk:
        await desk.sign_in(DOCTOR)
        for address in ("flow", "flow/panel", "flow/items/1", "flow/items/1/bytes"):
            answer = await desk.page.request.get(f"{console.address}/console/{address}")
            assert answer.status == 403
        for address in ("flow/replay", "flow/drop"):
            answer = await desk.page.request.post(
                f"{console.address}/console/{address}",
                form={"item": "1", "because": "x"},
                headers={"Sec-Fetch-Site": "same-origin"},
            )
            assert answer.status == 403
        await desk.page.get_by_role("button", name="退出").click()
        await desk.sign_in(OPERATOR)
        for address in ("flow/items/999", "flow/items/anna", "flow/items/-1", "flow/items/1e3"):
            answer = await desk.page.request.get(f"{console.address}/console/{address}")
            assert answer.status == 404


@pytest.mark.parametrize(
    "viewport", [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone")]
)
async def test_the_pages_are_accessible_and_fit_their_screen(
    browser: Browser, console: Console, viewport: ViewportSize
) -> None:
    found: list[str] = []
    async with a_desk(browser, console, viewport=viewport, language="en") as desk:
        await desk.sign_in(OPERATOR)
        for page in ("flow?scope=all", "flow/items/1", "flow/items/1/bytes"):
            await desk.go(page)
            found += await serious_violations(desk)
            width = await desk.page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"], page
            await expect(desk.page.locator("html")).not_to_have_text(re.compile("undefined"))

    assert found == []
    assert desk.faults == []
