"""The one way a resident is written: by the loader, the API, bulk and CSV alike.

One batch is one set of statements, whatever its size. Cases are marked for judging only where
something changed that the rules read, and open alerts move only where the team did: the same
batch sent again does nothing. Names and ID numbers pass through to whoever seals them and touch
no other table. Never commits.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from ingest.db import due_marks, registry, routing
from ingest.db.connections import Connection
from ingest.db.entities import Content, Resident
from ingest.db.registry import Authorship, Outcome, Refusal, Stored, Wanted, refuse_unknown

_ADOPT: Final = "SELECT adopt_stubs(%b::text[], %b::text[])"
_LOCAL: Final = ZoneInfo("Asia/Shanghai")
_BIRTH_MIN: Final = date(1870, 1, 1)
"""A slip of the pen beyond it would pass for an age, and choose the limit of an age."""
_JUDGED: Final = ("team_id", "birth_date", "enrolled_on", "conditions")
"""What the rules read, the team for its centre's profile."""


class Sealing(Protocol):
    """Keeps names and ID numbers of one transaction (``ingest.db.personal``)."""

    async def prepare(
        self, connection: Connection, residents: Sequence[Resident]
    ) -> Mapping[str, int | Refusal | None]:
        """Which generation each of these would have; the residents' entries are locked."""
        ...

    async def store(self, connection: Connection, ids: Sequence[str], by: Authorship) -> None:
        """Keep what is new of these."""
        ...


async def save_residents(
    connection: Connection,
    residents: Sequence[Resident],
    by: Authorship,
    sealing: Sealing | None = None,
) -> list[Outcome]:
    """Insert or update residents with their conditions, names and ID numbers.

    Args:
        connection: Inside a transaction, READ COMMITTED.
        residents: Of two with the same id the last one counts.
        by: Who writes, when, under what condition.
        sealing: Needed where a resident comes with ``personal``.

    Returns:
        What became of each id; nothing of a refused one is stored.
    """
    asked = {resident.id: resident for resident in residents}
    refused = await _refuse(connection, asked, by)
    kept = {id_: resident for id_, resident in asked.items() if id_ not in refused}
    teams = [resident.team_id for resident in kept.values()]
    await connection.execute(_ADOPT, (list(kept), teams))  # Else who is of a centre sees no stub.
    stored = await registry.lock(connection, "resident", kept)
    generations, unsealed = await _prepare(connection, kept, stored, sealing)
    refused |= unsealed
    wanted = {
        id_: Wanted(content=resident.content(generations[id_]), resident_id=id_)
        for id_, resident in kept.items()
        if id_ not in unsealed
    }
    outcomes = registry.decide(stored, wanted, by.permits)
    changed = await registry.append(connection, "resident", outcomes.values(), wanted, by)
    await _write(connection, [kept[id_] for id_ in changed], stored, wanted, by)
    if sealing is not None:
        await sealing.store(connection, changed, by)
    return [refused.get(id_) or outcomes[id_] for id_ in asked]


async def _refuse(
    connection: Connection, asked: Mapping[str, Resident], by: Authorship
) -> dict[str, Outcome]:
    teams = {resident.team_id for resident in asked.values() if resident.team_id is not None}
    unknown = await registry.find_unknown(connection, "team", teams)
    today = by.at.astimezone(_LOCAL).date()
    refused = {}
    for id_, resident in asked.items():
        if resident.team_id is not None and resident.team_id in unknown:
            refused[id_] = refuse_unknown(id_, "team_id", resident.team_id)
        born = resident.birth_date
        if born is not None and not _BIRTH_MIN <= born <= today:
            remedy = f"nobody alive was born then: from {_BIRTH_MIN} to today ({today})"
            refusal = Refusal("unusable", "birth_date", born.isoformat(), remedy)
            refused[id_] = Outcome(id_, "refused", 0, refusal)
    return refused


