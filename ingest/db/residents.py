"""SQL for people and places, as the rules and ingest read them; gateways and devices.

``load`` takes a whole population at once, by the one write function that each kind has.

A resident is a pseudonym here; names and ID numbers never reach these tables. A pseudonym a
terminal sends before the contract system does becomes a *stub*: an adult with no diagnosis.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Final, Literal, NamedTuple

from pydantic import ConfigDict

from ingest.db import amendments, contracts, places, records
from ingest.db.amendments import Amendment
from ingest.db.connections import Connection
from ingest.db.entities import (
    Centre,
    Contract,
    DatedCondition,
    Package,
    Resident,
    Staff,
    Team,
)
from ingest.db.errors import translated
from ingest.db.plain import NULL_CELL, TextArray, as_array, as_cell
from ingest.db.records import Record
from ingest.db.registry import Authorship, require_all
from ingest.db.resident_writes import Sealing, save_residents

__all__ = [
    "NOBODY",
    "Centre",
    "DatedCondition",
    "DeviceRecord",
    "GatewayRecord",
    "Person",
    "Population",
    "Pregnancy",
    "Resident",
    "Staff",
    "Team",
    "count",
    "fetch_people",
    "fetch_pregnancies",
    "find_mothers",
    "insert_stubs",
    "list_after",
    "list_gateways",
    "load",
]


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
class Population:
    """Everything the loader takes at once; order inside each part does not matter."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")  # A misspelt part loads nothing.

    centres: Sequence[Centre] = ()
    teams: Sequence[Team] = ()
    staff: Sequence[Staff] = ()
    gateways: Sequence[GatewayRecord] = ()
    devices: Sequence[DeviceRecord] = ()
    residents: Sequence[Resident] = ()
    packages: Sequence[Package] = ()
    contracts: Sequence[Contract] = ()
    records: Sequence[Record] = ()
    amendments: Sequence[Amendment] = ()


_GATEWAY: Final = """
INSERT INTO gateway (id, centre_id, enrolled_at) VALUES (%s, %s, %s)
ON CONFLICT (id) DO UPDATE SET centre_id = EXCLUDED.centre_id"""
_DEVICE: Final = """
INSERT INTO device (id, gateway_id, kind, model) VALUES (%s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE
SET gateway_id = EXCLUDED.gateway_id, kind = EXCLUDED.kind, model = EXCLUDED.model"""


async def load(
    connection: Connection,
    population: Population,
    *,
    at: datetime,
    author: str = "load",
    sealing: Sealing | None = None,
) -> None:
    """Insert or update the whole population; loading the same twice changes nothing.

    The conditions given replace those on record. Never commits.

    Raises:
        UnstorableError: A reference to a centre, team, gateway, resident or package that is not
            there, or another content of what is never rewritten.
        DatabaseUnavailableError: Try the whole load again.
    """
    by = Authorship(author=author, at=at)
    with translated():
        require_all(await places.save_centres(connection, population.centres, by))
        require_all(await places.save_teams(connection, population.teams, by))
        require_all(await places.save_staff(connection, population.staff, by))
        await _load_terminals(connection, population, at)
        require_all(await save_residents(connection, population.residents, by, sealing))
        require_all(await contracts.save_packages(connection, population.packages, by))
        require_all(await contracts.save_contracts(connection, population.contracts, by))
        await records.insert_new(connection, population.records, at=at)
        await amendments.insert_new(connection, population.amendments, at=at)


async def _load_terminals(connection: Connection, population: Population, at: datetime) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(_GATEWAY, [(g.id, g.centre_id, at) for g in population.gateways])
        await cursor.executemany(
            _DEVICE, [(d.id, d.gateway_id, d.kind, d.model) for d in population.devices]
        )


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
