"""Promise: a doctor records what was done without leaving the list, and nothing typed is lost.

A real Chromium on the real API, dispatcher and database, as in ``test_console.py``; the judge moves
the cases.
"""

from datetime import timedelta

import pytest
from playwright.async_api import Browser, Dialog, Locator, expect

from api.console.doorkeeper import COOKIE
from gateway.wire.times import utc_now
from tests.integration.console_bench import DOCTOR, Console, Desk, a_desk
from tests.integration.console_world import PEOPLE, REFERRED, Person
from tests.integration.judge_bench import Rows

RISING = PEOPLE[5]
HOME = PEOPLE[9]
SUGAR = PEOPLE[3]

pytestmark = pytest.mark.asyncio(loop_scope="session")


def row_of(desk: Desk, person: Person) -> Locator:
    """The line of a resident on Today."""
    return desk.page.locator(".alert", has_text=person.id[2:10].upper()).first


async def open_form(desk: Desk, link: Locator, kind: str) -> Locator:
    """The form of a kind, opened by keyboard beside the list."""
    drawer = desk.page.get_by_role("dialog")
    await link.press("Enter")
    await drawer.get_by_role("link", name=kind, exact=True).press("Enter")
    await drawer.get_by_role("heading", name=kind).wait_for()
    return drawer


async def judge(console: Console) -> None:
    """Let a sitting close from now on (``session.wait_minutes``, 10), and the judge work."""
    console.world.clock.now = max(console.world.clock.now, utc_now())
    await console.world.settle(minutes=12)


async def recorded(console: Console, person: Person, kind: str) -> Rows:
    """What people recorded of a resident at the console."""
    return await console.world.rows(
        "SELECT condition, mode, outcome, findings, form FROM record"  # noqa: S608 - our own words
        f" WHERE resident_id = '{person.id}' AND kind = '{kind}' AND author = '{DOCTOR}'"
    )


async def state_of(console: Console, person: Person) -> str:
    """Where their case of hypertension stands."""
    ((state,),) = await console.world.rows(
        f"SELECT state FROM resident_case WHERE resident_id = '{person.id}'"  # noqa: S608 - our own
        " AND condition = 'hypertension'"
    )
    return str(state)


