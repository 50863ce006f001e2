"""Promise: an operator sees what is silent first, live, and who is trusted; and no resident.

A real Chromium on the real API and database; a box enrols, and the real broker refuses it later.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ViewportSize, expect

from api.enrolment.authority import to_pem
from deploy.embedded.stack import Stack
from gateway.wire.enrolment import ENROLMENTS_PATH
from gateway.wire.times import utc_now
from ingest.db import gateway_status
from tests.certificates import a_context, a_key, write_identity
from tests.integration.console_bench import (
    DESKTOP,
    DOCTOR,
    LEADER,
    OPERATOR,
    PHONE,
    Console,
    a_desk,
)
from tests.integration.enrolment_bench import a_request, certificate_of
from tests.integration.operations_bench import (
    OFFLINE,
    ONLINE,
    RESIDENT,
    SILENT,
    a_status,
    an_operators_console,
)
from tests.integration.test_broker_tls import is_refused
from tests.integration.test_console import serious_violations

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(stack: Stack, template_database: str) -> AsyncIterator[Console]:
    """One console for all tests of this file; it signs certificates as the stack's own does."""
    settings = {
        "API_CA_FILE": str(stack.authority.certificate),
        "API_CA_KEY_FILE": str(stack.authority.key),
        "API_OPERATIONS__SAMPLE_S": "0.3",
    }
    async with an_operators_console(stack, template_database, **settings) as running:
        yield running


async def test_the_operator_lands_on_the_fleet_and_the_silent_come_first(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console) as desk:
        await desk.sign_in(OPERATOR)
        await expect(desk.page.get_by_role("heading", name="设备")).to_be_visible()
        boxes = desk.page.locator("details.gateway")
        states = [await box.get_attribute("data-state") for box in await boxes.all()]
        await expect(desk.page.locator("#count-gateways_silent")).to_have_text("2 / 4")
        await desk.page.locator(f"#gateway-{ONLINE} summary").click()
        rows = desk.page.locator(f"#gateway-{ONLINE} tbody tr")
        devices = [await row.get_attribute("data-device") for row in await rows.all()]
        await expect(rows.nth(2)).to_contain_text("14 % · 低")
        await expect(rows.nth(2)).to_contain_text("-42 s")
        await expect(rows.nth(2)).to_contain_text("剩 9 天")
        await expect(desk.page.locator(f"#gateway-{ONLINE}")).to_contain_text("有设备电量低")

    assert states == ["silent", "online", "offline", "unheard"]  # East is silent for longer.
    assert devices == ["cuff-silent", "meter-unseen", "cuff-fine"]
    assert desk.faults == []


async def test_what_a_gateway_says_appears_in_the_open_page(
    browser: Browser, console: Console
) -> None:
    now, connection = utc_now(), console.world.connection
    async with a_desk(browser, console, language="en") as desk:
        await desk.sign_in(OPERATOR)
        box = desk.page.locator(f"#gateway-{SILENT}")
        await box.locator("summary").click()
        await expect(box.locator(".g-state")).to_contain_text("Silent")
        status = a_status(now, rows=845)
        await gateway_status.put(
            connection, SILENT, "east", status, heard_at=now + timedelta(hours=1)
        )
        await expect(box.locator(".g-state")).to_contain_text("Online")
        await expect(box.locator("summary")).to_contain_text("845")
        await expect(box.locator("tbody")).to_be_visible()  # It stays open.

    assert desk.faults == []


async def test_the_charts_draw_rate_and_waiting_from_samples(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console) as desk:
        await desk.sign_in(OPERATOR)
        for name in ("rate", "waiting"):
            await desk.page.locator(f"#{name}[aria-busy=false]").wait_for()
            lines = desk.page.locator(f'#{name} svg path[fill="none"][stroke="#0b6b6b"]')
            await expect(lines.first).to_be_attached()
        for text in ("已存储", "重复", "已隔离"):
            await expect(desk.page.locator("#rate").get_by_text(text, exact=True)).to_have_count(1)

    assert desk.faults == []


async def test_a_box_enrols_by_the_page_s_token_and_is_refused_by_the_broker_once_revoked(
    browser: Browser, console: Console, stack: Stack, tmp_path: Path
) -> None:
    authority = stack.authority.load()
    async with a_desk(browser, console, language="en") as desk:
        await desk.sign_in(OPERATOR)
        await desk.page.get_by_label("Gateway's name").fill("box-9")
        await desk.page.locator("#enrol").get_by_label("Centre").select_option("west")
        await desk.page.get_by_role("button", name="Make a token").click()
        token = await desk.page.locator("#token code").inner_text()
        key = a_key()
        async with httpx.AsyncClient(base_url=console.address, timeout=20) as box:
            answer = await box.post(
                ENROLMENTS_PATH, json={"token": token, "request": a_request(key)}
            )
        certificate = certificate_of(answer)
        context = a_context(write_identity(tmp_path / "box", certificate, key, authority))
        assert not await is_refused(stack, context)
        await desk.go("fleet")
        box_row = desk.page.locator("#gateway-box-9")
        await box_row.locator("summary").click()
        await box_row.get_by_label("Why it is revoked").fill("stolen from the station")
        await box_row.get_by_role("button", name="Revoke").click()
        await expect(desk.page.locator("#revoked")).to_contain_text("box-9 is revoked")
        await expect(box_row).to_have_attribute("data-state", "revoked")
        async with desk.page.expect_download() as downloading:
            await desk.page.get_by_role("link", name="Revocation list").click()
        crl = (await (await downloading.value).path()).read_text()
        await asyncio.to_thread(stack.set_revocations, crl)
        assert await is_refused(stack, context)
        cursor = await console.world.connection.execute(
            "SELECT subject, action, object FROM audit_entry WHERE 'box-9' = ANY (things)"
        )
        noted = set(await cursor.fetchall())
        await asyncio.to_thread(
            stack.set_revocations, to_pem(authority.sign_crl((), number=2, at=utc_now()))
        )

    assert noted == {
        (OPERATOR, "insert", "enrolment_token"),
        (OPERATOR, "update", "gateway"),
    }
    assert desk.faults == []


