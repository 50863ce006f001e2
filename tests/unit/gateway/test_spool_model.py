"""The spool against a model of three lists, over any sequence of what can befall it.

Measurements, batches, receipts (true, partial, unknown, twice), kills, restarts, reboots, a clock
that jumps, a time server that comes and goes. Always: accepted = confirmed + waiting; a batch
never changes; what comes out of the spool is in the order of capture, which is that of the ids.
"""

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from gateway.clocks import Timekeeper
from gateway.counters import read_counters, waiting_ids
from gateway.errors import Busy
from gateway.freezer import freeze_reading
from gateway.spool import Spool
from gateway.spooled import Hold, Settled, SpooledReading
from gateway.wire.ids import new_id
from gateway.wire.readings import parse_json
from tests.unit.gateway.gateway_builders import NOON, a_measurement
from tests.unit.gateway.test_clocks import Machine

ROWS_MAX, BYTES_MAX, AGE_H_MAX = 40, 9_000, 24
COPIED = ("spool.db", "spool.db-wal", "spool.db.witness")
HOUR = timedelta(hours=1)


@dataclass
class Kept:
    """A reading of the model."""

    reading: SpooledReading
    device: str
    true_at: datetime
    held: bool


@dataclass
class Model:
    """What a spool should hold, in the plainest form."""

    free: list[Kept] = field(default_factory=list)  # In no batch yet.
    batches: dict[UUID, tuple[list[Kept], bytes]] = field(default_factory=dict)
    left: list[Kept] = field(default_factory=list)  # In the order in which batches were built.
    accepted: int = 0
    confirmed: int = 0
    newest: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    newest_confirmed: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    @property
    def waiting(self) -> list[Kept]:
        """Without a receipt, in the order of capture."""
        frozen = [kept for kepts, _ in self.batches.values() for kept in kepts]
        return sorted([*frozen, *self.free], key=lambda kept: kept.true_at)


