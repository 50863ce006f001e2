"""SQL for people and places: centres, teams, gateways, devices, residents, dated conditions.

``load`` takes a whole population at once, with what belongs to it in other tables.

A resident is a pseudonym here; names and ID numbers never reach these tables. A pseudonym a
terminal sends before the contract system does becomes a *stub*: an adult with no diagnosis.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Final, Literal, NamedTuple

from pydantic import ConfigDict

from ingest.db import amendments, contracts, due_work, records
from ingest.db.amendments import Amendment
from ingest.db.connections import Connection
from ingest.db.contracts import Contract, Package
from ingest.db.errors import translated
from ingest.db.plain import NULL_CELL, TextArray, as_array, as_cell
from ingest.db.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """A community health centre."""

    id: str
    name: str
    profile: str | None = None  # Of its residents; None: the deployment's.


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
    enrolled_on: date | None = None  # Managed from that local day; None: owes no routine visit.
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
    packages: Sequence[Package] = ()
    contracts: Sequence[Contract] = ()
    records: Sequence[Record] = ()
    amendments: Sequence[Amendment] = ()


_CENTRE: Final = """
INSERT INTO centre (id, name, profile) VALUES (%s, %s, %s)
ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, profile = EXCLUDED.profile"""
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
INSERT INTO resident (id, team_id, birth_date, sex, enrolled_on, stub, created_at)
VALUES (%s, %s, %s, %s, %s, false, %s)
ON CONFLICT (id) DO UPDATE
SET team_id = EXCLUDED.team_id, birth_date = EXCLUDED.birth_date, sex = EXCLUDED.sex,
    enrolled_on = EXCLUDED.enrolled_on, stub = false"""
_FORGET_CONDITIONS: Final = "DELETE FROM resident_condition WHERE resident_id = ANY(%s)"
_CONDITION: Final = """
INSERT INTO resident_condition (resident_id, condition, since, until) VALUES (%s, %s, %s, %s)"""


async def load(connection: Connection, population: Population, *, at: datetime) -> None:
    """Insert or update the whole population; loading the same twice changes nothing.

    The conditions given replace those on record, and every resident is marked for judging
    again, since a diagnosis changes which rules apply. Never commits.

    Raises:
        UnstorableError: A reference to a centre, team, gateway, resident or package that is not
            there, or another content of what is never rewritten.
        DatabaseUnavailableError: Try the whole load again.
    """
    with translated():
        await _load_places(connection, population, at)
        await _load_residents(connection, population.residents, at)
        await contracts.save_packages(connection, population.packages)
        await contracts.save_contracts(connection, population.contracts, at=at)
        await records.insert_new(connection, population.records, at=at)
        await amendments.insert_new(connection, population.amendments, at=at)


async def _load_places(connection: Connection, population: Population, at: datetime) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(_CENTRE, [(c.id, c.name, c.profile) for c in population.centres])
        await cursor.executemany(_TEAM, [(t.id, t.centre_id, t.name) for t in population.teams])
        await cursor.executemany(_GATEWAY, [(g.id, g.centre_id, at) for g in population.gateways])
        await cursor.executemany(
            _DEVICE, [(d.id, d.gateway_id, d.kind, d.model) for d in population.devices]
        )


async def _load_residents(
    connection: Connection, residents: Sequence[Resident], at: datetime
) -> None:
    people = [(r.id, r.team_id, r.birth_date, r.sex, r.enrolled_on, at) for r in residents]
    dated = [(r.id, c.condition, c.since, c.until) for r in residents for c in r.conditions]
    async with connection.cursor() as cursor:
        await cursor.executemany(_RESIDENT, people)
        await cursor.execute(_FORGET_CONDITIONS, ([r.id for r in residents],))
        await cursor.executemany(_CONDITION, dated)
    await due_work.mark(connection, {(r.id, "person"): at for r in residents})


_STUBS: Final = """
INSERT INTO resident (id, stub, created_at)
SELECT DISTINCT id, true, %s::timestamptz FROM unnest(%s::text[]) AS id
ORDER BY id
ON CONFLICT (id) DO NOTHING"""


