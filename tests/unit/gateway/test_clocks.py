"""The time is known or readings say that it is not; ids sort in the order of capture.

Whatever the wall clock does: jumps, starts in 1970, is set by hand, loses its time server.
"""

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clocks import NOT_BEFORE, Timekeeper, TimeSources
from gateway.kernel_time import KernelTime, read_kernel_time
from gateway.settings import ClockTrust
from gateway.spooled import ClockMemory, Hold, to_ms
from gateway.wire.ids import time_of
from tests.unit.gateway.gateway_builders import NOON, some_settings

AUTO, YES, NO = ClockTrust.AUTO, ClockTrust.YES, ClockTrust.NO
S = timedelta(seconds=1)
DAY = timedelta(days=1)


@dataclass
class Machine:
    """A computer: true time goes on, its wall clock says what it says."""

    true: datetime = NOON
    wall_ahead: timedelta = timedelta(0)
    synchronised: bool = True
    error_s: float = 0.01
    booted: datetime = NOON
    boot: bytes = bytes(16)
    drift: float = 0.0
    _drifted: timedelta = field(default=timedelta(0))

    def sources(self) -> TimeSources:
        """What the gateway sees of it."""
        return TimeSources(
            wall=lambda: self.true + self.wall_ahead,
            boottime_ms=lambda: int((self.true + self._drifted - self.booted) / S * 1_000),
            kernel=lambda: KernelTime(self.synchronised, self.error_s),
            boot=self.boot,
        )

    def keeper(
        self, trust: ClockTrust = AUTO, memory: ClockMemory | None = None, **settings: object
    ) -> Timekeeper:
        """A gateway process starts on it."""
        given = some_settings(Path("/nowhere"), clock_synchronised=trust, **settings)
        return Timekeeper(self.sources(), given, memory or ClockMemory())

    def wait(self, seconds: float) -> None:
        """Let true time go on."""
        self.true += seconds * S
        self._drifted += seconds * self.drift * S

    def lose_the_server(self) -> None:
        """Nobody tells the kernel the time any more."""
        self.synchronised, self.error_s = False, 16.0

    def reboot(self, wall: datetime) -> None:
        """Power off and on; there is no battery: the clock starts at that time."""
        self.booted, self.boot, self._drifted = self.true, bytes([1] * 16), timedelta(0)
        self.lose_the_server()
        self.wall_ahead = wall - self.true


def held(machine: Machine, keeper: Timekeeper) -> Hold:
    stamp, hold = keeper.stamp(may_hold=True)
    assert not stamp.clock_synchronised
    assert hold is not None
    assert hold.boot == machine.boot
    return hold


def test_with_a_time_server_a_capture_has_the_time_and_is_never_held() -> None:
    stamp, hold = Machine().keeper().stamp(may_hold=True)

    assert (stamp.captured_at, stamp.clock_synchronised, hold) == (NOON, True, None)
    assert time_of(stamp.id) == NOON


@pytest.mark.parametrize(
    ("synchronised", "error_s", "known"),
    [
        pytest.param(True, 300.0, True, id="at-the-limit"),
        pytest.param(True, 300.1, False, id="too-far-off"),
        pytest.param(False, 0.0, False, id="no-server"),
    ],
)
def test_the_kernels_word_is_believed_up_to_the_limit(
    synchronised: bool,  # noqa: FBT001 - a table's column
    error_s: float,
    known: bool,  # noqa: FBT001 - likewise
) -> None:
    machine = Machine(synchronised=synchronised, error_s=error_s)

    assert machine.keeper().known is known


def test_a_day_without_a_time_server_is_bridged_by_the_boot_clock() -> None:
    machine = Machine(drift=100e-6)
    keeper = machine.keeper()
    machine.lose_the_server()
    machine.wall_ahead = timedelta(hours=-7)  # Somebody sets the clock by hand meanwhile.
    machine.wait(86_400)

    stamp, hold = keeper.stamp(may_hold=True)

    assert stamp.clock_synchronised
    assert hold is None
    assert abs(stamp.captured_at - machine.true) < 10 * S
    error_s = keeper.state().error_s
    assert error_s is not None
    assert 43 < error_s < 44
    assert keeper.state().wall_ahead_s == pytest.approx(-7 * 3_600, abs=10)


def test_after_a_week_the_bridge_ends() -> None:
    machine = Machine()
    keeper = machine.keeper()
    machine.lose_the_server()
    machine.wait(590_000)
    assert keeper.known
    machine.wait(20_000)
    assert not keeper.known


def test_a_restart_within_the_boot_remembers_the_time_and_another_boot_does_not() -> None:
    machine = Machine()
    memory = machine.keeper().memory()
    assert memory is not None
    machine.lose_the_server()
    machine.wall_ahead = timedelta(hours=5)
    machine.wait(3_600)

    again = machine.keeper(memory=memory)
    assert again.known
    assert again.present() == machine.true

    machine.reboot(datetime(1970, 1, 1, tzinfo=UTC))
    assert not machine.keeper(memory=memory).known


@pytest.mark.parametrize(
    "wall",
    [
        pytest.param(datetime(1970, 1, 1, tzinfo=UTC), id="1970"),
        pytest.param(datetime(2025, 6, 1, tzinfo=UTC), id="before-the-release"),
        pytest.param(NOON - 30 * DAY, id="when-the-system-was-built"),
        pytest.param(datetime(2099, 1, 1, tzinfo=UTC), id="far-ahead"),
    ],
)
def test_without_a_battery_nothing_is_stamped_with_nonsense(wall: datetime) -> None:
    machine = Machine()
    memory = ClockMemory(newest_ms=to_ms(NOON - S))
    machine.reboot(wall)
    keeper = machine.keeper(memory=memory)
    machine.wait(100)

    stamp, hold = keeper.stamp(may_hold=True)

    assert hold is not None
    assert not stamp.clock_synchronised
    assert NOON - S <= stamp.captured_at <= NOON + 100 * S
    assert abs(time_of(stamp.id) - stamp.captured_at) < S


