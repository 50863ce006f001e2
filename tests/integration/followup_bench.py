"""A judge and an API with one clock, on a fresh database; the API asks as a doctor of the team."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx

from api.auth.permissions import Role
from api.auth.principal import Principal
from ingest.db.connections import Connection
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.api_desk import Desk, a_desk
from tests.integration.judge_bench import JudgeBench, Rows, open_bench
from tests.integration.security_world import a_principal

DOCTOR: Final = a_principal(Role.DOCTOR, teams="east-1")
REACTION: Final = ["adverse_drug_reaction"]


class Room(JudgeBench):
    """A bench whose resident r-1 a doctor sees."""

    desk: Desk

    async def put(
        self,
        path: str,
        body: dict[str, Any],
        id_: UUID | None = None,
        *,
        who: Principal = DOCTOR,
        resident: str = "r-1",
    ) -> httpx.Response:
        """Record something now, unless the body says when."""
        content = {"at": self.clock.now.isoformat(), **body}
        address = f"/v1/residents/{resident}/{path}/{id_ or uuid4()}"
        return await self.desk.ask(who, "PUT", address, json=content)

    async def visit(self, **more: Any) -> httpx.Response:  # noqa: ANN401 - of a body
        """A visit for hypertension at home."""
        response = await self.put("visits", {"condition": "hypertension", "mode": "home", **more})
        assert response.status_code == 201, response.text
        return response

    async def state(self) -> Rows:
        """State and the day that something is due."""
        return await self.rows(
            "SELECT state, nullif(due_order, '9999-12-31')::text FROM resident_case"
            " WHERE condition = 'hypertension'"
        )


@asynccontextmanager
async def a_room(
    connection: Connection, database: Database, clock: TestClock, folder: Path
) -> AsyncIterator[Room]:
    """A room with r-1, who has both conditions."""
    await open_bench(connection, database, clock)
    found = Room(connection, database, clock)
    async with a_desk(database.dsn, clock, folder) as desk:
        found.desk = desk
        yield found


def measured(high: int, low: int) -> dict[str, Any]:
    return {"measured": {"systolic_mmhg": high, "diastolic_mmhg": low}}