async def insert_stubs(connection: Connection, ids: Iterable[str], *, at: datetime) -> None:
    """Create a stub for every pseudonym not yet known."""
    await connection.execute(_STUBS, (at, list(ids)))


_GATEWAYS: Final = "SELECT id, centre_id FROM gateway WHERE revoked_at IS NULL"


async def list_gateways(connection: Connection) -> dict[str, str]:
    """Every enrolled gateway and its centre. Bounded by the number of sites."""
    with translated():
        cursor = await connection.execute(_GATEWAYS)
        return {row[0]: row[1] for row in await cursor.fetchall()}


async def list_after(connection: Connection, last: str, rows_max: int) -> list[str]:
    """The pseudonyms that follow ``last``, in order; begin with an empty one."""
    cursor = await connection.execute(
        "SELECT id FROM resident WHERE id > %s ORDER BY id LIMIT %s", (last, rows_max)
    )
    return [row[0] for row in await cursor.fetchall()]


async def count(connection: Connection) -> int:
    """How many residents there are, stubs too."""
    cursor = await connection.execute("SELECT count(*) FROM resident")
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What rules need to know of one resident, and where alerts go. Dates are local."""

    team_id: str | None = None
    centre_id: str | None = None
    centre_profile: str | None = None
    birth_date: date | None = None
    hypertension_since: date | None = None
    diabetes_since: date | None = None
    enrolled_on: date | None = None


NOBODY: Final = Person()
"""Who is unknown to the contract system: an adult without a diagnosis."""

_PEOPLE: Final = """
SELECT r.id, r.team_id, t.centre_id, c.profile, r.birth_date,
       (SELECT min(since) FROM resident_condition d
         WHERE d.resident_id = r.id AND condition = 'hypertension' AND until IS NULL),
       (SELECT min(since) FROM resident_condition d
         WHERE d.resident_id = r.id AND condition = 'diabetes' AND until IS NULL),
       r.enrolled_on
FROM resident r LEFT JOIN team t ON t.id = r.team_id LEFT JOIN centre c ON c.id = t.centre_id
WHERE r.id = ANY(%s)"""


async def fetch_people(connection: Connection, ids: Sequence[str]) -> Mapping[str, Person]:
    """Load residents by pseudonym; unknown ones are simply absent."""
    cursor = await connection.execute(_PEOPLE, (list(ids),), binary=True)
    return {
        row[0]: Person(
            team_id=row[1],
            centre_id=row[2],
            centre_profile=row[3],
            birth_date=row[4],
            hypertension_since=row[5],
            diabetes_since=row[6],
            enrolled_on=row[7],
        )
        for row in await cursor.fetchall()
    }


class Pregnancy(NamedTuple):
    """A pregnancy or lactation; ``until`` is inclusive, None means still so."""

    resident_id: str
    since: date
    until: date | None


_PREGNANCIES: Final = """
SELECT resident_id, since, until FROM resident_condition
WHERE resident_id = ANY(%s) AND condition IN ('pregnant', 'lactating')"""


_MOTHERS: Final = """
SELECT DISTINCT resident_id FROM resident_condition
WHERE resident_id = ANY(%s) AND condition IN ('pregnant', 'lactating')"""


async def find_mothers(connection: Connection, cells: Sequence[bytes]) -> set[bytes]:
    """Who of these was ever pregnant or lactating.

    Args:
        connection: Inside a transaction.
        cells: Pseudonyms as fields of COPY (``ingest.db.plain``); NULL is nobody.

    Returns:
        Likewise.
    """
    known = {cell for cell in cells if cell != NULL_CELL}
    if not known:
        return set()
    array = as_array(TextArray, list(known))
    cursor = await connection.execute(_MOTHERS, (array,), binary=True)
    return {as_cell(row[0].encode()) for row in await cursor.fetchall()}


async def fetch_pregnancies(connection: Connection, ids: Sequence[str]) -> list[Pregnancy]:
    """Pregnancies and lactations of these residents, past ones too."""
    cursor = await connection.execute(_PREGNANCIES, (list(ids),), binary=True)
    return [Pregnancy(*row) for row in await cursor.fetchall()]
