"""``PUT /v1/residents/{id}/health-checks/{day}``: that a yearly health check (健康体检) took place.

One on a local day is one, whoever says it and however often. Nothing is judged by it; only the
standardised management rate asks for it. What was said by mistake is taken back the same way; the
audit log keeps both.
"""

from datetime import date, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Path
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from pydantic import BaseModel, ConfigDict, Field

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import Name
from api.errors import BadParameterError
from api.instants import Day
from api.local_days import local_day
from api.registry.examples import RESIDENT_ID, as_response
from api.registry.sight import require_seen
from api.services import Running

router: Final = APIRouter()
Writer = Annotated[Principal, require(Permission.FOLLOWUPS_WRITE)]
_SAY: Final = """
INSERT INTO health_check (resident_id, day, author, received_at)
VALUES (%(resident)s, %(day)s, %(author)s, %(at)s) ON CONFLICT (resident_id, day) DO NOTHING"""
_TAKE_BACK: Final = "DELETE FROM health_check WHERE resident_id = %(resident)s AND day = %(day)s"
_EXAMPLE: Final = {"resident_id": RESIDENT_ID, "day": "2026-05-04", "done": True}


class HealthCheckIn(BaseModel):
    """Whether there was one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    done: Annotated[
        bool, Field(strict=True, description="false takes back what was said by mistake")
    ] = True


class HealthCheckOut(BaseModel):
    """What stands now."""

    resident_id: str
    day: Annotated[date, Field(description="Local (Asia/Shanghai)")]
    done: bool


@router.put("/{resident_id}/health-checks/{day}", responses={200: as_response(_EXAMPLE, "Kept")})
async def put_health_check(
    running: Running,
    principal: Writer,
    resident_id: Annotated[Name, Path(description="Pseudonym")],
    day: Annotated[Day, Path(description="Local day of the health check")],
    content: Annotated[HealthCheckIn, Body(openapi_examples={"done": {"value": {"done": True}}})],
) -> HealthCheckOut:
    """Say that a resident had their health check on a day, or that they had not after all.

    The same again changes nothing.
    """
    at = running.clock()
    if day > local_day(at):
        raise BadParameterError(field="day", value=day.isoformat(), remedy="lies in the future")
    async with running.database.writing(principal, at=at) as connection:
        await _write(connection, principal, resident_id, day, done=content.done, at=at)
    return HealthCheckOut(resident_id=resident_id, day=day, done=content.done)


async def _write(
    connection: AsyncConnection[DictRow],
    principal: Principal,
    resident_id: str,
    day: date,
    *,
    done: bool,
    at: datetime,
) -> None:
    await require_seen(connection, resident_id)
    await keep_health_check(
        connection, resident_id, day, author=principal.subject, at=at, done=done
    )


async def keep_health_check(
    connection: AsyncConnection[Any],
    resident_id: str,
    day: date,
    *,
    author: str,
    at: datetime,
    done: bool = True,
) -> None:
    """Keep that there was one on this day, or take it back. Never commits."""
    values = {"resident": resident_id, "day": day, "author": author, "at": at}
    await connection.execute(_SAY if done else _TAKE_BACK, values)
