"""A fleet ends when it is told to, whatever it is doing; each of its runs counts for itself."""

from datetime import UTC, datetime

import pytest

from simulators.load.fleet import LightFleet, LoadRun
from simulators.load.lines import Lines
from simulators.load.sampling import Sampler

AT = datetime(2026, 3, 2, 1, tzinfo=UTC)


class _EverySampler(Sampler):
    """Each look is due at once: no test waits for a second."""

    def is_due(self, now_s: float) -> bool:
        return now_s > 0


@pytest.fixture
def lines() -> Lines:
    """Of nobody."""
    return Lines([], "127.0.0.1", 1)


def _a_fleet(stops_for: str | None = None) -> LightFleet:
    def look(_: LoadRun) -> None:
        if stops_for is not None:
            fleet.stop(stops_for)

    fleet = LightFleet([], ledger=None, clock=lambda: AT, sampler=_EverySampler(), on_sample=look)
    return fleet


def test_working_off_a_step_ends_when_all_is_answered(lines: Lines) -> None:
    assert _a_fleet().settle(lines, within_s=0) is None


def test_working_off_a_step_has_an_end(lines: Lines) -> None:
    fleet = _a_fleet()
    fleet.result.counts.sent = 7
    assert fleet.settle(lines, within_s=0) == "7 readings had no receipt 0 s later"


def test_working_off_a_step_ends_when_what_is_behind_the_broker_ends(lines: Lines) -> None:
    fleet = _a_fleet(stops_for="ingest ended")
    fleet.stop("too far behind")  # Why the step ended, which is no reason not to wait.
    fleet.result.counts.sent = 7
    assert fleet.settle(lines, within_s=600) == "ingest ended"


def test_what_broke_in_an_earlier_run_is_not_counted_again(lines: Lines) -> None:
    lines.broken = 3
    run = _a_fleet().run(lines, iter(()))
    assert (run.counts.broken, run.partial) == (0, None)
