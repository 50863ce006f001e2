"""A gateway above its share is answered late, never more than the limit, and nobody else is."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.settings import ThrottleSettings
from ingest.throttle import Throttle


class _Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def _throttle(rate: float = 100, burst: int = 2_000, most_s: float = 30) -> tuple[Throttle, _Clock]:
    clock = _Clock()
    settings = ThrottleSettings(readings_per_s=rate, burst_readings=burst, delay_s_max=most_s)
    return Throttle(settings, clock), clock


def test_a_burst_within_the_share_is_answered_at_once_and_the_excess_late() -> None:
    throttle, _ = _throttle()

    assert throttle.delay_s("gw-1", 2_000) == 0
    assert throttle.delay_s("gw-1", 100) == 1
    assert throttle.delay_s("gw-2", 100) == 0  # Another gateway's account.


def test_time_gives_the_share_back_up_to_the_burst() -> None:
    throttle, clock = _throttle()
    throttle.delay_s("gw-1", 2_100)
    clock.now_s += 2
    assert throttle.delay_s("gw-1", 100) == 0
    clock.now_s += 1_000_000
    assert throttle.delay_s("gw-1", 2_000) == 0
    assert throttle.delay_s("gw-1", 1) > 0


def test_no_receipt_is_held_longer_than_the_limit() -> None:
    throttle, _ = _throttle()
    assert throttle.delay_s("gw-1", 10**9) == 30


def test_idle_accounts_are_forgotten_but_debts_are_not_soon() -> None:
    throttle, clock = _throttle()
    throttle.delay_s("gw-1", 2_050)
    throttle.forget_idle()
    assert throttle.delay_s("gw-1", 50) == 1
    clock.now_s += 4_000
    throttle.forget_idle()
    assert throttle.delay_s("gw-1", 2_000) == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 500)), max_size=50))
def test_over_any_time_a_gateway_that_waits_for_its_receipts_stays_within_its_share(
    sendings: list[tuple[float, int]],
) -> None:
    throttle, clock = _throttle(rate=50, burst=2_000, most_s=59)
    began_s, sent = clock.now_s, 0
    for pause_s, readings in sendings:
        clock.now_s += pause_s
        sent += readings
        clock.now_s += throttle.delay_s("gw-1", readings)  # It sends no more until answered.
    assert sent <= 2_000 + 50 * (clock.now_s - began_s) + 1e-6
