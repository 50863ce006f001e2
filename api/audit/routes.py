"""``GET /v1/audit``."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import TypeAdapter

from api.audit import queries
from api.audit.schemas import AuditOut, AuditPage, AuditQuery
from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import Cursor, Number
from api.registry.examples import RESIDENT_ID, as_response
from api.services import Running

router = APIRouter()
CURSOR: Final[Cursor[int]] = Cursor("audit", TypeAdapter(Number))
_PAGE: Final = {
    "items": [
        {
            "id": 4711,
            "at": "2026-03-02T01:10:04Z",
            "subject": "client:contracts-ningbo",
            "action": "read",
            "object": "list_readings",
            "residents": [RESIDENT_ID],
            "residents_count": 1,
            "things": [],
            "seal": None,
        }
    ],
    "next_cursor": None,
}


@router.get("", responses={200: as_response(_PAGE, "One page")})
async def list_audit(
    running: Running,
    principal: Annotated[Principal, require(Permission.AUDIT_READ)],
    query: Annotated[AuditQuery, Query()],
) -> AuditPage:
    """Who saw or changed whom, newest first. Looking is noted, too."""
    before = CURSOR.read(query.cursor)
    asked = query.model_dump(exclude={"cursor", "limit"})
    async with running.database.reading(principal) as connection:
        rows = await queries.list_newest(connection, asked, before=before, rows=query.limit + 1)
    items = [AuditOut.model_validate(row) for row in rows[: query.limit]]
    seen = {resident for item in items for resident in item.residents}
    await running.audit.saw(principal, "list_audit", seen)
    return AuditPage(
        items=items,
        next_cursor=CURSOR.write(items[-1].id) if len(rows) > query.limit else None,
    )
