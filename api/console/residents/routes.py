"""``/console/residents/{id}``: one resident, the data of the charts, and the name on demand."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, NamedTuple
from uuid import uuid4

from fastapi import APIRouter, Path, Query, Request
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from starlette.responses import JSONResponse, Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.console.pages import Shown, Words
from api.console.records.told import Recorded, tell_recorded
from api.console.residents import limits, queries, series
from api.cursors import Name
from api.errors import NotFoundError
from api.local_days import local_day
from api.registry.personal import read_personal_data
from api.services import Running, Services
from api.timeline.routes import list_sessions

router = APIRouter()
Reader = Annotated[Principal, require(Permission.READINGS_READ, Permission.CASES_READ)]
Resident = Annotated[Name, Path(description="Pseudonym")]
SPANS_DAYS: Final = (7, 30, 90, 365, 1_095)
_SPAN_DAYS: Final = 90  # Shown first: what a quarter's routine visit talks about.
_NAMES: Final = Permission.RESIDENTS_READ
_TRANSITIONS: Final = 30
_TABLE_ROWS: Final = 30
_UNCLAIMED: Final = 20
_UNCLAIMED_DAYS: Final = 30
Days = Annotated[int, Query(ge=1, le=SPANS_DAYS[-1], description="Back from now")]


@router.get("/residents/{resident_id}")
async def show_resident(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Reader,
    resident_id: Resident,
    days: Days = _SPAN_DAYS,
    recorded: Recorded = "",
) -> Response:
    """The page; charts ask for their data themselves."""
    now = running.clock()
    since = now - timedelta(days=days)
    async with running.database.reading(principal) as connection:
        resident = await _find(connection, resident_id)
        about = await queries.fetch_about(
            connection, resident_id, since=since, transitions=_TRANSITIONS
        )
        readings = await queries.list_readings(
            connection,
            resident_id,
            since=since,
            until=_end(now),
            rows=_TABLE_ROWS,
            retracted=True,
        )
        flags = await queries.list_flags(connection, resident_id, since=since)
    unclaimed = await _list_unclaimed(running, principal)
    await running.audit.saw(principal, "console_resident", [resident_id])
    return pages.render(
        request,
        "resident.html",
        principal=principal,
        resident=resident,
        days=days,
        spans=SPANS_DAYS,
        readings=readings,
        flags=_by_reading(flags),
        unclaimed=unclaimed,
        new_id=str(uuid4()),
        may_amend=principal.may(Permission.READINGS_WRITE),
        may_record=principal.may(Permission.FOLLOWUPS_WRITE),
        done=tell_recorded(pages.words(request), recorded),
        names_are_kept=running.keys.key_file is not None and principal.may(_NAMES),
        age=limits.age_on(resident["birth_date"], local_day(now)),
        **about,
    )


@router.get("/residents/{resident_id}/series")
async def read_series(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    principal: Reader,
    resident_id: Resident,
    days: Days = _SPAN_DAYS,
) -> Response:
    """Points, limits and marks of the charts, as JSON for the page's own script."""
    now = running.clock()
    since, rows_max = now - timedelta(days=days), running.settings.console.points_max
    async with running.database.reading(principal) as connection:
        resident = await _find(connection, resident_id)
        readings = await queries.list_readings(
            connection, resident_id, since=since, until=_end(now), rows=rows_max
        )
        flags = await queries.list_flags(connection, resident_id, since=since)
        about = await queries.fetch_about(connection, resident_id, since=since, transitions=0)
        sessions = await list_sessions(
            running, connection, resident_id, since=since, readings_max=rows_max
        )
        profiles = await queries.choose_profiles(
            connection, resident, default=running.settings.console.profile, today=local_day(now)
        )
    await running.audit.saw(principal, "console_series", [resident_id])
    standing = _Standing(resident, about["conditions"], profiles, local_day(now))
    directory = running.settings.profile_directory
    shown = await asyncio.to_thread(_draw, standing, readings, directory)
    words = pages.words(request)
    marks = {
        **shown,
        "from": int(since.timestamp() * 1_000),
        "to": int(now.timestamp() * 1_000),
        "flags": {str(each["anchor_id"]): _tell(each, words) for each in flags},
        "sessions": series.session_points(sessions),
        "visits": [_mark(each, words) for each in about["records"]],
        "truncated": len(readings) == rows_max,
    }
    return JSONResponse(marks)