async def test_a_visit_is_recorded_beside_the_list_and_moves_the_case(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.is_live()
        before = await state_of(console, RISING)
        await row_of(desk, RISING).get_by_role("link", name="记录").click()
        drawer = desk.page.get_by_role("dialog")
        await drawer.get_by_label("收缩压").fill("128")
        await drawer.get_by_label("此次随访分类").select_option("3")
        await drawer.get_by_role("button", name="保存").click()
        await expect(drawer.get_by_role("alert")).to_be_focused()
        await drawer.get_by_role("group", name="发现").locator(".field-error").wait_for()
        await expect(drawer.get_by_label("舒张压")).to_have_attribute("aria-invalid", "true")
        await expect(drawer).to_contain_text("血压须两个值都填")
        await expect(drawer.get_by_label("收缩压")).to_have_value("128")
        assert await recorded(console, RISING, "visit") == []

        await drawer.get_by_label("舒张压").fill("78")
        await drawer.get_by_label("此次随访分类").select_option("1")
        await drawer.get_by_label("药物名称").first.fill("氨氯地平")
        await drawer.get_by_role("button", name="保存").click()
        await expect(desk.page.locator("#done")).to_contain_text("已保存")
        await expect(drawer).to_be_hidden()
        await judge(console)
        await expect(row_of(desk, RISING)).to_have_count(0)

    ((condition, mode, _, _, form),) = await recorded(console, RISING, "visit")
    assert (condition, mode, form["result_code"]) == ("hypertension", "clinic", 1)
    assert form["measured"] == {"systolic_mmhg": "128", "diastolic_mmhg": "78"}
    assert form["medications"] == [{"name": "氨氯地平"}]
    assert before != "controlled"
    assert await state_of(console, RISING) == "controlled"
    assert desk.faults == []


async def test_a_referral_a_call_and_what_became_of_it_are_recorded_by_keyboard(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console, language="en") as desk:
        await desk.sign_in(DOCTOR)
        await desk.is_live()
        link = row_of(desk, REFERRED).get_by_role("link", name="Record")
        drawer = await open_form(desk, link, "Referral")
        await drawer.get_by_label("1 Unsatisfied twice").press("Space")
        await drawer.get_by_label("To which institution").fill("区医院")
        await drawer.get_by_label("To which institution").press("Enter")
        await expect(desk.page.locator("#done")).to_contain_text("Referral of")
        await expect(link).to_be_focused()

        await open_form(desk, link, "Contact attempt")
        await drawer.get_by_role("button", name="Record").press("Enter")
        await expect(drawer.get_by_label("Outcome")).to_have_attribute("aria-invalid", "true")
        await drawer.get_by_label("Outcome").select_option("referral_not_attended")
        await drawer.get_by_role("button", name="Record").press("Enter")
        await expect(desk.page.locator("#done")).to_contain_text("Contact attempt of")
        await judge(console)
        before = await state_of(console, REFERRED)

        await open_form(desk, link, "Referral follow-up")
        await drawer.get_by_label("Outcome").select_option("treated")
        await drawer.get_by_role("button", name="Record").press("Enter")
        await expect(desk.page.locator("#done")).to_contain_text("Referral follow-up of")
        await judge(console)
        await expect(row_of(desk, REFERRED)).to_have_count(0)

    assert before in {"referral_recommended", "referral_followup_overdue"}
    ((_, _, _, _, form),) = await recorded(console, REFERRED, "referral")
    assert (form["reasons"], form["institution"]) == ([1], "区医院")
    assert [row[2] for row in await recorded(console, REFERRED, "contact_attempt")] == [
        "referral_not_attended"
    ]
    assert await state_of(console, REFERRED) == "referral_closed"
    assert desk.faults == []


async def test_an_alert_that_arrives_while_one_types_is_seen_and_what_is_typed_stays(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.is_live()
        await row_of(desk, HOME).get_by_role("link", name="记录").click()
        drawer = desk.page.get_by_role("dialog")
        await drawer.get_by_label("备注").fill("还没写完")
        await console.measure(PEOPLE[6], "193", "117")
        await expect(drawer.locator("#drawer-news")).to_contain_text("193/117")
        await expect(desk.page.locator(".alert-critical", has_text="193/117")).to_be_visible()
        await expect(drawer.get_by_label("备注")).to_have_value("还没写完")
        asked: list[str] = []

        async def stay(dialog: Dialog) -> None:
            asked.append(dialog.message)
            await dialog.dismiss()

        desk.page.once("dialog", stay)
        await desk.page.keyboard.press("Escape")
        await expect(drawer.get_by_label("备注")).to_have_value("还没写完")

    assert asked
    assert desk.faults == []


async def test_an_api_that_fails_says_what_to_do_and_the_same_form_is_recorded_once(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.is_live()
        await row_of(desk, HOME).get_by_role("link", name="记录").click()
        drawer = desk.page.get_by_role("dialog")
        await drawer.get_by_role("link", name="联系").click()
        await drawer.get_by_label("结果").select_option("reached")
        await console.stop()
        await drawer.get_by_role("button", name="保存").click()
        await expect(drawer.locator("#drawer-failure")).to_contain_text("请重试")
        await expect(drawer.get_by_label("结果")).to_have_value("reached")
        await console.start()
        await drawer.get_by_role("button", name="保存").dblclick()
        await expect(desk.page.locator("#done")).to_contain_text("已保存")

    assert len(await recorded(console, HOME, "contact_attempt")) == 1
    assert all("ERR_" in fault or "htmx:error" in fault for fault in desk.faults), desk.faults


@pytest.mark.parametrize(
    ("page", "person"), [("today", HOME), ("worklist", SUGAR)], ids=["today", "worklist"]
)
async def test_a_session_that_ends_takes_nothing_away_that_was_typed(
    chromium: Browser, console: Console, page: str, person: Person
) -> None:
    before = len(await recorded(console, person, "contact_attempt"))
    async with a_desk(chromium, console) as desk:
        await desk.page.clock.install(time=utc_now() + timedelta(hours=10))  # A wrong one.
        await desk.sign_in(DOCTOR)
        await desk.go(page)
        row = desk.page.locator("tr, .alert", has_text=person.id[2:10].upper()).first
        await row.get_by_role("link", name="记录").click()
        drawer = desk.page.get_by_role("dialog")
        await drawer.get_by_role("link", name="联系").click()
        await drawer.get_by_label("结果").select_option("not_reached")
        await drawer.get_by_label("备注").fill("三次未接")
        await desk.page.clock.fast_forward("08:30:00")
        await expect(desk.page.locator("#expiry")).to_be_visible()
        (session,) = [c for c in await desk.page.context.cookies() if c["name"] == COOKIE]
        await desk.page.context.clear_cookies(name=COOKIE)
        lost = desk.page.locator("#lost")
        if page == "today":  # Its list is asked for again, and is refused.
            await desk.page.clock.fast_forward("00:02:00")
            await expect(lost).to_be_visible()
        await drawer.get_by_role("button", name="保存").click()
        await expect(drawer.locator("#drawer-failure")).to_contain_text("请在另一个标签页登录")
        await expect(drawer.get_by_label("备注")).to_have_value("三次未接")
        own = session["value"]
        await desk.page.context.add_cookies(
            [{"name": COOKIE, "value": own, "domain": "127.0.0.1", "path": "/console"}]
        )
        await drawer.get_by_role("button", name="保存").click()
        await expect(desk.page.locator("#done")).to_contain_text("已保存")
        await expect(lost).to_be_hidden()

    assert len(await recorded(console, person, "contact_attempt")) == before + 1
    assert all("401" in fault for fault in desk.faults), desk.faults


async def test_without_scripts_the_same_form_is_a_page(chromium: Browser, console: Console) -> None:
    async with a_desk(chromium, console, scripts=False) as desk:
        await desk.sign_in(DOCTOR)
        await row_of(desk, HOME).get_by_role("link", name="记录").click()
        await desk.page.get_by_label("收缩压").fill("15o")
        await desk.page.get_by_label("备注").fill("上门")
        await desk.page.get_by_role("button", name="保存").click()
        await expect(desk.page.locator(".field-error").first).to_contain_text("1 处需要改正")
        await expect(desk.page.get_by_label("收缩压")).to_have_value("15o")
        await expect(desk.page.get_by_label("备注")).to_have_value("上门")
        await desk.page.get_by_label("收缩压").fill("")
        await desk.page.get_by_role("button", name="保存").click()
        await expect(desk.page.get_by_role("heading", name="今日")).to_be_visible()
        await expect(desk.page.locator("#done")).to_contain_text("已保存")

    assert len(await recorded(console, HOME, "visit")) == 1
