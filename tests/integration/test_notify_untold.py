"""Promise: the ladder never ends with nobody told, and while nobody is told, that is seen.

A page that was refused, dropped or never taken has told nobody.
"""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from api.notify.notifiers import Message
from ingest.db.connections import Connection
from tests.builders import AT
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.fix_ports import free_port
from tests.integration.alert_bench import an_alert_bench
from tests.integration.api_processes import a_process
from tests.integration.notify_bench import NotifyBench, Recorder, a_crew

NOTIFY = "from api.cli import notify_app; notify_app()"


@pytest.fixture
def channel() -> Recorder:
    """What was sent."""
    return Recorder()


@pytest.fixture
async def bench(
    connection: Connection, database: Database, clock: TestClock, channel: Recorder
) -> NotifyBench:
    """A notifier and its people; 09:00 on a Monday in Shanghai."""
    await a_crew(connection)
    return NotifyBench(connection, database, clock, [channel])


def untold(bench: NotifyBench) -> float:
    """How many alerts nobody could be told of, as Prometheus hears it."""
    (found,) = [
        sample.value
        for metric in bench.process.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "suifang_notify_nobody_reachable"
    ]
    return found


async def untold_since(bench: NotifyBench, alert: UUID) -> datetime | None:
    rows = await bench.connection.execute(
        "SELECT untold_since FROM alert_attention WHERE alert_id = %s", (alert,)
    )
    found: datetime | None = (await rows.fetchall())[0][0]
    return found


async def test_who_is_refused_is_as_if_absent_and_the_next_rung_is_told_at_once(
    bench: NotifyBench, channel: Recorder
) -> None:
    channel.refuses = {"d1"}
    alert = await bench.raise_alert()
    await bench.work()
    assert channel.take() == [("l1", "page")]
    states = await bench.rows("SELECT staff_id, status FROM message ORDER BY 1")
    assert states == [("d1", "failed"), ("l1", "sent")]
    assert await untold_since(bench, alert) is None
    channel.refuses = {"d1", "l1"}
    await bench.raise_alert()
    await bench.work()
    assert channel.take() == [("c1", "page")]
    assert untold(bench) == 0


async def test_if_all_are_refused_it_is_seen_until_an_address_is_corrected(
    bench: NotifyBench, channel: Recorder
) -> None:
    channel.refuses = {"d1", "l1", "c1"}
    alert = await bench.raise_alert()
    await bench.work()
    assert await untold_since(bench, alert) == AT
    assert untold(bench) == 1
    tried = await bench.rows("SELECT count(*) FROM message")
    await bench.work(minutes=5)
    assert await bench.rows("SELECT count(*) FROM message") == tried  # Just refused: not again.

    channel.refuses.clear()
    await bench.connection.execute(
        "UPDATE staff_contact SET changed_at = %s WHERE staff_id = 'l1'", (bench.clock.now,)
    )
    await bench.work(minutes=5)
    await bench.work()

    assert ("l1", "page") in channel.take()
    assert await untold_since(bench, alert) is None
    assert untold(bench) == 0


async def test_who_is_refused_again_and_again_is_left_alone_for_longer_each_time(
    bench: NotifyBench, channel: Recorder
) -> None:
    channel.refuses = {"d1", "l1", "c1"}
    alert = await bench.raise_alert()
    await bench.work()
    for _ in range(23):
        await bench.work(minutes=30)

    made = await bench.rows("SELECT made_at FROM message WHERE staff_id = 'l1' ORDER BY 1")
    minutes = [(at - AT).total_seconds() / 60 for (at,) in made]
    assert minutes == [0, 30, 90, 210, 450, 690]  # 30 min, doubled up to four hours.
    assert await untold_since(bench, alert) == AT

    await bench.work(minutes=5)
    channel.refuses.clear()
    await bench.connection.execute(
        "UPDATE staff_contact SET changed_at = %s WHERE staff_id = 'l1'", (bench.clock.now,)
    )
    await bench.work(minutes=5)
    await bench.work()
    assert ("l1", "page") in channel.take()  # Whose contact is written anew waits for nothing.


class Interrupted(Recorder):
    """Somebody begins to attend to the alert while its last page is on the way."""

    holder: psycopg.AsyncConnection

    async def send(self, message: Message, *, at: datetime) -> None:
        """As any recorder."""
        if message.recipient.staff_id == "c1":
            await self.holder.execute("SELECT FROM alert_attention FOR UPDATE")
        await super().send(message, at=at)


@pytest.mark.parametrize("is_killed", [False, True])
async def test_who_holds_an_alert_and_changes_nothing_hides_not_that_a_page_was_refused(
    bench: NotifyBench, database: Database, *, is_killed: bool
) -> None:
    channel = Interrupted(refuses={"c1"})
    bench = NotifyBench(bench.connection, database, bench.clock, [channel])
    alert = await bench.raise_alert()
    async with await psycopg.AsyncConnection.connect(database.dsn) as channel.holder:
        while not await bench.rows("SELECT FROM message WHERE status = 'failed'"):
            await bench.work(minutes=10)
        standing = await bench.rows("SELECT look_at, untold_since FROM alert_attention")
        await channel.holder.rollback()
    if is_killed:
        bench = NotifyBench(bench.connection, database, bench.clock, [channel])

    await bench.work(seconds=1)
    await bench.work(seconds=1)

    assert standing == [(None, None)]
    assert await untold_since(bench, alert) is not None
    assert untold(bench) == 1
    looked_at = "SELECT FROM alert_attention WHERE look_at <= %s"
    assert not await (await bench.connection.execute(looked_at, (bench.clock.now,))).fetchall()


