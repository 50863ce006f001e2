"""``/console/flow``: the conservation law live, and the quarantine with replay and drop."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.auth.session import become_operations
from api.console.flow import queries
from api.console.flow.dump import Dump, dump
from api.console.flow.resolving import drop, numbers_in, replay
from api.console.forms import Form, read_form
from api.console.operations.fields import FieldError
from api.console.pages import Pages, Shown
from api.errors import NotFoundError
from api.registry.writing import as_tuples
from api.services import Running, Services
from gateway.wire.errors import Reason
from ingest.db.quarantine import Item

router = APIRouter()
Reader = Annotated[Principal, require(Permission.OPERATIONS_READ)]
Writer = Annotated[Principal, require(Permission.OPERATIONS_READ, Permission.OPERATIONS_WRITE)]
Looker = Annotated[Principal, require(Permission.OPERATIONS_READ, Permission.PAYLOADS_READ)]
_Nothing = Literal[""]
_Number = Annotated[int, Query(ge=0, lt=2**63)]
_INT8_DIGITS: Final = 18


@router.get("/flow")
async def show_flow(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Reader,
    reason: Reason | _Nothing = "",
    gateway: Annotated[str, Query(max_length=63)] = "",
    scope: Literal["open", "all"] = "open",
    after: _Number = 0,
) -> Response:
    """The whole page; the address holds the filters."""
    chosen = {"reason": str(reason), "gateway": gateway, "scope": scope}
    found = await _read(running, principal, chosen, after)
    return pages.render(request, "flow.html", principal=principal, **found)


@router.get("/flow/panel")
async def show_panel(
    request: Request, running: Running, pages: Shown, principal: Reader
) -> Response:
    """The law alone, asked for every few seconds."""
    async with running.database.reading(principal) as connection:
        await become_operations(connection)
        law = await _read_law(running, connection)
    return pages.render(request, "flow_panel.html", principal=principal, **law)


@router.get("/flow/items/{number}")
async def show_item(
    request: Request, running: Running, pages: Shown, principal: Reader, number: str
) -> Response:
    """One item without its bytes: what its reason means and what to do."""
    return _item(request, pages, principal, await _fetch(running, principal, number))


@router.get("/flow/items/{number}/bytes")
async def show_bytes(
    request: Request, running: Running, pages: Shown, principal: Looker, number: str
) -> Response:
    """One item with its bytes, which are health data: noted before they are shown."""
    item = await _fetch(running, principal, number)
    await running.audit.saw(principal, "quarantine_payload", (), things=[str(item.number)])
    response = _item(request, pages, principal, item, dump(item.payload))
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/flow/replay")
async def replay_items(
    request: Request, running: Running, pages: Shown, principal: Writer
) -> Response:
    """Take the ticked items through ingest's normal path again."""
    form = await read_form(request)
    told: dict[str, Any] = {}
    try:
        told["outcomes"] = await replay(running, principal, numbers_in(form.all("item")))
    except FieldError as error:
        told["errors"] = {error.field: error.word}
    return await _after_form(
        running, request=request, pages=pages, principal=principal, form=form, told=told
    )


@router.post("/flow/drop")
async def drop_items(
    request: Request, running: Running, pages: Shown, principal: Writer
) -> Response:
    """Say that the ticked items will not be replayed, and why."""
    form = await read_form(request)
    told: dict[str, Any] = {}
    try:
        told["dropped"] = await drop(
            running, principal, numbers_in(form.all("item")), form.get("because", "")
        )
    except FieldError as error:
        told["errors"] = {error.field: error.word}
    return await _after_form(
        running, request=request, pages=pages, principal=principal, form=form, told=told
    )


async def _after_form(
    running: Services,
    *,
    request: Request,
    pages: Pages,
    principal: Principal,
    form: Form,
    told: dict[str, Any],
) -> Response:
    """The page as it stands after a form, with what became of it."""
    reason = form.get("reason", "")
    chosen = {
        "reason": reason if reason in list(Reason) else "",
        "gateway": form.get("gateway", ""),
        "scope": "all" if form.get("scope") == "all" else "open",
    }
    found = await _read(running, principal, chosen, 0)
    status = 422 if told.get("errors") else 200
    shown = {**found, **told, "because": form.get("because", "")}
    return pages.render(request, "flow.html", principal=principal, status=status, **shown)


async def _read(
    running: Services, principal: Principal, chosen: dict[str, str], after: int
) -> dict[str, Any]:
    """What the page shows, of one instant. Nothing of a resident, no payload."""
    from ingest.db import quarantine_items  # noqa: PLC0415 - with numpy

    rows = running.settings.operations.quarantine_rows_max
    selection = quarantine_items.Selection(
        scope="all" if chosen["scope"] == "all" else "open",
        reasons=[chosen["reason"]] if chosen["reason"] else (),
        gateway=chosen["gateway"] or None,
    )
    async with running.database.reading(principal) as connection:
        await become_operations(connection)
        law = await _read_law(running, connection)
        with as_tuples(connection) as tuples:
            items = await quarantine_items.list_after(
                tuples, selection, after=after, limit=rows + 1
            )
            groups = await quarantine_items.count_by_group(tuples, quarantine_items.Selection())
    return {
        **law,
        "items": items[:rows],
        "next_after": items[rows - 1].number if len(items) > rows else None,
        "is_first": after == 0,
        "groups": groups,
        "chosen": chosen,
        "reasons": list(Reason),
        "may_write": principal.may(Permission.OPERATIONS_WRITE),
        "errors": {},
        "outcomes": None,
        "dropped": None,
        "because": "",
    }


async def _read_law(running: Services, connection: Any) -> dict[str, Any]:  # noqa: ANN401 - of the reader
    rows = running.settings.operations.fleet_rows_max
    law = await queries.list_law(connection, day=running.clock().date(), rows=rows)
    return {"law": law, "waiting_items": await queries.count_open(connection)}


async def _fetch(running: Services, principal: Principal, number: str) -> Item:
    """One item, its detail without values. Raises ``NotFoundError``."""
    from ingest.db import quarantine_items  # noqa: PLC0415 - with numpy

    item = None
    if number.isascii() and number.isdecimal() and len(number) <= _INT8_DIGITS:
        async with running.database.reading(principal) as connection:
            await become_operations(connection)
            with as_tuples(connection) as tuples:
                item = await quarantine_items.fetch(tuples, int(number))
    if item is None:
        msg = "no such item; look at the list"
        raise NotFoundError(msg)
    return item._replace(detail=quarantine_items.hide_values(item.reason, item.detail))


def _item(
    request: Request, pages: Pages, principal: Principal, item: Item, shown: Dump | None = None
) -> Response:
    return pages.render(
        request,
        "flow_item.html",
        principal=principal,
        item=item._replace(payload=b""),
        dump=shown,
        may_look=principal.may(Permission.PAYLOADS_READ),
    )
