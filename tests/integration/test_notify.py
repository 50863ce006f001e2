"""Promise: people are told once it is due, by what reaches them, and every attempt is on record."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import sys
from datetime import timedelta
from email import message_from_string, policy
from pathlib import Path
from typing import Any, Final

import pytest

from api.notify.email import EmailNotifier
from api.notify.settings import EmailSettings, NotifySettings, WebhookSettings
from api.notify.webhook import WebhookNotifier
from ingest.db.connections import Connection
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.api_processes import a_process
from tests.integration.notify_bench import (
    MailServer,
    NotifyBench,
    Recorder,
    a_crew,
    a_mail_server,
    hire,
)

NOTIFY = "from api.cli import notify_app; notify_app()"
UUIDS: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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


async def test_an_emergency_climbs_until_somebody_has_it(
    bench: NotifyBench, channel: Recorder
) -> None:
    alert = await bench.raise_alert()
    await bench.work()
    assert channel.take() == [("d1", "page")]
    await bench.work(minutes=9)
    assert channel.take() == []
    await bench.work(minutes=1)
    assert channel.take() == [("d1", "page")]
    await bench.work(minutes=10)
    assert channel.take() == [("l1", "page")]
    await bench.acknowledge(alert)
    await bench.work(hours=5)
    assert channel.take() == []
    told = await bench.rows("SELECT payload ->> 'step' FROM outbox WHERE kind = 'alert.escalated'")
    assert told == [("3",)]


async def test_what_is_held_overnight_is_one_message_in_the_morning(
    bench: NotifyBench, channel: Recorder
) -> None:
    await bench.work(hours=10)  # 19:00.
    held = [await bench.raise_alert("high") for _ in range(3)]
    await bench.work()
    await bench.raise_alert("critical")
    await bench.work()
    assert channel.take() == [("d1", "page")]  # What is critical waits for nothing.
    await bench.connection.execute(
        "UPDATE alert SET status = 'resolved' WHERE severity = 'critical'"
    )
    await bench.work(hours=13, minutes=59)
    assert channel.take() == []

    await bench.work(minutes=1)

    ((_, message),) = channel.sent
    assert message.kind == "notice"
    assert {each.alert_id for each in message.alerts} == set(held)
    assert all(each.held for each in message.alerts)


async def test_a_rung_without_anybody_passes_on_at_once_and_nobody_at_all_is_seen(
    bench: NotifyBench, channel: Recorder
) -> None:
    await bench.connection.execute("DELETE FROM staff_contact WHERE staff_id IN ('d1', 'l1')")
    await bench.raise_alert()
    await bench.work()
    assert channel.take() == [("c1", "page")]

    await bench.connection.execute("UPDATE staff_contact SET phone = NULL")
    await bench.raise_alert()
    await bench.work()

    assert channel.take() == []
    found = await bench.rows("SELECT rung FROM notification WHERE staff_id IS NULL")
    assert found == [("doctor",)]
    (nobody,) = [
        sample.value
        for metric in bench.process.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "suifang_notify_nobody_reachable"
    ]
    assert nobody == 1


async def test_a_failed_attempt_is_made_again_under_its_id_unless_somebody_has_it(
    bench: NotifyBench, channel: Recorder
) -> None:
    channel.fails = 2
    await bench.raise_alert()
    await bench.work()
    await bench.work(seconds=30)
    await bench.work(seconds=60)
    ((_, message),) = channel.sent

    attempts = await bench.rows(
        "SELECT message_id, number, problem FROM message_attempt ORDER BY number"
    )
    assert attempts == [
        (message.id, 1, "not just now"),
        (message.id, 2, "not just now"),
        (message.id, 3, None),
    ]
    channel.fails = 1
    other = await bench.raise_alert()
    await bench.work()
    await bench.acknowledge(other)
    channel.take()
    await bench.work(minutes=2)
    assert channel.take() == []
    assert ("dropped",) in await bench.rows("SELECT status FROM message")


async def test_a_resident_who_moves_is_told_to_the_new_team(
    bench: NotifyBench, channel: Recorder
) -> None:
    await bench.connection.execute("INSERT INTO team VALUES ('east-2', 'east', '2')")
    await hire(bench.connection, {"d2": "doctor"})
    await bench.connection.execute("UPDATE staff_team SET team_id = 'east-2' WHERE staff_id = 'd2'")
    await bench.raise_alert()
    await bench.work()
    channel.take()

    await bench.connection.execute("UPDATE resident SET team_id = 'east-2'")
    await bench.work(minutes=1)

    assert channel.take() == [("d2", "page")]


async def test_a_snooze_that_ends_is_told_to_feed_and_doctor(
    bench: NotifyBench, channel: Recorder
) -> None:
    alert = await bench.raise_alert("high")
    await bench.work()
    channel.take()
    await bench.snooze(alert, bench.clock.now + timedelta(hours=3))
    await bench.work(hours=2, minutes=59)
    assert channel.take() == []

    await bench.work(minutes=1)

    assert channel.take() == [("d1", "notice")]
    history = await bench.rows("SELECT what, author FROM alert_history ORDER BY number")
    assert history[-1] == ("returned", "notify")
    kinds = [kind for (kind,) in await bench.rows("SELECT kind FROM outbox ORDER BY id")]
    assert kinds[-1] == "alert.snooze_ended"


async def test_each_shift_has_its_digest_once_with_counts(
    bench: NotifyBench, channel: Recorder
) -> None:
    await bench.connection.execute("UPDATE staff_contact SET digest_until = NULL")
    first = await bench.raise_alert("high")
    await bench.raise_alert("high", page=False)
    await bench.work()
    channel.take()
    await bench.acknowledge(first)

    await bench.work(hours=5)  # 14:00: the second shift.

    digests = {message.recipient.staff_id: message for _, message in channel.sent}
    assert {*digests} == {"d1", "l1", "c1"}
    counts = digests["d1"].counts
    assert (counts["active"], counts["acknowledged"], counts["open_high"]) == (2, 1, 1)
    assert len(digests["d1"].alerts) == 1
    channel.take()
    await bench.work(minutes=30)
    assert channel.take() == []


# --- channels on real sockets --------------------------------------------------------------------


def mail_settings(server: MailServer) -> EmailSettings:
    return EmailSettings(
        host="127.0.0.1", port=server.port, security="none", sender="suifang@centre.example"
    )


def as_read(text: str) -> str:
    """A mail's headers and its text, decoded: what somebody could read in it."""
    mail = message_from_string(text.removesuffix(".\r\n"), policy=policy.default)
    return "\n".join([*(f"{name}: {value}" for name, value in mail.items()), mail.get_content()])


