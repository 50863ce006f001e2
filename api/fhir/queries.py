"""SQL of residents, devices and readings as FHIR wants them. Reads only.

A reading comes with what was said of it later, so that a correction, a retraction and a late
meal context are in every row; filters and pages go by the reading as it stands. Every statement
runs under row-level security: what may not be seen is not there.
"""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from api.fhir.codes import MOLAR_UNITS, SPECIMENS
from api.fhir.intake_queries import find_named
from api.fhir.searches import (
    NOTHING,
    DeviceQuery,
    ObservationQuery,
    PatientQuery,
    as_uuid,
    own_reading,
)
from api.readings.standing import standing
from api.registry.writing import as_tuples
from ingest.db import merges

ReadingKey = tuple[datetime, datetime, UUID]  # effective_at, captured_at, id.
_BEFORE_ALL: Final = (datetime.min.replace(tzinfo=UTC),) * 2 + (UUID(int=0),)

_PATIENTS: Final = """
SELECT r.id, r.birth_date, r.sex, r.team_id, t.name AS team_name, t.centre_id,
       n.name AS centre_name, coalesce(e.version, 0) + coalesce(g.number, 0) AS version,
       greatest(coalesce(c.at, r.created_at), g.at) AS updated_at,
       (SELECT m.into_id FROM resident_merge m
        WHERE m.resident_id = r.id AND m.unmerged_at IS NULL) AS merged_into,
       ARRAY(SELECT m.resident_id FROM resident_merge m
             WHERE m.into_id = r.id AND m.unmerged_at IS NULL ORDER BY 1) AS merged
FROM resident r
LEFT JOIN team t ON t.id = r.team_id
LEFT JOIN centre n ON n.id = t.centre_id
LEFT JOIN registry_entry e ON e.kind = 'resident' AND e.id = r.id
LEFT JOIN registry_change c ON c.kind = 'resident' AND c.id = r.id AND c.version = e.version
LEFT JOIN visible_merging g ON g.resident_id = r.id
WHERE r.id > %(after)s AND (%(ids)s::text[] IS NULL OR r.id = ANY(%(ids)s))
  AND greatest(coalesce(c.at, r.created_at), g.at) >= %(since)s
  AND greatest(coalesce(c.at, r.created_at), g.at) < %(until)s
ORDER BY r.id
LIMIT %(rows)s"""


async def list_patients(
    connection: AsyncConnection[DictRow], query: PatientQuery, *, after: str | None, rows: int
) -> list[DictRow]:
    """Residents in order of pseudonym, above ``after``: at most ``rows``."""
    asked = {"after": after or "", "ids": query.ids, "rows": rows, **query.updated._asdict()}
    return await (await connection.execute(_PATIENTS, asked)).fetchall()


_DEVICES: Final = """
SELECT d.id, d.kind, d.model, d.gateway_id, g.centre_id
FROM device d JOIN gateway g ON g.id = d.gateway_id
WHERE d.id > %(after)s AND (%(ids)s::text[] IS NULL OR d.id = ANY(%(ids)s))
ORDER BY d.id
LIMIT %(rows)s"""


async def list_devices(
    connection: AsyncConnection[DictRow], query: DeviceQuery, *, after: str | None, rows: int
) -> list[DictRow]:
    """Devices in order of id, above ``after``: at most ``rows``."""
    asked = {"after": after or "", "ids": query.ids, "rows": rows}
    return await (await connection.execute(_DEVICES, asked)).fetchall()


