"""``/console/residents/{id}/records/{record_id}/withdrawal``: a record was a mistake.

It stays on record, withdrawn by another one with a reason; what a visit measured goes with it.
"""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.console.forms import Form, read_form
from api.console.pages import PREFIX, Shown
from api.console.records import refusals
from api.console.records.routes import Resident
from api.errors import ConflictError, RefusedContentError, UnavailableError
from api.followups.routes import KnownId, read_followup
from api.followups.schemas import WithdrawalIn
from api.followups.writing import record_one
from api.services import Running

router = APIRouter()
Writer = Annotated[Principal, require(Permission.FOLLOWUPS_READ, Permission.FOLLOWUPS_WRITE)]
_ADDRESS = "/residents/{resident_id}/records/{record_id}/withdrawal"


@router.get(_ADDRESS)
async def show_withdrawal(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Writer,
    resident_id: Resident,
    record_id: KnownId,
) -> Response:
    """The record, and why it was a mistake."""
    record = await read_followup(running, principal, resident_id, record_id)
    return pages.render(
        request,
        "withdrawal.html",
        principal=principal,
        beside=request.headers.get("hx-request") == "true",
        record=record,
        form=Form({"id": [str(uuid4())]}),
        wrong={},
    )


@router.post(_ADDRESS)
async def withdraw(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Writer,
    resident_id: Resident,
    record_id: KnownId,
) -> Response:
    """Withdraw it; sent twice, it is withdrawn once."""
    beside = request.headers.get("hx-request") == "true"
    form, words = await read_form(request), pages.words(request)
    record = await read_followup(running, principal, resident_id, record_id)
    content = {
        "at": running.clock(),
        "replaces": record_id,
        **({"note": note} if (note := form.get("note").strip()) else {}),
    }
    try:
        await record_one(
            running,
            principal,
            WithdrawalIn.model_validate(content),
            kind="withdrawal",
            resident_id=resident_id,
            record_id=_read_id(form),
        )
    except ValidationError as error:
        wrong = refusals.of_schema(error, words)
    except (RefusedContentError, ConflictError) as error:
        wrong = refusals.of_refusal(error, words)
    except UnavailableError:
        wrong = {"": words("refusal.unavailable")}
    else:
        if beside:
            return pages.render(request, "reading_done.html", principal=principal)
        return RedirectResponse(f"{PREFIX}/residents/{resident_id}", status_code=303)
    return pages.render(
        request,
        "withdrawal.html",
        principal=principal,
        status=200 if beside else 422,
        beside=beside,
        record=record,
        form=form,
        wrong=wrong,
    )


def _read_id(form: Form) -> UUID:
    """The new record's; one that is none is made anew: what it withdraws is withdrawn once."""
    try:
        return UUID(form.get("id"))
    except ValueError:
        return uuid4()
