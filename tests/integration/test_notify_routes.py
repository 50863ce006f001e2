"""Promise: each centre says how its own people are told; its team sees who was told."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest.db.connections import Connection
from tests.builders import AT
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.alert_bench import AlertBench, an_alert_bench
from tests.integration.notify_bench import NotifyBench, Recorder

CONTACT = {"email": "d9@centre.example", "phone": "123456", "duties": ["doctor"]}
HOURS = {"quiet_from": "20:00:00", "quiet_until": "07:00:00", "shifts": ["07:00:00"]}


@pytest.fixture
async def bench(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[AlertBench]:
    """A judge and an API; d9 works in team east-1."""
    async with an_alert_bench(connection, database, clock, tmp_path) as opened:
        await connection.execute(
            "INSERT INTO staff (id, centre_id, role, since) VALUES ('d9', 'east', 'doctor', %s),"
            " ('w9', 'west', 'doctor', %s)",
            (AT.date(), AT.date()),
        )
        await connection.execute("INSERT INTO staff_team VALUES ('d9', 'east-1')")
        yield opened


async def test_an_administrator_writes_contacts_of_the_own_centre_only(bench: AlertBench) -> None:
    first = await bench.ask("PUT", "/../staff/d9/contact", CONTACT, who="admin")
    bench.clock.pass_by(minutes=1)
    assert await bench.ask("PUT", "/../staff/d9/contact", CONTACT, who="admin") == first
    assert await bench.ask("GET", "/../staff/d9/contact", who="admin") == first
    for method in ("PUT", "GET"):
        body = CONTACT if method == "PUT" else None
        status = 403 if method == "PUT" else 404
        await bench.ask(method, "/../staff/w9/contact", body, who="admin", status=status)
        await bench.ask(method, "/../staff/d9/contact", body, who="doctor", status=403)
    wrong = {**CONTACT, "email": "a@b, c@d"}
    problem = await bench.ask("PUT", "/../staff/d9/contact", wrong, who="admin", status=422)
    assert problem["errors"][0]["field"] == "email"


async def test_a_team_has_hours_of_its_own(bench: AlertBench) -> None:
    said = await bench.ask("PUT", "/../teams/east-1/duty-hours", HOURS, who="admin")
    assert said | HOURS == said
    assert await bench.ask("GET", "/../teams/east-1/duty-hours", who="doctor") == said
    await bench.ask("PUT", "/../teams/west-1/duty-hours", HOURS, who="admin", status=403)
    await bench.ask("GET", "/../centres/east/duty-hours", who="admin", status=404)


async def test_who_was_told_is_seen_by_the_team_and_not_by_another(
    bench: AlertBench, database: Database
) -> None:
    await bench.ask("PUT", "/../staff/d9/contact", CONTACT, who="admin")
    await bench.measure("186", "112")
    alert = await bench.alert_of("BP_EMERGENCY")
    notifier = NotifyBench(bench.connection, database, bench.clock, [Recorder(fails=1)])
    await notifier.work()

    (told,) = (await bench.get(f"/{alert}/notifications"))["items"]

    assert (told["staff_id"], told["channel"], told["status"]) == ("d9", "recorder", "waiting")
    assert [attempt["problem"] for attempt in told["attempts"]] == ["not just now"]
    await bench.ask("GET", f"/{alert}/notifications", who="stranger", status=404)
    assert len((await bench.get(f"/{alert}/notifications", who="admin"))["items"]) == 1
