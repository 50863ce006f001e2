"""Promise: a doctor at a browser sees what is theirs, at once, and loses none of it.

A real Chromium on the real API, dispatcher and database; readings come through ingest's writer
and are judged by the judge.
"""

import asyncio
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Response, Route, ViewportSize, expect

from gateway.wire.times import utc_now
from tests.builders import a_batch, a_glucose
from tests.integration.console_bench import (
    DESKTOP,
    DOCTOR,
    LEADER,
    OPERATOR,
    OTHER_DOCTOR,
    PATIENCE_MS,
    PHONE,
    Console,
    Desk,
    a_desk,
)
from tests.integration.console_world import LONG, PEOPLE, STRANGER, TEAM

PAGES: Final[tuple[str, ...]] = (
    "today",
    "worklist",
    "worklist/print",
    "residents/{id}?days=1095",
    "residents/{id}/records/visit",
    "quality",
    "quality/htn.control_rate?side=denominator",
)
AXE: Final = Path(__file__).parents[2] / ".node" / "node_modules" / "axe-core" / "axe.min.js"
FOCUSABLE: Final = """
[...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter(
  each => each.checkVisibility() && !each.disabled && each.type !== "hidden")"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_one_signs_in_sees_until_when_and_signs_out(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await expect(desk.page.locator(".who")).to_contain_text("登录有效至")
        (cookie,) = [
            each for each in await desk.page.context.cookies() if each["name"] == "suifang_session"
        ]
        await desk.page.get_by_role("button", name="退出").click()
        await desk.go("today")
        await expect(desk.page.get_by_role("heading", name="选择身份")).to_be_visible()

    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/console")
    assert desk.faults == []


async def test_today_shows_one_item_a_case_critical_first(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.is_live()
        shown = [
            (await row.get_attribute("id"), await row.get_attribute("data-severity"))
            for row in await desk.page.locator(".alert").all()
        ]
    alerts = await console.world.rows(
        "SELECT 'alert-' || id, resident_id, condition, severity FROM alert"  # noqa: S608 - ours
        f" WHERE status = 'active' AND team_id = '{TEAM}'"
    )
    of_case: dict[tuple[str, str], list[str]] = {}
    for _, *case, severity in alerts:
        of_case.setdefault((case[0], case[1]), []).append(severity)
    case_of = {row[0]: (row[1], row[2]) for row in alerts}
    order = ["critical", "high", "warn", "info"]

    assert len({severity for _, severity in shown}) >= 2
    assert len(shown) < len(alerts)  # Somebody has more than one.
    assert sorted(case_of[name] for name, _ in shown) == sorted(of_case)
    for name, severity in shown:
        assert severity == min(of_case[case_of[name]], key=order.index)
    severities = [severity for _, severity in shown]
    assert severities == sorted(severities, key=lambda each: order.index(each or ""))
    assert desk.faults == []


async def test_an_emergency_appears_in_the_open_page_and_only_its_team_sees_it(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk, a_desk(chromium, console) as other:
        await desk.sign_in(DOCTOR)
        await other.sign_in(OTHER_DOCTOR)
        await desk.is_live()
        await other.is_live()
        await console.measure(PEOPLE[7], "192", "118")
        row = desk.page.locator(".alert-critical", has_text="192/118 mmHg")
        await expect(row).to_be_visible()
        await expect(row).to_contain_text("危急")
        # The other page has heard of something later, so of this, too, had it been told.
        at = utc_now()  # No other test has this kind of hers; each comes once in four hours.
        low = a_batch(a_glucose("2.1", at=at, resident_id=STRANGER.id), at=at)
        await console.world.store(low, at=at)
        await expect(other.page.locator(".alert", has_text="2.1 mmol/L")).to_be_visible()
        await expect(other.page.locator(".alert", has_text="192/118 mmHg")).to_have_count(0)
        await console.measure(PEOPLE[9], "189", "117")
        await expect(desk.page.locator(".alert", has_text="189/117 mmHg")).to_be_visible()
        await expect(desk.page.locator(".alert", has_text="2.1 mmol/L")).to_have_count(0)
        codes = await other.page.locator(".alert .code").all_inner_texts()

    assert codes
    assert not {person.id[2:10].upper() for person in PEOPLE if person.team == TEAM} & {*codes}
    assert desk.faults == other.faults == []


async def test_the_api_restarts_and_the_open_page_says_so_and_misses_no_alert(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.is_live()
        await console.stop()
        await expect(desk.page.locator("#lost")).to_be_visible()
        await console.measure(LONG, "197", "123")
        await console.start()
        await expect(desk.page.locator(".alert", has_text="197/123 mmHg")).to_be_visible()
        await desk.is_live()
        await expect(desk.page.locator("#lost")).to_be_hidden()
        await console.measure(PEOPLE[2], "185", "112")
        await expect(desk.page.locator(".alert", has_text="185/112 mmHg")).to_be_visible()

    # A browser says that it cannot reach a server that is not there, or whose feed does not follow
    # its database yet; nothing else is wrong.
    away = ("ERR_", "status of 503 ")
    assert [fault for fault in desk.faults if not any(word in fault for word in away)] == []


async def test_an_answer_that_breaks_off_does_not_end_the_live_list(
    chromium: Browser, console: Console
) -> None:
    """An api that dies may have begun to answer: the page asks again, as without an answer."""
    asked_for_the_list = asyncio.Event()

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/today/panel" in await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n<section")
            await writer.drain()
            asked_for_the_list.set()
        writer.close()

    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.is_live()
        await console.stop()
        async with await asyncio.start_server(break_off, "127.0.0.1", console.port):
            await asyncio.wait_for(asked_for_the_list.wait(), PATIENCE_MS / 1000)
        await expect(desk.page.locator("#lost")).to_be_visible()
        await console.start()
        await desk.is_live()
        await expect(desk.page.locator("#lost")).to_be_hidden()

    assert [fault for fault in desk.faults if "ERR_" not in fault] == []


async def test_a_page_behind_what_the_feed_keeps_begins_anew_and_misses_no_alert(
    chromium: Browser, console: Console
) -> None:
    """It was loaded, and the browser slept before it could follow: the answer is 410."""
    awake, answers = asyncio.Event(), []

    async def sleep(route: Route) -> None:
        await awake.wait()
        await route.continue_()

    def note(response: Response) -> None:
        if "/console/feed/stream" in response.url:
            answers.append(response.status)

    async with a_desk(chromium, console) as desk:
        await desk.page.route("**/console/feed/stream?*", sleep, times=1)
        desk.page.on("response", note)
        await desk.sign_in(OTHER_DOCTOR)
        place = int(await desk.page.locator("#panel").get_attribute("data-feed") or 0)
        await console.measure(PEOPLE[-1], "199", "118")
        await console.forget_events(place + 2)
        await expect(desk.page.locator(".alert", has_text="199/118 mmHg")).to_have_count(0)
        awake.set()
        await expect(desk.page.locator(".alert", has_text="199/118 mmHg")).to_be_visible()
        await desk.is_live()
        await expect(desk.page.locator("#lost")).to_be_hidden()

    assert answers[0] == 410
    assert {*answers[1:]} == {200}  # It follows from where the list that it asked for ends.
    # The browser says of an answer that it is none; nothing else is wrong.
    assert all("410" in fault for fault in desk.faults), desk.faults


async def test_an_alert_is_taken_without_leaving_the_page_and_given_back(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk, a_desk(chromium, console) as leader:
        await desk.sign_in(DOCTOR)
        await leader.sign_in(LEADER)
        await leader.is_live()
        await desk.is_live()
        name = await desk.page.locator(".alert:not(.alert-critical)").first.get_attribute("id")
        row, seen = desk.page.locator(f"#{name}"), leader.page.locator(f"#{name}")
        await row.locator(".act summary").click()
        await row.get_by_label("处理方式").select_option("other")
        await row.get_by_role("button", name="接手").click()
        await expect(row.locator(".field-error")).to_contain_text("请在备注中写明")
        await expect(row.get_by_role("textbox")).to_have_attribute("aria-invalid", "true")
        await row.get_by_label("处理方式").select_option("contacted")
        await row.get_by_role("button", name="接手").click()
        for page in (row, seen):
            await expect(page).to_contain_text(f"{DOCTOR} 已接手")
            await expect(page).to_contain_text("已联系居民")
        await seen.get_by_role("button", name="撤销").click()
        await expect(row.locator(".act summary")).to_be_visible()
        await row.locator(".act summary").click()
        await row.get_by_role("button", name="暂缓").click()
        await expect(row).to_contain_text(f"{DOCTOR} 暂缓至")
        await row.get_by_role("button", name="撤销").click()
        await expect(row.locator(".act summary")).to_be_visible()

    assert desk.faults == leader.faults == []


async def test_a_critical_alert_cannot_be_put_aside(chromium: Browser, console: Console) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(OTHER_DOCTOR)
        await desk.is_live()
        await console.measure(STRANGER, "190", "119")
        row = desk.page.locator(".alert-critical").first
        await row.locator(".act summary").click()
        await expect(row).to_contain_text("危急提醒不能暂缓")
        await expect(row.get_by_role("button", name="暂缓")).to_have_count(0)


async def test_the_worklist_is_filtered_sorted_by_risk_and_saved_as_a_file(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(LEADER)
        await desk.page.get_by_role("link", name="工作清单").click()
        rows = desk.page.locator(".worklist tbody tr")
        everything = await rows.count()
        words = [await row.locator("td").first.inner_text() for row in await rows.all()]
        order = ["危急", "紧急", "注意", "提示", "无风险"]
        await desk.page.get_by_label("病种").select_option("diabetes")
        await desk.page.wait_for_url("**condition=diabetes**")
        await expect(rows.filter(has_text="高血压")).to_have_count(0)
        sugar = await rows.count()
        await desk.page.locator("#filters summary", has_text="导出 CSV").click()
        async with desk.page.expect_download() as downloading:
            await desk.page.get_by_role("link", name=f"导出 CSV · {TEAM}").click()
        saved = await (await downloading.value).path()
        lines = saved.read_text("utf-8-sig").splitlines()

    assert words == sorted(words, key=lambda word: order.index(word.strip()))
    assert everything > sugar > 0
    assert 0 < len([line for line in lines if "糖尿病" in line]) < sugar  # Of one of two teams.
    assert not [line for line in lines if "高血压" in line]
    assert desk.faults == []


async def test_the_language_is_one_switch_away_and_stays(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await expect(desk.page.get_by_role("heading", name="今日")).to_be_visible()
        await desk.page.get_by_role("button", name="English").click()
        await expect(desk.page.get_by_role("heading", name="Today")).to_be_visible()
        await desk.go("today")
        await expect(desk.page.locator("html")).to_have_attribute("lang", "en")
        await expect(desk.page.locator(".alert").first).to_contain_text("limit")

    assert desk.faults == []


async def test_an_operator_sees_the_server_and_no_resident(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(OPERATOR)
        await desk.page.get_by_role("link", name="运行状态").click()
        await expect(desk.page.get_by_role("heading", name="运行状态")).to_be_visible()
        await expect(desk.page.get_by_role("row", name="数据库")).to_contain_text("正常")
        response = await desk.page.goto(f"{console.address}/console/today")
        assert response is not None
        assert response.status == 403
        await expect(desk.page.locator(".lead")).to_contain_text("不能查看")


async def test_a_resident_s_chart_has_both_series_bands_of_the_profile_and_says_why(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.go(f"residents/{LONG.id}?days=365")
        await desk.page.locator('#charts[aria-busy="false"]').wait_for()
        pressure = desk.page.locator("#pressure svg")
        for tone in ("#0b6b6b", "#34558b"):  # The lines of both sides.
            line = pressure.locator(f'path[fill="none"][stroke="{tone}"]').first
            assert len(await line.get_attribute("d") or "") > 200
        for tone in ("#f6c9ca", "#faecc2"):  # Emergency, and above the control limit.
            assert await pressure.locator(f'path[fill="{tone}"]').count() == 2
        # Source: profile wuzhou, bp_office and bp_emergency; the resident is diagnosed.
        for limit in ("> 140", "> 90", "危急 ≥ 180", "危急 ≥ 110", "收缩压", "舒张压"):
            await expect(pressure.get_by_text(limit, exact=True)).to_have_count(1)
        glucose = desk.page.locator("#glucose svg")
        for limit in ("空腹界值 > 7", "餐后 2 小时界值 ≥ 10", "危急 ≥ 16.7", "危急（低） ≤ 3.9"):
            await expect(glucose.get_by_text(limit, exact=True)).to_have_count(1)
        await expect(desk.page.locator("#pressure-note")).to_contain_text("wuzhou 版本 1")
        flagged = pressure.locator('path[stroke="#9a4a00"]').first
        await flagged.hover()
        await expect(desk.page.locator(".tip").first).to_contain_text("控制不满意")
        await expect(desk.page.get_by_role("heading", name="病例经过")).to_be_visible()

    assert desk.faults == []


async def test_a_stranger_s_page_is_no_page(chromium: Browser, console: Console) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        for person in (STRANGER.id, "r-nobody"):
            response = await desk.page.goto(f"{console.address}/console/residents/{person}")
            assert response is not None
            assert response.status == 404
            await expect(desk.page.locator(".lead")).to_contain_text("没有这个页面或居民")


async def serious_violations(desk: Desk) -> list[str]:
    """What axe-core calls serious or critical on the page as it stands."""
    assert AXE.is_file(), "run `make assets`"
    await desk.page.evaluate(AXE.read_text("utf-8"))
    found = await desk.page.evaluate("axe.run()")
    return [
        f"{violation['id']}: {node['html']} {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize(
    "viewport", [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone")]
)
async def test_every_page_is_accessible_and_fits_its_screen(
    chromium: Browser, console: Console, viewport: ViewportSize
) -> None:
    async with a_desk(chromium, console, viewport=viewport, language="en") as desk:
        await desk.go("sign-in")
        found = await serious_violations(desk)
        await desk.sign_in(DOCTOR)
        for page in PAGES:
            await desk.go(page.format(id=LONG.id))
            if "days=" in page:
                await desk.page.locator('#charts[aria-busy="false"]').wait_for()
            found += await serious_violations(desk)
            width = await desk.page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"], page

    assert found == []
    assert desk.faults == []


async def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.is_live()
        await desk.go("today")
        await desk.page.keyboard.press("Tab")
        await expect(desk.page.locator(".skip")).to_be_focused()
        await desk.page.keyboard.press("Enter")
        await expect(desk.page.locator("#main")).to_be_focused()
        await desk.page.keyboard.press("Tab")
        await expect(desk.page.locator("#sound")).to_be_focused()
        await desk.page.keyboard.press("Enter")
        await expect(desk.page.locator("#sound")).to_have_attribute("aria-pressed", "true")
        everything = await desk.page.evaluate(f"{FOCUSABLE}.length")
        marked = [await desk.tab() for _ in range(everything + 2)]  # Round, by the document itself.
        missed = await desk.page.evaluate(f"{FOCUSABLE}.filter(each => !each.reached).length")

    assert everything > 20
    assert missed == 0
    assert all(marked)