async def test_a_mail_names_pseudonyms_and_nothing_measured(
    connection: Connection, database: Database, clock: TestClock
) -> None:
    await a_crew(connection)
    async with a_mail_server() as server:
        mail = EmailNotifier(mail_settings(server), send_s_max=5)
        bench = NotifyBench(connection, database, clock, [mail])
        alert = await bench.raise_alert()
        await bench.work()
        server.refuse = b"550 nobody here"
        await bench.work(minutes=10)

    (text,) = server.mails
    read = as_read(text)
    ((message_id,), *_) = await bench.rows("SELECT id FROM message ORDER BY made_at")
    assert f"Message-ID: <{message_id}@centre.example>" in read
    assert f"r-1 (doctor) alert {alert}" in read
    without_ids = UUIDS.sub("", read)  # They are random, so any digits may stand in them.
    for hidden in ("186", "112", "BP_EMERGENCY", "hypertension"):
        assert hidden not in without_ids
    states = await bench.rows("SELECT status FROM message ORDER BY made_at")
    assert states == [("sent",), ("failed",)]  # Refused for good: not tried again.


async def test_a_webhook_is_signed_and_its_receivers_word_counts(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> None:
    secret = os.urandom(32)
    file = tmp_path / "secret"
    file.write_text("whsec_" + base64.b64encode(secret).decode())
    answers = [b"503 Busy", b"200 OK"]
    requests: list[tuple[dict[str, str], bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, value in lines}
        requests.append((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(b"HTTP/1.1 " + answers.pop(0) + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    await a_crew(connection)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/page"
    webhook = WebhookNotifier(
        WebhookSettings(url=url, secret_file=file),
        send_s_max=5,
    )
    bench = NotifyBench(connection, database, clock, [webhook])
    await bench.raise_alert()
    await bench.work()
    await bench.work(seconds=30)
    server.close()

    (first, body), (second, again) = requests
    assert (first["webhook-id"], body) == (second["webhook-id"], again)
    for headers in (first, second):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
    told = json.loads(body)
    assert (told["kind"], told["staff_id"]) == ("page", "d1")
    assert await bench.rows("SELECT status FROM message") == [("sent",)]


# --- the process ---------------------------------------------------------------------------------


async def test_kill_9_in_the_middle_of_a_mail_sends_it_again_under_its_id_and_no_third_time(
    connection: Connection, database: Database, clock: TestClock
) -> None:
    await a_crew(connection)
    bench = NotifyBench(connection, database, clock, [])
    await bench.raise_alert()

    def a_notifier(server: MailServer) -> Any:  # noqa: ANN401 - a context manager
        return a_process(
            NOTIFY,
            NOTIFY_DB_DSN=database.dsn_of("notify"),
            NOTIFY_EMAIL__HOST="127.0.0.1",
            NOTIFY_EMAIL__PORT=str(server.port),
            NOTIFY_EMAIL__SECURITY="none",
            NOTIFY_EMAIL__SENDER="suifang@centre.example",
            NOTIFY_AGAIN_S_MIN="1",
            NOTIFY_AGAIN_S_MAX="1",
            NOTIFY_POLL_MS="50",
            NOTIFY_CRITICAL__REMINDER_MIN="90000000",  # Raised long ago, by the real clock.
            NOTIFY_CRITICAL__TEAM_LEADER_MIN="90000000",
            NOTIFY_CRITICAL__CENTRE_MIN="90000000",
        )

    async with asyncio.timeout(60), a_mail_server(stall=True) as deaf, a_mail_server() as good:
        async with a_notifier(deaf) as first:
            await deaf.came.wait()
            first.kill()
            await first.wait()
        async with a_notifier(good):
            await good.came.wait()
            await bench.await_rows("SELECT FROM message WHERE status <> 'sent'", some=False)
        await bench.await_rows(  # Were it to be sent again, it would be due from now on.
            "SELECT FROM message_attempt WHERE number = 2 AND begun_at < now() - interval '1 s'",
            some=True,
        )
        async with a_notifier(good):
            await bench.raise_alert()
            await bench.await_rows(  # Written down when all that was due is over.
                "SELECT FROM message HAVING count(*) FILTER (WHERE status = 'sent') = 2", some=True
            )

    ids = [mail.split("Message-ID: ")[1].split("\r\n")[0] for mail in deaf.mails + good.mails]
    assert len(ids) == 3
    assert ids[0] == ids[1] != ids[2]
    attempts = await bench.rows(
        "SELECT t.number, t.ended_at IS NULL, t.problem"
        " FROM message_attempt t JOIN message m ON m.id = t.message_id ORDER BY m.made_at, t.number"
    )
    assert attempts == [(1, True, None), (2, False, None), (1, False, None)]


async def test_without_a_channel_it_says_so_and_does_not_start(database: Database) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", NOTIFY),
        env={**os.environ, "NOTIFY_DB_DSN": database.dsn_of("notify")},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 2
    assert b"nobody can be told: set NOTIFY_EMAIL__HOST" in said


def test_mail_does_not_leave_the_machine_in_the_clear() -> None:
    with pytest.raises(ValueError, match="tls or starttls"):
        EmailSettings(host="mail.example", security="none", sender="a@b")
    with pytest.raises(ValueError, match="must not go down"):
        NotifySettings.model_validate(
            {
                "db_dsn": "host=x",
                "adapters": ["a:b"],
                "critical": {"reminder_min": 5, "team_leader_min": 4, "centre_min": 6},
            }
        )
