"""What the database says reaches the rules unchanged: every word, every digit, every clock."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import numpy as np
import pytest

from gateway.wire import readings as wire
from gateway.wire.topics import Topic
from ingest.columns import (
    to_amendments,
    to_datetimes,
    to_days,
    to_instants,
    to_periods,
    to_pregnancies,
    to_reported,
    to_residents,
)
from ingest.db import amendments, records, words
from ingest.db.amendments import Said
from ingest.db.readings import ReadingRow
from ingest.db.residents import Person, Pregnancy
from ingest.rows import build_rows
from rules.columns import MISSING, Periods
from rules.normalise import normalise
from rules.quality import Disposition
from rules.reported import NO_SEQUENCE, Amendments, Field, Reported
from tests.builders import AT, a_blood_pressure, a_glucose, to_bytes

TOPIC = Topic(centre="east", gateway="gw-1", channel="readings")


def rows_of(*fields: dict[str, Any]) -> list[ReadingRow]:
    """Rows as ingest stores them."""
    raws = [to_bytes(each) for each in fields]
    return build_rows(
        [wire.parse_reading(raw) for raw in raws], raws, [TOPIC] * len(raws), received_at=AT
    )


def reported_of(*fields: dict[str, Any]) -> Reported:
    """The columns of these readings of r-1."""
    return to_reported(rows_of(*fields), {"r-1": 0, None: 1})


def said_of(reading: dict[str, Any], kind: str = "correction", **changes: Any) -> Said:  # noqa: ANN401 - JSON
    """An amendment as the judge loads it."""
    return Said(UUID(int=7), UUID(reading["id"]), kind, changes, AT)


def amend(reading: dict[str, Any], said: Said) -> Amendments:
    """The amendments of one reading."""
    reported = reported_of(reading)
    return to_amendments([said], {UUID(reading["id"]).bytes: 0}, reported)


def test_values_keep_the_unit_and_every_digit() -> None:
    found = reported_of(
        a_blood_pressure("18.66", "12.0", unit="kPa"),
        a_glucose("7.00"),
        a_glucose("0.0070000", unit="mol/L"),
    )

    assert found.systolic_e4.tolist() == [186_600, MISSING, MISSING]
    assert found.diastolic_e4.tolist() == [120_000, MISSING, MISSING]
    assert found.glucose_e7.tolist() == [MISSING, 70_000_000, 70_000]
    assert found.unit.tolist() == [
        words.UNIT_CODES["kPa"],
        words.UNIT_CODES["mmol/L"],
        words.UNIT_CODES["mol/L"],
    ]
    assert found.sequence.tolist() == [NO_SEQUENCE] * 3


def test_ids_keep_a_last_byte_of_zero() -> None:
    reading = a_glucose(id="019cac0f-2680-7e56-a935-c0a2c2277c00")

    assert reported_of(reading).ids.view("V16").tolist() == [UUID(reading["id"]).bytes]


@pytest.mark.parametrize(
    ("field", "codes", "values"),
    [
        (
            "setting",
            words.SETTING_CODES,
            get_args(wire.BloodPressure.model_fields["setting"].annotation),
        ),
        ("meal_context", words.MEAL_CODES, get_args(wire.MealContext)),
        ("status", words.STATUS_BITS, set(get_args(wire.StatusFlag)) - {"pulse_out_of_range"}),
        ("state", words.STATE_CODES, get_args(records.State)),
        (
            "kind",
            words.RECORD_CODES,
            # These move nothing and are not read for judging.
            set(get_args(records.Kind)) - {"referral", "contact_attempt", "withdrawal"},
        ),
        (
            "findings",
            dict.fromkeys((*words.REACTIONS, *words.COMPLICATIONS), 1),
            get_args(records.Finding),
        ),
    ],
)
def test_every_word_of_the_wire_and_the_records_has_a_code(
    field: str, codes: words.Codes, values: set[str]
) -> None:
    assert values, field
    assert set(values) <= set(codes)


def test_a_control_solution_is_excluded_and_a_device_s_own_doubt_marks_the_time() -> None:
    faulty = a_glucose(status=["time_fault"], measured_at="2026-03-01T00:00:00Z")
    found = normalise(
        reported_of(a_glucose(sample="control_solution"), faulty, a_glucose()),
        Amendments.none(),
        deduplicate=False,
    )

    assert found.assayed.disposition.tolist() == [
        Disposition.EXCLUDED_CONTROL_SOLUTION,
        Disposition.ACCEPTED,
        Disposition.ACCEPTED,
    ]
    assert found.time_suspect.tolist() == [False, True, False]
    assert to_datetimes(found.effective_at)[1] == AT  # Its arrival.


def test_what_is_stored_and_what_the_rules_work_out_again_is_one_time() -> None:
    """The row's effective time is for reading in order; the rules find the same."""
    cases: list[dict[str, Any]] = [
        {},
        {"measured_at": None},
        {"measured_at": "1970-01-01T00:00:00Z"},
        {"measured_at": "2031-01-01T00:00:00Z"},
        {"measured_at": "2026-03-01T20:00:00Z", "device_now": "2026-03-01T21:00:00Z"},
        {"device_now": "2026-03-05T00:00:00Z", "clock_synchronised": False},
        {"status": ["time_fault"]},
    ]
    rows = rows_of(*(a_glucose(**fields) for fields in cases))
    found = normalise(to_reported(rows, {"r-1": 0}), Amendments.none(), deduplicate=False)

    assert to_datetimes(found.effective_at) == [row.effective_at for row in rows]
    assert found.time_suspect.tolist() == [row.time_suspect for row in rows]


