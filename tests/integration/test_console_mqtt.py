"""Promise: an emergency that a gateway publishes appears in the open page, by itself and at once.

The real way: broker, ingest process, dispatcher, API, browser. How long it took is told (``-rP``),
not asserted: a second is asked for.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiomqtt
import pytest
from playwright.async_api import Browser, expect

from gateway.wire.times import utc_now
from tests.builders import a_batch, a_blood_pressure
from tests.fix_broker import TestBroker
from tests.fix_processes import Processes
from tests.integration.console_bench import DOCTOR, OTHER_DOCTOR, Console, Desk, a_desk
from tests.integration.console_world import CENTRE, PEOPLE

GATEWAY: Final = "gw-1"
SENT: Final = ((PEOPLE[3], "195", "121"), (PEOPLE[4], "201", "124"))
# Notes when a line is first in the page, by the page's own clock: the machine's.
WATCH: Final = """() => {
  window.seen = {};
  const look = () => {
    const rows = document.querySelectorAll(".alert");
    for (const row of rows) window.seen[row.dataset.what] ??= Date.now();
  };
  look();
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true });
}"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def processes(console: Console, broker: TestBroker, tmp_path: Path) -> Iterator[Processes]:
    """Ingest beside the console's database."""
    found = Processes(console.database, broker, tmp_path)
    yield found
    found.stop_all()


async def seen_at_ms(desk: Desk, value: str) -> int:
    """When the page had the line."""
    await expect(desk.page.locator(".alert-critical", has_text=value)).to_be_visible()
    seen: dict[str, int] = await desk.page.evaluate("window.seen")
    return next(at for what, at in seen.items() if value in what)


async def test_an_emergency_published_over_mqtt_appears_in_the_open_page_at_once(
    chromium: Browser, console: Console, processes: Processes
) -> None:
    broker = processes.broker
    broker.add_user(GATEWAY)
    await broker.forget_ingest_sessions()
    worker = processes.start_ingest()
    assert worker.stdout is not None
    worker.stdout.readline()  # It says so when it listens.
    took_ms = []
    async with (
        a_desk(chromium, console) as desk,
        a_desk(chromium, console) as other,
        aiomqtt.Client(
            broker.host,
            broker.port,
            identifier=GATEWAY,
            username=GATEWAY,
            password=broker.passwords[GATEWAY],
            protocol=aiomqtt.ProtocolVersion.V5,
        ) as gateway,
    ):
        await desk.sign_in(DOCTOR)
        await other.sign_in(OTHER_DOCTOR)
        await desk.is_live()
        await other.is_live()
        await desk.page.evaluate(WATCH)
        for person, systolic, diastolic in SENT:
            reading = a_blood_pressure(systolic, diastolic, at=utc_now(), resident_id=person.id)
            batch = a_batch(reading)
            sent_ms = time.time() * 1_000
            await gateway.publish(f"suifang/v1/{CENTRE}/{GATEWAY}/readings", batch, qos=1)
            took_ms.append(await seen_at_ms(desk, f"{systolic}/{diastolic}") - sent_ms)
        told = await other.page.locator(".alerts").inner_text()

    print(f"published to shown: {', '.join(f'{each:.0f}' for each in took_ms)} ms")  # noqa: T201
    assert not any(f"{systolic}/{diastolic}" in told for _, systolic, diastolic in SENT)
    assert desk.faults == other.faults == []
