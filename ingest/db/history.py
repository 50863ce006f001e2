"""All readings and records of some residents, as the rules take them: tables read as columns.

Only stored readings are here, so duplicates are settled already; what was said of them later
is in ``amendments``. Effective times are not read but worked out again by the rules, since a
correction may change them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from uuid import UUID

import numpy as np

from ingest.db.connections import Connection
from ingest.db.packed import (
    BIG_INTEGER,
    DATE,
    INSTANT,
    INTEGER,
    UUID_BYTES,
    PackedRows,
    Packing,
    as_days,
    as_instants,
    fetch_packed,
    pack_words,
    unpack_word,
    with_null,
)
from ingest.db.records import STANDS
from ingest.db.words import (
    ARM_CODES,
    COMPLICATIONS,
    CONDITION_CODES,
    CONTROL_SOLUTION,
    FACE_TO_FACE,
    KIND_CODES,
    MEAL_CODES,
    REACTIONS,
    REASON_CODES,
    RECORD_CODES,
    SETTING_CODES,
    STATE_CODES,
    STATUS_BITS,
    UNIT_CODES,
    Codes,
)
from rules.columns import MISSING, Records
from rules.reported import NO_SEQUENCE, Reported

_WORDS: Final[Mapping[str, Codes]] = {
    "kind": KIND_CODES,
    "unit": UNIT_CODES,
    "setting": SETTING_CODES,
    "arm": ARM_CODES,
    "meal_context": MEAL_CODES,
    "sample": {CONTROL_SOLUTION: 1},
    "stored_record::text": {"true": 1},
}
_KIND, _UNIT, _SETTING, _ARM, _MEAL, _CONTROL, _STORED = range(len(_WORDS))
_STATUS: Final = " + ".join(
    f"CASE WHEN '{word}' = ANY(status) THEN {bit} ELSE 0 END" for word, bit in STATUS_BITS.items()
)
_PACKING: Final = Packing(
    columns={
        "resident": ("coalesce(asked.row, 0)::int4", INTEGER),
        "id": ("id", UUID_BYTES),
        "systolic_e4": (f"coalesce((systolic * 10000)::int8, {MISSING})", BIG_INTEGER),
        "diastolic_e4": (f"coalesce((diastolic * 10000)::int8, {MISSING})", BIG_INTEGER),
        "glucose_e7": (f"coalesce((glucose * 10000000)::int8, {MISSING})", BIG_INTEGER),
        "words": (f"({pack_words(_WORDS)})::int4", INTEGER),
        "status": (f"(CASE WHEN status = '{{}}' THEN 0 ELSE {_STATUS} END)::int4", INTEGER),
        "measured_at": (with_null("measured_at", "timestamptz"), INSTANT),
        # A gateway whose clock follows no server corrects no device's (ingest.rows).
        "device_now": (
            with_null("CASE WHEN clock_synchronised THEN device_now END", "timestamptz"),
            INSTANT,
        ),
        "captured_at": ("captured_at", INSTANT),
        "arrived_at": ("arrived_at", INSTANT),
        "received_at": ("received_at", INSTANT),
    }
)
_WHOLE: Final = ("systolic_e4", "diastolic_e4", "glucose_e7", "status")
_INSTANTS: Final = ("measured_at", "device_now", "captured_at", "arrived_at", "received_at")
_OF_RESIDENTS: Final = """
{table} JOIN unnest(%s::text[]) WITH ORDINALITY AS asked (resident_id, row) USING (resident_id)"""
_OF_OTHERS: Final = """
{table} LEFT JOIN unnest(%s::text[]) WITH ORDINALITY AS asked (resident_id, row)
        USING (resident_id)