_SPECIMENS: Final = Jsonb({sample or "": specimen for sample, specimen in SPECIMENS.items()})
_READINGS: Final = f"""
SELECT r.id, r.kind, r.resident_id, r.centre_id, r.gateway_id, r.device_id, r.captured_at,
       r.received_at, r.effective_at, r.time_suspect, r.setting, r.status, r.systolic,
       r.diastolic, r.pulse, r.arm, r.posture, r.glucose, r.meal_context, r.sample, r.unit,
       said.changes, said.retracted, late.meal_context AS late_context,
       EXISTS (SELECT FROM device d WHERE d.id = r.device_id) AS device_known,
       named.identifiers,
       1 + said.number + late.number + named.number + coalesce(moved.number_as_merged, 0)
           AS version,
       greatest(r.received_at, said.at, late.at, named.at, moved.at_as_merged) AS updated_at
FROM ({{candidates}}) r
{standing("r")}
CROSS JOIN LATERAL (  -- Names that it was given when it was there already are changes, too.
    SELECT jsonb_agg(jsonb_build_array(i.system, i.value) ORDER BY i.system, i.value)
               AS identifiers,
           count(*) FILTER (WHERE i.sent_id <> i.reading_id OR i.received_at > r.received_at)
               AS number,
           max(i.received_at) AS at
    FROM observation_identifier i WHERE i.reading_id = r.id) named
LEFT JOIN visible_merging moved  -- Whose it is changes when that pseudonym is merged.
    ON moved.resident_id = coalesce(said.changes ->> 'resident_id', r.reported_for)
WHERE (r.effective_at, r.captured_at, r.id)
      > (%(after_effective)s, %(after_captured)s::timestamptz, %(after_id)s::uuid)
  AND r.sample IS DISTINCT FROM 'control_solution'  -- A meter's test, of nobody.
  AND (%(resident)s::text IS NULL OR r.resident_id = %(resident)s)
  AND stands.taken_at >= %(taken_since)s AND stands.taken_at < %(taken_until)s
  AND greatest(r.received_at, said.at, late.at, named.at, moved.at_as_merged)
      >= %(updated_since)s
  AND greatest(r.received_at, said.at, late.at, named.at, moved.at_as_merged) < %(updated_until)s
  AND CASE r.kind WHEN 'blood_pressure' THEN %(pressure)s ELSE %(any_sugar)s OR
      (coalesce(stands.meal_context = 'fasting', false),
       coalesce(stands.unit = ANY(%(molar)s), false),
       coalesce((%(specimens)s::jsonb) ->> coalesce(r.sample, ''), 'none'))
      IN (SELECT * FROM unnest(%(fasting)s::boolean[], %(molar_wanted)s::boolean[],
                               %(specimen)s::text[])) END
ORDER BY r.effective_at, r.captured_at, r.id
LIMIT %(rows)s"""  # noqa: S608 - our own words
_OF_RESIDENT: Final = """
SELECT * FROM visible_reading WHERE resident_id = %(resident)s
  AND effective_at >= %(after_effective)s"""
_OF_ID: Final = "SELECT * FROM visible_reading WHERE id = ANY(%(ids)s)"


async def list_readings(
    connection: AsyncConnection[DictRow],
    query: ObservationQuery,
    *,
    after: ReadingKey | None,
    rows: int,
) -> list[DictRow]:
    """Readings as they stand, in order of time, after the key: at most ``rows``.

    Whose they are now is the survivor of a merge, by whatever pseudonym is asked.
    """
    ids = await _named_ids(connection, query)
    person = await find_person(connection, query.resident)
    effective, captured, last = after or _BEFORE_ALL
    candidates = _OF_RESIDENT if ids is None else _OF_ID
    taken, updated, kinds = query.taken, query.updated, query.kinds
    asked: dict[str, Any] = {
        "ids": ids,
        "resident": person and person[0],
        "after_effective": effective,
        "after_captured": captured,
        "after_id": last,
        "taken_since": taken.since,
        "taken_until": taken.until,
        "updated_since": updated.since,
        "updated_until": updated.until,
        "pressure": kinds.pressure,
        "any_sugar": kinds.sugars is None,
        "fasting": [sugar.fasting for sugar in kinds.sugars or ()],
        "molar_wanted": [sugar.molar for sugar in kinds.sugars or ()],
        "specimen": [sugar.specimen for sugar in kinds.sugars or ()],
        "specimens": _SPECIMENS,
        "molar": list(MOLAR_UNITS),
        "rows": rows,
    }
    statement = _READINGS.format(candidates=candidates)
    return await (await connection.execute(statement.encode(), asked)).fetchall()


async def find_person(
    connection: AsyncConnection[DictRow], resident: str | None
) -> list[str] | None:
    """All pseudonyms of whom is asked for, under which they are seen now first; None: anybody."""
    if resident is None:
        return None
    with as_tuples(connection) as tuples:
        return await merges.find_person(tuples, resident)


async def _named_ids(
    connection: AsyncConnection[DictRow], query: ObservationQuery
) -> list[UUID] | None:
    """The readings asked for by name; None: by none."""
    found = None if query.id is None else {as_uuid(query.id) or NOTHING}
    if query.named is not None:
        own = own_reading(query.named)
        names = await find_named(connection, *query.named) if own is None else [as_uuid(own)]
        by_name = {one or NOTHING for one in names}
        found = by_name if found is None else found & by_name
    return None if found is None else sorted(found)
