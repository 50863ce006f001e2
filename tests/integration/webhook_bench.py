"""A receiver that does whatever a test tells it, and subscriptions that are told by a set clock."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr

from api.app import create_app
from api.auth.session import DELIVER_NAMES
from api.database import Database
from api.settings import ApiSettings
from api.webhooks.addresses import look_up
from api.webhooks.delivery import Delivery
from api.webhooks.settings import DeliverSettings, WebhookSettings
from ingest.db.connections import Connection
from tests.fix_clock import TestClock
from tests.fix_db import Database as Fresh
from tests.integration.running_api import running
from tests.webhook_verifier import verify

HERE: Final = ("127.0.0.0/8", "::1/128")
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GONE: Final = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
BROKEN: Final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"

Behaviour = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Request:
    """What the receiver was sent."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def number(self) -> int:
        """Of the event."""
        found: int = json.loads(self.body)["number"]
        return found


@dataclass(slots=True)
class Receiver:
    """Answers each request with the next behaviour, and with ``otherwise`` when there is none."""

    port: int = 0
    scheme: str = "http"
    behaviours: list[Behaviour] = field(default_factory=list)
    otherwise: Behaviour = OK
    requests: list[Request] = field(default_factory=list)

    def url(self, host: str = "127.0.0.1") -> str:
        """Where it listens."""
        return f"{self.scheme}://{host}:{self.port}/hook?of=me"

    @property
    def numbers(self) -> list[int]:
        """Of the events it was sent, in order, repetitions too."""
        return [request.number for request in self.requests]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while await self._answer_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        line, *fields = head.strip().split("\r\n")
        headers = {k.lower(): v for k, _, v in (each.partition(": ") for each in fields)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append(Request(line, headers, body))
        behaviour = self.behaviours.pop(0) if self.behaviours else self.otherwise
        if isinstance(behaviour, bytes):
            writer.write(behaviour)
            await writer.drain()
            return True
        await behaviour(writer)
        return False


@asynccontextmanager
async def a_receiver(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """One on a free port of this machine."""
    receiver = Receiver(scheme="http" if tls is None else "https")
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


class Bench:
    """The API and a delivering process in one, by one clock."""

    def __init__(
        self, client: httpx.AsyncClient, delivery: Delivery, connection: Connection
    ) -> None:
        self.client = client
        self.delivery = delivery
        self.connection = connection
        self.clock: Any = delivery.clock

    async def subscribe(self, url: str, id_: str = "w", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """A new subscription, as the answer shows it."""
        response = await self.client.put(f"/v1/webhooks/{id_}", json={"url": url, **more})
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    async def standing(self, id_: str = "w") -> dict[str, Any]:
        """How it stands."""
        found: dict[str, Any] = (await self.client.get(f"/v1/webhooks/{id_}")).json()
        return found

    async def replay(self, after: int, id_: str = "w") -> httpx.Response:
        """Go on from a number."""
        return await self.client.post(f"/v1/webhooks/{id_}/replay", json={"after": after})

    async def turn(self, id_: str = "w") -> int:
        """One turn of a subscription; how many events were told."""
        cursor = await self.connection.execute("SELECT number FROM webhook WHERE id = %s", (id_,))
        ((number,),) = await cursor.fetchall()
        return await self.delivery.serve(number)

    def verify(self, secret: str, request: Request) -> str:
        """As the receiver would. Raises ``NotGenuineError``."""
        now_s = self.clock().timestamp()
        return verify(secret, request.headers, request.body, now_s=now_s)


@asynccontextmanager
async def a_bench(
    database: Fresh,
    connection: Connection,
    *,
    key_file: Path | None = None,
    ca_file: Path | None = None,
    allowed: Sequence[str] = HERE,
    resolver: Callable[[str, int], Awaitable[Sequence[str]]] = look_up,
    **delivery: Any,  # noqa: ANN401 - settings
) -> AsyncIterator[Bench]:
    """Open to whoever asks; the clock stands."""
    clock = TestClock()
    dsn = SecretStr(database.dsn)
    api = ApiSettings(
        db_dsn=dsn,
        authentication="off",
        key_file=key_file,
        webhooks=WebhookSettings(allowed_networks=tuple(allowed), per_owner_max=3),
    )
    settings = DeliverSettings(
        db_dsn=SecretStr(database.dsn_of("deliver")),
        key_file=key_file,
        ca_file=ca_file,
        allowed_networks=tuple(allowed),
        **{"answer_ms_max": 5_000, **delivery},
    )
    app = create_app(api, clock)
    transport = httpx.ASGITransport(app)
    async with (
        running(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", timeout=20) as client,
        Database(settings, DELIVER_NAMES) as opened,
    ):
        yield Bench(client, Delivery(settings, opened, clock, resolver=resolver), connection)
