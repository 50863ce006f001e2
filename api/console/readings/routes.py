"""``/console/residents/{id}/readings/{reading_id}``: a reading, its versions, and what is wrong.

Corrections, retractions, undos and claims are the API's own functions; here are their forms. A
field that was left as it is says nothing. A value is never sent without its unit: the chosen one,
or that which stood when the form was shown. A form says by ``seen`` how many things had been said
when it was shown (nothing said ever goes); if more was said since, nothing is stored: one would
take back what one has not seen.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Path, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.console.forms import Form, read_form
from api.console.pages import PREFIX, Pages, Shown
from api.console.records import refusals
from api.console.records.bodies import read_instant
from api.corrections import routes as corrections
from api.corrections.claims import claim_reading
from api.corrections.routes import Check, ReadingId, fetch_versions, note
from api.corrections.schemas import (
    ClaimIn,
    CorrectionIn,
    ReadingVersions,
    RetractionIn,
    UndoIn,
)
from api.cursors import Name
from api.errors import ConflictError, RefusedContentError, UnavailableError
from api.services import Running, Services

router = APIRouter()
Writer = Annotated[Principal, require(Permission.READINGS_READ, Permission.READINGS_WRITE)]
Resident = Annotated[Name, Path(description="Pseudonym")]
_ONE: Final = "/residents/{resident_id}/readings/{reading_id}"
_VALUES: Final = ("systolic", "diastolic", "glucose")
_CHOICES: Final = ("unit", "meal_context", "arm", "setting")


class StaleError(Exception):
    """More was said of the reading than the form showed. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for which reading, and what the page needs to answer."""

    request: Request
    running: Services
    pages: Pages
    principal: Principal
    resident_id: str  # Whose page it is.
    reading_id: UUID

    @property
    def beside(self) -> bool:
        """Whether a part of a page is asked for."""
        return self.request.headers.get("hx-request") == "true"

    async def read(self) -> ReadingVersions:
        """The reading as it stands. Raises ``NotFoundError``."""
        async with self.running.database.reading(self.principal) as connection:
            shown = await fetch_versions(connection, self.reading_id)
        await note(self.running, self.principal, "console_reading", shown)
        return shown

    async def say(
        self, form: Form, said: Callable[[], Awaitable[None]], *, form_of: str
    ) -> Response:
        """Say one thing of it; what is refused comes back with what is wrong beside it."""
        words = self.pages.words(self.request)
        stale = False
        try:
            await said()
        except ValidationError as error:
            wrong = refusals.of_schema(error, words)
        except (RefusedContentError, ConflictError) as error:
            wrong = refusals.of_refusal(error, words)
        except StaleError:
            wrong, stale = {"": words("reading.stale")}, True
        except UnavailableError:
            return self.keep(form, form_of=form_of)
        else:
            if self.beside:
                return self.pages.render(
                    self.request, "reading_done.html", principal=self.principal
                )
            return RedirectResponse(f"{PREFIX}/residents/{self.resident_id}", status_code=303)
        try:
            shown = await self.read()
        except UnavailableError:
            return self.keep(form, form_of=form_of)
        return self.show(shown, form=form, wrong=wrong, form_of=form_of, stale=stale)

    def keep(self, form: Form, *, form_of: str) -> Response:
        """What was typed, while the database does not answer: no reading can be shown with it."""
        wrong = {"": self.pages.words(self.request)("refusal.unavailable")}
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return self._render(None, form=form, wrong=wrong, form_of=form_of, status=status)

    def show(
        self,
        shown: ReadingVersions,
        *,
        form: Form | None = None,
        wrong: dict[str, str] | None = None,
        form_of: str = "",
        stale: bool = False,
    ) -> Response:
        """The reading and the forms."""
        refused = wrong and not self.beside  # Of a part of a page a browser would call it a fault.
        status = HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK
        return self._render(
            shown,
            form=form or Form({}),
            wrong=wrong or {},
            form_of=form_of,
            status=status,
            stale=stale,
        )

    def _render(
        self,
        shown: ReadingVersions | None,
        *,
        form: Form,
        wrong: dict[str, str],
        form_of: str,
        status: HTTPStatus,
        stale: bool = False,
    ) -> Response:
        return self.pages.render(
            self.request,
            "reading_form.html" if self.beside else "reading.html",
            principal=self.principal,
            status=status,
            resident_id=self.resident_id,
            reading_id=self.reading_id,
            reading=shown,
            seen=len(shown.amendments) if shown else "",
            form=form,
            new_id=str(uuid4()),
            wrong=wrong,
            form_of=form_of,
            stale=stale,
        )


async def ask(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Writer,
    resident_id: Resident,
    reading_id: ReadingId,
) -> Asked:
    """As FastAPI finds it."""
    return Asked(request, running, pages, principal, resident_id, reading_id)


One = Annotated[Asked, Depends(ask)]


@router.get(_ONE)
async def show_reading(asked: One) -> Response:
    """The reading with all that was said of it, and the forms."""
    return asked.show(await asked.read())


@router.post(f"{_ONE}/correction")
async def correct(asked: One) -> Response:
    """What it should have said."""
    form = await read_form(asked.request)

    async def said() -> None:
        shown = await asked.read()
        body = CorrectionIn.model_validate(_changes(form, shown))
        check = _unless_more_was_said(form)
        await corrections.correct(
            asked.running, asked.principal, asked.reading_id, body, check=check
        )

    return await asked.say(form, said, form_of="correction")


@router.post(f"{_ONE}/retraction")
async def retract(asked: One) -> Response:
    """That it is none."""
    form = await read_form(asked.request)

    async def said() -> None:
        body = RetractionIn.model_validate({"id": form.get("id"), **_reason(form)})
        check = _unless_more_was_said(form)
        await corrections.retract(
            asked.running, asked.principal, asked.reading_id, body, check=check
        )

    return await asked.say(form, said, form_of="retraction")


@router.post(f"{_ONE}/amendments/{{amendment_id}}/undo")
async def undo(asked: One, amendment_id: UUID) -> Response:
    """That one of these was said by mistake."""
    form = await read_form(asked.request)

    async def said() -> None:
        body = UndoIn.model_validate(_reason(form))

        def check(known: ReadingVersions) -> None:
            mine = (amendment_id, asked.principal.subject, body.reason)
            if all((each.undoes, each.author, each.reason) != mine for each in known.amendments):
                _unless_more_was_said(form)(known)  # Else it is a retry.

        await corrections.undo(
            *(asked.running, asked.principal, asked.reading_id, body),
            amendment_id=amendment_id,
            check=check,
        )

    return await asked.say(form, said, form_of=str(amendment_id))


@router.post(f"{_ONE}/claim")
async def claim(asked: One) -> Response:
    """That a reading of nobody is this resident's."""
    form = await read_form(asked.request)

    async def said() -> None:
        body = ClaimIn.model_validate({"resident_id": asked.resident_id, **_reason(form)})
        await claim_reading(asked.running, asked.principal, asked.reading_id, body)

    return await asked.say(form, said, form_of="claim")


def _unless_more_was_said(form: Form) -> Check:
    """Refuse what rests on a reading that stands otherwise by now; a retry passes."""

    def check(known: ReadingVersions) -> None:
        ids = {str(each.id) for each in known.amendments}
        if form.get("id") not in ids and form.get("seen") != str(len(known.amendments)):
            raise StaleError

    return check


def _changes(form: Form, shown: ReadingVersions) -> dict[str, Any]:
    """What was typed and chosen. Without a choice a value is in the unit that stands."""
    said: dict[str, Any] = {name: form.get(name).strip() or None for name in _VALUES}
    is_valued = any(value is not None for value in said.values())
    said |= {name: form.get(name) or None for name in _CHOICES}
    if is_valued and said["unit"] is None:
        said["unit"] = shown.stands.unit  # What the form showed, or else it is stale.
    said["measured_at"] = read_instant(form.get("measured_at"))
    said["resident_id"] = form.get("resident_id").strip() or None
    given = {name: value for name, value in said.items() if value is not None}
    return {"id": form.get("id"), **given, **_reason(form)}


def _reason(form: Form) -> dict[str, str]:
    reason = form.get("reason").strip()
    return {"reason": reason} if reason else {}
