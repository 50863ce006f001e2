"""Promise: whatever happens to an alert, whoever must be told of it is told, then and only then.

Random stories are told to the real notifier on the real database, and to an oracle that knows
nothing of tables, look-ahead or queues: it asks at each instant who ought to be told by the rules
of docs/alerts.md.
"""

import asyncio
from datetime import timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.db.connections import connect
from tests.builders import AT
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.notify_bench import NotifyBench, Recorder, a_crew

_MINUTE = timedelta(minutes=1)
_DELAYS = {True: (0, 10, 20, 40), False: (0, 240, 1440, 2880)}  # Critical; high.
_TOLD = (("d1",), ("d1",), ("l1",), ("c1",))


class Act(NamedTuple):
    """Minutes that pass, then what happens."""

    minutes: int
    what: str


ACTS = st.builds(
    Act,
    st.sampled_from([0, 1, 9, 10, 11, 20, 39, 60, 239, 240, 700, 1440, 1441]),
    st.sampled_from(
        ["nothing"] * 4 + ["acknowledge", "undo", "snooze", "worse", "resolve", "again"]
    ),
)


class Oracle:
    """One alert and its people, minute by minute."""

    def __init__(self, *, critical: bool) -> None:
        self.critical = critical
        self.begun = 0  # Minute at which the round began; minute 0 is 09:00 in Shanghai.
        self.taken: set[int] = set()
        self.asks, self.active, self.escalation = True, True, 0
        self.sleeps_until: int | None = None

    def is_quiet(self, minute: int) -> bool:
        """From six in the evening to nine in the morning."""
        hour = (9 + minute // 60) % 24
        return hour >= 18 or hour < 9

    def begin(self, minute: int) -> None:
        """It asks for somebody, from the first step on."""
        self.begun, self.taken, self.asks, self.sleeps_until = minute, set(), True, None

    def happens(self, what: str, minute: int) -> None:
        """Somebody, or the judge, does something about it."""
        if what == "acknowledge" and self.active:
            self.asks, self.sleeps_until = False, None
        elif what == "undo" and (not self.asks or self.sleeps_until is not None):
            self.asks, self.sleeps_until = True, None
        elif what == "snooze" and self.active and self.asks and self.sleeps_until is None:
            if not self.critical:
                self.sleeps_until = minute + 60
        elif what == "worse" and self.active:
            self.escalation += 1
            self.begin(minute)
        elif what == "resolve":
            self.active = False
        elif what == "again" and not self.active:
            self.active = True
            self.begin(minute)

    def must_be_told(self, minute: int) -> set[str]:
        """Who, at this instant."""
        if self.sleeps_until is not None and minute >= self.sleeps_until:
            self.begin(minute)
        if not self.active or not self.asks or self.sleeps_until is not None:
            return set()
        if not self.critical and self.is_quiet(minute):
            return set()
        delays = _DELAYS[self.critical]
        new = {k for k in range(4) if minute - self.begun >= delays[k]} - self.taken
        self.taken |= new
        above = ("l1", "c1")[: self.escalation] if 0 in new else ()
        return {who for k in new for who in _TOLD[k]} | {*above}


async def tell(bench: NotifyBench, channel: Recorder, acts: list[Act], *, critical: bool) -> None:
    """One story, to both."""
    bench.clock.now = AT
    oracle = Oracle(critical=critical)
    alert = await bench.raise_alert("critical" if critical else "high")
    for act in [Act(0, "nothing"), *acts]:
        bench.clock.pass_by(minutes=act.minutes)
        minute = (bench.clock.now - AT) // _MINUTE
        of = await bench.fetch(alert)
        if act.what == "acknowledge" and of.status == "active":
            await bench.acknowledge(alert)
        elif act.what == "undo" and (of.acknowledged_at or of.snoozed_at):
            await bench.undo(alert)
        elif act.what == "snooze" and of.state(bench.clock.now) == "open" and not critical:
            if of.snoozed_at is None:
                await bench.snooze(alert, bench.clock.now + 60 * _MINUTE)
        elif act.what == "worse" and of.status == "active":
            await bench.change(alert, "escalation = escalation + 1")
        elif act.what == "resolve":
            await bench.change(alert, "status = 'resolved'")
        elif act.what == "again" and of.status != "active":
            await bench.change(alert, "status = 'active'")
        oracle.happens(act.what, minute)
        await bench.work()
        told = channel.take()
        expected = oracle.must_be_told(minute)
        assert sorted(who for who, _ in told) == sorted(expected), (act, minute)
    await bench.change(alert, "status = 'resolved'")
    await bench.work(days=3)
    assert channel.take() == []


@pytest.mark.parametrize("critical", [True, False])
def test_whoever_must_be_told_is_told_then_and_only_then(
    database: Database, *, critical: bool
) -> None:
    async def run(stories: list[list[Act]]) -> None:
        async with await connect(database.dsn, application_name="test", autocommit=True) as opened:
            channel = Recorder()
            bench = NotifyBench(opened, database, TestClock(), [channel])
            for acts in stories:
                await tell(bench, channel, acts, critical=critical)

    async def prepare() -> None:
        async with await connect(database.dsn, application_name="test", autocommit=True) as opened:
            await a_crew(opened)

    asyncio.run(prepare())

    @settings(
        max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(st.lists(st.lists(ACTS, max_size=12), min_size=1, max_size=3))
    def check(stories: list[list[Act]]) -> None:
        asyncio.run(run(stories))

    check()
