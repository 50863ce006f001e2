"""A glucose meter's memory goes into the spool whole and once, wherever the link breaks.

Everything between the meter's memory and the file is real: advertising, GATT, the record access
control point, pairing, fsync; only the radio waves are bumble's.
"""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simulators.terminals.air import Air
from simulators.terminals.meter import Meter
from simulators.terminals.script import Script
from tests.integration.ble_room import (
    METER,
    ble_settings,
    open_desk,
    sequences,
    served,
    some_records,
    switched_on,
    until,
    wall_clock,
)

COUNT = 8  # Records; with their contexts 12 notifications.


def a_meter(air: Air, script: Script | None = None, **options: object) -> Meter:
    options.setdefault("records", some_records(COUNT))
    return Meter(air, "meter", METER, now=wall_clock, script=script, **options)  # type: ignore[arg-type]


async def test_stored_records_are_fetched_once_in_order_with_their_contexts(
    tmp_path: Path,
) -> None:
    air = Air()
    meter = a_meter(air)
    async with open_desk(tmp_path) as desk, switched_on(meter), served(air, desk, ble_settings()):
        await until(lambda: desk.spool.waiting_rows >= COUNT, what="all records are in the spool")
        await until(lambda: len(meter.requests) > 3, what="it was asked again")
        lines = await desk.lines()

    assert sequences(lines) == list(range(COUNT))
    assert [line.get("meal_context") for line in lines] == [None, "fasting"] * 4
    assert {line["device_id"] for line in lines} == {"meter-1"}
    assert all(line["stored_record"] is True for line in lines)
    assert [line["glucose"] for line in lines] == [Decimal(50 + n) / 10_000 for n in range(COUNT)]
    assert lines[0]["unit"] == "mol/L"
    assert lines[0]["measured_at"] == "2026-03-02T08:00:00+08:00"
    assert not any("boot_id" in line for line in lines)


@pytest.mark.parametrize("sent", range(13))
async def test_a_link_lost_after_any_notification_loses_and_doubles_nothing(
    tmp_path: Path, sent: int
) -> None:
    """8 records and 4 contexts are 12 notifications; the link is lost after each of them."""
    air = Air()
    meter = a_meter(air, Script(break_after=[sent]))
    async with open_desk(tmp_path) as desk, switched_on(meter), served(air, desk, ble_settings()):
        await until(lambda: desk.spool.waiting_rows >= COUNT, what="all records are in the spool")
        await until(lambda: meter.connections > 1 and not meter.is_working, what="a second visit")
        lines = await desk.lines()

    assert sequences(lines) == list(range(COUNT))
    assert [line.get("meal_context") for line in lines] == [None, "fasting"] * 4


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    breaks=st.lists(st.integers(0, 20), max_size=8),
    aborts=st.lists(st.one_of(st.none(), st.integers(0, 12)), max_size=4),
    before_end=st.sets(st.integers(0, 6), max_size=3),
    reverse=st.booleans(),
    start=st.sampled_from([0, 7, 65_525]),
)
@example(breaks=[], aborts=[], before_end=set(), reverse=False, start=65_525)
async def test_any_number_of_breaks_and_aborts_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    breaks: list[int | None],
    aborts: list[int | None],
    before_end: set[int],
    reverse: bool,
    start: int,
) -> None:
    """Also across 65,535 -> 0, where numbers begin anew.

    Within one transfer order says nothing, so a memory that is read in one go has one numbering;
    from the first break behind the end of the numbers on, there are two.
    """
    air = Air()
    script = Script(
        break_after=breaks,
        abort_after=aborts,
        break_before_end=before_end,
        reverse_contexts=reverse,
    )
    records = some_records(20, start=start)
    meter = a_meter(air, script, records=records)
    folder = tmp_path_factory.mktemp("spool")
    async with open_desk(folder) as desk, switched_on(meter), served(air, desk, ble_settings()):
        await until(lambda: desk.spool.waiting_rows >= 20, what="all records are in the spool")
        visits = meter.connections
        await until(lambda: len(meter.requests) > visits, what="it is asked again")
        lines = await desk.lines()

    readings = [line for line in lines if line["kind"] == "glucose"]
    assert sequences(readings) == [record.sequence for record in records]
    expected = ["fasting" if record.meal else None for record in records]
    assert [line.get("meal_context") for line in readings] == expected
    anew = [line["device_sequence"] for line in readings if "boot_id" in line]
    wrapped = [record.sequence for record in records if record.sequence < start]
    assert anew == wrapped[len(wrapped) - len(anew) :]
    names = {(line.get("boot_id"), line["device_sequence"]) for line in readings}
    assert len(names) == len(records)


