"""``GET /v1/residents/{resident_id}/timeline``: everything in one order, the newest first.

Each source gives at most a page of rows below the cursor's place; the newest of all make the page.
Bounded: one page of each source, and of readings what a sitting may need beside it.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Query, Response
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from pydantic import AwareDatetime, BaseModel, TypeAdapter

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import Cursor, Name
from api.errors import BadParameterError, NotFoundError
from api.readings.queries import fetch_standing, retained_since
from api.registry.sight import is_known
from api.registry.writing import as_tuples
from api.services import Running, Services
from api.timeline import examples, queries
from api.timeline.schemas import (
    RANKS,
    AlertItem,
    AttentionItem,
    CaseItem,
    ContractItem,
    NotificationItem,
    RecordItem,
    SessionItem,
    TimelinePage,
    TimelineQuery,
)
from ingest.db import merges

router = APIRouter()
Place = tuple[datetime, int, str]  # at, rank of the kind, id.
CURSOR: Final[Cursor[Place]] = Cursor("timeline", TypeAdapter(tuple[AwareDatetime, int, str]))
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_TOP: Final[Place] = (_LAST, len(RANKS), "")
_MARGIN: Final = timedelta(hours=2)  # Longer than any sitting: at most 60 minutes and a gap.
_MARGIN_ROWS: Final = 200
_SPARE_ROWS: Final = 20  # Most sittings are whole with these, without another look.
_ITEMS: Final[Mapping[str, type[BaseModel]]] = {
    "case": CaseItem,
    "alert": AlertItem,
    "notification": NotificationItem,
    "attention": AttentionItem,
    "record": RecordItem,
    "contract": ContractItem,
}
_EXACT: Final = msgspec.json.Encoder(decimal_format="number")
_SHOWN: Final = {"content": {"application/json": {"example": examples.PAGE}}}


@router.get(
    "/{resident_id}/timeline",
    response_model=TimelinePage,
    responses={200: {"description": "One page", **_SHOWN}},
)
async def read_timeline(
    running: Running,
    principal: Annotated[
        Principal,
        require(Permission.READINGS_READ, Permission.CASES_READ, Permission.FOLLOWUPS_READ),
    ],
    resident_id: Annotated[Name, Path(description="Pseudonym")],
    query: Annotated[TimelineQuery, Query()],
) -> Response:
    """Everything about one resident, the newest first.

    Readings, sittings, cases, alerts, who was told of them and what was done about them, records
    and contracts.

    A reading stands at the time it was believed to be taken at when it came, whatever was corrected
    since (`taken_at` says what the rules use). Of merged residents there is one timeline, the
    survivor's, whichever is asked for. Pass `next_cursor` back as `cursor`; a page may be short,
    the last one has none.
    """
    if query.since and query.until and query.since > query.until:
        raise BadParameterError(
            field="from", value=query.since.isoformat(), remedy="must not be later than `to`"
        )
    after = CURSOR.read(query.cursor) or _TOP
    async with running.database.reading(principal) as connection:
        with as_tuples(connection) as tuples:
            person = await merges.find_person(tuples, resident_id)
        found, floor = await _collect(running, connection, person, query, after)
        if not found and not await is_known(connection, resident_id):
            msg = "no such resident; use the pseudonym that cases and alerts name"
            raise NotFoundError(msg)
        edge = await retained_since(connection)
    found.sort(key=_place, reverse=True)
    items = found[: query.limit]
    await running.audit.saw(principal, "read_timeline", [resident_id, *person])
    end = _place(items[-1]) if len(found) > query.limit else floor
    page = {
        "items": [item.model_dump() for item in items],
        "next_cursor": end and CURSOR.write(end),
        "retained_since": edge,
    }
    return Response(_EXACT.encode(page), media_type="application/json")


def _place(item: Any) -> Place:  # noqa: ANN401 - one of the items
    return item.at, RANKS[item.kind], item.id


async def _collect(
    running: Services,
    connection: AsyncConnection[DictRow],
    person: list[str],
    query: TimelineQuery,
    after: Place,
) -> tuple[list[Any], Place | None]:
    """What lies below the place: of each source the newest, one more than a page holds.

    Returns:
        Items in any order, and down to where they are whole; None: there are no more.
    """
    asked = {
        "resident": person[0],
        "residents": person,
        "from": query.since or _FIRST,
        "until": query.until or _LAST,
        "after_at": after[0],
        "after_rank": after[1],
        "after_id": after[2],
        "rows": query.limit + 1,
    }
    kinds = set(query.kind or RANKS)
    found: list[Any] = []
    floor = None
    for kind, model in _ITEMS.items():
        if kind in kinds:
            rows = await queries.list_source(connection, kind, {**asked, "rank": RANKS[kind]})
            found += [model.model_construct(**{**row, "kind": kind}) for row in rows]
    if kinds & {"reading", "session"}:
        # A sitting has some readings: asked for alone, a page needs more of them.
        wanted = query.limit + 1 + (0 if "reading" in kinds else _MARGIN_ROWS)
        (standing,) = await fetch_standing(person[0]).run(connection)
        asked["plain"] = standing["is_plain"]
        measured, cut_at = await _collect_measured(running, connection, asked, wanted, after)
        found += [item for item in measured if item.kind in kinds]
        if cut_at is not None:
            found = [item for item in found if item.at >= cut_at]
            floor = (cut_at, 0, "")
    return found, floor


async def list_sessions(
    running: Services,
    connection: AsyncConnection[DictRow],
    resident: str,
    *,
    since: datetime,
    readings_max: int,
) -> list[SessionItem]:
    """The sittings of a resident from ``since`` on, of at most so many readings, newest first."""
    with as_tuples(connection) as tuples:
        person = await merges.find_person(tuples, resident)
    query = TimelineQuery.model_construct(
        since=since, until=None, kind=["session"], limit=readings_max
    )
    sessions, _ = await _collect(running, connection, person, query, _TOP)
    return sorted(sessions, key=_place, reverse=True)


async def _collect_measured(
    running: Services,
    connection: AsyncConnection[DictRow],
    asked: Mapping[str, Any],
    wanted: int,
    after: Place,
) -> tuple[Iterable[Any], datetime | None]:
    """Readings below the place and the sittings that end there, whole, whatever page they are on.

    What is read beside them is what a sitting may reach into: above the place, and below the last
    reading of the page.

    Returns:
        Items, and from when on they are all that there are; None: nothing is left out.
    """
    since, until = asked["from"], asked["until"]
    top = min(after[0], until)
    wider = {
        **asked,
        "from": _before(since),
        "rank": RANKS["reading"],
        "rows": wanted + _SPARE_ROWS,
    }
    rows = await queries.list_readings(connection, wider, top=min(top, running.clock()))
    if not rows:
        return [], None
    floor, last = rows[min(wanted, len(rows)) - 1]["effective_at"], rows[-1]
    cut = len(rows) >= wanted and floor >= since
    if len(rows) > wanted and last["effective_at"] > _before(floor):
        place = {"after_at": last["effective_at"], "after_id": str(last["id"])}
        under = {**wider, **place, "after_rank": RANKS["reading"], "from": _before(floor)}
        rows += await queries.list_readings(
            connection, {**under, "rows": _MARGIN_ROWS}, top=last["effective_at"]
        )
    beside: list[DictRow] = []
    if _LAST - top > _MARGIN:
        place = {"after_at": _TOP[0], "after_rank": _TOP[1], "after_id": _TOP[2]}
        above = {**wider, **place, "from": top, "until": top + _MARGIN, "rows": _MARGIN_ROWS}
        known = {row["id"] for row in rows}
        beside = await queries.list_readings(connection, above, top=top)
        beside = [row for row in beside if row["id"] not in known]
    every = [*rows, *beside]
    said = await queries.list_amendments(connection, [row["id"] for row in every])
    contexts = await queries.list_contexts(connection, every)
    profile = await queries.fetch_profile(connection, asked["resident"])
    readings, sessions = await asyncio.to_thread(
        _measure, every, said, contexts, profile, running.settings.profile_directory
    )
    low = floor if cut else since
    items = (*readings, *sessions)
    return [
        item for item in items if low <= item.at < until and _place(item) < after
    ], floor if cut else None


def _before(at: datetime) -> datetime:
    return at if at - _FIRST < _MARGIN else at - _MARGIN


def _measure(
    rows: list[DictRow],
    said: list[DictRow],
    contexts: list[DictRow],
    profile: str | None,
    directory: Any,  # noqa: ANN401 - a folder of profiles, or None
) -> tuple[list[Any], list[Any]]:
    """In a thread: a page takes some milliseconds. Numpy is loaded when the first one is asked for.

    Who was never judged has no profile, and so no sittings: nothing is cut on a guess.
    """
    from api.timeline import measured  # noqa: PLC0415 - with numpy

    found = measured.measure(rows, said, contexts)
    if profile is None:
        return found.items, []
    limits = measured.find_limits(profile, directory)
    return found.items, measured.list_sessions(found.normalised.readings, limits)
