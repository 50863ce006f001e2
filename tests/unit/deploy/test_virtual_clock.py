"""A rehearsal's clock tells UTC, by whatever zone it is moved: rules take its digits for it."""

from datetime import UTC, datetime, timedelta

from deploy.rehearsal.clock import SkewedClock, VirtualClock
from simulators.series import SHANGHAI


def test_a_clock_that_is_moved_by_local_time_tells_utc() -> None:
    evening = datetime(2026, 12, 9, 20, tzinfo=SHANGHAI)
    clock = VirtualClock(datetime(2026, 12, 9, tzinfo=SHANGHAI))
    assert clock().replace(tzinfo=None) == datetime(2026, 12, 8, 16)  # noqa: DTZ001 - its digits

    clock.move_to(evening)
    clock.move_to(evening - timedelta(hours=1))

    assert clock() == evening
    assert clock().tzinfo is UTC
    assert SkewedClock(clock, timedelta(hours=5))().tzinfo is UTC
