"""Promise: a killed delivering process loses nothing, and repeats one event of a receiver at most.

Real processes, as the command starts them.
"""

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from typing import Any

import httpx

from api.webhooks.deliverer import ELECTION_LOCK
from ingest.db.connections import Connection, connect
from tests.fix_db import Database
from tests.fix_ports import free_port
from tests.integration.api_processes import a_dispatcher, a_process, an_api, tell, write
from tests.integration.webhook_bench import OK, Receiver, a_receiver

DELIVER = "from api.cli import deliver_app; deliver_app()"
ALLOWED = '["127.0.0.0/8"]'
DELIVERED = 'suifang_deliver_attempts_total{outcome="delivered"}'


def a_deliverer(database: Database, **settings: str) -> Any:  # noqa: ANN401 - a context manager
    quick = {
        "DELIVER_POLL_MS": "50",
        "DELIVER_STANDBY_POLL_MS": "50",
        "DELIVER_IDLE_S_MAX": "1",
        "DELIVER_ALLOWED_NETWORKS": ALLOWED,
        "DELIVER_RETRY__FIRST_MS": "50",
    }
    return a_process(DELIVER, DELIVER_DB_DSN=database.dsn_of("deliver"), **{**quick, **settings})


async def subscribe(client: httpx.AsyncClient, receiver: Receiver, id_: str) -> None:
    response = await client.put(f"/v1/webhooks/{id_}", json={"url": receiver.url()})
    assert response.status_code == 201, response.text


async def await_number(receiver: Receiver, number: int) -> None:
    async with asyncio.timeout(60):
        while True:
            if receiver.requests and receiver.numbers[-1] >= number:
                return
            await asyncio.sleep(0.02)


