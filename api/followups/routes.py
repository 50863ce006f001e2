"""What people record: one ``PUT`` for each kind, under an id that whoever records it chose.

PUT  /v1/residents/{resident_id}/{visits|referrals|…}/{record_id}
GET  /v1/residents/{resident_id}/followups                all kinds, the newest first
GET  /v1/residents/{resident_id}/followups/{record_id}
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from fastapi.openapi.models import Example
from pydantic import TypeAdapter

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import Cursor, Name, Number
from api.errors import BadParameterError, NotFoundError
from api.followups import examples, queries, schemas, writing
from api.followups.schemas import FollowupPage, FollowupQuery, RecordOut
from api.registry.examples import as_response
from api.registry.sight import require_seen
from api.remedies import NOT_SHOWN
from api.services import Running
from ingest.db.records import Kind

router = APIRouter(tags=["follow-ups"])
_CURSOR: Final[Cursor[int]] = Cursor("followups", TypeAdapter(Number))
ResidentId = Annotated[Name, Path(description="Pseudonym")]
_UUID: Final = {"format": "uuid"}


def _parse_new(
    record_id: Annotated[
        str,
        Path(
            description="Chosen by whoever records; the same again is no new",
            json_schema_extra=_UUID,
        ),
    ],
) -> UUID:
    """The id of what is recorded. Raises ``BadParameterError``, which repeats nothing of it."""
    try:
        return UUID(record_id)
    except ValueError as error:
        remedy = "take a new UUID, such as 5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e01"
        raise BadParameterError(field="record_id", value=NOT_SHOWN, remedy=remedy) from error


def _parse_known(
    record_id: Annotated[str, Path(description="As lists name it", json_schema_extra=_UUID)],
) -> UUID:
    """What is no UUID is no record either: both are answered alike."""
    try:
        return UUID(record_id)
    except ValueError as error:
        raise _no_such() from error


def _no_such() -> NotFoundError:
    msg = "no such record of this resident; look at the list"
    return NotFoundError(msg)


RecordId = Annotated[UUID, Depends(_parse_new)]
KnownId = Annotated[UUID, Depends(_parse_known)]


class Recorded(NamedTuple):
    """One kind, and where it is written."""

    path: str
    kind: Kind
    body: type[schemas.Body]


KINDS: Final = (
    Recorded("visits", "visit", schemas.VisitIn),
    Recorded("referrals", "referral", schemas.ReferralIn),
    Recorded("referral-followups", "referral_followup", schemas.ReferralFollowupIn),
    Recorded("contact-attempts", "contact_attempt", schemas.ContactAttemptIn),
    Recorded("reschedules", "reschedule", schemas.RescheduleIn),
    Recorded("overrides", "override", schemas.OverrideIn),
    Recorded("closures", "closure", schemas.ClosureIn),
    Recorded("returns", "return", schemas.ReturnIn),
    Recorded("withdrawals", "withdrawal", schemas.WithdrawalIn),
)


def _add_put(recorded: Recorded) -> None:
    one = as_response(examples.ANSWERS[recorded.kind], "It stands, from now or before")
    created = {**one, "description": "New; the case is judged again at once"}
    router.add_api_route(
        f"/{{resident_id}}/{recorded.path}/{{record_id}}",
        _make_put(recorded),
        methods=["PUT"],
        response_model=RecordOut,
        responses={200: one, 201: {**created, "model": RecordOut}},
        operation_id=f"record_{recorded.kind}",
        summary=f"Record a {recorded.kind.replace('_', ' ')}",
        description=(recorded.body.__doc__ or "")
        + "\n\nThe same again changes nothing (`200`); another content under the same id is `409`."
        " The author is whoever asks.",
    )


def _make_put(recorded: Recorded) -> Any:  # noqa: ANN401 - a route
    async def put(
        *,
        running: Running,
        principal: Annotated[Principal, require(Permission.FOLLOWUPS_WRITE)],
        resident_id: ResidentId,
        record_id: RecordId,
        content: schemas.Body,
        response: Response,
    ) -> RecordOut:
        """Write one record."""
        row, new = await writing.record_one(
            running,
            principal,
            content,
            kind=recorded.kind,
            resident_id=resident_id,
            record_id=record_id,
        )
        if new:
            response.status_code = 201
            response.headers["Location"] = f"/v1/residents/{resident_id}/followups/{record_id}"
        return as_out(row)

    shown: dict[str, Example] = {"whole": {"value": examples.BODIES[recorded.kind]}}
    put.__annotations__["content"] = Annotated[recorded.body, Body(openapi_examples=shown)]
    return put


def as_out(row: Mapping[str, Any]) -> RecordOut:
    """A row as it is shown."""
    return RecordOut.model_validate({k: v for k, v in row.items() if k != "of_contract"})


for _recorded in KINDS:
    _add_put(_recorded)


@router.get("/{resident_id}/followups", responses={200: as_response(examples.PAGE, "One page")})
async def list_followups(
    running: Running,
    principal: Annotated[Principal, require(Permission.FOLLOWUPS_READ)],
    resident_id: ResidentId,
    query: Annotated[FollowupQuery, Query()],
) -> FollowupPage:
    """All that was recorded of one resident, withdrawn or not, the newest arrival first."""
    before = _CURSOR.read(query.cursor)
    asked = query.model_dump(exclude={"cursor", "limit"})
    async with running.database.reading(principal) as connection:
        await require_seen(connection, resident_id)
        rows = await queries.list_newest(
            connection, resident_id, asked, before=before, rows=query.limit + 1
        )
    await running.audit.saw(principal, "list_followups", [resident_id])
    items = [as_out(row) for row in rows[: query.limit]]
    more = len(rows) > query.limit
    return FollowupPage(items=items, next_cursor=_CURSOR.write(items[-1].number) if more else None)


@router.get(
    "/{resident_id}/followups/{record_id}",
    responses={200: as_response(examples.ANSWERS["visit"], "The record")},
)
async def read_followup(
    running: Running,
    principal: Annotated[Principal, require(Permission.FOLLOWUPS_READ)],
    resident_id: ResidentId,
    record_id: KnownId,
) -> RecordOut:
    """One record of a resident."""
    async with running.database.reading(principal) as connection:
        row = await queries.fetch(connection, resident_id, record_id)
    if row is None:
        raise _no_such()
    await running.audit.saw(principal, "read_followup", [resident_id])
    return as_out(row)
