"""The promise: what is accepted enters the rules with its own time, the rest with its reason."""

import numpy as np

from rules.normalise import normalise
from rules.quality import Disposition
from rules.reported import STATUS_CUFF_LOOSE, STATUS_TIME_FAULT, Amendments, Field
from tests.unit.rules.rules_builders import MINUTE, MMHG, NOON, amendments, reported

LONG_AGO = np.datetime64("1970-01-01", "us")
NOTHING = Amendments.none()
D = Disposition


def test_each_reading_has_one_disposition_and_the_accepted_ones_are_rows() -> None:
    told = reported(
        ids=[b"a", b"b", b"c", b"d", b"e"],
        sequence=[1, 1, 1, 2, 3],
        systolic_e4=[1_400_000, 1_400_000, 1_500_000, 1_600_000, 1_700_000],
        received_at=[NOON, NOON + MINUTE, NOON + MINUTE, NOON, NOON],
        status=[0, 0, 0, STATUS_CUFF_LOOSE, 0],
    )
    said = amendments((4, Field.RETRACTED, 1), (2, Field.RETRACTED, 1), (1, Field.RETRACTED, 1))

    found = normalise(told, said)

    assert found.assayed.disposition.tolist() == [
        D.ACCEPTED,
        D.DUPLICATE,
        D.CONFLICT,
        D.QUARANTINED_DEVICE_STATUS,
        D.RETRACTED,
    ]
    assert found.rows.tolist() == [0]
    assert found.readings.systolic_mmhg_e13.tolist() == [140 * MMHG]
    assert found.readings.ids.tolist() == [b"a"]


def test_duplicates_are_found_on_values_as_first_reported() -> None:
    told = reported(
        ids=[b"a", b"b"], sequence=1, received_at=[NOON, NOON + MINUTE], systolic_e4=1_400_000
    )
    corrected = amendments((0, Field.SYSTOLIC, 1_500_000))

    found = normalise(told, corrected)

    assert found.assayed.disposition.tolist() == [D.ACCEPTED, D.DUPLICATE]
    assert found.readings.systolic_mmhg_e13.tolist() == [150 * MMHG]


def test_a_store_that_has_told_duplicates_apart_is_believed() -> None:
    told = reported(ids=[b"a", b"b"], sequence=1)

    assert normalise(told, NOTHING, deduplicate=False).rows.tolist() == [0, 1]


def test_quality_is_judged_after_corrections() -> None:
    told = reported(ids=[b"a", b"b"], unit=[0, 1], measured_at=[NOON, NOON - MINUTE])
    said = amendments((0, Field.UNIT, 1), (1, Field.STATUS, STATUS_CUFF_LOOSE))

    assert normalise(told, said).assayed.disposition.tolist() == [
        D.ACCEPTED,
        D.QUARANTINED_DEVICE_STATUS,
    ]


def test_a_clock_that_is_not_believed_gives_the_arrival() -> None:
    told = reported(
        ids=[b"a", b"b", b"c", b"d"],
        sequence=[1, 2, 3, 4],
        measured_at=[NOON - MINUTE, LONG_AGO, NOON - MINUTE, LONG_AGO],
        status=[0, 0, STATUS_TIME_FAULT, 0],
        stored_record=[True, False, True, True],
        arrived_at=NOON + MINUTE,
    )

    found = normalise(told, NOTHING)

    at = [NOON - MINUTE, *[NOON + MINUTE] * 3]
    assert found.effective_at.tolist() == [each.item() for each in at]
    assert found.time_suspect.tolist() == [False, True, True, True]
    assert found.readings.effective_at.tolist() == found.effective_at.tolist()
    assert found.readings.countable.tolist() == [True, True, False, False]


def test_columns_go_through_row_by_row() -> None:
    told = reported(
        ids=[b"a", b"b", b"c"],
        resident=[3, 4, 5],
        sequence=[1, 2, 3],
        status=[0, STATUS_CUFF_LOOSE, 0],
        setting=[1, 2, 3],
        arm=[0, 1, 2],
        meal_context=[3, 4, 5],
        captured_at=[NOON, NOON, NOON + MINUTE],
        received_at=[NOON, NOON, NOON + 2 * MINUTE],
        arrived_at=[NOON, NOON, NOON + 3 * MINUTE],
    )

    found = normalise(told, NOTHING).readings

    assert found.resident.tolist() == [3, 5]
    assert (found.setting.tolist(), found.arm.tolist()) == ([1, 3], [0, 2])
    assert (found.meal_context.tolist(), found.kind.tolist()) == ([3, 5], [1, 1])
    for name, minutes in (("captured_at", 1), ("received_at", 2), ("arrived_at", 3)):
        assert getattr(found, name).tolist() == [NOON.item(), (NOON + minutes * MINUTE).item()]