@pytest.mark.parametrize(
    ("name", "new", "field", "value"),
    [
        ("systolic", "152.5", Field.SYSTOLIC, 1_525_000),
        ("diastolic", "94", Field.DIASTOLIC, 940_000),
        ("unit", "kPa", Field.UNIT, words.UNIT_CODES["kPa"]),
        ("unit", "mmol/L", Field.UNIT, 0),  # Of another kind: no unit, never a guess.
        ("arm", "left", Field.ARM, words.ARM_CODES["left"]),
        ("setting", "home", Field.SETTING, words.SETTING_CODES["home"]),
        ("status", ["cuff_loose", "irregular_pulse"], Field.STATUS, 0b110),
        ("measured_at", "2026-03-02T09:00:00+08:00", Field.MEASURED_AT, 1_772_413_200_000_000),
    ],
)
def test_a_correction_becomes_the_column_s_own_number(
    name: str, new: object, field: Field, value: int
) -> None:
    reading = a_blood_pressure()

    changes: dict[str, Any] = {name: new}
    found = amend(reading, said_of(reading, **changes))

    assert (found.field.tolist(), found.value.tolist()) == ([field], [value])


def test_a_value_with_too_many_digits_is_implausible_and_never_rounded() -> None:
    reading = a_blood_pressure()
    found = normalise(
        reported_of(reading),
        amend(reading, said_of(reading, systolic="140.00001")),
        deduplicate=False,
    )

    assert found.assayed.disposition.tolist() == [Disposition.QUARANTINED_IMPLAUSIBLE]


def test_a_retraction_and_a_late_context_reach_their_reading() -> None:
    first, second = a_glucose("7.4", meal_context="unknown"), a_glucose("7.6")
    said = [
        said_of(second, "retraction"),
        said_of(first, "context", meal_context="fasting"),
        said_of(a_glucose(), "retraction"),  # Of a reading that is not here.
    ]
    places = {UUID(each["id"]).bytes: row for row, each in enumerate((first, second))}

    found = to_amendments(said, places, reported_of(first, second))

    assert found.target.tolist() == [1, 0]
    assert found.field.tolist() == [Field.RETRACTED, Field.LATE_CONTEXT]


def test_whose_reading_it_is_has_been_settled_before() -> None:
    reading = a_glucose()

    assert len(amend(reading, said_of(reading, resident_id="r-2"))) == 0


def test_every_field_that_can_be_changed_has_its_column() -> None:
    reading = a_glucose()
    changes = amendments.Changes(
        **dict.fromkeys(("systolic", "diastolic", "glucose"), Decimal("7.1")),
        unit="mg/dL",
        meal_context="random",
        arm="right",
        setting="home",
        status=("time_fault",),
        measured_at=AT,
        resident_id="r-2",
    )

    found = amend(reading, said_of(reading, **changes.as_json()))

    assert sorted(found.field) == [field for field in Field if 0 < field < Field.RESIDENT]


def test_people_and_their_dated_states_keep_their_rows() -> None:
    rows = {"r-1": 0, "r-2": 1}
    people = [Person(), Person(birth_date=date(1950, 1, 1), enrolled_on=date(2026, 3, 2))]
    pregnancies = [
        Pregnancy("r-2", date(2026, 1, 1), date(2026, 3, 10)),
        Pregnancy("r-2", date(2026, 3, 11), None),
    ]

    found = to_residents(people, to_pregnancies(pregnancies, rows), Periods.none())

    assert to_days(found.birth_date) == [None, date(1950, 1, 1)]
    assert to_days(found.enrolled_on) == [None, date(2026, 3, 2)]
    days = np.array(["2025-12-31", "2026-03-10", "2027-01-01", "2026-03-10"], "datetime64[D]")
    assert found.pregnancies.value_on(np.array([1, 1, 1, 0]), days).tolist() == [0, 1, 1, 0]


def test_of_chosen_profiles_the_latest_begun_holds() -> None:
    periods = [
        ("r-1", date.min, None, 2),
        ("r-1", date(2026, 3, 7), date(2026, 3, 12), 1),
        ("r-1", date(2026, 3, 10), None, 0),
    ]
    found = to_periods(periods, {"r-1": 0})
    days = np.array(["2026-03-06", "2026-03-07", "2026-03-12"], "datetime64[D]")

    assert found.value_on(np.zeros(3, np.int64), days).tolist() == [2, 1, 0]


def test_instants_come_back_as_they_went() -> None:
    times = [AT, AT + timedelta(microseconds=1), datetime(1970, 1, 1, tzinfo=UTC)]

    assert to_datetimes(to_instants(times)) == times
    assert np.isnat(to_instants([None])).all()


def test_unclaimed_readings_have_a_row_of_their_own() -> None:
    (row,) = rows_of(a_glucose(resident_id=None))

    assert to_reported([row], {None: 3}).resident.tolist() == [3]
