"""New, taken, or begun anew: never is a new record taken for an old one.

The oracle is the list of everything that a meter ever measured, with its true identity; the
meter counts, wraps, loses its memory and its battery as it likes.
"""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gateway.devices.numbering import Numbering, Verdict, fingerprint
from gateway.fetched import Mark


@dataclass
class TrueMeter:
    """What really happened: every record has an identity that nobody on the air sees."""

    next_sequence: int = 0
    measured: int = 0
    memory: list[tuple[int, int]] = field(default_factory=list)  # Sequence, identity.

    def measure(self) -> None:
        """One more record."""
        self.memory.append((self.next_sequence, self.measured))
        self.memory = self.memory[-6:]  # A ring.
        self.measured += 1
        self.next_sequence = (self.next_sequence + 1) % 16

    def change_battery(self) -> None:
        """Nothing is left, and numbers begin anew."""
        self.memory.clear()
        self.next_sequence = 0


def visit(numbering: Numbering, meter: TrueMeter, taken: list[int], marks: list[Mark]) -> None:
    """Read the whole memory, as after a doubt."""
    numbering.begin_transfer()
    for sequence, identity in meter.memory:
        of_record = fingerprint(identity)
        verdict = numbering.judge(sequence, of_record)
        if verdict is Verdict.TAKEN:
            continue
        if verdict is Verdict.ANEW:
            numbering.begin_anew("b")
        mark = numbering.mark(sequence, of_record)
        numbering.take(mark)
        marks.append(mark)
        taken.append(identity)


@given(st.lists(st.sampled_from(["measure", "measure", "measure", "battery", "visit", "restart"])))
def test_whatever_a_meter_does_each_record_is_taken_once_under_a_key_of_its_own(
    steps: list[str],
) -> None:
    meter, taken, marks = TrueMeter(), [], []  # type: ignore[var-annotated]
    numbering = Numbering("m-1", [])
    seen: set[int] = set()
    for step in [*steps, "visit"]:
        if step == "measure":
            meter.measure()
        elif step == "battery":
            meter.change_battery()
        elif step == "restart":
            numbering = Numbering("m-1", marks)
        else:
            seen |= {identity for _, identity in meter.memory}
            visit(numbering, meter, taken, marks)

    assert set(taken) == seen
    assert len(taken) == len(seen)
    keys = [(mark.boot_id, mark.sequence) for mark in marks]
    assert len(set(keys)) == len(keys)


def test_the_other_record_seven_is_told_by_its_fingerprint() -> None:
    old = Numbering("m-1", []).mark(7, fingerprint("2026", 7))
    numbering = Numbering("m-1", [old])

    assert numbering.judge(7, fingerprint("2026", 7)) is Verdict.TAKEN
    assert numbering.judge(7, fingerprint("2027", 7)) is Verdict.ANEW
    assert numbering.judge(8, fingerprint("2026", 8)) is Verdict.NEW
    assert numbering.judge(6, fingerprint("2026", 6)) is Verdict.ANEW
    numbering.begin_anew("b")
    assert numbering.last is None
    assert numbering.judge(6, fingerprint("2027", 6)) is Verdict.NEW
    assert numbering.judge(7, fingerprint("2026", 7)) is Verdict.TAKEN


def test_within_a_transfer_order_does_not_matter() -> None:
    numbering = Numbering("m-1", [])
    for sequence in (5, 7, 6):
        assert numbering.judge(sequence, str(sequence)) is Verdict.NEW
        numbering.take(numbering.mark(sequence, str(sequence)))
    numbering.begin_transfer()
    assert numbering.last == 7
    assert numbering.judge(4, "4") is Verdict.ANEW


def test_a_counter_that_wraps_within_a_transfer_begins_anew() -> None:
    numbering = Numbering("m-1", [])
    for sequence in (65_534, 65_535):
        assert numbering.judge(sequence, str(sequence)) is Verdict.NEW
        numbering.take(numbering.mark(sequence, str(sequence)))
    assert numbering.judge(0, "0") is Verdict.ANEW
    numbering.begin_anew("b")
    numbering.take(numbering.mark(0, "0"))
    assert numbering.judge(1, "1") is Verdict.NEW
