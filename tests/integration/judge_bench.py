"""A writer and a judge with one clock, on a fresh database."""

from datetime import date
from typing import Any, Final, TypeAlias
from uuid import UUID

from pydantic import SecretStr

from gateway.wire.ids import new_id
from ingest.db import amendments, records
from ingest.db.amendments import Amendment, Changes
from ingest.db.connections import Connection, ProcessRole
from ingest.db.records import Record
from ingest.db.residents import DatedCondition
from ingest.judge import Judge
from ingest.profiles import Profiles
from ingest.settings import JudgeSettings
from tests.builders import AT, a_batch, enrol
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.writer_bench import WriterBench
from tests.roles import prepare_ingest, working_as

Rows: TypeAlias = list[tuple[Any, ...]]
HYPERTENSION: Final = DatedCondition(condition="hypertension", since=date(2020, 1, 1))
DIABETES: Final = DatedCondition(condition="diabetes", since=date(2020, 1, 1))


class JudgeBench(WriterBench):
    """Sends readings, records and amendments, lets the judge work, asks the database."""

    def __init__(
        self, connection: Connection, database: Database, clock: TestClock, *, plain: bool = True
    ) -> None:
        super().__init__(connection, plain=plain)
        self.clock = clock
        self._settings = JudgeSettings(db_dsn=SecretStr(database.dsn))
        self.judge_by("wuzhou")

    def judge_by(self, profile: str) -> None:
        """Let the deployment have another profile."""
        self.judge = Judge(self._settings, Profiles(profile), self.clock)

    async def send(self, *fields: dict[str, Any]) -> None:
        """Store readings, received now."""
        await self.store(a_batch(*fields), at=self.clock.now)

    async def record(self, kind: Any, **fields: Any) -> UUID:  # noqa: ANN401 - a word, checked here
        """Somebody records something about r-1, now."""
        given = {"resident_id": "r-1", "author": "dr-1", "at": self.clock.now, **fields}
        record = Record(id=new_id(self.clock.now), kind=kind, **given)
        await records.insert_new(self.connection, [record], at=self.clock.now)
        return record.id

    async def correct(self, reading: dict[str, Any], **changes: Any) -> UUID:  # noqa: ANN401 - fields of any type
        """Somebody corrects a reading, now."""
        return await self._amend(
            kind="correction", reading_id=UUID(reading["id"]), changes=Changes(**changes)
        )

    async def retract(self, reading: dict[str, Any]) -> UUID:
        """Somebody says that a reading is none, now."""
        return await self._amend(kind="retraction", reading_id=UUID(reading["id"]))

    async def tell_context(self, reading: dict[str, Any], meal_context: Any) -> UUID:  # noqa: ANN401 - a word
        """A meter's context arrives by itself, now."""
        return await self._amend(
            kind="context",
            device_id=reading["device_id"],
            boot_id=reading["boot_id"],
            device_sequence=reading["device_sequence"],
            changes=Changes(meal_context=meal_context),
        )

    async def _amend(self, **fields: Any) -> UUID:  # noqa: ANN401 - fields of any type
        amendment = Amendment(id=new_id(self.clock.now), author="dr-1", **fields)
        await amendments.insert_new(self.connection, [amendment], at=self.clock.now)
        return amendment.id

    async def work(self) -> int:
        """Let the judge do what is due now; returns how many residents that was."""
        judged = 0
        async with working_as(self.connection, ProcessRole.JUDGE):
            while done := await self.judge.judge_once(self.connection):
                judged += done
        return judged

    async def settle(self, **span: float) -> int:
        """Let time pass, ten minutes unless told otherwise, and the judge work."""
        self.clock.pass_by(**(span or {"minutes": 10}))
        return await self.work()

    async def mark(self) -> None:
        """Say that something about the resident has changed."""
        await self.connection.execute(
            "INSERT INTO due_mark (resident_id, kind, marked_at) VALUES ('r-1', 'person', %s)",
            (AT,),
        )

    async def cases(self) -> Rows:
        """(condition, state, second follow-up due, referral follow-up due)."""
        return await self.rows(
            "SELECT condition, state, second_followup_due::text, referral_followup_due::text"
            " FROM resident_case ORDER BY condition"
        )

    async def alerts(self) -> Rows:
        """(code, status, due) of every alert."""
        return await self.rows("SELECT code, status, due::text FROM alert ORDER BY code, due")


async def open_bench(
    connection: Connection, database: Database, clock: TestClock, *conditions: DatedCondition
) -> JudgeBench:
    """A bench whose resident r-1 has these conditions; hypertension and diabetes if none."""
    await enrol(connection, *(conditions or (HYPERTENSION, DIABETES)))
    await prepare_ingest(connection)
    return JudgeBench(connection, database, clock)
