"""SQL for people and places: centres, teams, gateways, devices, residents, dated conditions.

A resident is a pseudonym here; names and ID numbers never reach these tables. A pseudonym a
terminal sends before the contract system does becomes a *stub*: an adult with no diagnosis.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from ingest.db.connections import Connection
from ingest.db.errors import translated


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """A community health centre."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A family-doctor team of one centre."""

    id: str
    centre_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRecord:
    """A gateway; its id is its user name at the broker and its level in topics."""

    id: str
    centre_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """A measuring terminal behind a gateway."""

    id: str
    gateway_id: str
    kind: Literal["blood_pressure", "glucose"]
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedCondition:
    """A diagnosis or state with its local dates; ``until`` is inclusive, None means still so."""

    condition: str
    since: date
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A resident by pseudonym. An unknown birth date counts as adult."""

    id: str
    team_id: str | None = None
    birth_date: date | None = None
    sex: Literal["female", "male"] | None = None
    conditions: Sequence[DatedCondition] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Everything the loader takes at once; order inside each part does not matter."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")  # A misspelt part loads nothing.

    centres: Sequence[Centre] = ()
    teams: Sequence[Team] = ()
    gateways: Sequence[GatewayRecord] = ()
    devices: Sequence[DeviceRecord] = ()
    residents: Sequence[Resident] = ()


_CENTRE: Final = """
INSERT INTO centre (id, name) VALUES (%s, %s)
ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name"""
_TEAM: Final = """
INSERT INTO team (id, centre_id, name) VALUES (%s, %s, %s)
ON CONFLICT (id) DO UPDATE SET centre_id = EXCLUDED.centre_id, name = EXCLUDED.name"""
_GATEWAY: Final = """
INSERT INTO gateway (id, centre_id, enrolled_at) VALUES (%s, %s, %s)
ON CONFLICT (id) DO UPDATE SET centre_id = EXCLUDED.centre_id"""
_DEVICE: Final = """
INSERT INTO device (id, gateway_id, kind, model) VALUES (%s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE
SET gateway_id = EXCLUDED.gateway_id, kind = EXCLUDED.kind, model = EXCLUDED.model"""
_RESIDENT: Final = """
INSERT INTO resident (id, team_id, birth_date, sex, stub, created_at)
VALUES (%s, %s, %s, %s, false, %s)
ON CONFLICT (id) DO UPDATE
SET team_id = EXCLUDED.team_id, birth_date = EXCLUDED.birth_date, sex = EXCLUDED.sex,
    stub = false"""
_FORGET_CONDITIONS: Final = "DELETE FROM resident_condition WHERE resident_id = ANY(%s)"
_CONDITION: Final = """
INSERT INTO resident_condition (resident_id, condition, since, until) VALUES (%s, %s, %s, %s)"""
_MARK: Final = """
INSERT INTO due_mark (resident_id, kind, marked_at)
SELECT id, 'person', %s FROM unnest(%s::text[]) AS id"""


async def load(connection: Connection, population: Population, *, at: datetime) -> None:
    """Insert or update the whole population; loading the same twice changes nothing.

    The conditions given replace those on record, and every resident is marked for judging
    again, since a diagnosis changes which rules apply. Never commits.

    Raises:
        UnstorableError: A reference to a centre, team or gateway that is not there.
        DatabaseUnavailableError: Try the whole load again.
    """
    ids = [resident.id for resident in population.residents]
    with translated():
        async with connection.cursor() as cursor:
            await cursor.executemany(_CENTRE, [(c.id, c.name) for c in population.centres])
            await cursor.executemany(_TEAM, [(t.id, t.centre_id, t.name) for t in population.teams])
            await cursor.executemany(
                _GATEWAY, [(g.id, g.centre_id, at) for g in population.gateways]
            )
            await cursor.executemany(
                _DEVICE, [(d.id, d.gateway_id, d.kind, d.model) for d in population.devices]
            )
            await cursor.executemany(
                _RESIDENT,
                [(r.id, r.team_id, r.birth_date, r.sex, at) for r in population.residents],
            )
            await cursor.execute(_FORGET_CONDITIONS, (ids,))
            await cursor.executemany(
                _CONDITION,
                [
                    (r.id, c.condition, c.since, c.until)
                    for r in population.residents
                    for c in r.conditions
                ],
            )
            await cursor.execute(_MARK, (at, ids))


_STUBS: Final = """
INSERT INTO resident (id, stub, created_at)
SELECT DISTINCT id, true, %s::timestamptz FROM unnest(%s::text[]) AS id
ORDER BY id
ON CONFLICT (id) DO NOTHING"""


async def insert_stubs(connection: Connection, ids: Iterable[str], *, at: datetime) -> None:
    """Create a stub for every pseudonym not yet known."""
    await connection.execute(_STUBS, (at, list(ids)))


async def list_gateways(connection: Connection) -> dict[str, str]:
    """Every enrolled gateway and its centre. Bounded by the number of sites."""
    with translated():
        cursor = await connection.execute("SELECT id, centre_id FROM gateway")
        return {row[0]: row[1] for row in await cursor.fetchall()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What rules need to know of one resident, and where alerts go. Dates are local."""

    team_id: str | None
    centre_id: str | None
    birth_date: date | None
    hypertension_since: date | None
    diabetes_since: date | None
    pregnancies: Sequence[tuple[date, date | None]]  # Or lactation; in order.


_PEOPLE: Final = """
SELECT r.id, r.team_id, t.centre_id, r.birth_date,
       (SELECT min(since) FROM resident_condition c
         WHERE c.resident_id = r.id AND condition = 'hypertension' AND until IS NULL),
       (SELECT min(since) FROM resident_condition c
         WHERE c.resident_id = r.id AND condition = 'diabetes' AND until IS NULL),
       ARRAY(SELECT since FROM resident_condition c
              WHERE c.resident_id = r.id AND condition IN ('pregnant', 'lactating')
              ORDER BY since, condition),
       ARRAY(SELECT until FROM resident_condition c
              WHERE c.resident_id = r.id AND condition IN ('pregnant', 'lactating')
              ORDER BY since, condition)
FROM resident r LEFT JOIN team t ON t.id = r.team_id
WHERE r.id = ANY(%s)"""


async def fetch_people(connection: Connection, ids: Sequence[str]) -> Mapping[str, Person]:
    """Load residents by pseudonym; unknown ones are simply absent."""
    cursor = await connection.execute(_PEOPLE, (list(ids),), binary=True)
    return {
        row[0]: Person(
            team_id=row[1],
            centre_id=row[2],
            birth_date=row[3],
            hypertension_since=row[4],
            diabetes_since=row[5],
            pregnancies=tuple(zip(row[6], row[7], strict=True)),
        )
        for row in await cursor.fetchall()
    }
