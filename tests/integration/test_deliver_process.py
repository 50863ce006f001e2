"""Promise: a killed delivering process loses nothing, and repeats one event of a receiver at most.

Real processes, as the command starts them.
"""

import asyncio
import signal
from contextlib import AsyncExitStack
from itertools import groupby
from typing import Any

import httpx

from ingest.db.connections import Connection
from tests.fix_db import Database
from tests.integration.api_processes import a_dispatcher, a_process, an_api, tell, write
from tests.integration.webhook_bench import Receiver, a_receiver

DELIVER = "from api.cli import deliver_app; deliver_app()"
ALLOWED = '["127.0.0.0/8"]'


def a_deliverer(database: Database, **settings: str) -> Any:  # noqa: ANN401 - a context manager
    quick = {
        "DELIVER_POLL_MS": "50",
        "DELIVER_STANDBY_POLL_MS": "50",
        "DELIVER_IDLE_S_MAX": "1",
        "DELIVER_ALLOWED_NETWORKS": ALLOWED,
        "DELIVER_RETRY__FIRST_MS": "50",
    }
    return a_process(DELIVER, DELIVER_DB_DSN=database.dsn, **{**quick, **settings})


async def subscribe(client: httpx.AsyncClient, receiver: Receiver, id_: str) -> None:
    response = await client.put(f"/v1/webhooks/{id_}", json={"url": receiver.url()})
    assert response.status_code == 201, response.text


async def await_number(receiver: Receiver, number: int) -> None:
    async with asyncio.timeout(60):
        while True:
            if receiver.requests and receiver.numbers[-1] >= number:
                return
            await asyncio.sleep(0.02)


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
        first = await crew.enter_async_context(a_deliverer(database))
        await tell(connection, "anna", 60)
        await await_number(receivers[0], 5)  # It is elected.
        second = await crew.enter_async_context(a_deliverer(database))
        first.kill()
        await tell(connection, "anna", 60)
        await await_number(receivers[0], 65)
        second.send_signal(signal.SIGSTOP)
        await crew.enter_async_context(a_deliverer(database))
        await tell(connection, "anna", 60)
        for receiver in receivers:
            await await_number(receiver, 180)
        second.send_signal(signal.SIGCONT)
        await tell(connection, "anna", 20)
        for receiver in receivers:
            await await_number(receiver, 200)

    for receiver in receivers:
        in_a_row = [number for number, _ in groupby(receiver.numbers)]
        first_time = list(dict.fromkeys(receiver.numbers))
        assert first_time == list(range(1, 201))
        assert len(in_a_row) <= 201  # Who was frozen may have said one again.
        assert len(receiver.numbers) <= 203
        ids = {request.headers["webhook-id"] for request in receiver.requests}
        assert len(ids) == 200


async def test_an_event_is_told_as_soon_as_it_has_its_number_and_metrics_say_so(
    database: Database, connection: Connection
) -> None:
    async with AsyncExitStack() as crew:
        api = await crew.enter_async_context(
            an_api(database, API_WEBHOOKS__ALLOWED_NETWORKS=ALLOWED)
        )
        receiver = await crew.enter_async_context(a_receiver())
        await subscribe(api.client, receiver, "w")
        await crew.enter_async_context(a_dispatcher(database))
        process = await crew.enter_async_context(a_deliverer(database, DELIVER_POLL_MS="900"))
        await write(connection, ["one"])
        await await_number(receiver, 1)
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), 10)

    assert code == 0
    assert receiver.requests[0].body.startswith(b'{"number" : 1, "type" : "alert.raised"')


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