async def test_a_gateway_killed_between_two_records_goes_on_behind_the_last_one(
    tmp_path: Path,
) -> None:
    """The mark is in the spool's own transaction: a new process knows what the old one took."""
    air = Air()
    meter = a_meter(air, Script(break_after=[5]))
    slow = ble_settings(backoff_ms_min=60_000, backoff_ms_max=60_000)
    async with switched_on(meter):
        async with open_desk(tmp_path) as desk, served(air, desk, slow):
            await until(lambda: meter.connections == 1 and not meter.is_connected, what="a break")
        async with open_desk(tmp_path) as desk:
            before = sequences(await desk.lines())  # With what was still on its way at the break.
            async with served(air, desk, ble_settings()):
                await until(lambda: desk.spool.waiting_rows >= COUNT, what="all are there")
                await until(lambda: len(meter.requests) > 2, what="it was asked again")
                after = sequences(await desk.lines())

    assert 0 < len(before) < COUNT
    assert after == list(range(COUNT))
    assert meter.sent.count(before[-1]) == 2  # Asked for from the last one inclusive ...
    assert meter.sent.count(before[0]) == (2 if len(before) == 1 else 1)  # ... and not before.


async def test_what_was_confirmed_long_ago_is_not_fetched_again(tmp_path: Path) -> None:
    """The readings have left on their receipt; the marks have not."""
    air = Air()
    meter = a_meter(air)
    async with open_desk(tmp_path) as desk, switched_on(meter):
        async with served(air, desk, ble_settings()):
            await until(lambda: desk.spool.waiting_rows >= COUNT, what="all are there")
            await desk.lines()
            for batch in await desk.spool.run(desk.spool.spool.unreceipted):
                await desk.spool.run(
                    desk.spool.spool.confirm,
                    batch.id,
                    stored=batch.readings,
                    duplicate=0,
                    quarantined=0,
                )
            assert desk.spool.waiting_rows == 0
        meter.measure(some_records(1, start=COUNT)[0])
        async with served(air, desk, ble_settings()):
            await until(lambda: desk.spool.waiting_rows > 0, what="the new one is there")
            await until(lambda: not meter.is_working, what="the meter is done")
            lines = await desk.lines()

    assert sequences(lines) == [COUNT]


async def test_a_meter_that_wants_pairing_is_paired_and_read(tmp_path: Path) -> None:
    air = Air()
    meter = a_meter(air, Script(break_after=[4]), secured=True)
    async with open_desk(tmp_path) as desk, switched_on(meter), served(air, desk, ble_settings()):
        await until(lambda: desk.spool.waiting_rows >= COUNT, what="all records are in the spool")
        lines = await desk.lines()

    assert sequences(lines) == list(range(COUNT))


async def test_a_changed_battery_is_noticed_even_when_the_new_numbers_are_higher(
    tmp_path: Path,
) -> None:
    """Asked only for "more than 7" the meter would keep the first eight for itself."""
    air = Air()
    meter = a_meter(air)
    async with open_desk(tmp_path) as desk, switched_on(meter):
        async with served(air, desk, ble_settings()):
            await until(lambda: desk.spool.waiting_rows >= COUNT, what="the old ones are there")
        meter.restart_numbering(
            [
                record.__class__(
                    sequence=record.sequence,
                    at=record.at.replace(year=2027),
                    concentration=Decimal("0.0061"),
                )
                for record in some_records(12)
            ]
        )
        async with served(air, desk, ble_settings()):
            await until(lambda: desk.spool.waiting_rows >= COUNT + 12, what="the new ones too")
            await until(lambda: not meter.is_working, what="the meter is done")
            lines = await desk.lines()

    assert sequences(lines) == [*range(COUNT), *range(12)]
    assert {line.get("boot_id") for line in lines[:COUNT]} == {None}
    assert {line.get("boot_id") for line in lines[COUNT:]} == {"2027-03-02T08:00:00/1"}


@pytest.mark.parametrize("left", [0, 3])
async def test_a_changed_battery_is_noticed_when_fewer_records_are_left(
    tmp_path: Path, left: int
) -> None:
    air = Air()
    meter = a_meter(air)
    async with open_desk(tmp_path) as desk, switched_on(meter):
        async with served(air, desk, ble_settings()):
            await until(lambda: desk.spool.waiting_rows >= COUNT, what="the old ones are there")
        new = [
            r.__class__(
                sequence=r.sequence, at=r.at.replace(year=2027), concentration=None, status=1 << 5
            )
            for r in some_records(left)
        ]
        meter.restart_numbering(new)
        asked = len(meter.requests)
        async with served(air, desk, ble_settings()):
            await until(lambda: len(meter.requests) > asked + 2, what="it was asked again")
            lines = await desk.lines()

    assert sequences(lines) == [*range(COUNT), *range(left)]
    assert all("result_too_high" in line["status"] for line in lines[COUNT:])


