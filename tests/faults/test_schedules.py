"""Whatever breaks, nothing is lost, nothing is doubled, and cases and alerts are the same.

The real processes under a few schedules in which every kind of fault befalls every class of
process once. ``make faults`` runs many more. ``FAULTS_SEED`` draws other schedules.
"""

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.faults.run import Result, Runner, Verdict, judge, live_through
from tests.faults.schedule import PlannedFault, Schedule, draw_covering
from tests.faults.stack import FaultStack, a_stack
from tests.faults.verdict import Outcome, compare
from tests.faults.world import a_world

SEED: Final = int(os.environ.get("FAULTS_SEED", "4"))
SCHEDULES: Final = 8
WORKLOAD: Final = 0  # One, so that one run without faults is enough.

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fault_stack() -> Iterator[FaultStack]:
    """A broker and a database that nobody else uses."""
    with a_stack() as stack:
        yield stack


@pytest.fixture(scope="module")
def runner(fault_stack: FaultStack, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """Knows what a run without faults ends in."""
    found = Runner(fault_stack, tmp_path_factory.mktemp("faults"))
    found.refer(WORKLOAD)
    return found


def _require_right(result: Result) -> None:
    told = json.dumps(result.as_dict(), indent=1)
    assert not result.problems, f"FAULTS_SEED={SEED}, logs in {result.folder}: {told}"


@pytest.mark.parametrize("number", range(SCHEDULES))
def test_nothing_is_lost_doubled_or_judged_otherwise_under_a_schedule(
    runner: Runner, number: int
) -> None:
    schedule = draw_covering(SEED, SCHEDULES)[number]

    _require_right(runner.run(replace(schedule, workload_seed=WORKLOAD)))


def test_what_must_be_felt_is_felt(runner: Runner) -> None:
    """A harness whose faults do nothing would prove nothing."""
    faults = [
        PlannedFault(0.2, "redelivery_storm", "ingest-0", 1.5),
        PlannedFault(1.8, "deadlock", "tables", 2.0),
        PlannedFault(4.0, "fill_disk", "filesystem", 1.0),
        PlannedFault(5.0, "overflow_queue", "", 3.0),
    ]

    result = runner.run(Schedule(1_000_000, WORKLOAD, faults))

    _require_right(result)
    assert result.kills == 2
    assert result.felt["deadlock"] > 0
    assert result.felt["disk full"] > 0
    assert result.felt["broker lost"] > 0
    assert result.felt["batch sent again"] > 0
    counts = {name: int(rest.split()[0]) for name, rest in _halves(result.seen)}
    assert counts["redelivery_storm"] > 0, result.seen  # PUBACKs that never arrived.
    assert counts["overflow_queue"] > 0, result.seen  # Messages the broker threw away.


def _halves(seen: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name of the fault and what it counted."""
    for line in seen:
        name, _, rest = line.partition(": ")
        if rest[:1].isdigit():
            yield name, rest


_SABOTAGES: Final = {
    "lost: gw-1": "DELETE FROM reading WHERE id = (SELECT min(id::text)::uuid FROM reading"
    " WHERE gateway_id = 'gw-1' AND id NOT IN (SELECT duplicate_of FROM duplicate)"
    " AND id NOT IN (SELECT anchor_id FROM alert))",
    "doubled: gw-2": "INSERT INTO duplicate SELECT id, id, content_hash, gateway_id, received_at"
    " FROM reading WHERE gateway_id = 'gw-2' LIMIT 1",
    "totals: gw-3": "UPDATE gateway_day SET stored = stored + 1 WHERE gateway_id = 'gw-3'",
    "case missing": "UPDATE resident_case SET consecutive_unsatisfied = 9"
    " WHERE number = (SELECT min(number) FROM resident_case WHERE state <> 'none')",
    "outbox: case": "UPDATE resident_case SET state = 'screening' WHERE state <> 'screening'",
    "alert missing": "UPDATE alert SET severity = 'info'"
    " WHERE number = (SELECT min(number) FROM alert"
    " WHERE status = 'active' AND severity <> 'info')",
    "told and is not there": "DELETE FROM alert WHERE number = (SELECT max(number) FROM alert)",
    "raised 2 times": "INSERT INTO outbox (number, kind, payload, created_at)"
    " SELECT (SELECT max(number) + 1 FROM outbox), kind, payload, created_at"
    " FROM outbox WHERE kind = 'alert.raised' LIMIT 1",
    "without a gap": "DELETE FROM outbox WHERE number = 2",
    "without a number": "UPDATE outbox SET number = NULL WHERE number = 3",
}


def test_every_way_of_being_wrong_is_noticed(
    runner: Runner, fault_stack: FaultStack, tmp_path: Path
) -> None:
    """A run without faults is right; then one thing after another is made wrong by hand."""
    reference = runner.refer(WORKLOAD)

    async def live() -> None:
        async with a_world(fault_stack, tmp_path / "sabotage", seed=0) as world:
            await live_through(world, Schedule(0, WORKLOAD))
            for name in world.crew.members:
                world.crew.freeze(name)  # They would put some of it right.
            before: list[str] = _list_all(judge(world), reference)
            assert not before
            for problem, statement in _SABOTAGES.items():
                assert not any(problem in line for line in before), problem
                with psycopg.connect(world.dsn) as connection:
                    assert connection.execute(statement.encode()).rowcount > 0
                before = _list_all(judge(world), reference)
                assert any(problem in line for line in before), (problem, before)

    asyncio.run(live())


def _list_all(found: Verdict, reference: Outcome) -> list[str]:
    return found.problems + compare(found.outcome, reference)
