"""Promise: who asks too often waits, nobody else does, and memory stays bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.auth.permissions import Role
from api.auth.principal import LOCAL, Principal
from api.errors import TooManyRequestsError
from api.limits import Buckets, Limiter, LimitSettings


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now_s


def a_person(subject: str = "anna") -> Principal:
    return Principal(subject=subject, kind="person", roles=frozenset({Role.DOCTOR}))


@given(
    steps=st.lists(st.integers(0, 40).map(lambda tenths: tenths / 8), max_size=200),
    burst=st.integers(1, 10),
)
def test_in_no_span_of_time_more_comes_through_than_burst_and_rate_allow(
    steps: list[float], burst: int
) -> None:
    watch, per_s = Watch(), 2.0
    buckets = Buckets(per_s, burst, 10, watch)
    passed = []
    for step in steps:
        watch.now_s += step
        if buckets.wait_s("x") == 0:
            buckets.take("x")
            passed.append(watch.now_s)

    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - passed[first]) * per_s + 1e-6


def test_whoever_waits_as_long_as_told_is_let_in() -> None:
    watch = Watch()
    limiter = Limiter(LimitSettings(person_per_s=0.4, person_burst=2), watch)
    for _ in range(50):
        try:
            limiter.take_for(a_person())
        except TooManyRequestsError as refused:
            watch.now_s += refused.retry_after_s or 0
            limiter.take_for(a_person())


def test_one_who_asks_too_often_is_in_nobody_elses_way() -> None:
    limiter = Limiter(LimitSettings(person_burst=1), Watch())
    limiter.take_for(a_person("anna"))
    with pytest.raises(TooManyRequestsError):
        limiter.take_for(a_person("anna"))

    limiter.take_for(a_person("ben"))
    for _ in range(1_000):
        limiter.take_for(LOCAL)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", ""])
def test_a_proxy_on_this_machine_is_not_limited(address: str) -> None:
    limiter = Limiter(LimitSettings(address_burst=1, failures_burst=1), Watch())
    for _ in range(100):
        limiter.take_from(address)
        limiter.note_failure(address, "bad")
        limiter.require_trust(address, "bad")


def test_guessing_shuts_the_door_for_that_address_until_its_bucket_fills() -> None:
    watch = Watch()
    limiter = Limiter(LimitSettings(failures_burst=5, failures_per_s=0.5), watch)
    for n in range(5):
        limiter.require_trust("192.0.2.1", f"guess {n}")
        limiter.note_failure("192.0.2.1", f"guess {n}")
    with pytest.raises(TooManyRequestsError, match="from this address"):
        limiter.require_trust("192.0.2.1", "another guess")

    limiter.require_trust("192.0.2.2", "guess 1")
    watch.now_s += 2
    limiter.require_trust("192.0.2.1", "another guess")


def test_one_bad_credential_again_and_again_is_in_nobody_elses_way() -> None:
    """A machine whose key has ended, behind the address of a whole centre."""
    watch = Watch()
    limiter = Limiter(LimitSettings(failures_burst=5, failures_per_s=0.5), watch)
    refused = 0
    for _ in range(1_000):
        watch.now_s += 0.25
        try:
            limiter.require_trust("192.0.2.1", "ended")
        except TooManyRequestsError:
            refused += 1
        else:
            limiter.note_failure("192.0.2.1", "ended")
        limiter.require_trust("192.0.2.1", "another one")

    assert refused > 800
    with pytest.raises(TooManyRequestsError, match="came too often"):
        limiter.require_trust("192.0.2.1", "ended")


def test_a_million_names_take_no_more_memory_than_is_set() -> None:
    limiter = Limiter(LimitSettings(remembered_max=100), Watch())
    for n in range(10_000):
        limiter.take_from(f"192.0.2.{n}")
        limiter.note_failure(f"192.0.2.{n}", "bad")

    kept = (limiter._addresses, limiter._guesses, limiter._repetitions)
    assert [len(each._left) for each in kept] == [100] * 3
