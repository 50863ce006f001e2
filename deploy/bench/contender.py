"""What is measured: something that reads the gateways' messages and commits rows.

A turn is told only when every reading of the traffic is committed *and* visible to another
connection, with the right sums: counts alone would let a contender lose one and double another.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

import psycopg

from deploy.bench.errors import BenchError
from deploy.bench.programs import Program
from deploy.bench.stack import BenchStack, Database
from simulators.load.traffic import Totals

_SUMS: Final = """
SELECT count(*), count(systolic), coalesce(sum(systolic), 0)::bigint,
       coalesce(sum(diastolic), 0)::bigint, coalesce(sum(round((glucose * 10)::numeric)), 0)::bigint
FROM {} WHERE partition_at >= to_timestamp(%s::double precision / 1000)"""


class Watch(Protocol):
    """Looks from outside whether everything is there."""

    def visible(self) -> int:
        """How many readings can be seen now, cheaply: at least everything, if it is."""

    def seen_at_s(self) -> float:
        """Monotonic seconds when the last of them became visible."""


class Contender(Protocol):
    """One way from the broker into the database."""

    name: str
    table: str
    part: int  # It gets one reading in so many.
    receipts: bool  # Whether it answers, and gateways should listen.

    def client_ids(self) -> list[str]:
        """Its sessions at the broker, to be ended before and after."""

    def running(
        self, stack: BenchStack, database: Database
    ) -> AbstractContextManager[Mapping[str, Program]]:
        """Its processes by name, subscribed and ready when entered."""

    def watch(self, connection: "psycopg.Connection[tuple[object, ...]]", readings: int) -> Watch:
        """Begin to look, before the first message."""


def require_totals(
    connection: "psycopg.Connection[tuple[object, ...]]",
    table: str,
    expected: Mapping[str, int],
    *,
    since_ms: int = 0,
) -> None:
    """Compare what was stored with what was sent since then. Raises ``BenchError``."""
    row = connection.execute(_SUMS.format(table).encode(), [since_ms]).fetchone()
    numbers = [int(str(each)) for each in row or ()]
    found = Totals(*numbers).as_dict()
    if found != dict(expected):
        msg = f"{table} holds {found}, sent was {dict(expected)}: no time is told"
        raise BenchError(msg)
