"""Promise: who was registered twice is one person, with the diagnoses of both, and apart again.

Two of team east-1 are merged and parted; what is expected is written down by hand.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pytest

from ingest.db.connections import Connection
from tests.builders import AT, a_blood_pressure
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.corrections_bench import EVERYBODY, CorrectionsBench, a_desk
from tests.integration.test_merges import merge, unmerge

CODES: Final = (
    *("htn.standard_management_rate", "t2dm.standard_management_rate"),
    *("signing.all", "signing.hypertension", "signing.diabetes"),
)


async def counted(desk: CorrectionsBench) -> dict[str, list[str]]:
    """Whom each figure of the team counts; the figure itself must be of so many."""
    desk.clock.pass_by(minutes=6)  # Older answers are not given any more.
    year, found = desk.clock.now.year, {}
    figures = await desk.ask("GET", f"indicators?period={year}", who=EVERYBODY, status=200)
    denominators = {
        (item["code"], figure["team_id"]): figure["denominator"]
        for item in figures.json()["items"]
        for figure in item["figures"]
    }
    for code in CODES:
        path = f"indicators/{code}/residents?period={year}&team=east-1&side=denominator"
        page = await desk.ask("GET", path, who=EVERYBODY, status=200)
        found[code] = [item["resident_id"] for item in page.json()["items"]]
        assert denominators[code, "east-1"] == len(found[code]), code
    return found


async def test_who_was_registered_twice_is_one_person_with_the_diagnoses_of_both(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> None:
    async with a_desk(connection, database, clock, tmp_path) as desk:
        await connection.execute(
            "DELETE FROM resident_condition WHERE resident_id = 'r-1' AND condition = 'diabetes'"
        )
        await connection.execute("UPDATE resident SET enrolled_on = %s", (AT.date(),))
        for resident in ("r-1", "r-2"):
            await desk.send(a_blood_pressure("128", "78", at=AT, resident_id=resident))
        await desk.settle(minutes=11)
        apart = await counted(desk)
        await merge(desk, "r-2", "r-1")
        await desk.work()
        together = await counted(desk)
        await unmerge(desk, "r-2")
        await desk.work()

        assert apart == {code: _both_but(code) for code in CODES}
        assert together == {code: ["r-1"] for code in CODES}
        assert await counted(desk) == apart


def _both_but(code: str) -> list[str]:
    return (
        ["r-2"] if code in {"t2dm.standard_management_rate", "signing.diabetes"} else ["r-1", "r-2"]
    )


@pytest.mark.parametrize("survivors", [None, AT.date() + timedelta(days=30)])
async def test_the_earlier_enrolment_counts_until_they_are_parted(
    connection: Connection,
    database: Database,
    clock: TestClock,
    tmp_path: Path,
    survivors: date | None,
) -> None:
    """Who is managed under either pseudonym owes visits since that day (ADR 0045)."""
    async with a_desk(connection, database, clock, tmp_path) as desk:

        async def overdue() -> list[str]:
            rows = await desk.rows(
                "SELECT resident_id FROM alert WHERE code = 'ROUTINE_OVERDUE' AND status = 'active'"
                " AND condition = 'hypertension' AND resident_id IN ('r-1', 'r-2')"
            )
            return [row[0] for row in rows]

        await desk.connection.execute(
            "UPDATE resident SET enrolled_on = CASE id WHEN 'r-1' THEN %s::date ELSE %s END"
            " WHERE id IN ('r-1', 'r-2')",
            (survivors, AT.date()),
        )
        for resident in ("r-1", "r-2"):
            await desk.send(a_blood_pressure("128", "78", at=AT, resident_id=resident))
        await desk.settle(minutes=11)
        desk.clock.now = AT + timedelta(days=95)
        await desk.work()
        assert await overdue() == ["r-2"]

        await merge(desk, "r-2", "r-1")
        await desk.work()
        assert await overdue() == ["r-1"]
        await desk.require_fresh()
        await unmerge(desk, "r-2")
        await desk.work()
        assert await overdue() == ["r-2"]
        await desk.require_fresh()
