"""Who is told, when not, and who was.

PUT, GET, DELETE  /v1/staff/{id}/contact
PUT, GET          /v1/centres/{id}/duty-hours, /v1/teams/{id}/duty-hours
GET               /v1/alerts/{alert_id}/notifications

Addresses are kept beside the register, not in it: its history never forgets, and an address must
go when somebody leaves. They are seen by who writes that centre's register.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Path
from psycopg.rows import DictRow

from api.alerts.attention import AlertId
from api.alerts.queries import fetch_alert
from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.errors import NotFoundError
from api.local_days import local_day
from api.notify import examples, queries
from api.notify.schemas import (
    ContactIn,
    ContactOut,
    HoursIn,
    HoursOut,
    NotificationOut,
    Notifications,
)
from api.registry.examples import as_response
from api.services import Running
from ingest.db.entities import ExternalId

router: Final = APIRouter()
Id = Annotated[ExternalId, Path(description="As the contract system calls it")]
Writer = Annotated[Principal, require(Permission.REGISTER_WRITE)]
_NO_CONTACT: Final = "no contact; PUT one first"
_CONTACT: Final[dict[int | str, dict[str, Any]]] = {
    200: as_response(examples.CONTACT_ANSWER, "As it stands now")
}
_HOURS: Final[dict[int | str, dict[str, Any]]] = {
    200: as_response(examples.HOURS_ANSWER, "As they stand now")
}


def _found(row: DictRow | None, missing: str) -> DictRow:
    if row is None:
        raise NotFoundError(missing)
    return row


@router.put("/staff/{id}/contact", responses=_CONTACT, tags=["notify"])
async def put_contact(
    running: Running,
    principal: Writer,
    id: Id,  # noqa: A002 - its name in the address
    content: Annotated[ContactIn, Body(openapi_examples={"contact": {"value": examples.CONTACT}})],
) -> ContactOut:
    """Say how somebody on the register is told about alerts. The same again changes nothing."""
    at = running.clock()
    async with running.database.writing(principal, at=at) as connection:
        values = {**content.model_dump(), "duties": sorted({str(duty) for duty in content.duties})}
        await queries.save_contact(connection, id, values, by=principal.subject, at=at)
        row = await queries.fetch_contact(connection, id)
    return ContactOut.model_validate(_found(row, "no such staff; PUT them first"))


@router.get("/staff/{id}/contact", responses=_CONTACT, tags=["notify"])
async def get_contact(
    running: Running,
    principal: Writer,
    id: Id,  # noqa: A002 - its name in the address
) -> ContactOut:
    """How somebody is told, for who writes the register of that centre."""
    async with running.database.reading(principal) as connection:
        row = await queries.fetch_contact(connection, id)
    return ContactOut.model_validate(_found(row, _NO_CONTACT))


@router.delete("/staff/{id}/contact", status_code=204, tags=["notify"])
async def delete_contact(
    running: Running,
    principal: Writer,
    id: Id,  # noqa: A002 - its name in the address
) -> None:
    """Forget somebody's addresses and duties; `404` when there are none (any more)."""
    async with running.database.writing(principal, at=running.clock()) as connection:
        if not await queries.forget_contact(connection, id):
            raise NotFoundError(_NO_CONTACT)


def _add_hours(kind: str, path: str) -> None:
    async def put_hours(
        running: Running,
        principal: Writer,
        id: Id,  # noqa: A002 - its name in the address
        content: Annotated[HoursIn, Body(openapi_examples={"hours": {"value": examples.HOURS}})],
    ) -> HoursOut:
        """Set quiet hours and shifts: the team's win over the centre's, those over the settings."""
        at = running.clock()
        async with running.database.writing(principal, at=at) as connection:
            place, values = (kind, id), content.model_dump()
            await queries.save_hours(connection, place, values, by=principal.subject, at=at)
            row = await queries.fetch_hours(connection, kind, id)
        return HoursOut.model_validate(_found(row, f"no such {kind}; PUT it first"))

    async def get_hours(
        running: Running,
        principal: Annotated[Principal, require(Permission.REGISTER_READ)],
        id: Id,  # noqa: A002 - its name in the address
    ) -> HoursOut:
        """Quiet hours and shifts of its own."""
        async with running.database.reading(principal) as connection:
            row = await queries.fetch_hours(connection, kind, id)
        return HoursOut.model_validate(_found(row, f"this {kind} has no hours of its own"))

    for method, route in (("PUT", put_hours), ("GET", get_hours)):
        router.add_api_route(
            f"/{path}/{{id}}/duty-hours",
            route,
            methods=[method],
            responses=_HOURS,
            operation_id=f"{method.lower()}_{kind}_duty_hours",
            summary=f"Duty hours of a {kind}",
            tags=["notify"],
        )


_add_hours("centre", "centres")
_add_hours("team", "teams")


@router.get(
    "/alerts/{alert_id}/notifications",
    responses={200: as_response(examples.NOTIFICATIONS, "In order")},
    tags=["alerts"],
)
async def list_notifications(
    running: Running,
    principal: Annotated[Principal, require(Permission.ALERTS_READ)],
    alert_id: AlertId,
) -> Notifications:
    """Who was to be told about an alert, when, by which channel, and what came of each attempt."""
    at = running.clock()
    async with running.database.reading(principal) as connection:
        alert = await fetch_alert(connection, alert_id, now=at, today=local_day(at))
        if alert is None:
            msg = "no such alert; look at the list"
            raise NotFoundError(msg)
        rows = await queries.list_notifications(connection, alert_id)
    await running.audit.saw(principal, "list_notifications", [alert.resident_id])
    return Notifications(items=[NotificationOut.model_validate(row) for row in rows])
