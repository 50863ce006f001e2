"""``/console/fleet``: the tree of gateways and terminals, live; enrol and revoke a gateway."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.auth.session import become_operations
from api.console.fleet import queries
from api.console.fleet.charts import points_of
from api.console.fleet.enrolment import give_token, revoke, sign_revocations
from api.console.fleet.queries import Bounds, Shown
from api.console.forms import read_form
from api.console.operations.fields import FieldError
from api.console.pages import PREFIX, Pages
from api.console.pages import Shown as ShownPages
from api.errors import BadParameterError
from api.local_days import local_day
from api.services import Running, Services

router = APIRouter()
Reader = Annotated[Principal, require(Permission.OPERATIONS_READ)]
Writer = Annotated[Principal, require(Permission.OPERATIONS_READ, Permission.OPERATIONS_WRITE)]
Centre = Annotated[str, Query(max_length=100)]
_HOURS_MAX: Final = 48
_TOKENS_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a form has led to. Of a refused one: its fields, and the word for each that is wrong."""

    token: str = ""
    gateway: str = ""
    centre: str = ""
    errors: dict[str, str] | None = None


@router.get("/fleet")
async def show_fleet(
    *,
    request: Request,
    running: Running,
    pages: ShownPages,
    principal: Reader,
    centre: Centre = "",
    shown: Shown = "all",
    revoked: Annotated[str, Query(max_length=63)] = "",
) -> Response:
    """The whole page."""
    found = await _read(running, principal, centre, shown)
    return _render(request, pages, principal, found, Told(gateway=revoked))


@router.get("/fleet/panel")
async def show_panel(
    *,
    request: Request,
    running: Running,
    pages: ShownPages,
    principal: Reader,
    centre: Centre = "",
    shown: Shown = "all",
) -> Response:
    """Counts and tree alone, asked for every few seconds."""
    found = await _read(running, principal, centre, shown)
    return pages.render(request, "fleet_panel.html", principal=principal, **found)


@router.get("/fleet/flow")
async def read_flow(
    running: Running,
    principal: Reader,
    hours: Annotated[int, Query(ge=1, le=_HOURS_MAX)] = 6,
) -> JSONResponse:
    """Message rate and waiting, for the charts."""
    since = running.clock() - timedelta(hours=hours)
    async with running.database.reading(principal) as connection:
        await become_operations(connection)
        samples = await queries.list_samples(connection, since=since)
    return JSONResponse(points_of(samples))


@router.get("/fleet/revocations")
async def read_revocations(running: Running, principal: Reader) -> PlainTextResponse:
    """The signed list that the broker reads at its next start."""
    headers = {"Content-Disposition": 'attachment; filename="crl.pem"', "Cache-Control": "no-store"}
    return PlainTextResponse(await sign_revocations(running, principal), headers=headers)


@router.post("/fleet/enrolment")
async def enrol(
    request: Request, running: Running, pages: ShownPages, principal: Writer
) -> Response:
    """A one-time token for a box, shown once."""
    form = await read_form(request)
    gateway, centre = form.get("gateway", "").strip(), form.get("centre", "")
    told, status = Told(gateway=gateway, centre=centre), 200
    try:
        token = await give_token(running, principal, gateway, centre)
        told = Told(gateway=gateway, centre=centre, token=token)
    except FieldError as error:
        told, status = Told(gateway=gateway, centre=centre, errors={error.field: error.word}), 422
    found = await _read(running, principal, "", "all")
    response = _render(request, pages, principal, found, told, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/fleet/gateways/{gateway}/revocation")
async def revoke_gateway(
    *, request: Request, running: Running, pages: ShownPages, principal: Writer, gateway: str
) -> Response:
    """Trust a gateway no more; then say what is left to do at the broker."""
    form = await read_form(request)
    try:
        await revoke(running, principal, gateway, form.get("because", ""))
    except FieldError as error:
        found = await _read(running, principal, "", "all")
        told = Told(gateway=gateway, errors={f"{error.field}-{gateway}": error.word})
        return _render(request, pages, principal, found, told, status=422)
    return RedirectResponse(f"{PREFIX}/fleet?revoked={gateway}", status_code=303)


def _render(
    request: Request,
    pages: Pages,
    principal: Principal,
    found: dict[str, Any],
    told: Told,
    *,
    status: int = 200,
) -> Response:
    return pages.render(
        request,
        "fleet.html",
        principal=principal,
        status=status,
        **{**found, "told": told, "errors": told.errors or {}},
    )


def bounds_of(running: Services) -> Bounds:
    """What is silent, due and low just now."""
    now, settings = running.clock(), running.settings.operations
    return Bounds(
        device_silent=now - settings.device_silent,
        gateway_silent=now - settings.gateway_silent,
        calibration_soon=local_day(now) + timedelta(days=settings.calibration_warn_days),
        battery_low=settings.battery_low_percent,
        day=now.date(),
    )


async def _read(
    running: Services, principal: Principal, centre: str, shown: Shown
) -> dict[str, Any]:
    """What the page shows, of one instant."""
    bounds, settings = bounds_of(running), running.settings.operations
    async with running.database.reading(principal) as connection:
        await become_operations(connection)
        centres = await queries.list_centres(connection)
        if centre and centre not in {each["id"] for each in centres}:
            raise BadParameterError(field="centre", value="", remedy="must be one of the list")
        gateways = await queries.list_gateways(
            connection, bounds, centre=centre or None, shown=shown, rows=settings.fleet_rows_max
        )
        terminals = await queries.list_terminals(connection, bounds, [g["id"] for g in gateways])
        counts = await queries.count(connection, bounds)
        tokens = await queries.list_tokens(connection, at=running.clock(), rows=_TOKENS_MAX)
    tree: dict[str, list[Any]] = {}
    for gateway in gateways:
        tree.setdefault(gateway["centre_id"], []).append(gateway)
    return {
        "centres": centres,
        "tree": tree,
        "total": gateways[0]["total"] if gateways else 0,
        "listed": len(gateways),
        "terminals": terminals,
        "counts": counts,
        "tokens": tokens,
        "bounds": bounds,
        "chosen": {"centre": centre, "shown": shown},
        "may_write": principal.may(Permission.OPERATIONS_WRITE),
        "has_authority": running.authority is not None,
        "token_hours": settings.token_hours,
        "errors": {},
    }