async def test_after_the_last_step_somebody_who_can_be_told_at_last_is_told(
    bench: NotifyBench, channel: Recorder
) -> None:
    await bench.connection.execute("UPDATE staff_contact SET phone = NULL")
    alert = await bench.raise_alert()
    await bench.work()
    await bench.work(hours=2)
    await bench.work(minutes=5)
    assert untold(bench) == 1
    assert await untold_since(bench, alert) == AT
    noted = await bench.rows("SELECT rung, step FROM notification ORDER BY number")
    assert [rung for rung, _ in noted] == ["doctor", "doctor", "team_leader", "centre"]

    await bench.connection.execute("UPDATE staff_contact SET phone = '1' WHERE staff_id = 'c1'")
    await bench.work(minutes=5)
    await bench.work()

    assert channel.take() == [("c1", "page")]
    assert untold(bench) == 0
    await bench.work(hours=9)
    assert channel.take() == []


async def test_a_step_that_finds_nobody_is_seen_although_the_doctor_was_told(
    bench: NotifyBench, channel: Recorder
) -> None:
    await bench.connection.execute("DELETE FROM staff_contact WHERE staff_id <> 'd1'")
    alert = await bench.raise_alert()
    await bench.work(minutes=10)
    assert untold(bench) == 0
    await bench.work(minutes=10)
    assert (untold(bench), await untold_since(bench, alert)) == (1, bench.clock.now)
    channel.take()

    await bench.acknowledge(alert)
    await bench.work(minutes=5)

    assert untold(bench) == 0
    assert channel.take() == []


async def test_a_channel_that_is_away_is_seen_and_nobody_is_told_twice_when_it_is_back(
    bench: NotifyBench, channel: Recorder
) -> None:
    channel.fails = 10**6
    alert = await bench.raise_alert()
    await bench.work()
    await bench.work()
    assert (untold(bench), await untold_since(bench, alert)) == (1, AT)
    await bench.work(seconds=30)
    channel.fails = 0
    await bench.work(seconds=60)
    await bench.work()

    assert channel.take() == [("d1", "page")]
    assert untold(bench) == 0


async def test_who_was_to_be_told_when_somebody_had_it_is_told_when_nobody_has(
    bench: NotifyBench, channel: Recorder
) -> None:
    channel.fails = 1
    alert = await bench.raise_alert()
    await bench.work()
    await bench.acknowledge(alert)
    await bench.work(minutes=1)
    assert await bench.rows("SELECT status FROM message") == [("dropped",)]

    await bench.undo(alert)
    await bench.work()

    assert channel.take() == [("d1", "page")]


async def test_nobody_for_what_is_not_critical_is_seen_and_told_when_quiet_hours_end(
    bench: NotifyBench, channel: Recorder
) -> None:
    channel.refuses = {"d1", "l1", "c1"}
    await bench.work(hours=8, minutes=59)
    await bench.raise_alert("high")
    await bench.work()
    assert untold(bench) == 1
    channel.refuses.clear()
    await bench.work(hours=8)
    assert channel.take() == []
    assert untold(bench) == 1
    await bench.work(hours=7, minutes=1)  # 09:00.
    await bench.work()

    assert ("d1", "notice") in channel.take()
    assert untold(bench) == 0


@pytest.fixture
async def seen(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[Any]:
    """The API beside the notifier."""
    async with an_alert_bench(connection, database, clock, tmp_path) as opened:
        yield opened


async def test_the_list_says_since_when_nobody_could_be_told(
    seen: Any,  # noqa: ANN401 - as the fixture says
    database: Database,
) -> None:
    notifier = NotifyBench(seen.connection, database, seen.clock, [Recorder()])
    alert = await notifier.raise_alert()
    await notifier.work()
    listed = await seen.ask("GET", f"/{alert}", who="doctor")
    assert datetime.fromisoformat(listed["untold_since"]) == seen.clock.now
    await notifier.acknowledge(alert)
    listed = await seen.ask("GET", f"/{alert}", who="doctor")
    assert listed["untold_since"] is None


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - this machine's own
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


async def _await_status(url: str, wanted: int) -> str:
    while True:
        status, said = await asyncio.to_thread(_get, url)
        if status == wanted:
            return said
        await asyncio.sleep(0.05)


async def test_the_process_serves_its_figures_and_says_when_it_has_no_database(
    database: Database,
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "NOTIFY_EMAIL__HOST": "127.0.0.1",
        "NOTIFY_EMAIL__SENDER": "suifang@centre.example",
        "NOTIFY_METRICS__PORT": str(port),
    }
    for dsn, status in ((database.dsn, 200), ("host=127.0.0.1 port=1 connect_timeout=2", 503)):
        async with asyncio.timeout(60), a_process(NOTIFY, NOTIFY_DB_DSN=dsn, **settings):
            told = await _await_status(f"{url}/readyz", status)
            assert bool(json.loads(told)["problems"]) is (status != 200)
            _, figures = await asyncio.to_thread(_get, f"{url}/metrics")
            assert "suifang_notify_nobody_reachable" in figures
