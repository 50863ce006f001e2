"""``/console/rules``: limits and sources of all profiles; compare two of them on history."""

import asyncio
from datetime import date, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.auth.session import become_operations
from api.console.forms import Form, read_form
from api.console.operations.fields import FieldError
from api.console.pages import PREFIX, Pages, Shown
from api.console.rules.profiles import Listed, in_chinese, list_profiles, list_uses
from api.console.rules.weeks import chart_of
from api.local_days import local_day
from api.services import Running, Services

router = APIRouter()
Reader = Annotated[Principal, require(Permission.OPERATIONS_READ)]
Writer = Annotated[Principal, require(Permission.OPERATIONS_READ, Permission.OPERATIONS_WRITE)]
_DAYS: Final = 90  # Offered at first.
_DAYS_MAX: Final = 366
_BY_WEEK: Final = ("alerts_by_week", "followups")


@router.get("/rules")
async def show_rules(
    request: Request, running: Running, pages: Shown, principal: Reader
) -> Response:
    """The whole page."""
    return await _render(running, request=request, pages=pages, principal=principal)


@router.get("/rules/panel")
async def show_panel(
    request: Request, running: Running, pages: Shown, principal: Reader
) -> Response:
    """The comparison alone, asked for again while it runs."""
    shown = _read_job(running, pages, request, principal)
    return pages.render(request, "rules_panel.html", principal=principal, **shown)


@router.post("/rules/comparison")
async def compare(request: Request, running: Running, pages: Shown, principal: Writer) -> Response:
    """Begin to compare two profiles, in a process of its own; one at a time."""
    form = await read_form(request)
    try:
        await _begin(running, principal, form)
    except FieldError as error:
        return await _render(
            running,
            request=request,
            pages=pages,
            principal=principal,
            form=form,
            errors={error.field: error.word},
        )
    return RedirectResponse(f"{PREFIX}/rules#comparison", status_code=303)


@router.post("/rules/comparison/end")
async def end_comparison(running: Running, _: Writer) -> Response:
    """Stop it; nothing was changed."""
    running.backtests.stop()
    return RedirectResponse(f"{PREFIX}/rules#comparison", status_code=303)


async def _begin(running: Services, principal: Principal, form: Form) -> None:
    """Begin; who asked is noted, for it reads everybody's history. Raises ``FieldError``."""
    settings = running.settings
    profiles = await asyncio.to_thread(list_profiles, settings.profile_directory)
    asked = _check(form, profiles)
    dsn, directory = settings.operations.backtest_dsn or settings.db_dsn, settings.profile_directory
    secret = {
        "dsn": dsn.get_secret_value(),
        "directory": None if directory is None else str(directory),
    }
    await running.audit.saw(principal, "backtest", (), things=[asked["before"], asked["after"]])
    seconds = settings.operations.backtest_s_max
    if not running.backtests.start(asked, secret, by=principal.subject, seconds_max=seconds):
        raise FieldError(field="compare", word="busy")


def _check(form: Form, profiles: list[Listed]) -> dict[str, Any]:
    """What is asked. Raises ``FieldError``."""
    before, after = form.get("before"), form.get("after")
    if before == after or not {before, after} <= {each.id for each in profiles}:
        raise FieldError(field="profiles", word="profile_unknown")
    try:
        first, last = (date.fromisoformat(form.get(name)) for name in ("first", "last"))
    except ValueError as error:
        raise FieldError(field="days", word="day_needed") from error
    if not timedelta(0) <= last - first <= timedelta(days=_DAYS_MAX):
        raise FieldError(field="days", word="day_needed")
    return {
        "before": before,
        "after": after,
        "first": first.isoformat(),
        "last": last.isoformat(),
    }


async def _render(
    running: Services,
    *,
    request: Request,
    pages: Pages,
    principal: Principal,
    form: Form | None = None,
    errors: dict[str, str] | None = None,
) -> Response:
    profiles = await asyncio.to_thread(list_profiles, running.settings.profile_directory)
    async with running.database.reading(principal) as connection:
        await become_operations(connection)
        uses = await list_uses(connection)
    today = local_day(running.clock())
    first = (today - timedelta(days=_DAYS)).isoformat()
    given = form or Form({})
    return pages.render(
        request,
        "rules.html",
        principal=principal,
        status=422 if errors else 200,
        profiles=profiles,
        uses=uses,
        deployment=running.settings.console.profile,
        limit_of=in_chinese if pages.words(request).language == "zh" else str,
        may_write=principal.may(Permission.OPERATIONS_WRITE),
        chosen={
            "before": given.get("before", running.settings.console.profile),
            "after": given.get("after", ""),
            "first": given.get("first", first),
            "last": given.get("last", today.isoformat()),
        },
        errors=errors or {},
        **_read_job(running, pages, request, principal),
    )


def _read_job(
    running: Services, pages: Pages, request: Request, principal: Principal
) -> dict[str, Any]:
    job = running.backtests.job
    charts = {}
    if job is not None and job.result is not None:
        nobody = pages.words(request)("rules.no_team")
        charts = {name: chart_of(job.result[name], nobody) for name in _BY_WEEK}
    return {
        "job": job,
        "is_busy": running.backtests.is_busy,
        "charts": charts,
        "may_stop": principal.may(Permission.OPERATIONS_WRITE),
    }
