"""Promise: a resident's page puts a reading right, or back; and leads to the list one came from."""

from datetime import timedelta
from uuid import UUID

import pytest
from playwright.async_api import Browser, Locator, expect

from gateway.wire.times import utc_now
from tests.builders import a_batch, a_blood_pressure
from tests.integration.console_bench import ADMIN, DOCTOR, Console, Desk, a_desk
from tests.integration.console_world import LONG, PEOPLE

QUIET = PEOPLE[2]

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def open_reading(desk: Desk, row: Locator) -> Locator:
    """The versions of a reading, and the forms, beside the page."""
    await row.get_by_role("link").click()
    drawer = desk.page.get_by_role("dialog")
    await drawer.get_by_role("heading", name="测量值").wait_for()
    return drawer


async def test_a_reading_is_corrected_and_the_correction_taken_back(
    chromium: Browser, console: Console
) -> None:
    reading = await console.measure(QUIET, "131", "83")
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.go(f"residents/{QUIET.id}?days=7")
        row = desk.page.locator(".readings tbody tr").first
        await expect(row).to_contain_text("131/83")
        drawer = await open_reading(desk, row)
        form = drawer.locator("form[action$='/correction']")
        await form.get_by_label("收缩压").fill("13")
        await form.get_by_role("button", name="更正").click()
        await expect(form.get_by_label("原因")).to_have_attribute("aria-invalid", "true")
        await expect(form.get_by_label("收缩压")).to_have_value("13")
        await form.get_by_label("原因").fill("抄写错误")
        await form.get_by_role("button", name="更正").click()
        await expect(form.get_by_label("舒张压")).to_have_attribute("aria-invalid", "true")
        await form.get_by_label("舒张压").fill("88")
        await form.get_by_role("button", name="更正").click()
        await expect(form).to_contain_text("此单位下不合理")
        await form.get_by_label("收缩压").fill("137")
        await form.get_by_role("button", name="更正").click()
        await expect(row).to_contain_text("137/88")

        drawer = await open_reading(desk, row)
        await expect(drawer).to_contain_text("抄写错误")
        await drawer.locator("summary", has_text="撤回").click()
        await drawer.locator("details").get_by_label("原因").fill("其实没错")
        await drawer.locator("details").get_by_role("button", name="撤回").click()
        await expect(row).to_contain_text("131/83")

    rows = await console.world.rows(
        "SELECT kind, author FROM amendment"  # noqa: S608 - our own words
        f" WHERE reading_id = '{UUID(reading['id'])}' ORDER BY received_at, kind"
    )
    assert rows == [("correction", DOCTOR), ("undo", DOCTOR)]
    assert desk.faults == []


async def test_a_reading_that_is_none_stays_in_the_table_and_can_be_taken_back(
    chromium: Browser, console: Console
) -> None:
    await console.measure(QUIET, "129", "81")
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.go(f"residents/{QUIET.id}?days=7")
        row = desk.page.locator(".readings tbody tr").first
        drawer = await open_reading(desk, row)
        form = drawer.locator("form[action$='/retraction']")
        await form.get_by_label("原因").fill("试机")
        await form.get_by_role("button").click()
        await expect(row).to_contain_text("已作废")
        await desk.page.locator('#charts[aria-busy="false"]').wait_for()
        drawer = await open_reading(desk, row)
        await drawer.locator("summary", has_text="撤回").click()
        await drawer.locator("details").get_by_label("原因").fill("误操作")
        await drawer.locator("details").get_by_role("button", name="撤回").click()
        await expect(row).not_to_contain_text("已作废")

    assert desk.faults == []


