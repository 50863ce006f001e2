"""Promise: each event reaches the receiver, in order, signed, whatever the receiver does."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from api.webhooks.retries import RetrySettings
from ingest.db.connections import Connection
from tests.fix_db import Database
from tests.integration.api_processes import tell
from tests.integration.registry_bench import make_key_file
from tests.integration.webhook_bench import (
    BROKEN,
    GONE,
    OK,
    Behaviour,
    Bench,
    Receiver,
    a_bench,
    a_receiver,
)
from tests.webhook_verifier import NotGenuineError


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as listening:
        yield listening


@pytest.fixture
async def bench(database: Database, connection: Connection) -> AsyncIterator[Bench]:
    async with a_bench(database, connection) as opened:
        yield opened


async def test_events_come_in_order_once_and_genuine(bench: Bench, receiver: Receiver) -> None:
    secret = (await bench.subscribe(receiver.url()))["secret"]
    await tell(bench.connection, "anna", 45)

    assert await bench.turn() == 45

    assert receiver.numbers == list(range(1, 46))
    ids = [bench.verify(secret, request) for request in receiver.requests]
    assert len(set(ids)) == 45
    sent = receiver.requests[0]
    assert sent.line == "POST /hook?of=me HTTP/1.1"
    assert sent.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert "cookie" not in sent.headers
    standing = await bench.standing()
    assert (standing["after"], standing["state"]) == (45, "active")
    assert await bench.turn() == 0


async def test_what_rests_on_a_reading_is_in_its_trace_and_nothing_else_is(
    bench: Bench, receiver: Receiver
) -> None:
    reading = "01890a5d-ac96-774b-bcce-b302099a8057"
    await bench.subscribe(receiver.url())
    await tell(bench.connection, "anna", anchor_reading_id=reading)
    await tell(bench.connection, "anna", reading_id=reading)
    await tell(bench.connection, "anna")
    receiver.behaviours = [BROKEN]
    await bench.turn()
    bench.clock.pass_by(hours=1)
    await bench.turn()

    told = [request.headers.get("traceparent") for request in receiver.requests]
    traced = [each.split("-") for each in told if each is not None]
    assert [request.number for request in receiver.requests] == [1, 1, 2, 3]
    assert told[-1] is None
    assert {each[1] for each in traced} == {"01890a5dac96774bbcceb302099a8057"}
    assert len({each[2] for each in traced}) == 3  # Another span at every attempt.


async def test_what_was_changed_on_the_way_is_not_genuine(bench: Bench, receiver: Receiver) -> None:
    secret = (await bench.subscribe(receiver.url()))["secret"]
    await tell(bench.connection, "anna")
    await bench.turn()
    (request,) = receiver.requests

    request.body += b" "
    with pytest.raises(NotGenuineError):
        bench.verify(secret, request)


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        ("key_id = 'k0'", "its secret cannot be opened: key 'k0' is not in the key file; put it"),
        ("content = '\\x00' || content", "its secret cannot be opened: "),
    ],
)
async def test_a_secret_that_cannot_be_opened_keeps_nobody_else_from_being_told(
    *,
    database: Database,
    connection: Connection,
    receiver: Receiver,
    tmp_path: Path,
    harm: str,
    problem: str,
) -> None:
    async with a_bench(database, connection, key_file=make_key_file(tmp_path)) as bench:
        await bench.subscribe(receiver.url(), "harmed")
        cursor = await connection.execute("SELECT key_id, content FROM webhook_secret")
        before = await cursor.fetchone()
        await connection.execute(f"UPDATE webhook_secret SET {harm}".encode())  # noqa: S608 - ours
        await bench.subscribe(receiver.url(), "sound")
        await tell(connection, "anna", 2)

        assert [await bench.turn(id_) for id_ in ("harmed", "sound")] == [0, 2]
        standing = await bench.standing("harmed")
        assert (standing["state"], standing["after"]) == ("retrying", 0)
        assert standing["last_problem"].startswith(problem)

        await connection.execute(
            "UPDATE webhook_secret SET key_id = %s, content = %s WHERE webhook ="
            " (SELECT number FROM webhook WHERE id = 'harmed')",
            before,
        )
        bench.clock.now = datetime.fromisoformat(standing["next_attempt_at"])
        await bench.turn("harmed")
        await bench.turn("harmed")
        assert (await bench.standing("harmed"))["after"] == 2


async def test_a_receiver_that_fails_is_tried_again_and_nothing_overtakes(
    bench: Bench, receiver: Receiver
) -> None:
    await bench.subscribe(receiver.url())
    await tell(bench.connection, "anna", 3)
    receiver.behaviours = [OK, BROKEN, BROKEN]
    waits = []
    for _ in range(2):
        await bench.turn()
        standing = await bench.standing()
        assert (standing["state"], standing["after"]) == ("retrying", 1)
        assert standing["last_problem"] == "answered 500"
        assert await bench.turn() == 0  # Not before its time.
        next_at = datetime.fromisoformat(standing["next_attempt_at"])
        waits.append(next_at - bench.clock())
        bench.clock.now = next_at
    await bench.turn()
    await bench.turn()

    assert receiver.numbers == [1, 2, 2, 2, 3]
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert ids[1] == ids[2] == ids[3]
    assert timedelta(seconds=2.5) <= waits[0] <= timedelta(seconds=5)
    assert timedelta(seconds=5) <= waits[1] <= timedelta(seconds=10)
    assert (await bench.standing())["failures"] == 0


@pytest.fixture
async def patient(database: Database, connection: Connection) -> AsyncIterator[Bench]:
    """Tries a few dozen times in three days, not two hundred."""
    seldom = RetrySettings(longest_s=14_400)
    async with a_bench(database, connection, retry=seldom) as opened:
        yield opened


async def test_after_three_days_it_is_parked_and_goes_on_by_a_replay(
    patient: Bench, receiver: Receiver
) -> None:
    bench = patient
    await bench.subscribe(receiver.url())
    await tell(bench.connection, "anna", 2)
    receiver.otherwise = BROKEN
    began = bench.clock()
    while (standing := await bench.standing())["state"] != "parked":
        await bench.turn()
        next_at = (await bench.standing())["next_attempt_at"]
        bench.clock.now = datetime.fromisoformat(next_at)
    lasted = bench.clock() - began
    tried = len(receiver.requests)

    assert timedelta(days=3) <= lasted <= timedelta(days=3, hours=8)
    assert 25 < tried < 60
    assert set(receiver.numbers) == {1}
    assert await bench.turn() == 0
    receiver.otherwise = OK
    assert (await bench.replay(standing["after"])).json()["state"] == "active"
    assert await bench.turn() == 2
    assert receiver.numbers[tried:] == [1, 2]


async def test_a_receiver_may_ask_for_a_longer_wait_but_not_for_ever(
    bench: Bench, receiver: Receiver
) -> None:
    await bench.subscribe(receiver.url())
    await tell(bench.connection, "anna")
    for asked, granted_s in (("120", 120), ("99999999", 3_600)):
        busy = f"HTTP/1.1 503 Busy\r\nRetry-After: {asked}\r\nContent-Length: 0\r\n\r\n"
        receiver.behaviours = [busy.encode()]
        await bench.turn()
        next_at = datetime.fromisoformat((await bench.standing())["next_attempt_at"])
        assert next_at - bench.clock() == timedelta(seconds=granted_s)
        bench.clock.now = next_at


async def test_gone_ends_it_at_once_until_it_is_asked_for_again(
    bench: Bench, receiver: Receiver
) -> None:
    await bench.subscribe(receiver.url())
    await tell(bench.connection, "anna")
    receiver.behaviours = [GONE]
    await bench.turn()
    bench.clock.pass_by(days=1)
    await bench.turn()

    assert (await bench.standing())["state"] == "gone"
    assert len(receiver.requests) == 1
    await bench.replay(0)
    assert await bench.turn() == 1


# --- receivers that lie --------------------------------------------------------------------------


async def _say_nothing(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def _drip_a_header(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _hang_up(_: asyncio.StreamWriter) -> None:
    return


async def _talk_nonsense(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01 220 smtp ready\r\n\r\n")
    await writer.drain()


async def _go_on_for_ever_before(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "lie",
    [_say_nothing, _drip_a_header, _hang_up, _talk_nonsense, _go_on_for_ever_before],
)
async def test_a_lie_is_a_failure_within_the_time_and_the_event_comes_again(
    database: Database, connection: Connection, receiver: Receiver, lie: Behaviour
) -> None:
    async with a_bench(database, connection, answer_ms_max=500) as bench:
        await bench.subscribe(receiver.url())
        await tell(connection, "anna")
        receiver.behaviours = [lie]
        async with asyncio.timeout(10):
            await bench.turn()
        standing = await bench.standing()
        assert (standing["state"], standing["after"]) == ("retrying", 0)
        bench.clock.pass_by(minutes=1)
        assert await bench.turn() == 1

    assert receiver.numbers == [1, 1]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_a_failure_and_is_not_followed(
    bench: Bench, receiver: Receiver, status: str
) -> None:
    async with a_receiver() as elsewhere:
        await bench.subscribe(receiver.url())
        await tell(bench.connection, "anna")
        lie = f"HTTP/1.1 {status}\r\nLocation: {elsewhere.url()}\r\nContent-Length: 0\r\n\r\n"
        receiver.behaviours = [lie.encode()]
        await bench.turn()

        assert elsewhere.requests == []
    told = (await bench.standing())["last_problem"]
    assert told == f"answered {status[:3]}, and redirects are not followed"


async def _never_end_the_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x" * 65_536)
        await writer.drain()


async def _drip_the_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _break_the_body_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
    await writer.drain()


@pytest.mark.parametrize("lie", [_never_end_the_body, _drip_the_body, _break_the_body_off])
async def test_an_answer_counts_by_its_status_and_its_body_is_left(
    bench: Bench, receiver: Receiver, lie: Behaviour
) -> None:
    await bench.subscribe(receiver.url())
    await tell(bench.connection, "anna", 2)
    receiver.behaviours = [lie]
    async with asyncio.timeout(15):
        assert await bench.turn() == 2

    assert receiver.numbers == [1, 2]


# --- meanwhile -----------------------------------------------------------------------------------


async def test_what_was_moved_while_a_request_was_under_way_stays_where_it_was_moved(
    bench: Bench, receiver: Receiver
) -> None:
    await bench.subscribe(receiver.url())
    await tell(bench.connection, "anna", 3)
    came, go_on = asyncio.Event(), asyncio.Event()

    async def hold(writer: asyncio.StreamWriter) -> None:
        came.set()
        await go_on.wait()
        writer.write(OK)
        await writer.drain()

    receiver.behaviours = [OK, OK, hold]
    turn = asyncio.create_task(bench.turn())
    await asyncio.wait_for(came.wait(), 10)
    await bench.replay(0)
    go_on.set()
    await turn

    assert (await bench.standing())["after"] == 0
    assert await bench.turn() == 3
    assert receiver.numbers == [1, 2, 3, 1, 2, 3]