async def test_a_late_context_goes_up_by_itself_and_names_its_value(tmp_path: Path) -> None:
    air = Air()
    records = some_records(4, meals=False)
    records[2] = records[2].__class__(
        sequence=2,
        at=records[2].at,
        concentration=Decimal("0.0072"),
        meal="fasting",
        context_late=True,
    )
    meter = a_meter(air, records=records)
    async with open_desk(tmp_path) as desk, switched_on(meter), served(air, desk, ble_settings()):
        await until(lambda: desk.spool.waiting_rows >= 4, what="the values are there")
        await meter.send_late_contexts()
        await until(lambda: desk.spool.waiting_rows >= 5, what="the context is there")
        await meter.send_late_contexts()
        asked = len(meter.requests)
        await until(lambda: len(meter.requests) > asked, what="it was asked again")
        lines = await desk.lines()

    assert sequences(lines) == [0, 1, 2, 3]
    assert not any("meal_context" in line for line in lines[:4])
    late = {
        k: v for k, v in lines[4].items() if k not in {"id", "captured_at", "clock_synchronised"}
    }
    assert late == {
        "kind": "glucose_context",
        "device_id": "meter-1",
        "device_sequence": 2,
        "meal_context": "fasting",
        "meal": "fasting",
    }
    assert len(lines) == 5


async def test_unreadable_bytes_go_up_as_they_are_and_the_rest_is_read(tmp_path: Path) -> None:
    air = Air()
    broken = bytes.fromhex("0602")
    meter = a_meter(air, Script(malformed={3: broken}))
    async with open_desk(tmp_path) as desk, switched_on(meter), served(air, desk, ble_settings()):
        await until(lambda: desk.spool.waiting_rows > COUNT, what="all records and the bytes")
        asked = len(meter.requests)
        await until(lambda: len(meter.requests) > asked, what="it was asked again")
        lines = await desk.lines()

    assert sequences(lines) == list(range(COUNT))
    odd = [line for line in lines if line["kind"] != "glucose"]
    assert [(line["characteristic"], line["bytes"]) for line in odd] == [("2A18", "06 02")]


async def test_a_full_spool_leaves_the_records_in_the_meter(tmp_path: Path) -> None:
    air = Air()
    meter = a_meter(air)
    async with (
        open_desk(tmp_path, spool_rows_max=3) as desk,
        switched_on(meter),
        served(air, desk, ble_settings()),
    ):
        await until(lambda: meter.connections > 3, what="it was tried again and again")
        assert desk.spool.waiting_rows == 3
        await desk.lines()
        (batch,) = await desk.spool.run(desk.spool.spool.unreceipted)
        await desk.spool.run(
            desk.spool.spool.confirm, batch.id, stored=3, duplicate=0, quarantined=0
        )
        await until(lambda: desk.spool.waiting_rows == 3, what="there was room for three more")
        lines = await desk.lines()

    assert sequences(lines) == [3, 4, 5]


async def test_a_meter_that_falls_silent_is_left_and_visited_again(tmp_path: Path) -> None:
    air = Air()
    meter = a_meter(air, Script(pause_s=1.5))
    async with (
        open_desk(tmp_path) as desk,
        switched_on(meter),
        served(air, desk, ble_settings(stall_s_max=1)) as devices,
    ):
        await until(lambda: meter.connections > 1, what="it was left")
        assert devices.counts["meter-1"].breaks > 0
        meter.script.pause_s = 0
        await until(lambda: desk.spool.waiting_rows >= COUNT, what="all records are in the spool")
        assert sequences(await desk.lines()) == list(range(COUNT))


async def test_more_notifications_than_there_is_room_for_are_asked_for_again(
    tmp_path: Path,
) -> None:
    air = Air()
    meter = a_meter(air, records=some_records(60))
    hurried = ble_settings(notifications_max=7)
    async with open_desk(tmp_path) as desk, switched_on(meter), served(air, desk, hurried):
        await until(lambda: desk.spool.waiting_rows >= 60, what="all records are in the spool")
        lines = await desk.lines()

    assert sequences(lines) == list(range(60))
    assert [line.get("meal_context") for line in lines] == [None, "fasting"] * 30
