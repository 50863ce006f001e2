"""Promise: figures lead to the persons behind them, a list can be taken along, news are told."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect

from gateway.wire.times import utc_now
from tests.integration.console_bench import (
    DOCTOR,
    LEADER,
    OPERATOR,
    PHONE,
    Console,
    a_desk,
)
from tests.integration.console_world import OTHER_TEAM, PEOPLE, STRANGER, TEAM, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")


def code_of(person: Person) -> str:
    """As pages call them."""
    return person.id[2:10].upper()


async def test_a_figure_leads_to_the_persons_behind_it(chromium: Browser, console: Console) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(LEADER)
        await desk.page.get_by_role("link", name="质量").click()
        row = desk.page.get_by_role("row", name="管理人群血压控制率")
        await expect(desk.page.get_by_role("columnheader", name=OTHER_TEAM).first).to_be_visible()
        told = row.get_by_role("link").first
        numerator, denominator = map(int, re.findall(r"\d+", await told.inner_text())[:2])
        assert 0 <= numerator <= denominator
        assert denominator > 0
        await told.click()
        await desk.page.get_by_role("link", name="全部", exact=True).click()
        await desk.page.wait_for_url("**side=denominator**")
        people = await desk.page.locator("tbody .code").all_inner_texts()
        await desk.page.get_by_role("link", name="达标", exact=True).click()
        await desk.page.wait_for_url("**side=numerator**")
        counted = await desk.page.locator("tbody .code").all_inner_texts()
        async with desk.page.expect_download() as downloading:
            await desk.go("quality?period=2026")
            await desk.page.get_by_role("link", name="导出 CSV").click()
        text = (await (await downloading.value).path()).read_text("utf-8-sig")

    assert (len(people), len(counted)) == (denominator, numerator)
    assert {*counted} <= {*people}
    assert {*people} <= {code_of(person) for person in PEOPLE if person.team == TEAM}
    assert "htn.control_rate" in text
    assert desk.faults == []


@pytest.mark.parametrize(("who", "page"), [(LEADER, "quality"), (OPERATOR, "operations")])
async def test_columns_of_many_teams_and_many_pages_fit_a_phone(
    chromium: Browser, console: Console, who: str, page: str
) -> None:
    async with a_desk(chromium, console, viewport=PHONE, language="en") as desk:
        await desk.sign_in(who)
        await desk.go(page)
        await expect(desk.page.locator("h1")).to_be_visible()
        width = await desk.page.evaluate("document.documentElement.scrollWidth")

    assert width <= PHONE["width"]
    assert desk.faults == []


async def test_the_list_for_home_visits_is_whole_and_leaves_room_to_write(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(LEADER)
        await desk.go("worklist?condition=hypertension&sort=due")
        await expect(desk.page.get_by_label("排序")).to_have_value("due")
        await desk.page.get_by_label("团队").select_option(TEAM)
        await desk.page.wait_for_url("**team=east-1**")
        await desk.page.get_by_role("link", name="打印").click()
        await desk.page.wait_for_url("**/worklist/print**")
        await desk.page.emulate_media(media="print")
        await expect(desk.page.locator(".rail")).to_be_hidden()
        codes = await desk.page.locator(".printable .code").all_inner_texts()
        blank = await desk.page.locator(".printable tbody tr").first.locator(".to-write").count()
        sheet = await desk.page.pdf(prefer_css_page_size=True)
        ((noted,),) = await console.world.rows(
            f"SELECT count(*) FROM audit_entry WHERE subject = '{LEADER}'"  # noqa: S608 - our own
            " AND object = 'print_worklist'"
        )

    of_team = {code_of(p) for p in PEOPLE if p.team == TEAM and "hypertension" in p.conditions}
    assert of_team <= {*codes}
    assert code_of(STRANGER) not in codes
    assert blank == 4
    assert sheet.startswith(b"%PDF")
    assert noted
    assert desk.faults == []


async def test_one_is_told_what_happened_while_one_was_away_until_one_has_seen_it(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        (cookie,) = [c for c in await desk.page.context.cookies() if "suifang_seen" in c["name"]]
        assert cookie["httpOnly"]
        gone = utc_now() - timedelta(minutes=50)
        left = f"{gone.timestamp():.0f}.{gone.timestamp():.0f}"
        await desk.page.context.add_cookies(
            [{"name": cookie["name"], "value": left, "domain": "127.0.0.1", "path": "/console"}]
        )
        await console.measure(PEOPLE[8], "191", "113")
        await desk.go("today")
        away = desk.page.locator("#away")
        await expect(away).to_contain_text("新提醒")
        await away.locator("summary", has_text="新提醒").click()
        await expect(away.get_by_role("link", name=code_of(PEOPLE[8])).first).to_be_visible()
        await expect(away).not_to_contain_text(code_of(STRANGER))
        await desk.go("today")
        await expect(away).to_be_visible()  # Until it was read.
        await away.get_by_role("button", name="已阅").click()
        await expect(away).to_have_count(0)
        await desk.go("today")
        await desk.is_live()
        await expect(away.get_by_role("link", name=code_of(PEOPLE[8]))).to_have_count(0)

    assert desk.faults == []
