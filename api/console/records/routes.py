"""``/console/residents/{id}/records/{kind}``: one form for each kind of record.

With scripts it opens beside the page that one is on, without them it is a page. What is sent goes
through the API's own writing, under an id that the form carried: sent twice, it is recorded once.
"""

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Path, Query, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.console.forms import Form, read_form
from api.console.pages import PREFIX, Pages, Shown, Words
from api.console.records import queries, refusals
from api.console.records.bodies import BODIES, MEDICATION_ROWS, read_body, read_medications
from api.console.residents.limits import age_on
from api.cursors import Name
from api.errors import (
    BadParameterError,
    ConflictError,
    NotFoundError,
    RefusedContentError,
    UnavailableError,
)
from api.followups.schemas import Body
from api.followups.writing import record_one
from api.local_days import LOCAL, local_day
from api.services import Running, Services
from ingest.db.records import Kind

router = APIRouter()
Writer = Annotated[Principal, require(Permission.FOLLOWUPS_WRITE, Permission.CASES_READ)]
Resident = Annotated[Name, Path(description="Pseudonym")]
Back = Literal["today", "worklist", "resident"]
KINDS: Final = tuple(BODIES)


@router.get("/residents/{resident_id}/records/{kind}")
async def show_form(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Writer,
    resident_id: Resident,
    kind: str,
    condition: Annotated[str, Query(max_length=40)] = "",
    back: Back = "resident",
) -> Response:
    """The empty form."""
    known = _require_kind(kind)
    person = await _read_person(running, principal, resident_id)
    now = running.clock().astimezone(LOCAL)
    chosen = condition or (person["cases"][0]["condition"] if len(person["cases"]) == 1 else "")
    empty: dict[str, list[str]] = {
        "condition": [chosen],
        "at": [f"{now:%Y-%m-%dT%H:%M}"],
        "mode": ["phone" if known in {"contact_attempt", "referral_followup"} else "clinic"],
        "form.institution": [person["hospital"] or ""],
        "record_id": [str(uuid4())],
        "back": [back],
    }
    return _form(request, pages, principal, kind=known, person=person, form=Form(empty))


@router.post("/residents/{resident_id}/records/{kind}")
async def record(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Writer,
    resident_id: Resident,
    kind: str,
) -> Response:
    """Record it; what is refused comes back as it was typed, with what is wrong beside it."""
    known = _require_kind(kind)
    form = await read_form(request)
    body, wrong = _read(form, known, pages.words(request))
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    if body is not None:
        record_id = _read_id(form)
        try:
            await record_one(
                running, principal, body, kind=known, resident_id=resident_id, record_id=record_id
            )
        except UnavailableError:
            wrong = {"": pages.words(request)("refusal.unavailable")}
            status = HTTPStatus.SERVICE_UNAVAILABLE
        except (RefusedContentError, ConflictError) as error:
            today = local_day(running.clock())
            wrong = refusals.of_rules(error, body, pages.words(request), today=today)
    if not wrong:
        return _done(request, pages, principal, kind=known, form=form, resident_id=resident_id)
    person = queries.nobody(resident_id)
    if status is not HTTPStatus.SERVICE_UNAVAILABLE:
        person = await _read_person(running, principal, resident_id)
    return _form(
        *(request, pages, principal),
        kind=known,
        person=person,
        form=form,
        wrong=wrong,
        status=status,
    )


def _read(form: Form, kind: Kind, words: Words) -> tuple[Body | None, dict[str, str]]:
    """The body that was typed; None: it is none, and what is wrong with it."""
    try:
        return BODIES[kind].model_validate(read_body(form, kind)), {}
    except ValidationError as error:
        return None, refusals.of_schema(error, words)


def _require_kind(kind: str) -> Kind:
    for known in KINDS:
        if known == kind:
            return known
    msg = "there is no form of this kind; use the links on the pages"
    raise NotFoundError(msg)


def _read_id(form: Form) -> UUID:
    try:
        return UUID(form.get("record_id"))
    except ValueError as error:
        remedy = "open the form again from its link"
        raise BadParameterError(field="record_id", value="", remedy=remedy) from error


async def _read_person(running: Services, principal: Principal, resident_id: str) -> dict[str, Any]:
    async with running.database.reading(principal) as connection:
        person = await queries.fetch_person(connection, resident_id, local_day(running.clock()))
    if person is None:
        msg = "no such resident; use the links on the pages"
        raise NotFoundError(msg)
    await running.audit.saw(principal, "console_record", [resident_id])
    return {**person, "age": age_on(person["birth_date"], local_day(running.clock()))}


def _form(
    request: Request,
    pages: Pages,
    principal: Principal,
    *,
    kind: Kind,
    person: dict[str, Any],
    form: Form,
    wrong: dict[str, str] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    beside = request.headers.get("hx-request") == "true"
    return pages.render(
        request,
        "record_form.html" if beside else "record.html",
        principal=principal,
        # Of a part of a page a browser would call 422 a fault.
        status=HTTPStatus.OK if beside and status == HTTPStatus.UNPROCESSABLE_ENTITY else status,
        kind=kind,
        kinds=KINDS,
        person=person,
        form=form,
        medications=[*read_medications(form), *[{}] * MEDICATION_ROWS][:MEDICATION_ROWS],
        wrong=wrong or {},
        back=form.get("back"),
    )


def _done(
    request: Request,
    pages: Pages,
    principal: Principal,
    *,
    kind: Kind,
    form: Form,
    resident_id: str,
) -> Response:
    if request.headers.get("hx-request") == "true":
        return pages.render(
            request, "record_done.html", principal=principal, kind=kind, resident_id=resident_id
        )
    back = form.get("back")
    place = back if back in {"today", "worklist"} else f"residents/{resident_id}"
    return RedirectResponse(f"{PREFIX}/{place}?recorded={kind}", status_code=303)