async def _prepare(
    connection: Connection,
    kept: Mapping[str, Resident],
    stored: Mapping[str, Stored],
    sealing: Sealing | None,
) -> tuple[dict[str, int | str | None], dict[str, Outcome]]:
    """The generation of each one's name and number, and who is refused because of them."""
    generations: dict[str, int | str | None] = {
        id_: (stored[id_].content or {}).get("personal") for id_ in kept
    }
    given = [resident for resident in kept.values() if resident.personal is not None]
    found: Mapping[str, int | Refusal | None] = {}
    if given and sealing is None:
        refusal = Refusal("no_key", "personal", "", "no key file: set one, or leave it out")
        found = {resident.id: refusal for resident in given}
    elif given and sealing is not None:
        found = await sealing.prepare(connection, given)
    refused = {}
    for id_, generation in found.items():
        if isinstance(generation, Refusal):
            refused[id_] = Outcome(id_, "refused", stored[id_].version, generation)
        else:
            generations[id_] = generation
    return generations, refused


_HOLD: Final = "SELECT hold_folds(%b::text[])"
_RESIDENT: Final = """
INSERT INTO resident (id, team_id, birth_date, sex, enrolled_on, stub, created_at)
SELECT n.*, false, %s::timestamptz
FROM unnest(%b::text[], %b::text[], %b::date[], %b::text[], %b::date[]) AS n ORDER BY 1
ON CONFLICT (id) DO UPDATE
SET team_id = EXCLUDED.team_id, birth_date = EXCLUDED.birth_date, sex = EXCLUDED.sex,
    enrolled_on = EXCLUDED.enrolled_on, stub = false"""
_FORGET_CONDITIONS: Final = "DELETE FROM resident_condition WHERE resident_id = ANY(%b::text[])"
_CONDITIONS: Final = """
INSERT INTO resident_condition (resident_id, condition, since, until)
SELECT * FROM unnest(%b::text[], %b::text[], %b::date[], %b::date[])"""


async def _write(
    connection: Connection,
    residents: Sequence[Resident],
    stored: Mapping[str, Stored],
    wanted: Mapping[str, Wanted],
    by: Authorship,
) -> None:
    if not residents:
        return
    # Of whom nothing was known a moment ago nothing can be moved: a first register is all of those.
    unwritten = {r.id for r in residents if not stored[r.id].version}
    strangers = await registry.find_unknown(connection, "resident", unwritten)
    known = [r for r in residents if r.id not in strangers]
    moved = [r.id for r in known if _differs(r.id, stored, wanted, "team_id")]
    if moved:
        await connection.execute(_HOLD, (moved,))
    rows = [(r.id, r.team_id, r.birth_date, r.sex, r.enrolled_on) for r in residents]
    columns = [list(column) for column in zip(*rows, strict=True)]
    await connection.execute(_RESIDENT, (by.at, *columns))
    diagnosed = [r for r in residents if _differs(r.id, stored, wanted, "conditions")]
    await _write_conditions(
        connection, diagnosed, [r.id for r in diagnosed if r.id not in strangers]
    )
    judged = [r.id for r in residents if _differs(r.id, stored, wanted, *_JUDGED)]
    await due_marks.mark_all(connection, judged, "person", at=by.at)
    before = [(id_, (stored[id_].content or {}).get("team_id")) for id_ in moved]
    await routing.reroute(connection, before, at=by.at)


async def _write_conditions(
    connection: Connection, residents: Sequence[Resident], known: Sequence[str]
) -> None:
    if known:
        await connection.execute(_FORGET_CONDITIONS, (list(known),))
    dated: list[tuple[str, str, date, date | None]] = [
        (r.id, each.condition, each.since, each.until) for r in residents for each in r.conditions
    ]
    if dated:
        columns = [list(column) for column in zip(*dated, strict=True)]
        await connection.execute(_CONDITIONS, columns)


def _differs(
    id_: str, stored: Mapping[str, Stored], wanted: Mapping[str, Wanted], *fields: str
) -> bool:
    before: Content | None = stored[id_].content
    return before is None or any(before[name] != wanted[id_].content[name] for name in fields)