def test_what_was_captured_before_the_time_came_gets_it_afterwards() -> None:
    machine = Machine()
    machine.reboot(datetime(1970, 1, 1, tzinfo=UTC))
    keeper = machine.keeper()
    machine.wait(30)
    first_at, first = machine.true, held(machine, keeper)
    machine.wait(40_000)
    second_at, second = machine.true, held(machine, keeper)
    assert keeper.restore(first) is None

    machine.wait(60)
    machine.wall_ahead, machine.synchronised, machine.error_s = timedelta(0), True, 0.02
    keeper.look()

    assert keeper.restore(first) == first_at
    assert keeper.restore(second) == second_at
    assert keeper.restore(replace(first, boot=bytes([9] * 16))) is None
    assert keeper.stamp(may_hold=True)[0].clock_synchronised


def test_a_connected_gateway_sends_at_once_and_says_that_it_does_not_know() -> None:
    machine = Machine(synchronised=False)

    stamp, hold = machine.keeper().stamp(may_hold=False)

    assert (stamp.clock_synchronised, hold, stamp.captured_at) == (False, None, NOON)


def test_the_operator_may_say_yes_or_no() -> None:
    machine = Machine(synchronised=False)
    assert machine.keeper(YES).stamp(may_hold=True)[0].clock_synchronised
    stamp, hold = Machine().keeper(NO).stamp(may_hold=True)
    assert (stamp.clock_synchronised, hold) == (False, None)


def test_the_operators_yes_does_not_make_1970_true(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    machine.reboot(datetime(1970, 1, 1, tzinfo=UTC))
    keeper = machine.keeper(YES)
    machine.wait(5)
    before, hold = machine.true, held(machine, keeper)
    assert keeper.present() >= NOT_BEFORE

    machine.wall_ahead = timedelta(0)
    assert keeper.stamp(may_hold=True)[0].captured_at == machine.true
    assert keeper.restore(hold) == before
    assert "the time is not known" in caplog.text


def test_a_clock_that_is_set_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    machine = Machine()
    keeper = machine.keeper()
    machine.wall_ahead = timedelta(hours=-8)
    machine.wait(2)
    assert keeper.stamp(may_hold=True)[0].captured_at == machine.true - timedelta(hours=8)
    assert "the clock was set by -28800 s" in caplog.text


def test_ids_start_again_rather_than_stay_in_a_far_future(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(wall_ahead=3_000 * DAY)
    keeper = machine.keeper()
    wrong = keeper.stamp(may_hold=True)[0].id
    machine.wall_ahead = timedelta(0)
    machine.wait(2)

    right = keeper.stamp(may_hold=True)[0].id

    assert time_of(right) == machine.true
    assert time_of(wrong) - time_of(right) > 2_900 * DAY
    assert "ids start again there" in caplog.text


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0, 5_000)),
        st.tuples(st.just("jump"), st.floats(-40_000, 40_000)),
        st.tuples(st.just("server"), st.sampled_from([0.0, 1.0])),
        st.tuples(st.just("restart"), st.just(0.0)),
        st.tuples(st.just("reboot"), st.sampled_from([0.0, 1.7e9, 1.8e9])),
        st.tuples(st.just("capture"), st.integers(1, 3).map(float)),
    ),
    max_size=30,
)


@given(steps=STEPS, trust=st.sampled_from([AUTO, YES, NO]))
def test_ids_sort_in_capture_order_over_jumps_restarts_and_reboots(
    steps: list[tuple[str, float]], trust: ClockTrust
) -> None:
    """The wall clock stays within half a day of the truth, except where a battery is missing."""
    machine = Machine()
    memory = ClockMemory()
    keeper = machine.keeper(trust, memory)
    ids = []
    for what, amount in steps:
        if what == "wait":
            machine.wait(amount)
        elif what == "jump":
            machine.wall_ahead = amount * S
        elif what == "server":
            machine.synchronised = bool(amount)
            if amount:
                machine.wall_ahead = timedelta(0)
        elif what == "restart":
            keeper = machine.keeper(trust, memory)
        elif what == "reboot":
            machine.reboot(datetime.fromtimestamp(amount, UTC))
            keeper = machine.keeper(trust, memory)
        for _ in range(int(amount) if what == "capture" else 1):
            stamp, _ = keeper.stamp(may_hold=True)
            ids.append(stamp.id)
            assert stamp.captured_at >= NOT_BEFORE
            assert stamp.id.version == 7
            newest = to_ms(stamp.captured_at) if stamp.clock_synchronised else 0
            memory = replace(
                memory, id_ms=stamp.id.int >> 80, newest_ms=max(memory.newest_ms, newest)
            )
    far = [later for before, later in pairwise(ids) if later.int <= before.int]
    assert all(time_of(max(ids)) - time_of(later) > DAY for later in far)
    if not any(what == "reboot" for what, _ in steps):
        assert not far


def test_this_machines_kernel_answers() -> None:
    said = read_kernel_time()

    assert isinstance(said.synchronised, bool)
    assert said.error_s >= 0
