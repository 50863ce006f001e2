"""A line is back when the last of the disturbances that hold it is over."""

from datetime import datetime, timedelta

import numpy as np

from simulators.scenarios.disturb import Day, outages
from simulators.scenarios.happenings import LineBack, LineCut
from simulators.scenarios.scenario import Disturbance
from simulators.series import SHANGHAI

BEGIN = datetime(2026, 3, 2, tzinfo=SHANGHAI)


def at(hour: float) -> datetime:
    return BEGIN + timedelta(hours=hour)


def gone(since: float, until: float, *gateways: str) -> Disturbance:
    return Disturbance(
        kind="network_gone", since=at(since), until=at(until), gateways=list(gateways)
    )


def told(
    disturbances: list[Disturbance], day: int = 0, **started: float
) -> list[tuple[str, float, list[str]]]:
    begins_at = BEGIN + timedelta(days=day)
    here = Day(
        begins_at=begins_at, gateways=list(started), cards=[], random=np.random.default_rng(1)
    )
    running = {name: at(hour) for name, hour in started.items()}
    return [
        (type(each).__name__, (each.at - BEGIN) / timedelta(hours=1), list(each.gateway_ids))
        for each in outages(disturbances, running, here)
        if isinstance(each, LineCut | LineBack)
    ]


def test_outages_that_overlap_are_one() -> None:
    both = [gone(8, 12, "a"), gone(10, 16, "a")]

    assert told(both, a=0, b=0) == [("LineCut", 8, ["a"]), ("LineBack", 16, ["a"])]


def test_one_inside_another_mends_nothing() -> None:
    both = [gone(8, 16), gone(10, 12, "a")]

    assert told(both, a=0, b=0) == [("LineCut", 8, ["a", "b"]), ("LineBack", 16, ["a", "b"])]


def test_outages_that_touch_are_one_and_others_are_two() -> None:
    three = [gone(8, 10, "a"), gone(10, 12, "a"), gone(14, 15, "a")]

    assert [each[:2] for each in told(three, a=0)] == [
        ("LineCut", 8),
        ("LineBack", 12),
        ("LineCut", 14),
        ("LineBack", 15),
    ]


def test_one_over_midnight_is_cut_on_one_day_and_mended_on_the_next() -> None:
    night = [gone(20, 30, "a")]

    assert told(night, a=0) == [("LineCut", 20, ["a"])]
    assert told(night, day=1, a=0) == [("LineBack", 30, ["a"])]


def test_a_gateway_that_starts_into_an_outage_has_no_network_from_the_start() -> None:
    assert told([gone(8, 16)], a=10) == [("LineCut", 10, ["a"]), ("LineBack", 16, ["a"])]
    assert told([gone(8, 16)], a=17) == []