class SpoolMachine(RuleBasedStateMachine):
    """Hypothesis drives it."""

    sent = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="suifang-model-"))
        self.generation = 0
        self.machine = Machine()
        self.model = Model()
        self._open()

    @initialize(battery=st.booleans())
    def boot(self, battery: bool) -> None:  # noqa: FBT001 - drawn
        """Half of the boxes do not know the time when they begin."""
        if not battery:
            self.start_again(killed=False, wall=0)

    def _open(self) -> None:
        self.path = self.folder / str(self.generation) / "spool.db"
        self.spool = Spool(
            self.path, gateway="g1", rows_max=ROWS_MAX, bytes_max=BYTES_MAX, age_h_max=AGE_H_MAX
        )
        self.keeper: Timekeeper = self.machine.keeper(memory=self.spool.recall_clock())

    @rule(
        devices=st.lists(st.sampled_from("ABC"), min_size=1, max_size=12),
        note=st.integers(0, 1_500),
        offline=st.booleans(),
    )
    def measure(self, devices: list[str], note: int, offline: bool) -> None:  # noqa: FBT001 - drawn
        """Some measurements that share an fsync; as many are taken as there is room for."""
        group = []
        for device in devices:
            self.machine.wait(0.5)
            may_hold = offline or self.spool.holds
            stamp, hold = self.keeper.stamp(may_hold=may_hold)
            raw = freeze_reading(a_measurement(device_id=device, note="x" * note), stamp, key=None)
            known = stamp.clock_synchronised
            reading = SpooledReading(stamp.id, stamp.captured_at, raw, known, hold)
            group.append(Kept(reading, device, self.machine.true, hold is not None))

        taken = self.spool.put([kept.reading for kept in group])

        rows, size = len(self.model.waiting), sum(len(k.reading.raw) for k in self.model.waiting)
        expected = 0
        if not self._is_uncollected(group):
            for kept in group:
                size += len(kept.reading.raw)
                if rows + expected == ROWS_MAX or size > BYTES_MAX:
                    break
                expected += 1
        assert taken == expected
        assert (self.spool.shortage is None) == (taken == len(group))
        for kept in group[:taken]:
            self.model.free.append(kept)
            self.model.accepted += 1
            if kept.reading.clock_known:
                self.model.newest = max(self.model.newest, cut(kept.reading.captured_at))

    def _is_uncollected(self, group: list[Kept]) -> bool:
        known = [kept.reading.captured_at for kept in group if kept.reading.clock_known]
        waiting = self.model.waiting
        if not known or not waiting:
            return False
        since = cut(known[0]) - AGE_H_MAX * HOUR
        old = cut(waiting[0].reading.captured_at) < since
        uncollected = old and self.model.newest_confirmed < since
        assert not uncollected or self.spool.shortage is Busy.UNCOLLECTED
        return uncollected

    @rule(target=sent)
    def build_a_batch(self) -> UUID:
        """Exactly what is free up to the first held one, in order."""
        identifier = new_id(NOON)
        expected: list[Kept] = []
        for kept in self.model.free:
            if kept.held:
                break
            expected.append(kept)

        batch = self.spool.take_batch(identifier, NOON)

        assert (batch is None) == (not expected)
        if batch is not None:
            members = parse_json(batch.payload)["readings"]
            assert [m["id"] for m in members] == [str(kept.reading.id) for kept in expected]
            self.model.batches[identifier] = (expected, batch.payload)
            self.model.left += expected
            del self.model.free[: len(expected)]
        return identifier

    @rule(batch=sent, short=st.sampled_from([0, 0, 0, 1]), duplicate=st.integers(0, 2))
    def hear_a_receipt(self, batch: UUID, short: int, duplicate: int) -> None:
        """True, one too few, or of a batch that does not wait (any more)."""
        kepts, _ = self.model.batches.get(batch, ([], b""))
        duplicate = min(duplicate, len(kepts))
        stored = len(kepts) - duplicate - short

        settled = self.spool.confirm(batch, stored=stored, duplicate=duplicate, quarantined=0)

        if not kepts:
            assert settled is Settled.UNKNOWN
        elif short:
            assert settled is Settled.MISCOUNTED
        else:
            assert settled is Settled.CONFIRMED
            del self.model.batches[batch]
            self.model.confirmed += len(kepts)
            self.model.newest_confirmed = self.model.newest

    @rule(patient=st.booleans())
    def keep_house(self, patient: bool) -> None:  # noqa: FBT001 - drawn
        """Held readings go, with their true time where it is known."""
        self.keeper.look()
        known, boot = self.keeper.known, self.machine.boot
        memory = self.keeper.memory()
        if memory is not None:
            self.spool.remember_clock(memory)

        def goes(hold: Hold) -> bool:
            return known or not patient or hold.boot != boot

        for kept in self.model.free:
            hold = kept.reading.hold
            if kept.held and hold is not None:
                if not goes(hold):
                    break
                kept.held = False
                at = self.keeper.restore(hold)
                if at is not None:
                    event("a held reading got its time")
                    assert known
                    assert abs(at - kept.true_at) < timedelta(milliseconds=2)
                    size = len(kept.reading.raw) - 1
                    kept.reading = SpooledReading(kept.reading.id, at, bytes(size))
        while self.spool.holds and self.spool.release(goes, self.keeper.restore):
            pass

    @rule(seconds=st.sampled_from([1, 600, 40_000, 100_000]))
    def let_time_pass(self, seconds: int) -> None:
        """Nothing else happens."""
        self.machine.wait(seconds)

    @rule(hours=st.floats(-11, 11))
    def set_the_clock(self, hours: float) -> None:
        """By hand or by a wrong zone: the kernel follows no server from then on."""
        self.machine.lose_the_server()
        self.machine.wall_ahead = hours * HOUR

    @rule()
    def find_a_time_server(self) -> None:
        """The clock is set right."""
        self.machine.synchronised, self.machine.error_s = True, 0.02
        self.machine.wall_ahead = timedelta(0)

    @rule(killed=st.booleans(), wall=st.sampled_from([None, 0, 1_700_000_000]))
    def start_again(self, killed: bool, wall: int | None) -> None:  # noqa: FBT001 - drawn
        """The process is killed or stopped; or the power goes, and there is no battery."""
        before = self.path.parent
        self.generation += 1
        after = self.folder / str(self.generation)
        if killed:  # Files as they are at this instant; the old process writes no more.
            after.mkdir()
            for name in COPIED:
                shutil.copy(before / name, after / name)
        self.spool.close()
        if not killed:
            shutil.copytree(before, after)
        shutil.rmtree(before)
        if wall is not None:
            self.machine.reboot(datetime.fromtimestamp(wall, UTC))
            self.machine.boot = self.generation.to_bytes(16)
        self._open()

    @rule(killed=st.booleans(), devices=st.lists(st.sampled_from("AB"), min_size=1, max_size=3))
    def come_back_after_an_outage(self, killed: bool, devices: list[str]) -> None:  # noqa: FBT001 - drawn
        """What chance alone seldom puts in a row: no time, measurements, time, a restart."""
        self.start_again(killed=killed, wall=0)
        self.measure(devices, 0, offline=True)
        self.find_a_time_server()
        self.keep_house(patient=True)
        self.start_again(killed=killed, wall=None)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        """The law, by sums and by ids."""
        counters = read_counters(self.path)
        waiting = self.model.waiting
        assert counters.conserved
        assert counters.lost == 0
        assert (counters.accepted, counters.waiting) == (self.model.accepted, len(waiting))
        assert self.model.accepted == self.model.confirmed + len(waiting)
        assert waiting_ids(self.path) == {kept.reading.id for kept in waiting}
        assert self.spool.waiting_rows == len(waiting)
        assert self.spool.waiting_bytes == sum(len(kept.reading.raw) for kept in waiting)
        assert self.spool.holds == any(kept.held for kept in self.model.free)

    @invariant()
    def a_batch_never_changes(self) -> None:
        """Sent again, it is the same bytes."""
        found = {batch.id: batch.payload for batch in self.spool.unreceipted()}
        assert found == {key: payload for key, (_, payload) in self.model.batches.items()}

    def teardown(self) -> None:
        """Everything goes in the end, in order."""
        self.find_a_time_server()
        self.keep_house(patient=False)
        self.build_a_batch()
        left = self.model.left
        assert not self.model.free
        assert len(left) == self.model.accepted
        for earlier, later in pairwise(left):
            assert earlier.true_at < later.true_at
            assert earlier.reading.id.int < later.reading.id.int
        self.spool.close()
        shutil.rmtree(self.folder)


def cut(at: datetime) -> datetime:
    """To the millisecond, as the spool keeps it."""
    return at.replace(microsecond=at.microsecond // 1_000 * 1_000)


TestSpoolAgainstItsModel = SpoolMachine.TestCase
TestSpoolAgainstItsModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
