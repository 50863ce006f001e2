"""SQL for ``package`` and ``contract``: what somebody has agreed to, and from when to when.

The profile of a resident's package judges while the contract runs; else the centre's does,
else the deployment's. A contract that ends closes the resident's cases (``contract_turns``).
"""

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

from psycopg.types.json import Jsonb

from ingest.db import contract_turns, due_marks, registry, routing
from ingest.db.connections import Connection
from ingest.db.entities import Contract, Package
from ingest.db.registry import Authorship, Outcome, Refusal, Wanted, refuse_unknown

__all__ = ["Contract", "Package", "fetch_profiles", "save_contracts", "save_packages"]

_PACKAGE: Final = """
INSERT INTO package (id, name, profile, followups_per_year) VALUES (%s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE
SET name = EXCLUDED.name, profile = EXCLUDED.profile,
    followups_per_year = EXCLUDED.followups_per_year"""


async def save_packages(
    connection: Connection, packages: Sequence[Package], by: Authorship
) -> list[Outcome]:
    """Insert or update packages; where the profile changed, who has one is judged again."""
    values = {package.id: package for package in packages}
    wanted = {id_: Wanted(content=package.content()) for id_, package in values.items()}
    written = await registry.write(connection, "package", wanted, by)
    rows = [
        (p.id, p.name, p.profile, p.followups_per_year)
        for p in (values[id_] for id_ in written.changed)
    ]
    async with connection.cursor() as cursor:
        await cursor.executemany(_PACKAGE, rows)
    judged_by = written.differs(wanted, "profile")
    await routing.mark_residents_of(connection, "package", judged_by, at=by.at)
    return written.outcomes


_COLUMNS: Final = {
    **dict.fromkeys(("id", "resident_id", "package_id"), "text"),
    **dict.fromkeys(("since", "until", "signed_on"), "date"),
    **dict.fromkeys(("follows", "followed_as"), "text"),
    "ended_on": "date",
    "end_reason": "text",
    "referral_hospitals": "jsonb",
}
# One statement, and so one entry of the audit log, for a batch.
_CONTRACTS: Final = f"""
INSERT INTO contract ({", ".join(_COLUMNS)})
SELECT * FROM unnest({", ".join(f"%s::{type_}[]" for type_ in _COLUMNS.values())})
ON CONFLICT (id) DO UPDATE
SET {", ".join(f"{name} = EXCLUDED.{name}" for name in [*_COLUMNS][1:])}"""  # noqa: S608 - our own names


async def save_contracts(
    connection: Connection, contracts: Sequence[Contract], by: Authorship
) -> list[Outcome]:
    """Insert or update contracts; mark who has one of them, or had it; close or reopen cases."""
    refused = await _refuse(connection, contracts)
    values = {each.id: each for each in contracts if each.id not in refused}
    wanted = {
        id_: Wanted(content=each.content(), resident_id=each.resident_id)
        for id_, each in values.items()
    }
    written = await registry.write(connection, "contract", wanted, by)
    changed = [values[id_] for id_ in written.changed]
    if changed:
        columns = zip(*map(_as_row, changed), strict=True)
        await connection.execute(_CONTRACTS.encode(), [list(column) for column in columns])
    before = [written.stored[id_].content for id_ in written.changed]
    had: set[str] = {content["resident_id"] for content in before if content is not None}
    holders = sorted(had | {contract.resident_id for contract in changed})
    await due_marks.mark(connection, {(resident, "contract"): by.at for resident in holders})
    await contract_turns.settle(connection, holders, at=by.at)
    return [*written.outcomes, *refused.values()]


def _as_row(contract: Contract) -> tuple[object, ...]:
    hospitals = Jsonb([each.content() for each in contract.referral_hospitals])
    return (*(getattr(contract, name) for name in [*_COLUMNS][:-1]), hospitals)


async def _refuse(connection: Connection, contracts: Sequence[Contract]) -> dict[str, Outcome]:
    residents = await registry.find_unknown(
        connection, "resident", {each.resident_id for each in contracts}
    )
    packages = await registry.find_unknown(
        connection, "package", {each.package_id for each in contracts}
    )
    refused = {}
    for each in contracts:
        if each.follows == each.id:
            itself = Refusal("unusable", "follows", each.id, "a contract cannot follow itself")
            refused[each.id] = Outcome(each.id, "refused", 0, itself)
        if each.package_id in packages:
            refused[each.id] = refuse_unknown(each.id, "package_id", each.package_id)
        if each.resident_id in residents:
            refused[each.id] = refuse_unknown(each.id, "resident_id", each.resident_id)
    return refused


class Chosen(NamedTuple):
    """The profile that a contract chooses for a time."""

    resident_id: str
    since: date
    until: date | None
    profile: str


# Of a contract that ended, the day before is the last one it ran.
_CHOSEN: Final = """
SELECT c.resident_id, c.since, l.last, p.profile
FROM contract c JOIN package p ON p.id = c.package_id
CROSS JOIN LATERAL (SELECT least(c.until, c.ended_on - 1)) AS l (last)
WHERE c.resident_id = ANY(%s) AND p.profile IS NOT NULL AND (l.last IS NULL OR l.last >= c.since)"""


async def fetch_profiles(connection: Connection, residents: Sequence[str]) -> list[Chosen]:
    """Profiles that contracts of these residents choose, past ones too."""
    cursor = await connection.execute(_CHOSEN, (list(residents),), binary=True)
    return [Chosen(*row) for row in await cursor.fetchall()]
