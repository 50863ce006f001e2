"""Promise: what is urgent is called so, wherever in the console one is, and by more than a colour.

A real Chromium on the real API, dispatcher and database, as in ``test_console.py``.
"""

import re
from datetime import timedelta
from typing import Final

import pytest
from playwright.async_api import Browser, Locator, expect

from gateway.wire.times import utc_now
from tests.builders import a_batch, a_glucose
from tests.integration.console_bench import DOCTOR, OTHER_DOCTOR, Console, Desk, a_desk
from tests.integration.console_world import LONG, PEOPLE, STRANGER, Person

BETTER: Final = PEOPLE[6]
LOW: Final = PEOPLE[8]
SUGAR: Final = PEOPLE[11]
HEARD: Final = """() => {
  window.tones = 0;
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function () { window.tones += 1; start.call(this); };
}"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


def row_of(desk: Desk, person: Person, says: str = "") -> Locator:
    """The line of a resident on Today, the first that says so."""
    return desk.page.locator(".alert", has_text=person.id[2:10].upper()).filter(has_text=says).first


async def emergency(console: Console, person: Person, glucose: str) -> None:
    """A low value arrives, now."""
    at = utc_now()
    await console.world.store(a_batch(a_glucose(glucose, at=at, resident_id=person.id)), at=at)


async def test_an_emergency_is_for_now_and_stands_before_older_ones(
    chromium: Browser, console: Console
) -> None:
    """Its due day is that of the follow-up after the referral: nobody has 14 days to refer."""
    old = utc_now() - timedelta(days=20)
    await console.world.store(a_batch(a_glucose("2.8", at=old, resident_id=SUGAR.id)), at=old)
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(OTHER_DOCTOR)
        await desk.is_live()
        await console.measure(STRANGER, "203", "127")
        row = row_of(desk, STRANGER, "血压危急")
        await expect(row).to_be_visible()  # Or one of an earlier test: it counts once.
        await expect(row.locator(".a-due strong")).to_have_text("立即处理")
        await expect(row.locator(".a-due")).to_contain_text("之后随访期限")
        await expect(row).not_to_contain_text("剩")
        older = row_of(desk, SUGAR, "血糖危急")
        ids = await desk.page.locator(".alert").evaluate_all("all => all.map(each => each.id)")
        now, before = [ids.index(await each.get_attribute("id")) for each in (row, older)]
        assert now < before  # Others of the same day may stand between: the world is shared.
        await console.world.settle(minutes=15)
        await desk.go("worklist?severity=critical")
        line = desk.page.locator(".worklist tbody tr", has_text=STRANGER.id[2:10].upper())
        await expect(line.first).to_contain_text("立即转诊")

    assert desk.faults == []


@pytest.mark.parametrize(
    ("name", "due", "condition"),
    [
        ("overdue", "overdue", "due_order < '{today}'"),
        ("due_today", "on_today", "due_order = '{today}'"),
        (
            "waiting_for_referral",
            "referral",
            "state LIKE '%referral%' AND state <> 'referral_closed'",
        ),
    ],
)
async def test_a_count_leads_to_the_cases_that_it_counts(
    chromium: Browser, console: Console, name: str, due: str, condition: str
) -> None:
    today = (await console.world.rows("SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date::text"))[
        0
    ][0]
    async with a_desk(chromium, console) as desk:
        await desk.sign_in(DOCTOR)
        count = int(await desk.page.locator(f"#count-{name}").inner_text())
        links = desk.page.locator(f"#count-{name} a")
        assert await links.count() == (count > 0)
        if count:
            await links.click()
            await desk.page.wait_for_url(f"**/worklist?due={due}")
        else:
            await desk.go(f"worklist?due={due}")
        rows = await desk.page.locator(".worklist tbody tr").count()
        ((stored,),) = await console.world.rows(
            "SELECT count(*) FROM resident_case WHERE team_id = 'east-1' AND "  # noqa: S608 - ours
            + condition.format(today=today)
        )

    assert rows == count == stored
    assert desk.faults == []


async def test_a_critical_alert_is_told_on_every_page_and_to_its_team_alone(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk, a_desk(chromium, console) as other:
        await other.sign_in(OTHER_DOCTOR)
        await other.go(f"residents/{STRANGER.id}")
        await desk.sign_in(DOCTOR)
        await desk.is_live()
        before = int(await desk.page.locator("#count-critical").inner_text())
        await desk.go(f"residents/{LONG.id}")
        news, badge = desk.page.locator("#critical-news"), desk.page.locator("#untaken")
        await expect(news).to_be_hidden()
        await emergency(console, BETTER, "2.6")
        await expect(news).to_be_visible()
        await expect(badge).to_contain_text(str(before + 1))
        await expect(badge).to_contain_text("危急")
        await expect(desk.page).to_have_title(re.compile(rf"^\({before + 1}\) "))
        await expect(other.page.locator("#critical-news")).to_be_hidden()
        await news.get_by_role("link").click()
        await expect(row_of(desk, BETTER)).to_contain_text("2.6 mmol/L")
        await desk.go("worklist")  # Told once.
        await expect(badge).to_contain_text(str(before + 1))
        await expect(news).to_be_hidden()

    assert desk.faults == other.faults == []


async def test_a_tone_sounds_only_if_wanted_and_a_page_that_may_not_sound_says_so(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console) as desk:
        await desk.page.add_init_script(f"({HEARD})()")
        await desk.sign_in(DOCTOR)
        await desk.is_live()
        await desk.page.locator("#sound").click()
        await expect(desk.page.locator("#sound")).to_have_text("声音：开")
        tried = await desk.page.evaluate("tones")
        await emergency(console, LOW, "2.5")
        await expect(row_of(desk, LOW)).to_contain_text("2.5 mmol/L")
        await desk.page.wait_for_function(f"tones > {tried}")
        await desk.go("today")  # Nobody has touched this page yet.
        await expect(desk.page.locator("#sound")).to_have_text("声音：点击页面后开启")
        await desk.page.locator("h1").click()
        await expect(desk.page.locator("#sound")).to_have_text("声音：开")
        await desk.page.locator("#sound").click()
        await expect(desk.page.locator("#sound")).to_have_text("声音：关")
        await desk.is_live()
        await emergency(console, LONG, "2.4")
        await expect(row_of(desk, LONG)).to_contain_text("2.4 mmol/L")
        silent = await desk.page.evaluate("tones")

    assert (tried, silent) == (1, 0)
    assert desk.faults == []


async def test_what_a_chart_s_rings_say_stands_in_the_table_for_who_has_no_mouse(
    chromium: Browser, console: Console
) -> None:
    async with a_desk(chromium, console, language="en") as desk:
        await desk.sign_in(DOCTOR)
        await desk.go(f"residents/{LONG.id}?days=365")
        flag = desk.page.locator(".readings .flag", has_text="Blood pressure unsatisfied").first
        await expect(flag.locator("summary")).to_contain_text("unsatisfied")
        await flag.locator("summary").press("Enter")
        await expect(flag.locator("p")).to_contain_text("140/90")

    assert desk.faults == []
