"""The API in this process beside ingest and a judge, all with one clock; and an oracle.

The oracle judges the same readings from nothing: everything that the judge has written is
forgotten, everybody is judged anew by what is stored. Whatever way the database took, cases and
alerts that hold must be the same.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr

from api.app import create_app
from api.auth.permissions import Role
from api.auth.principal import Principal
from api.auth.settings import AuthSettings
from api.limits import LimitSettings
from api.settings import ApiSettings
from gateway.wire.ids import new_id
from ingest.db.connections import Connection
from ingest.db.residents import Centre, Population, Resident, Team, load
from tests.builders import AT
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import DIABETES, HYPERTENSION, JudgeBench, open_bench
from tests.integration.running_api import running
from tests.integration.security_world import a_principal
from tests.tokens import ISSUER, Signer

SIGNER: Final = Signer()
DOCTOR: Final = a_principal(Role.DOCTOR, teams="east-1")
OTHER_DOCTOR: Final = a_principal(Role.DOCTOR, teams="west-1")
CENTRE: Final = a_principal(Role.CENTRE_ADMIN, centres="east")
EVERYBODY: Final = a_principal(Role.CONTRACT_SYSTEM, kind="machine")
_UNLIMITED: Final = LimitSettings(person_burst=10**6, machine_burst=10**6)


class CorrectionsBench(JudgeBench):
    """Sends as a gateway, writes as somebody over the API, judges, and compares."""

    client: httpx.AsyncClient

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        who: Principal = DOCTOR,
        status: int | None = None,
    ) -> httpx.Response:
        """One request under ``/v1``."""
        at = int(self.clock.now.timestamp())
        token = SIGNER.sign(
            SIGNER.claims(
                sub=who.subject,
                roles=sorted(who.roles),
                teams=sorted(who.team_ids),
                centres=sorted(who.centre_ids),
                iat=at,
                exp=at + 300,
            )
        )
        headers = {"Authorization": f"Bearer {token}"}
        response = await self.client.request(method, f"/v1/{path}", json=body, headers=headers)
        if status is not None:
            assert response.status_code == status, response.text
        return response

    async def say(
        self,
        what: str,
        reading: dict[str, Any],
        *,
        who: Principal = DOCTOR,
        status: int = 200,
        **fields: Any,  # noqa: ANN401 - fields of any type
    ) -> httpx.Response:
        """``PUT /v1/readings/{id}/{what}`` with an id of its own, a moment later."""
        self.clock.pass_by(seconds=1)
        body = {"reason": "as a test", **fields}
        if what in ("correction", "retraction"):
            body.setdefault("id", str(new_id(self.clock.now)))
        return await self.ask(
            "PUT", f"readings/{reading['id']}/{what}", body, who=who, status=status
        )

    async def standing(self) -> tuple[Any, ...]:
        """Cases, alerts that hold, and timers: all that must not depend on the way there."""
        return (
            await self.rows(
                "SELECT resident_id, condition, state, consecutive_unsatisfied,"
                " second_followup_due, referral_followup_due, next_routine_due, anchor_id"
                " FROM resident_case WHERE state <> 'none' ORDER BY 1, 2"
            ),
            await self.rows(
                "SELECT resident_id, condition, code, status, severity, anchor_id, effective_at,"
                " due, centre_id, team_id FROM alert WHERE status <> 'cancelled'"
                " ORDER BY resident_id NULLS FIRST, condition, code, anchor_id"
            ),
            await self.rows("SELECT resident_id, due_at FROM due_timer ORDER BY 1"),
        )

    async def start_anew(self) -> None:
        """Forget every judgement, and reach it again from what is stored alone."""
        for table in ("resident_case", "case_transition", "alert", "due_timer", "due_mark"):
            await self.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own tables
        await self.connection.execute(
            "INSERT INTO due_mark (resident_id, kind, marked_at)"
            " SELECT id, 'person', %s FROM resident",
            (self.clock.now,),
        )
        await self.connection.execute(
            "INSERT INTO due_unclaimed (reading_id, marked_at)"
            " SELECT id, %s FROM stored_reading WHERE resident_id IS NULL",
            (self.clock.now,),
        )
        await self.work()

    async def list_readings(self, resident: str) -> list[Any]:
        """All of them, page by page."""
        asked = f"residents/{resident}/readings?limit=3"
        page = (await self.ask("GET", asked, status=200)).json()
        found = list(page["items"])
        while (cursor := page["next_cursor"]) is not None:
            page = (await self.ask("GET", f"{asked}&cursor={cursor}", status=200)).json()
            found += page["items"]
        return found

    async def require_listed_as_owned(self, *residents: str) -> set[bool]:
        """The list shows what is its person's own now; by which ways it was found (plain: True)."""
        ways = set()
        for resident in residents:
            listed = await self.ask("GET", f"residents/{resident}/readings", status=200)
            owned = await self.rows(
                "SELECT id::text FROM owned_reading WHERE owner_id = coalesce("  # noqa: S608 - ours
                " (SELECT into_id FROM resident_merge"
                f" WHERE resident_id = '{resident}' AND unmerged_at IS NULL), '{resident}')"
                " ORDER BY effective_at, captured_at, id"
            )
            assert [each["id"] for each in listed.json()["items"]] == [row[0] for row in owned]
            ((plain,),) = await self.rows(f"SELECT owns_only_reported('{resident}')")
            ways.add(plain)
        return ways

    async def require_fresh(self) -> None:
        """Fail unless a judgement from nothing comes to the same."""
        before = await self.standing()
        await self.start_anew()
        assert before == await self.standing()


@asynccontextmanager
async def a_desk(
    connection: Connection, database: Database, clock: TestClock, folder: Path
) -> AsyncIterator[CorrectionsBench]:
    """Team east-1 with r-1 and r-2, both with both conditions; team west-1 with r-3."""
    await open_bench(connection, database, clock)
    both = (HYPERTENSION, DIABETES)
    await load(
        connection,
        Population(
            centres=[Centre(id="west", name="west")],
            teams=[Team(id="west-1", centre_id="west", name="Team W")],
            residents=[
                Resident(id="r-2", team_id="east-1", conditions=both),
                Resident(id="r-3", team_id="west-1", conditions=both),
            ],
        ),
        at=AT - timedelta(days=1),
    )
    await connection.execute("DELETE FROM due_mark")
    bench = CorrectionsBench(connection, database, clock)
    keys = folder / "jwks.json"
    keys.write_bytes(SIGNER.jwks())
    settings = ApiSettings(
        db_dsn=SecretStr(database.dsn),
        auth=AuthSettings(issuer=ISSUER, jwks_file=keys),
        limits=_UNLIMITED,
    )
    app = create_app(settings, clock)
    async with (
        running(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://api",
            timeout=30,
        ) as client,
    ):
        bench.client = client
        yield bench
