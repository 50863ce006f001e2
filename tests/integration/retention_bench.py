"""Histories over many months, told to two databases.

One lets old readings go, one keeps everything. What both say in the end must be the same.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final, TypeAlias
from uuid import UUID

from gateway.wire.ids import new_id
from gateway.wire.times import format_instant
from ingest.db import amendments, records
from ingest.db.amendments import Amendment, Changes
from ingest.db.connections import Connection, ProcessRole
from ingest.db.records import Record
from ingest.db.residents import DatedCondition, Population, Resident, load
from ingest.retention import Done, Retention
from tests.builders import AT, a_blood_pressure, a_glucose
from tests.integration.judge_bench import DIABETES, HYPERTENSION, JudgeBench
from tests.integration.writer_bench import WriterBench
from tests.roles import working_as

Told: TypeAlias = "dict[str, Any] | Record | Amendment"
"""A reading, what somebody recorded, or what somebody said of a reading."""

_DIAGNOSES: Final[tuple[tuple[DatedCondition, ...], ...]] = (
    (),
    (HYPERTENSION,),
    (DIABETES,),
    (HYPERTENSION, DIABETES),
    (DatedCondition(condition="hypertension", since=date(2026, 5, 1)),),
)
_GAPS: Final = (
    timedelta(minutes=3),
    timedelta(minutes=12),
    timedelta(hours=5),
    timedelta(days=1),
    timedelta(days=6),
    timedelta(days=13),
    timedelta(days=20),
)
_PRESSURES: Final = (*["118/70"] * 4, "132/84", "140/90", "146/92", "158/99", "186/104")
_SUGARS: Final = (*["5.2"] * 4, "6.4", "7.0", "7.4", "11.6", "17.2", "3.2")
_RECORDS: Final[tuple[Any, ...]] = (
    *["visit"] * 3,
    *["referral_followup"] * 6,
    "override",
    "closure",
    "return",
    "return",
)
_OVERRIDES: Final = ("second_followup_open", "referral_recommended", "controlled", "none")
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Chronicle:
    """What happens to some people, in order of arrival; a function of its random source."""

    random: Random
    people: list[Resident] = field(default_factory=list)
    now: datetime = AT
    sent: list[dict[str, Any]] = field(default_factory=list)
    sequence: int = 0

    def people_of(self, many: int) -> list[Resident]:
        """Residents with and without diagnoses."""
        self.people = [
            Resident(
                id=f"r-{number}",
                team_id="east-1",
                birth_date=date(1950 + 9 * (number % 6), 2, 3),
                enrolled_on=self.random.choice([None, date(2026, 1, 5)]),
                conditions=_DIAGNOSES[number % len(_DIAGNOSES)],
            )
            for number in range(1, many + 1)
        ]
        return self.people

    def go_on(self, until: datetime, amendable: set[UUID] | None) -> list[tuple[datetime, Told]]:
        """What is told until then.

        Args:
            until: The end.
            amendable: Readings of which something may be said; None: of all.
        """
        found: list[tuple[datetime, Told]] = []
        while True:
            step = self.random.choice(_GAPS) / (len(self.people) / 3)
            if self.now + step >= until:
                self.now = until
                return found
            self.now += step
            found.append((self.now, self._tell(amendable)))

    def _tell(self, amendable: set[UUID] | None) -> Told:
        chance = self.random.random()
        if chance < 0.2:
            return self._record()
        if chance < 0.3 and self.sent:
            said = self._amendment(amendable)
            if said is not None:
                return said
        return self._reading()

    def _reading(self) -> dict[str, Any]:
        random = self.random
        owner = random.choice(self.people).id if random.random() < 0.96 else None
        fields: dict[str, Any] = {"resident_id": owner}
        if random.random() < 0.3:
            self.sequence += 1
            fields |= {"device_sequence": self.sequence, "boot_id": "b"}
        if random.random() < 0.08:
            before = self.now - random.choice([timedelta(hours=2), timedelta(days=9)])
            fields |= {"measured_at": format_instant(before), "stored_record": True}
        if random.random() < 0.7:
            pressure = random.choice(_PRESSURES)
            systolic, diastolic = pressure.split("/")
            fields["setting"] = random.choice(["office", "office", "home"])
            fields["arm"] = random.choice([None, None, "left", "right"])
            told = {k: v for k, v in fields.items() if v is not None or k == "resident_id"}
            reading = a_blood_pressure(systolic, diastolic, at=self.now, **told)
        else:
            value = random.choice(_SUGARS)
            fields["meal_context"] = random.choice(
                ["fasting", "fasting", "random", "postprandial_2h"]
            )
            reading = a_glucose(value, at=self.now, **fields)
        if reading["resident_id"] is None:
            del reading["resident_id"]
        self.sent.append(reading)
        return reading

    def _record(self) -> Record:
        random = self.random
        kind = random.choice(_RECORDS)
        fields: dict[str, Any] = {}
        if kind in {"visit", "referral_followup", "override"}:
            fields["condition"] = random.choice(["hypertension", "diabetes"])
        if kind == "visit":
            found = random.choice([(), (), (), ("adverse_drug_reaction",), ("new_complication",)])
            fields["findings"] = found
        if kind == "override":
            fields["state"] = random.choice(_OVERRIDES)
            fields["due"] = random.choice([None, (self.now + timedelta(days=9)).date()])
        if kind == "closure":
            fields["reason"] = random.choice(["moved", "contract_ended"])
        return Record(
            id=new_id(self.now),
            resident_id=random.choice(self.people).id,
            kind=kind,
            at=self.now - random.choice([timedelta(0), timedelta(hours=3)]),
            author="dr-1",
            **fields,
        )

    def _amendment(self, amendable: set[UUID] | None) -> Amendment | None:
        random = self.random
        recent = self.sent[-12:] if random.random() < 0.6 else self.sent
        target = random.choice(recent)
        if amendable is not None and UUID(target["id"]) not in amendable:
            fresh = [each for each in recent if UUID(each["id"]) in amendable]
            if not fresh:
                return None
            target = random.choice(fresh)
        id_ = UUID(target["id"])
        common: dict[str, Any] = {"id": new_id(self.now), "author": "dr-1"}
        if random.random() < 0.25:
            return Amendment(kind="retraction", reading_id=id_, **common)
        if target["kind"] == "glucose" and "device_sequence" in target and random.random() < 0.5:
            return Amendment(
                kind="context",
                device_id=target["device_id"],
                boot_id="b",
                device_sequence=target["device_sequence"],
                changes=Changes(meal_context="fasting"),
                **common,
            )
        return Amendment(kind="correction", reading_id=id_, changes=self._changes(target), **common)

    def _changes(self, target: dict[str, Any]) -> Changes:
        random = self.random
        captured = datetime.fromisoformat(target["captured_at"])
        if random.random() < 0.3 and self.now - captured < timedelta(days=20):
            return Changes(resident_id=random.choice(self.people).id)
        if target["kind"] == "glucose":
            return Changes(glucose=Decimal(random.choice(["5.0", "7.7", "18.1"])))
        high, low = random.choice([(124, 76), (152, 96), (190, 112)])
        return Changes(systolic=Decimal(high), diastolic=Decimal(low))


async def settle_people(bench: JudgeBench, people: list[Resident]) -> None:
    """Make everybody known."""
    await load(bench.connection, Population(residents=people), at=AT)
    await bench.work()


async def tell(bench: JudgeBench, told: list[tuple[datetime, Told]]) -> None:
    """Tell everything at its time, and let the judge work now and then."""
    for number, (at, each) in enumerate(told):
        bench.clock.now = at
        if isinstance(each, Record):
            await records.insert_new(bench.connection, [each], at=at)
        elif isinstance(each, Amendment):
            async with bench.connection.transaction():
                await amendments.insert_new(bench.connection, [each], at=at)
        else:
            await bench.send(each)
        if number % 7 == 0:
            await bench.work()


async def judge_everybody(bench: JudgeBench) -> None:
    """As a run of retention does, whether there is news or not."""
    rows = await bench.rows("SELECT id FROM resident ORDER BY id")
    await bench.judge.judge_residents(bench.connection, [row[0] for row in rows])


async def retain(bench: JudgeBench, before: datetime, progress: Progress = lambda *_: None) -> Done:
    """Let go what is older. Others measure meanwhile: the database keeps what came lately."""
    await bench.connection.execute(
        "INSERT INTO gateway_day (gateway_id, day) SELECT 'gw-others', %(today)s::date"
        " WHERE %(today)s::date > (SELECT max(day) + 60 FROM gateway_day) ON CONFLICT DO NOTHING",
        {"today": bench.clock.now.date()},
    )
    async with working_as(bench.connection, ProcessRole.MAINTENANCE):
        return await Retention(bench.connection, bench.judge, progress).run(before)


async def amendable(connection: Connection) -> set[UUID]:
    """Readings of a time that is still open."""
    cursor = await connection.execute(
        "SELECT r.id FROM stored_reading r LEFT JOIN resident_checkpoint c"
        "   ON c.resident_id = r.resident_id"
        " WHERE r.effective_at >= coalesce(c.until, '-infinity')"
        "   AND (r.effective_at >= (SELECT edge FROM retention)"
        "        OR NOT EXISTS (SELECT FROM amendment m WHERE m.reading_id = r.id"
        "                        AND m.changes ? 'resident_id'))"
    )
    return {row[0] for row in await cursor.fetchall()}


_OUTCOME: Final = {
    "case": "SELECT to_jsonb(t) - 'number' FROM resident_case t",
    "transition": "SELECT to_jsonb(t) - 'number' FROM case_transition t",
    "alert": "SELECT to_jsonb(t) - 'number' FROM alert t",
    "fold": "SELECT to_jsonb(t) FROM resident_fold t",
    "timer": "SELECT to_jsonb(t) FROM due_timer t",
    "event": "SELECT jsonb_build_object('kind', kind, 'payload', payload, 'at', created_at)"
    " FROM outbox",
}


async def outcome(bench: JudgeBench) -> dict[str, list[str]]:
    """Everything that was judged and told, in an order of its own."""
    found = {}
    for name, statement in _OUTCOME.items():
        rows = await bench.rows(statement)
        found[name] = sorted(json.dumps(row[0], sort_keys=True, ensure_ascii=False) for row in rows)
    return found


YEAR = timedelta(days=365)
NOW = AT + YEAR
KEPT = NOW - timedelta(days=180)
CHUNKS = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'reading'"
LAW = """
SELECT (SELECT coalesce(sum(stored), 0)::int8 FROM gateway_day)
     - (SELECT count(*) FROM stored_reading)
     - (SELECT coalesce(sum(readings), 0)::int8 FROM gateway_retired),
       (SELECT coalesce(sum(quarantined), 0)::int8 FROM gateway_day)
     - (SELECT count(*) FROM quarantine WHERE settles)"""


async def send_at(bench: JudgeBench, at: datetime, reading: dict[str, Any]) -> dict[str, Any]:
    """A reading, taken and received then."""
    bench.clock.now = at
    await bench.send(reading)
    return reading


async def live_through(bench: JudgeBench, months: int = 12) -> list[dict[str, Any]]:
    """A satisfied value every month."""
    sent = []
    for month in range(months):
        at = AT + timedelta(days=30 * month)
        sent.append(await send_at(bench, at, a_glucose("5.6", at=at)))
        await bench.settle()
    bench.clock.now = NOW
    await bench.work()
    return sent


async def ids_in(bench: WriterBench, table: str) -> set[str]:
    return {str(row[0]) for row in await bench.rows(f"SELECT id FROM {table}")}  # noqa: S608 - ours