@pytest.mark.parametrize(
    ("gateway", "centre", "told"),
    [
        ("ingest-0", "west", "只能用小写字母"),
        ("Große Box", "west", "只能用小写字母"),
        ("", "west", "只能用小写字母"),  # In one's own language, not in the browser's.
        (ONLINE, "west", "属于另一个中心"),
    ],
)
async def test_a_form_says_in_one_s_language_what_is_wrong_beside_the_field(
    browser: Browser, console: Console, gateway: str, centre: str, told: str
) -> None:
    async with a_desk(browser, console) as desk:
        await desk.sign_in(OPERATOR)
        await desk.page.get_by_label("网关名称").fill(gateway)
        await desk.page.locator("#enrol").get_by_label("中心").select_option(centre)
        await desk.page.get_by_role("button", name="生成令牌").click()
        await expect(desk.page.locator("#enrol .field-error")).to_contain_text(told)
        await expect(desk.page.locator('[aria-invalid="true"]')).to_have_count(1)
        await expect(desk.page.get_by_label("网关名称")).to_have_value(gateway)


async def test_a_gateway_is_not_revoked_without_a_word_and_the_page_says_so(
    browser: Browser, console: Console
) -> None:
    async with a_desk(browser, console, language="en") as desk:
        await desk.sign_in(OPERATOR)
        box = desk.page.locator(f"#gateway-{SILENT}")
        await box.locator("summary").click()
        await box.get_by_role("button", name="Revoke this gateway").click()
        await expect(box.locator(".field-error")).to_contain_text("Say why")
        await expect(box.get_by_label("Why it is revoked")).to_be_visible()

    assert await console.world.rows(
        f"SELECT revoked_at FROM gateway WHERE id = '{SILENT}'"  # noqa: S608 - our own word
    ) == [(None,)]


async def test_who_is_no_operator_gets_none_of_it_and_changes_nothing(
    browser: Browser, console: Console
) -> None:
    for who in (DOCTOR, LEADER):
        async with a_desk(browser, console) as desk:
            await desk.sign_in(who)
            await expect(desk.page.get_by_role("link", name="设备")).to_have_count(0)
            for address in ("fleet", "fleet/panel", "fleet/flow", "fleet/revocations"):
                answer = await desk.page.request.get(f"{console.address}/console/{address}")
                assert answer.status == 403
            posts: dict[str, dict[str, str | float | bool]] = {
                "fleet/enrolment": {"gateway": "x", "centre": "east"}
            }
            posts[f"fleet/gateways/{OFFLINE}/revocation"] = {"because": "x"}
            for address, form in posts.items():
                answer = await desk.page.request.post(
                    f"{console.address}/console/{address}",
                    form=form,
                    headers={"Sec-Fetch-Site": "same-origin"},
                )
                assert answer.status == 403
    rows = await console.world.rows(
        f"SELECT revoked_at FROM gateway WHERE id = '{OFFLINE}'"  # noqa: S608 - our own word
    )
    assert rows == [(None,)]


async def test_a_forged_form_changes_nothing(browser: Browser, console: Console) -> None:
    async with a_desk(browser, console) as desk:
        await desk.sign_in(OPERATOR)
        answer = await desk.page.request.post(
            f"{console.address}/console/fleet/gateways/{OFFLINE}/revocation",
            form={"because": "forged"},
            headers={"Sec-Fetch-Site": "cross-site"},
        )

    assert answer.status == 403
    assert await console.world.rows("SELECT FROM gateway WHERE revoked_because = 'forged'") == []


@pytest.mark.parametrize(
    "viewport", [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone")]
)
async def test_the_page_is_accessible_fits_its_screen_and_names_no_resident(
    browser: Browser, console: Console, viewport: ViewportSize
) -> None:
    async with a_desk(browser, console, viewport=viewport, language="en") as desk:
        await desk.sign_in(OPERATOR)
        await desk.page.locator(f"#gateway-{ONLINE} summary").focus()
        await desk.page.keyboard.press("Enter")
        await expect(desk.page.locator(f"#gateway-{ONLINE} tbody")).to_be_visible()
        found = await serious_violations(desk)
        width = await desk.page.evaluate("document.documentElement.scrollWidth")
        text = await desk.page.content()

    assert found == []
    assert width <= viewport["width"]
    assert not re.search(RESIDENT, text)
    assert desk.faults == []