@router.get("/residents/{resident_id}/name")
async def show_name(
    *,
    request: Request,
    response: Response,
    running: Running,
    pages: Shown,
    principal: Annotated[Principal, require(_NAMES)],
    resident_id: Resident,
) -> Response:
    """One resident's name, opened because somebody asked for it; the audit log says who."""
    found = await read_personal_data(running, principal, resident_id, response)
    return pages.render(request, "resident_name.html", principal=principal, person=found)


async def _list_unclaimed(running: Services, principal: Principal) -> list[DictRow]:
    """Readings of nobody at the centres that one belongs to: the latest, to be claimed here."""
    if not (principal.seen_centre_ids and principal.may(Permission.READINGS_WRITE)):
        return []
    since = running.clock() - timedelta(days=_UNCLAIMED_DAYS)
    async with running.database.reading(principal) as connection:
        rows = await queries.list_unclaimed(connection, since=since, rows=_UNCLAIMED)
    await running.audit.saw(principal, "list_unclaimed", (), things=(str(r["id"]) for r in rows))
    return rows


async def _find(connection: AsyncConnection[DictRow], resident_id: str) -> DictRow:
    found = await queries.fetch_resident(connection, resident_id)
    if found is None:
        msg = "no such resident; use the links on the pages"
        raise NotFoundError(msg)
    return found


def _by_reading(flags: Sequence[DictRow]) -> dict[Any, list[DictRow]]:
    """What the rules said, by the reading that stands for it; the loudest first."""
    found: dict[Any, list[DictRow]] = {}
    for flag in reversed(flags):
        found.setdefault(flag["anchor_id"], []).append(flag)
    return found


def _end(now: datetime) -> datetime:
    """Readings of a clock that is ahead are shown, too."""
    return now + timedelta(days=1)


class _Standing(NamedTuple):
    """What decides which limits are shown."""

    resident: DictRow
    conditions: Sequence[DictRow]
    profiles: Mapping[str, tuple[str, str | None]]  # By condition: id and version.
    today: date

    def is_diagnosed(self, condition: str) -> bool:
        """Whether the resident has it now."""
        return any(c["condition"] == condition and c["until"] is None for c in self.conditions)


def _draw(
    standing: _Standing, readings: Sequence[DictRow], directory: FilePath | None
) -> dict[str, Any]:
    """Points and limits; loads the rules and reads profiles, so it runs beside the loop."""
    today, age = standing.today, limits.age_on(standing.resident["birth_date"], standing.today)
    pressure, glucose = (
        limits.find_profile(*standing.profiles[condition], directory, today=today)
        for condition in ("hypertension", "diabetes")
    )
    return {
        "pressure": series.pressure_points(readings),
        "glucose": series.glucose_points(readings),
        "without_value": series.count_without_value(readings),
        "pressure_limits": limits.pressure_limits(
            pressure, age=age, diagnosed=standing.is_diagnosed("hypertension")
        ),
        "glucose_limits": limits.glucose_limits(
            glucose, diagnosed=standing.is_diagnosed("diabetes")
        ),
    }


def _tell(flag: DictRow, words: Words) -> dict[str, str]:
    explained = flag["explanation"]
    return {
        "severity": flag["severity"],
        "severity_text": words.of("severity", flag["severity"]),
        "title": words.of("code", flag["code"]),
        "text": explained[words.language] if explained else "",
    }


def _mark(record: DictRow, words: Words) -> dict[str, Any]:
    return {
        "medication": series.tell_medication(record["form"] or {}),
        "at": int(record["at"].timestamp() * 1_000),
        "text": words.of("record", record["kind"]),
        "mode": words.of("mode", record["mode"]),
    }
