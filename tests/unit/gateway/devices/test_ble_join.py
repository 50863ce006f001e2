"""Values keep their order, no context is lost, none goes to another value or goes up twice."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gateway.devices.ble_join import Held, Waiting, context_line
from gateway.devices.ble_settings import BleSettings
from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.glucose import (
    FLAG_CONCENTRATION,
    FLAG_CONTEXT,
    FLAG_MOL,
    GlucoseMeasurement,
)
from gateway.devices.gatt.glucose_context import GlucoseContext
from gateway.fetched import Mark
from gateway.wire.items import parse_item

CROWD = 3


def a_record(sequence: int, *, promised: bool) -> Held:
    record = GlucoseMeasurement(
        flags=FLAG_CONCENTRATION | FLAG_MOL | promised * FLAG_CONTEXT,
        sequence=sequence,
        base_time=DateTime(2026, 3, 2, 8, sequence % 60, 0),
        time_offset_minutes=None,
        concentration=Decimal("0.0072"),
        sample_code=1,
        location_code=1,
        status=None,
    )
    return Held(record, Mark("m-1", 0, sequence, str(sequence)))


def a_context(sequence: int) -> GlucoseContext:
    return GlucoseContext(flags=2, sequence=sequence, meal_code=3)


@given(
    promises=st.lists(st.booleans(), max_size=12),
    data=st.data(),
    patient=st.booleans(),
)
async def test_every_context_goes_up_once_with_its_value_or_late(
    promises: list[bool], data: st.DataObject, *, patient: bool
) -> None:
    told = [n for n, promised in enumerate(promises) if promised]
    events = [("record", n) for n in range(len(promises))]
    for sequence in told:  # A context at any place: before its value, behind it, after everything.
        place = data.draw(st.integers(0, len(events)))
        events.insert(place, ("context", sequence))
    settings = BleSettings(context_ms_max=60_000 if patient else 1, contexts_waiting_max=CROWD)
    waiting = Waiting(settings)
    up: list[tuple[int, bool]] = []
    late: list[int] = []

    def bring(held: Held | None) -> bool:
        if held is None:
            return False
        up.append((held.record.sequence, held.context is not None))
        if held.context is not None:
            assert held.context.sequence == held.record.sequence
        waiting.note_taken(held.record.sequence)
        return True

    for kind, sequence in events:
        if kind == "record":
            waiting.hold(a_record(sequence, promised=promises[sequence]))
        else:
            waiting.join(a_context(sequence))
        while bring(waiting.take_ready()):
            pass
        late += [context.sequence for context in waiting.take_late()]
    while bring(waiting.take_first()):
        pass
    waiting.give_up_contexts()
    late += [context.sequence for context in waiting.take_late()]

    assert [sequence for sequence, _ in up] == list(range(len(promises)))
    joined = [sequence for sequence, with_context in up if with_context]
    assert sorted([*joined, *late]) == told


async def test_a_lost_link_forgets_what_waits_for_it_comes_again() -> None:
    waiting = Waiting(BleSettings())
    waiting.hold(a_record(1, promised=True))
    waiting.join(a_context(2))
    waiting.clear()
    waiting.give_up_contexts()

    assert waiting.take_first() is None
    assert waiting.take_late() == []


def test_the_line_of_a_late_context_is_one_of_the_contract() -> None:
    line = context_line(a_context(7), "m-1", "b-1")
    stamp = (
        b'{"id":"019caf2e-0c00-7000-8000-000000000001","captured_at":"2026-03-02T04:00:00.000Z",'
    )
    item = parse_item(stamp + line[1:])

    assert item.kind == "glucose_context"
    assert (item.device_id, item.boot_id, item.device_sequence) == ("m-1", "b-1", 7)
    assert item.meal_context == "fasting"
