"""``/console/simulator``: start and stop a scenario against the private stack, with live counts.

Where the API was not given the private stack's file these addresses do not exist: 404 for everybody
who is signed in.
"""

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Authenticated, require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.auth.session import become_operations
from api.console.forms import read_form
from api.console.operations.fields import FieldError
from api.console.pages import PREFIX, Shown
from api.console.simulator.scenarios import (
    DRAIN_S,
    SCENARIOS,
    SECONDS_MAX,
    SECONDS_MIN,
    read_stack,
)
from api.errors import NotFoundError
from api.services import Running, Services

_TOTALS: Final = """
SELECT coalesce(sum(stored), 0)::bigint AS stored,
       coalesce(sum(duplicate), 0)::bigint AS duplicate,
       coalesce(sum(quarantined), 0)::bigint AS quarantined
FROM gateway_day"""
_COUNTS: Final = ("sent", "taken", "refused", "busy", "again", "unanswered")
_STORED: Final = ("stored", "duplicate", "quarantined")


async def _require_private_stack(running: Running, _: Authenticated) -> None:
    if running.settings.console.simulator_file is None:
        msg = "nothing is simulated here"
        raise NotFoundError(msg)


router = APIRouter(dependencies=[Depends(_require_private_stack)])
Writer = Annotated[Principal, require(Permission.OPERATIONS_READ, Permission.OPERATIONS_WRITE)]


@router.get("/simulator")
async def show_simulator(
    request: Request, running: Running, pages: Shown, principal: Writer
) -> Response:
    """The whole page."""
    shown = await _read(running, principal)
    return pages.render(request, "simulator.html", principal=principal, **shown)


@router.get("/simulator/panel")
async def show_panel(
    request: Request, running: Running, pages: Shown, principal: Writer
) -> Response:
    """Counts alone."""
    shown = await _read(running, principal)
    return pages.render(request, "simulator_panel.html", principal=principal, **shown)


@router.post("/simulator/run")
async def start(request: Request, running: Running, pages: Shown, principal: Writer) -> Response:
    """Play a scenario; one at a time."""
    form = await read_form(request)
    scenario, seconds = form.get("scenario"), form.get("seconds")
    try:
        await _start(running, principal, scenario, seconds)
    except FieldError as error:
        shown = await _read(running, principal)
        shown |= {"errors": {error.field: error.word}, "seconds": seconds}
        return pages.render(request, "simulator.html", principal=principal, status=422, **shown)
    return RedirectResponse(f"{PREFIX}/simulator", status_code=303)


@router.post("/simulator/end")
async def stop(running: Running, _: Writer) -> Response:
    """Send nothing new."""
    running.rehearsals.stop()
    return RedirectResponse(f"{PREFIX}/simulator", status_code=303)


async def _start(running: Services, principal: Principal, name: str, seconds: str) -> None:
    scenario = SCENARIOS.get(name)
    if scenario is None:
        raise FieldError(field="scenario", word="scenario_unknown")
    known = seconds.isascii() and seconds.isdecimal() and len(seconds) <= len(str(SECONDS_MAX))
    if not known or not SECONDS_MIN <= int(seconds) <= SECONDS_MAX:
        raise FieldError(field="seconds", word="seconds_wrong")
    stack = await _read_stack(running)
    if not stack.get("gateways"):
        raise FieldError(field="scenario", word="stack_not_up")
    before = await _count(running, principal)
    at = running.clock()
    asked = {
        "scenario": name,
        "kind": scenario.kind,
        "rate_per_s": scenario.rate_per_s,
        "emergency_rate": scenario.emergency_rate,
        "seconds": int(seconds),
        "before": before,
    }
    secret = {**stack, "ledger": f"{stack['folder']}/console-{at:%Y%m%dT%H%M%S%f}.ledger"}
    await running.audit.saw(principal, "simulator", (), things=[name])
    limit_s = int(seconds) + DRAIN_S
    if not running.rehearsals.start(asked, secret, by=principal.subject, seconds_max=limit_s):
        raise FieldError(field="scenario", word="busy")


async def _read(running: Services, principal: Principal) -> dict[str, Any]:
    """What the page shows."""
    job, now = running.rehearsals.job, await _count(running, principal)
    before = job.asked["before"] if job is not None else now
    return {
        "job": job,
        "is_busy": running.rehearsals.is_busy,
        "tally": (job.result or job.progress) if job is not None else {},
        "counts": _COUNTS,
        "since": {name: now[name] - before[name] for name in _STORED},
        "scenarios": SCENARIOS,
        "gateways": sorted((await _read_stack(running)).get("gateways", {})),
        "seconds": "60",
        "errors": {},
    }


async def _read_stack(running: Services) -> dict[str, Any]:
    file = running.settings.console.simulator_file
    return {} if file is None else await asyncio.to_thread(read_stack, file)


async def _count(running: Services, principal: Principal) -> dict[str, int]:
    async with running.database.reading(principal) as connection:
        await become_operations(connection)
        return await _totals(connection)


async def _totals(connection: AsyncConnection[DictRow]) -> dict[str, int]:
    row = await (await connection.execute(_TOTALS)).fetchone()
    return dict.fromkeys(_STORED, 0) if row is None else dict(row)
