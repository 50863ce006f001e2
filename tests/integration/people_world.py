"""A register that changes at random, and what figures count of it, person by person, day by day.

Nothing is folded here: for each question the tables are read whole and looped over.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from ingest.db.connections import Connection

TODAY: Final = date(2026, 9, 16)
TEAMS: Final = (None, "n1", "s1")
PACKAGES: Final = ("basic", "big", "small")
CONDITIONS: Final = {
    "hypertension": "hypertension",
    "diabetes": "diabetes",
    "pregnant": "maternal",
    "lactating": "maternal",
    "tuberculosis": "tuberculosis",
    "disability": "disability",
}
_DAY: Final = timedelta(days=1)
_NIGHT: Final = timedelta(hours=8)  # Shanghai is so far ahead of UTC.
_START: Final = (
    "INSERT INTO centre VALUES ('north', 'N'), ('south', 'S')",
    "INSERT INTO team VALUES ('n1', 'north', 'N1'), ('s1', 'south', 'S1')",
    """
INSERT INTO package (id, name, followups_per_year)
VALUES ('basic', 'B', NULL), ('big', 'G', 12), ('small', 'S', 4)""",
)


class Changing:
    """Writes one thing after another, as the register, people, the judge and merges do."""

    def __init__(self, connection: Connection, random: Random) -> None:
        self._connection = connection
        self._random = random
        self._number = 0

    async def start(self) -> None:
        """A few residents without anything."""
        for statement in _START:
            await self._connection.execute(statement.encode())
        for _ in range(6):
            await self._meet()

    async def step(self) -> None:
        """One change."""
        await self._random.choice(
            [
                *(self._meet, self._move, self._diagnose, self._diagnose, self._heal),
                *(self._agree, self._agree, self._agree, self._end, self._drop, self._repackage),
                *(self._turn, self._turn, self._withdraw, self._visit, self._visit, self._forget),
                *(self._merge, self._merge, self._part),
            ]
        )()

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _day(self) -> date:
        return date(2025, 10, 1) + self._random.randrange(400) * _DAY

    async def _all(self, statement: str, *values: Any) -> list[Any]:  # noqa: ANN401 - of any table
        cursor = await self._connection.execute(statement.encode(), values)
        return await cursor.fetchall()

    async def _one(self, statement: str, *values: Any) -> Any:  # noqa: ANN401 - likewise
        rows = await self._all(statement, *values)
        return self._random.choice(rows)[0] if rows else None

    async def _anybody(self) -> str:
        return str(await self._one("SELECT id FROM resident ORDER BY id"))

    async def _meet(self) -> None:
        born = self._random.choice([None, date(1950, 5, 5), date(1961, 7, 1), date(2019, 11, 1)])
        await self._connection.execute(
            "INSERT INTO resident (id, team_id, birth_date, stub, created_at, enrolled_on)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (
                f"r-{self._next():03}", self._random.choice(TEAMS), born,
                self._random.random() < 0.2, datetime(2025, 11, 1, 20, tzinfo=UTC),
                self._random.choice([None, self._day()]),
            ),
        )  # fmt: skip

    async def _move(self) -> None:
        """Also a stub that becomes a resident, and somebody enrolled on another day."""
        await self._connection.execute(
            "UPDATE resident SET team_id = %s, stub = false, enrolled_on = %s WHERE id = %s",
            (
                self._random.choice(TEAMS), self._random.choice([None, self._day()]),
                await self._anybody(),
            ),
        )  # fmt: skip

    async def _diagnose(self) -> None:
        since = self._day()
        until = self._random.choice([None, since + self._random.randrange(200) * _DAY])
        await self._connection.execute(
            "INSERT INTO resident_condition VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (await self._anybody(), self._random.choice([*CONDITIONS]), since, until),
        )

    async def _heal(self) -> None:
        await self._connection.execute(
            "DELETE FROM resident_condition WHERE resident_id = %s", (await self._anybody(),)
        )

    async def _agree(self) -> None:
        """A contract, which may run beside others, also before it was signed."""
        since = self._day()
        await self._connection.execute(
            "INSERT INTO contract (id, resident_id, package_id, since, until, signed_on)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (
                f"k-{self._next()}", await self._anybody(), self._random.choice(PACKAGES), since,
                self._random.choice([None, since + self._random.randrange(365) * _DAY]),
                self._random.choice([None, since + self._random.randrange(-20, 20) * _DAY]),
            ),
        )  # fmt: skip

    async def _end(self) -> None:
        """A contract ends, also before it began, or goes to somebody else."""
        id_ = await self._one("SELECT id FROM contract ORDER BY id")
        await self._connection.execute(
            "UPDATE contract SET ended_on = %s, end_reason = 'other', resident_id = %s"
            " WHERE id = %s",
            (self._day(), await self._anybody(), id_),
        )

    async def _drop(self) -> None:
        id_ = await self._one(
            "SELECT id FROM contract k WHERE NOT EXISTS"
            " (SELECT FROM contract_turn t WHERE t.contract_id = k.id) ORDER BY id"
        )
        await self._connection.execute("DELETE FROM contract WHERE id = %s", (id_,))

    async def _repackage(self) -> None:
        await self._connection.execute(
            "UPDATE package SET followups_per_year = %s WHERE id = %s",
            (self._random.choice([None, 1, 4, 6, 12]), self._random.choice(PACKAGES)),
        )

    async def _turn(self) -> None:
        """A closure or a return, sometimes because of a contract."""
        resident, kind = await self._anybody(), self._random.choice(["closure", "return"])
        reason = self._random.choice(["death", "moved", "contract_ended"])
        day = datetime(2025, 10, 1, tzinfo=UTC) + timedelta(hours=self._random.randrange(8400))
        id_, at = UUID(int=self._next()), min(day, datetime(2026, 9, 16, tzinfo=UTC))
        await self._connection.execute(
            "INSERT INTO record (id, resident_id, kind, at, received_at, mode, findings, author,"
            " reason) VALUES (%s, %s, %s, %s, %s, 'clinic', '{}', 'x', %s)",
            (id_, resident, kind, at, at, reason if kind == "closure" else None),
        )
        contract = await self._one("SELECT id FROM contract WHERE resident_id = %s", resident)
        if contract is not None and self._random.random() < 0.5:
            await self._connection.execute(
                "INSERT INTO contract_turn VALUES (%s, %s, %s, %s, %s, %s)",
                (id_, self._next(), resident, contract, kind, at),
            )

    async def _withdraw(self) -> None:
        id_ = await self._one(
            "SELECT id FROM record r WHERE kind IN ('closure', 'return')"
            " AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = r.id) ORDER BY id"
        )
        if id_ is not None:
            await self._connection.execute(
                "INSERT INTO record (id, resident_id, kind, at, received_at, mode, findings,"
                " author, withdraws) SELECT %s, resident_id, 'withdrawal', at, at, 'clinic', '{}',"
                " 'x', id FROM record WHERE id = %s",
                (UUID(int=self._next()), id_),
            )

    async def _visit(self) -> None:
        days = sum(1 << self._random.randrange(366) for _ in range(self._random.randrange(9)))
        await self._connection.execute(
            "INSERT INTO indicator_year (resident_id, condition, year, visited)"
            " VALUES (%s, %s, %s, %s::text::bit(366))"
            " ON CONFLICT (resident_id, condition, year) DO UPDATE SET visited = EXCLUDED.visited",
            (
                await self._anybody(), self._random.choice(["hypertension", "diabetes"]),
                self._random.choice([2025, 2026]), f"{days % (1 << 366):0366b}" if days else None,
            ),
        )  # fmt: skip

    async def _forget(self) -> None:
        await self._connection.execute(
            "DELETE FROM indicator_year WHERE resident_id = %s", (await self._anybody(),)
        )

    async def _merge(self) -> None:
        """Of two who are both themselves, and of whom nobody is merged into the first."""
        free = (
            "SELECT id FROM resident r WHERE id <> %s AND NOT EXISTS (SELECT FROM resident_merge m"
            " WHERE m.unmerged_at IS NULL AND (m.resident_id = r.id OR m.into_id = %s)) ORDER BY id"
        )
        into = await self._one(free, "", "")
        gone = await self._one(
            "SELECT id FROM resident r WHERE id <> %s AND NOT EXISTS (SELECT FROM resident_merge m"
            " WHERE m.unmerged_at IS NULL AND r.id IN (m.resident_id, m.into_id)) ORDER BY id",
            into,
        )
        if gone is not None and into is not None:
            await self._connection.execute(
                "INSERT INTO resident_merge (resident_id, into_id, reason, author, merged_at)"
                " VALUES (%s, %s, 'x', 'x', %s)",
                (gone, into, datetime(2026, 9, 1, tzinfo=UTC)),
            )

    async def _part(self) -> None:
        id_ = await self._one("SELECT id FROM resident_merge WHERE unmerged_at IS NULL ORDER BY id")
        await self._connection.execute(
            "UPDATE resident_merge SET unmerged_at = %s, unmerged_by = 'x' WHERE id = %s",
            (datetime(2026, 9, 2, tzinfo=UTC), id_),
        )


@dataclass
class Register:
    """All tables, as rows."""

    residents: dict[str, Any]
    conditions: list[Any]
    contracts: list[Any]
    followups: dict[str, int | None]
    turns: list[Any]
    visits: list[Any]
    into: dict[str, str]
    _pseudonyms: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self._pseudonyms = {id_: [id_] for id_ in self.residents if id_ not in self.into}
        for gone, survivor in self.into.items():
            self._pseudonyms[survivor].append(gone)

    @classmethod
    async def read(cls, connection: Connection) -> "Register":
        """As it is now."""

        async def rows(statement: str) -> list[Any]:
            return await (await connection.execute(statement.encode())).fetchall()

        people = await rows(
            "SELECT id, team_id, birth_date, stub, created_at, enrolled_on FROM resident"
        )
        return cls(
            residents={row[0]: row[1:] for row in people},
            conditions=await rows(
                "SELECT resident_id, condition, since, until FROM resident_condition"
            ),
            contracts=await rows(
                "SELECT resident_id, package_id, since, until, signed_on, ended_on FROM contract"
            ),
            followups=dict(await rows("SELECT id, followups_per_year FROM package")),
            turns=await rows(
                "SELECT c.resident_id, c.kind, c.reason, c.at, t.record_id IS NOT NULL"
                " FROM record c LEFT JOIN contract_turn t ON t.record_id = c.id"
                " WHERE c.kind IN ('closure', 'return')"
                " AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = c.id)"
            ),
            visits=await rows("SELECT resident_id, year, visited::text FROM indicator_year"),
            into=dict(
                await rows(
                    "SELECT resident_id, into_id FROM resident_merge WHERE unmerged_at IS NULL"
                )
            ),
        )

    def _conditions(self, person: str, day: date) -> set[str]:
        return {
            condition
            for who, condition, since, until in self.conditions
            if who in self._pseudonyms[person] and since <= day and (until is None or day <= until)
        }

    def _is_closed(self, person: str, day: date, reasons: set[str]) -> bool:
        """The days of a closure and of a return are not closed."""
        turns = sorted(
            (at, kind, reason)
            for who, kind, reason, at, of_contract in self.turns
            if who == person or (who in self._pseudonyms[person] and not of_contract)
        )
        for number, (at, kind, reason) in enumerate(turns):
            if kind == "closure" and reason in reasons and (at + _NIGHT).date() < day:
                backs = [(later + _NIGHT).date() for later, k, _ in turns[number:] if k == "return"]
                if not backs or day < min(backs):
                    return True
        return False

    def managed(self, first: date, last: date) -> set[tuple[str, str]]:
        """Who is managed for what on at least one of these days."""
        found = set()
        for person, names in self._pseudonyms.items():
            days = [self.residents[name][4] for name in names]
            enrolled = min((day for day in days if day is not None), default=None)
            day = first
            while enrolled is not None and day <= last:
                if day >= enrolled and not self._is_closed(
                    person, day, {"death", "moved", "contract_ended"}
                ):
                    found |= {
                        (person, each)
                        for each in self._conditions(person, day) & {"hypertension", "diabetes"}
                    }
                day += _DAY
        return found

    def counted(self, day: date) -> dict[str, dict[str, int]]:
        """Numerator of whom each group's signing rate, and the fulfilment rate of all, counts."""
        found: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for person, names in self._pseudonyms.items():
            team, born, stub, _, _ = self.residents[person]
            known = [self.residents[name][3] for name in names if not self.residents[name][2]]
            if (
                stub
                or team is None
                or min(known) + _NIGHT
                > datetime.combine(day + _DAY, datetime.min.time(), UTC) - timedelta(microseconds=1)
            ):
                continue
            if self._is_closed(person, day, {"death", "moved"}):
                continue
            groups = {CONDITIONS[each] for each in self._conditions(person, day)}
            groups |= {"elderly"} if born and _years(born, 65) <= day else set()
            groups |= {"child"} if born and _years(born, 7) > day else set()
            running = self._running(person, day)
            for group in {"all", *groups, *({"key"} if groups else ())}:
                found[f"signing.{group}"][person] = int(bool(running))
            promised, kept = self._fulfilment(person, running, day)
            if promised > 0:
                found["fulfilment.all"][person] = int(kept >= promised)
        return dict(found)

    def _running(self, person: str, day: date) -> list[tuple[date, int | None]]:
        return [
            (since, self.followups[package])
            for who, package, since, until, signed_on, ended_on in self.contracts
            if who == person
            and since <= day
            and (until is None or day <= until)
            and (signed_on is None or signed_on <= day)
            and (ended_on is None or day < ended_on)
        ]

    def _fulfilment(
        self, person: str, running: list[tuple[date, int | None]], day: date
    ) -> tuple[int, int]:
        numbers = [number for _, number in running if number is not None]
        if not numbers:
            return 0, 0
        first = max(min(since for since, _ in running), date(day.year, 1, 1))
        visited = {
            date(year, 1, 1) + place * _DAY
            for who, year, bits in self.visits
            if who == person and year == day.year and bits is not None
            for place, bit in enumerate(reversed(bits))
            if bit == "1"
        }
        kept = sum(first <= each <= day for each in visited)
        return max(numbers) * ((day - first).days + 1) // 365, kept


def _years(born: date, years: int) -> date:
    return born.replace(year=born.year + years)