async def test_a_record_that_was_a_mistake_is_taken_back(
    chromium: Browser, console: Console
) -> None:
    at = utc_now() - timedelta(hours=1)
    given = {"resident_id": QUIET.id, "at": at, "outcome": "reached", "note": "打错了电话"}
    wrong = await console.world.record("contact_attempt", **given)
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.go(f"residents/{QUIET.id}?days=7")
        row = desk.page.locator(".timeline li", has_text="打错了电话")
        await row.get_by_role("link", name="撤回此记录").click()
        drawer = desk.page.get_by_role("dialog")
        await drawer.get_by_role("button", name="撤回此记录").click()
        await expect(drawer.get_by_label("原因")).to_have_attribute("aria-invalid", "true")
        await drawer.get_by_label("原因").fill("记错居民")
        await drawer.get_by_role("button", name="撤回此记录").click()
        await expect(row).to_have_count(0)

    rows = await console.world.rows(
        f"SELECT author, note FROM record WHERE withdraws = '{wrong}'"  # noqa: S608 - our own
    )
    assert rows == [(DOCTOR, "记错居民")]
    assert desk.faults == []


async def test_a_reading_of_nobody_is_claimed_by_the_centre_that_measured(
    chromium: Browser, console: Console
) -> None:
    at = utc_now() - timedelta(minutes=1)
    await console.world.store(
        a_batch(a_blood_pressure("127", "79", at=at, resident_id=None)), at=at
    )
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.go(f"residents/{QUIET.id}?days=7")
        await expect(desk.page.get_by_role("heading", name="无主测量值")).to_have_count(0)
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(ADMIN)
        await desk.go(f"residents/{QUIET.id}?days=7")
        nobody = desk.page.locator(".unclaimed li", has_text="127/79")
        await nobody.get_by_role("button", name="认领给此居民").click()
        await expect(desk.page.get_by_role("dialog").locator("#wrong")).to_be_focused()
        await desk.page.keyboard.press("Escape")
        await nobody.get_by_label("依据").fill("护士在场")
        await nobody.get_by_role("button", name="认领给此居民").click()
        await expect(nobody).to_have_count(0)
        await expect(desk.page.locator(".readings tbody tr", has_text="127/79")).to_be_visible()

    assert desk.faults == []


async def test_the_chart_marks_sittings_and_visits_that_say_what_is_taken(
    chromium: Browser, console: Console
) -> None:
    await console.world.record(
        "visit",
        resident_id=LONG.id,
        at=utc_now() - timedelta(days=15),
        mode="home",
        form={"medications": [{"name": "氨氯地平", "dose_each": "5 mg", "times_per_day": 1}]},
    )
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.go(f"residents/{LONG.id}?days=30")
        await desk.page.locator('#charts[aria-busy="false"]').wait_for()
        pressure = desk.page.locator("#pressure svg")
        await expect(pressure.get_by_text("一次测量的均值")).to_have_count(1)
        # One diamond for each sitting in each pane: two readings every ten days, and the legend's.
        assert await pressure.locator('path[stroke="#17242b"]').count() >= 2 * 3
        await expect(pressure.get_by_text("用药", exact=True)).to_have_count(2)
        series = await desk.page.evaluate(
            f"fetch('/console/residents/{LONG.id}/series?days=30').then(found => found.json())"
        )

    assert "氨氯地平 5 mg ×1" in {visit["medication"] for visit in series["visits"]}
    assert {sitting[3] for sitting in series["sessions"]} == {2}
    readings = {point[0]: point for point in series["pressure"]}
    for at, systolic, _, _ in series["sessions"]:
        others = [point[1] for when, point in readings.items() if 0 <= at - when <= 600_000]
        assert min(others) <= systolic <= max(others)
    assert desk.faults == []


async def test_back_from_a_resident_leads_to_the_list_one_came_from(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        await desk.go("worklist?condition=diabetes&sort=due")
        await desk.page.locator(".worklist .code").first.click()
        back = desk.page.locator("a.back")
        await expect(back).to_have_text("返回工作清单")
        await desk.page.locator(".spans a").last.click()  # Looking around loses nothing.
        await back.click()
        await desk.page.wait_for_url("**/worklist?condition=diabetes&sort=due")
        await desk.go("today")
        await desk.page.locator("a.code:visible").first.click()
        await expect(desk.page.locator("a.back")).to_have_text("返回今日")

    assert desk.faults == []