class Hold:
    """A behaviour that does not answer while the test lasts, and when it was asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.over = asyncio.Event()

    async def __call__(self, _: asyncio.StreamWriter) -> None:
        """One request."""
        self.asked.set()
        await self.over.wait()


def repetitions(receiver: Receiver) -> int:
    """How often it was told what it knew; nothing may lack, nor come too early."""
    assert list(dict.fromkeys(receiver.numbers)) == list(range(1, max(receiver.numbers) + 1))
    ids = {(request.number, request.headers["webhook-id"]) for request in receiver.requests}
    assert len(ids) == max(receiver.numbers)
    return len(receiver.requests) - len(ids)


async def test_whoever_is_killed_or_frozen_a_standby_goes_on_and_nothing_is_skipped(
    database: Database, connection: Connection
) -> None:
    async with AsyncExitStack() as crew:
        api = await crew.enter_async_context(
            an_api(database, API_WEBHOOKS__ALLOWED_NETWORKS=ALLOWED)
        )
        receivers = [await crew.enter_async_context(a_receiver()) for _ in range(3)]
        for number, receiver in enumerate(receivers):
            await subscribe(api.client, receiver, f"w{number}")
        holds = [Hold(), Hold()]
        crews = [await crew.enter_async_context(a_deliverer(database))]
        for hold, fault in zip(holds, (signal.SIGKILL, signal.SIGSTOP), strict=True):
            receivers[0].behaviours = [OK, OK, OK, OK, hold]
            await tell(connection, "anna", 60)
            await asyncio.wait_for(hold.asked.wait(), 60)
            crews[-1].send_signal(fault)  # While an event is under way.
            crews.append(await crew.enter_async_context(a_deliverer(database)))
            told = 60 * (len(crews) - 1)
            for receiver in receivers:
                await await_number(receiver, told)
            for receiver in receivers[1:]:  # Of these, too, one may have been under way.
                assert repetitions(receiver) < len(crews)
        assert receivers[0].numbers == [*range(1, 6), *range(5, 66), *range(65, 121)]
        crews[1].send_signal(signal.SIGCONT)
        await tell(connection, "anna", 20)
        for receiver in receivers:
            await await_number(receiver, 140)
        for hold in holds:
            hold.over.set()

    assert receivers[0].numbers[-20:] == list(range(121, 141))
    assert repetitions(receivers[0]) == 2
    assert all(repetitions(receiver) <= 2 for receiver in receivers)


async def metrics_of(port: int) -> dict[str, float]:
    """What a process tells Prometheus now."""
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


async def test_an_event_is_told_as_soon_as_it_has_its_number_and_metrics_say_so(
    database: Database, connection: Connection
) -> None:
    port = free_port()
    settings = {
        "DELIVER_POLL_MS": "3_000_000",  # What is told is told for a NOTIFY.
        "DELIVER_IDLE_S_MAX": "3_600",
        "DELIVER_METRICS__PORT": str(port),
    }
    async with AsyncExitStack() as crew:
        api = await crew.enter_async_context(
            an_api(database, API_WEBHOOKS__ALLOWED_NETWORKS=ALLOWED)
        )
        receiver = await crew.enter_async_context(a_receiver())
        await subscribe(api.client, receiver, "w")
        await crew.enter_async_context(a_dispatcher(database))
        await write(connection, ["one"])
        process = await crew.enter_async_context(a_deliverer(database, **settings))
        await await_number(receiver, 1)  # Was there when it began.
        async with asyncio.timeout(60):
            while receiver.numbers[-1] == 1:
                await write(connection, ["more"])  # One may meet the end of its turn.
                await asyncio.sleep(0.1)
            metrics = await metrics_of(port)
            while metrics[DELIVERED] < len(receiver.requests):
                await asyncio.sleep(0.02)
                metrics = await metrics_of(port)
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), 10)

    assert code == 0
    assert metrics['suifang_deliver_subscriptions{state="active"}'] == 1
    assert metrics['suifang_deliver_subscriptions{state="parked"}'] == 0
    assert receiver.requests[0].body.startswith(b'{"number" : 1, "type" : "alert.raised"')


async def test_whoever_is_no_longer_elected_tells_nothing_of_subscriptions(
    database: Database, connection: Connection
) -> None:
    port = free_port()
    kept = 'suifang_deliver_subscriptions{state="active"}'

    async def await_metrics(wanted: dict[str, float | None]) -> None:
        async with asyncio.timeout(60):
            while True:
                with suppress(httpx.TransportError):  # It starts.
                    found = await metrics_of(port)
                    if {name: found.get(name) for name in wanted} == wanted:
                        return
                await asyncio.sleep(0.05)

    async with (
        await connect(database.dsn, application_name="rival", autocommit=True) as rival,
        a_deliverer(database, DELIVER_METRICS__PORT=str(port)),
    ):
        await await_metrics({kept: 0, "suifang_deliver_elected": 1})
        leads = asyncio.create_task(rival.execute("SELECT pg_advisory_lock(%s)", (ELECTION_LOCK,)))
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            while not leads.done():  # A standby beats the deliverer to it, once it is in the queue.
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'suifang-deliver'"
                    " AND EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
                )
                await asyncio.sleep(0.05)
        await leads
        await await_metrics({kept: None, "suifang_deliver_elected": 0})


async def test_a_receiver_that_stalls_holds_no_other_up(
    database: Database, connection: Connection
) -> None:
    async def stall(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with AsyncExitStack() as crew:
        api = await crew.enter_async_context(
            an_api(database, API_WEBHOOKS__ALLOWED_NETWORKS=ALLOWED)
        )
        slow, fast = [await crew.enter_async_context(a_receiver()) for _ in range(2)]
        slow.otherwise = stall
        await subscribe(api.client, slow, "a")
        await subscribe(api.client, fast, "b")
        await crew.enter_async_context(a_deliverer(database))
        await tell(connection, "anna", 50)
        await await_number(fast, 50)
        standing = (await api.client.get("/v1/webhooks/a")).json()

    assert fast.numbers == list(range(1, 51))
    assert standing["after"] == 0
