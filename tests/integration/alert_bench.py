"""Writer, judge, dispatcher and API with one clock, and people who ask, for the tests beside."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr

from api.app import create_app
from api.auth.settings import AuthSettings
from api.dispatcher import number_round
from api.feed import Feed
from api.settings import ApiSettings, DispatcherSettings
from ingest.db.connections import Connection
from ingest.db.residents import Centre, Population, Resident, Team, load
from tests.builders import AT, a_blood_pressure, enrol
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import HYPERTENSION, JudgeBench
from tests.integration.running_api import running
from tests.roles import prepare_ingest
from tests.tokens import ISSUER, Signer

SIGNER: Final = Signer()
PEOPLE: Final[dict[str, dict[str, Any]]] = {
    "doctor": {"roles": ["doctor"], "teams": ["east-1"]},
    "colleague": {"roles": ["doctor"], "teams": ["east-1"]},
    "stranger": {"roles": ["doctor"], "teams": ["west-1"]},
    "admin": {"roles": ["centre_admin"], "teams": [], "centres": ["east"]},
    "supervisor": {"roles": ["supervisor"], "teams": []},
}


class AlertBench(JudgeBench):
    """Also asks the API, as somebody, at the bench's time."""

    client: httpx.AsyncClient
    feed: Feed
    dispatcher: DispatcherSettings

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        who: str = "doctor",
        status: int = 200,
    ) -> Any:  # noqa: ANN401 - JSON
        """One request below ``/v1/alerts``; its answer, which must have this status."""
        at = int(self.clock.now.timestamp())
        token = SIGNER.sign(SIGNER.claims(sub=who, iat=at - 1, exp=at + 600, **PEOPLE[who]))
        response = await self.client.request(
            method,
            f"/v1/alerts{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
        )
        assert response.status_code == status, response.text
        return response.json()

    async def get(self, path: str = "", *, who: str = "doctor") -> Any:  # noqa: ANN401 - JSON
        """What somebody reads."""
        return await self.ask("GET", path, who=who)

    async def alert_of(self, code: str) -> str:
        """The id of the one alert of this code."""
        ((id_,),) = await self.rows(f"SELECT id::text FROM alert WHERE code = '{code}'")  # noqa: S608
        return str(id_)

    async def measure(self, systolic: str, diastolic: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of any type
        """A pressure of r-1, now, and judged once its session is closed."""
        reading = a_blood_pressure(systolic, diastolic, at=self.clock.now, **fields)
        await self.send(reading)
        await self.settle()
        return reading

    async def number(self) -> None:
        """Let the dispatcher work, and the API's feed hear of it."""
        await number_round(self.connection, self.dispatcher)
        ((head,),) = await self.rows("SELECT feed_head()")
        async with asyncio.timeout(20):
            while True:
                if self.feed.is_connected and await self.feed.position() >= head:
                    return
                await asyncio.sleep(0.01)

    @property
    def listeners(self) -> int:
        """How many polls and streams wait for the API's feed."""
        return self.feed._listeners

    async def await_listeners(self, count: int) -> None:
        """Wait until so many do."""
        async with asyncio.timeout(20):
            while True:
                if self.listeners == count:
                    return
                await asyncio.sleep(0.01)


@asynccontextmanager
async def an_alert_bench(
    connection: Connection, database: Database, clock: TestClock, folder: Path
) -> AsyncIterator[AlertBench]:
    """Resident r-1 with hypertension in team east-1; nobody in west-1 but r-2."""
    await enrol(connection, HYPERTENSION)
    await load(
        connection,
        Population(
            centres=[Centre(id="west", name="west")],
            teams=[Team(id="west-1", centre_id="west", name="West")],
            residents=[Resident(id="r-2", team_id="west-1", conditions=(HYPERTENSION,))],
        ),
        at=AT,
    )
    await prepare_ingest(connection)
    bench = AlertBench(connection, database, clock)
    keys = folder / "jwks.json"
    keys.write_bytes(SIGNER.jwks())
    auth = AuthSettings(issuer=ISSUER, jwks_file=keys)
    app = create_app(ApiSettings(db_dsn=SecretStr(database.dsn), auth=auth), clock)
    transport = httpx.ASGITransport(app)
    async with (
        running(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", timeout=30) as client,
    ):
        bench.client = client
        bench.feed = app.state.services.feed
        bench.dispatcher = DispatcherSettings(db_dsn=SecretStr(database.dsn))
        yield bench
