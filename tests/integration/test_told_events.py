"""Promise: what is written about a resident or a contract is told, in its own transaction, once."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from ingest.db import contracts, personal, records
from ingest.db.connections import Connection
from ingest.db.entities import Contract, Package, Resident
from ingest.db.records import Record
from ingest.db.registry import Authorship
from ingest.db.resident_writes import save_residents
from tests.integration.api_processes import NOW

BY = Authorship(author="d-1042", at=NOW)
VISIT = Record(
    id=UUID(int=7),
    resident_id="r-1",
    kind="visit",
    at=NOW,
    author="d-1042",
    findings=("new_complication",),
    note="words about somebody",
)
CONTRACT = Contract(id="c-1", resident_id="r-1", package_id="p", since=date(2026, 1, 1))


async def told(connection: Connection) -> list[tuple[str, dict[str, Any], datetime]]:
    cursor = await connection.execute("SELECT kind, payload, created_at FROM outbox ORDER BY id")
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def test_the_register_tells_versions_of_residents_and_contracts_and_no_more(
    connection: Connection,
) -> None:
    for _ in range(2):  # The second time nothing changes.
        await save_residents(connection, [Resident(id="r-1"), Resident(id="r-2")], BY)
        await contracts.save_packages(connection, [Package(id="p", name="P")], BY)
        await contracts.save_contracts(connection, [CONTRACT], BY)

    version = {"version": 1, "author": "d-1042"}
    assert await told(connection) == [
        ("resident.changed", {"resident_id": "r-1", **version}, NOW),
        ("resident.changed", {"resident_id": "r-2", **version}, NOW),
        ("contract.changed", {"contract_id": "c-1", "resident_id": "r-1", **version}, NOW),
    ]


async def test_a_record_is_told_once_without_its_findings_and_words(connection: Connection) -> None:
    await save_residents(connection, [Resident(id="r-1")], BY)
    await connection.execute("DELETE FROM outbox")

    for _ in range(2):
        await records.insert_new(connection, [VISIT], at=NOW)

    ((kind, payload, _),) = await told(connection)
    assert kind == "record.added"
    assert (payload["record_id"], payload["kind"]) == (str(VISIT.id), "visit")
    assert "complication" not in str(payload)
    assert "words" not in str(payload)


async def test_the_end_of_a_contract_tells_the_closure_that_follows(connection: Connection) -> None:
    await save_residents(connection, [Resident(id="r-1")], BY)
    await contracts.save_packages(connection, [Package(id="p", name="P")], BY)
    ended = Contract(
        id="c-1",
        resident_id="r-1",
        package_id="p",
        since=date(2026, 1, 1),
        ended_on=date(2026, 3, 1),
        end_reason="moved",
    )
    await contracts.save_contracts(connection, [ended], BY)

    last = (await told(connection))[-1]
    assert (last[0], last[1]["kind"], last[1]["reason"]) == ("record.added", "closure", "moved")


async def test_an_erasure_is_told_so_that_copies_can_follow(connection: Connection) -> None:
    await save_residents(connection, [Resident(id="r-1")], BY)
    await connection.execute("DELETE FROM outbox")

    for _ in range(2):
        await personal.erase(connection, "r-1", BY)

    kinds = [kind for kind, *_ in await told(connection)]
    assert kinds == ["resident.changed", "resident.erased"]


async def test_what_is_taken_back_was_never_told(connection: Connection) -> None:
    async with connection.transaction(force_rollback=True):
        await save_residents(connection, [Resident(id="r-1")], BY)
        assert len(await told(connection)) == 1

    assert await told(connection) == []