WHERE id = ANY(%s) AND asked.row IS NULL"""


async def fetch_reported(
    connection: Connection,
    residents: Sequence[str],
    others: Sequence[UUID] = (),
    *,
    table: Literal["reading", "reading_held"] = "reading",
) -> Reported:
    """Everything stored about these residents.

    Args:
        connection: Inside a transaction.
        residents: Pseudonyms; ``resident`` of a reading is its place among them.
        others: Readings to load although they were reported for nobody or for somebody else;
            their ``resident`` is -1.
        table: Those that retention holds back are in a table of their own.
    """
    mine, theirs = (source.format(table=table) for source in (_OF_RESIDENTS, _OF_OTHERS))
    found = [await fetch_packed(connection, _PACKING, mine, (list(residents),))]
    if others:
        parameters = (list(residents), list(others))
        found.append(await fetch_packed(connection, _PACKING, theirs, parameters))
    return _as_reported(np.concatenate(found))


def _as_reported(rows: PackedRows) -> Reported:
    words = rows["words"].astype(np.int64)
    whole: dict[str, Any] = {name: rows[name].astype(np.int64) for name in _WHOLE}
    instants: dict[str, Any] = {name: as_instants(rows[name]) for name in _INSTANTS}
    return Reported(
        resident=rows["resident"].astype(np.int64) - 1,
        ids=np.ascontiguousarray(rows["id"]),
        kind=unpack_word(words, _KIND),
        **whole,
        unit=unpack_word(words, _UNIT),
        setting=unpack_word(words, _SETTING),
        arm=unpack_word(words, _ARM),
        meal_context=unpack_word(words, _MEAL),
        control_solution=unpack_word(words, _CONTROL) == 1,
        stored_record=unpack_word(words, _STORED) == 1,
        device=np.zeros(len(rows), dtype=np.int64),
        sequence=np.full(len(rows), NO_SEQUENCE, dtype=np.int64),
        **instants,
    )


_RECORD_WORDS: Final[Mapping[str, Codes]] = {
    "kind": RECORD_CODES,
    "condition": CONDITION_CODES,
    "state": STATE_CODES,
    "reason": REASON_CODES,
    "mode": dict.fromkeys(FACE_TO_FACE, 1),
    f"(findings && '{{{','.join(REACTIONS)}}}')::text": {"true": 1},
    f"(findings && '{{{','.join(COMPLICATIONS)}}}')::text": {"true": 1},
}
_RECORD_PACKING: Final = Packing(
    columns={
        "resident": ("asked.row::int4", INTEGER),
        "id": ("id", UUID_BYTES),
        "words": (f"({pack_words(_RECORD_WORDS)})::int4", INTEGER),
        "at": ("at", INSTANT),
        "received_at": ("received_at", INSTANT),
        "due": (with_null("due", "date"), DATE),
    }
)
_MOVES: Final = ", ".join(f"'{kind}'" for kind in RECORD_CODES)
_RECORDS_OF_RESIDENTS: Final = f"""
record JOIN unnest(%s::text[]) WITH ORDINALITY AS asked (resident_id, row) USING (resident_id)
WHERE kind IN ({_MOVES}) AND {STANDS}"""


async def fetch_records(connection: Connection, residents: Sequence[str]) -> Records:
    """What people recorded that moves a case and that nobody withdrew.

    ``resident`` of a record is the place among the pseudonyms.
    """
    rows = await fetch_packed(
        connection, _RECORD_PACKING, _RECORDS_OF_RESIDENTS, (list(residents),)
    )
    words = rows["words"].astype(np.int64)
    kind, condition, state, reason, face_to_face, reaction, complication = (
        unpack_word(words, place) for place in range(len(_RECORD_WORDS))
    )
    return Records(
        resident=rows["resident"].astype(np.int64) - 1,
        ids=np.ascontiguousarray(rows["id"]),
        kind=kind,
        condition=condition,
        at=as_instants(rows["at"]),
        received_at=as_instants(rows["received_at"]),
        adverse_reaction=reaction == 1,
        complication=complication == 1,
        face_to_face=face_to_face == 1,
        state=state,
        due=as_days(rows["due"]),
        reason=reason,
    )


_CENTRES: Final = "SELECT id, centre_id FROM stored_reading WHERE id = ANY(%s)"


async def fetch_centres(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, str]:
    """The centre at which each of these readings was taken."""
    if not ids:
        return {}
    cursor = await connection.execute(_CENTRES, (list(ids),), binary=True)
    return {row[0]: row[1] for row in await cursor.fetchall()}
