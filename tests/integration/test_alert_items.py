"""Promise: a list shows each case once, as it stands, and a poll tells all that is new of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest.db.connections import Connection
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.alert_bench import AlertBench, an_alert_bench


@pytest.fixture
async def bench(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[AlertBench]:
    """A judge and an API."""
    async with an_alert_bench(connection, database, clock, tmp_path) as opened:
        yield opened


async def test_a_case_with_two_alerts_is_one_item_led_by_the_one_that_asks_for_somebody(
    bench: AlertBench,
) -> None:
    await bench.measure("138", "88", setting="home")
    await bench.measure("186", "112")
    await bench.number()
    codes = {row["code"] for row in (await bench.get())["items"]}
    assert codes == {"BP_HOME_HIGH", "BP_EMERGENCY"}
    emergency = await bench.alert_of("BP_EMERGENCY")

    (item,) = (await bench.get("?view=cases"))["items"]
    assert item["id"] == emergency
    assert item["item"] | {"id": ""} == {
        "id": "",
        "alerts": 2,
        "severity": "critical",
        "attention": "open",
    }
    assert (await bench.get("?after=0"))["items"] == [item]
    await bench.ask("PUT", f"/{emergency}/acknowledgement", {"reason": "contacted"})
    (led,) = (await bench.get("?view=cases"))["items"]
    assert (led["code"], led["item"]) == ("BP_HOME_HIGH", item["item"])


async def test_news_of_a_case_are_one_item_with_one_id_until_it_is_quiet(bench: AlertBench) -> None:
    await bench.measure("146", "92")
    await bench.number()
    first = await bench.get("?after=0")
    assert [item["code"] for item in first["items"]] == ["BP_UNSATISFIED_1"]
    assert (await bench.get(f"?after={first['feed_number']}"))["items"] == []

    await bench.settle(days=15)
    await bench.settle(days=7)
    await bench.number()
    second = await bench.get(f"?after={first['feed_number']}")

    (item,) = second["items"]
    assert (item["code"], item["escalation"]) == ("FOLLOWUP_OVERDUE", 1)
    assert item["item"]["id"] == first["items"][0]["item"]["id"]

    await bench.record("visit", mode="clinic")
    await bench.measure("128", "78")
    await bench.number()
    (quiet,) = (await bench.get(f"?after={second['feed_number']}"))["items"]
    assert (quiet["item"]["id"], quiet["item"]["alerts"]) == (item["item"]["id"], 0)
    assert quiet["item"]["attention"] == "closed"


async def test_a_poll_waits_for_news_of_ones_own(bench: AlertBench) -> None:
    await bench.measure("146", "92")
    await bench.number()
    start = (await bench.get())["feed_number"]
    mine = asyncio.create_task(bench.get(f"?after={start}&wait_s=30"))
    theirs = asyncio.create_task(bench.get(f"?after={start}&wait_s=30", who="stranger"))
    await bench.await_listeners(2)

    await bench.measure("186", "112", resident_id=None)  # The centre's; it wakes both.
    await bench.number()
    assert bench.listeners == 2
    alert = await bench.alert_of("BP_UNSATISFIED_1")
    await bench.ask("PUT", f"/{alert}/acknowledgement", {"reason": "referred"}, who="colleague")
    await bench.number()
    (item,) = (await asyncio.wait_for(mine, 20))["items"]
    assert (item["id"], item["acknowledgement"]["by"]) == (alert, "colleague")
    assert bench.listeners == 1
    assert not theirs.done()
    theirs.cancel()
    await asyncio.wait([theirs])

    later = await bench.get(f"?after={start}", who="stranger")
    assert later["items"] == []
    assert later["feed_number"] > start


async def test_an_unclaimed_emergency_is_an_item_of_its_own_for_the_centre(
    bench: AlertBench,
) -> None:
    for device in ("bp-1", "bp-2"):
        await bench.measure("186", "112", resident_id=None, device_id=device)
        bench.clock.pass_by(hours=5)
    await bench.number()

    items = (await bench.get("?after=0", who="admin"))["items"]

    assert len(items) == 2
    for item in items:
        assert item["item"] == {
            "id": item["id"],
            "alerts": 1,
            "severity": "critical",
            "attention": "open",
        }
    assert (await bench.get("?after=0"))["items"] == []
    assert len((await bench.get("?view=cases", who="admin"))["items"]) == 2


async def test_a_poll_that_makes_no_sense_says_which_parameter(bench: AlertBench) -> None:
    for path, field in (
        ("?after=999999", "after"),
        ("?wait_s=5", "wait_s"),
        ("?after=0&wait_s=61", "wait_s"),
        ("?after=0&cursor=x", "cursor"),
        ("?view=cases&status=all", "view"),
    ):
        problem = await bench.ask("GET", path, status=400)

        assert problem["errors"][0]["field"] == field
