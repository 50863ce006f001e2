"""The promise: the plain evaluator knows what table 2.2 and 2.6 say is known, and when.

Each expectation is written from the decision table and from decision 0011.
"""

from decimal import Decimal
from typing import Any

import pytest

from simulators.oracle.normal import effective_time, moment
from tests.unit.rules.oracle.told import (
    DIABETIC,
    HEALTHY,
    alert,
    alerts,
    at,
    bp,
    brief,
    glu,
    judge,
    later,
    state,
)

FIRST = bp("e1", "03-02 09:00", 152, 94, seq=7, boot_id="b")


@pytest.mark.parametrize(
    ("second", "disposition"),
    [
        pytest.param({}, "duplicate", id="published-again"),
        pytest.param({"sbp": Decimal("152.0")}, "duplicate", id="152-is-152.0"),
        pytest.param({"measured_at": at("03-02 09:30")}, "duplicate", id="time-is-not-in-the-key"),
        pytest.param({"sbp": 153}, "conflict", id="other-value"),
        pytest.param({"unit": None}, "conflict", id="other-unit"),
        pytest.param({"arm": "left"}, "accepted", id="other-arm"),
        pytest.param({"seq": 8}, "accepted", id="other-number"),
        pytest.param({"boot_id": "c"}, "accepted", id="after-a-battery-change"),
        pytest.param({"device": "BP-B"}, "accepted", id="other-device"),
        pytest.param({"resident": "R2"}, "accepted", id="other-resident"),
    ],
)
def test_a_number_of_the_device_tells_the_same_from_another(
    second: dict[str, Any], disposition: str
) -> None:
    again = FIRST | {"event_id": "e2", "received_at": at("03-02 09:01")} | second

    found = judge([FIRST, again], as_of="03-02 12:00")

    assert found["dispositions"] == {"e1": "accepted", "e2": disposition}


@pytest.mark.parametrize(
    ("both", "second", "disposition"),
    [
        pytest.param({}, {}, "duplicate", id="same-time-and-values"),
        pytest.param({}, {"arm": "left"}, "accepted", id="other-arm-is-another-reading"),
        pytest.param({}, {"dbp": 95}, "accepted", id="other-values"),
        pytest.param({"measured_at": None}, {}, "accepted", id="no-time-only-the-id"),
        pytest.param({"measured_at": "1970-01-01T00:00Z"}, {}, "accepted", id="no-credible-time"),
    ],
)
def test_without_a_number_time_and_values_tell(
    both: dict[str, Any], second: dict[str, Any], disposition: str
) -> None:
    first = FIRST | {"seq": None} | both
    again = first | {"event_id": "e2", "received_at": at("03-02 09:01")} | second

    assert judge([first, again], as_of="03-02 12:00")["dispositions"]["e2"] == disposition


def test_the_first_received_wins_and_then_the_smaller_id() -> None:
    again = FIRST | {"event_id": "e0"}
    earlier = FIRST | {"event_id": "e9", "received_at": at("03-02 08:59")}

    assert judge([FIRST, again], as_of="03-02 12:00")["dispositions"]["e1"] == "duplicate"
    found = judge([FIRST, again, earlier], as_of="03-02 12:00")["dispositions"]
    assert found == {"e9": "accepted", "e0": "duplicate", "e1": "duplicate"}


def test_the_same_id_is_a_redelivery_whatever_it_says() -> None:
    found = judge(
        [FIRST, FIRST | {"received_at": at("03-02 09:05"), "sbp": 120, "dbp": 70}],
        as_of="03-02 12:00",
    )

    assert found["dispositions"] == {"e1": "duplicate"}  # As the second delivery.
    assert state(found) == "second_followup_open"


@pytest.mark.parametrize(
    ("fields", "disposition"),
    [
        pytest.param({"unit": None, "sbp": "NaN"}, "quarantined:missing_unit", id="no-unit"),
        pytest.param({"unit": "bar"}, "quarantined:missing_unit", id="unit-never-guessed"),
        pytest.param({"sbp": None}, "quarantined:not_a_number", id="null"),
        pytest.param({"dbp": "NaN"}, "quarantined:not_a_number", id="text"),
        pytest.param({"sbp": float("nan")}, "quarantined:not_a_number", id="nan"),
        pytest.param({"sbp": 300, "dbp": 200}, "accepted", id="just-plausible"),
        pytest.param({"sbp": 301}, "quarantined:implausible", id="systolic-high"),
        pytest.param({"sbp": 49, "dbp": 30}, "quarantined:implausible", id="systolic-low"),
        pytest.param({"dbp": 19}, "quarantined:implausible", id="diastolic-low"),
        pytest.param({"sbp": 90, "dbp": 90}, "quarantined:implausible", id="no-pulse-pressure"),
        pytest.param({"unit": "kPa"}, "quarantined:implausible", id="mmhg-under-kpa"),
        pytest.param({"status": 1}, "quarantined:device_status", id="movement"),
        pytest.param({"status": 32 + 4}, "quarantined:device_status", id="position"),
        pytest.param({"status": 4 + 8 + 16}, "accepted", id="pulse-flags-alone"),
    ],
)
def test_a_bad_pressure_is_kept_and_not_judged(fields: dict[str, Any], disposition: str) -> None:
    found = judge([FIRST | fields], as_of="03-02 12:00")

    assert found["dispositions"] == {"e1": disposition}
    assert bool(found["alerts"]) == (disposition == "accepted")


@pytest.mark.parametrize(
    ("fields", "disposition", "code"),
    [
        pytest.param({"value": Decimal("0.6")}, "accepted", "LOW", id="just-plausible"),
        pytest.param({"value": Decimal("0.5")}, "quarantined:implausible", None, id="low"),
        pytest.param({"value": 10, "unit": "mg/dL"}, "accepted", "LOW", id="rounded-to-0.6"),
        pytest.param({"value": 9, "unit": "mg/dL"}, "quarantined:implausible", None, id="0.5"),
        pytest.param({"value": 56}, "quarantined:implausible", None, id="high"),
        pytest.param({"value": "NaN"}, "quarantined:not_a_number", None, id="text"),
        pytest.param({"value": None, "status": 32, "unit": None}, "accepted", "HIGH", id="HI"),
        pytest.param({"value": "NaN", "status": 64}, "accepted", "LOW", id="LO"),
        pytest.param({"value": 7, "status": 64}, "accepted", None, id="a-number-is-believed"),
        pytest.param({"value": 20, "sample_type": 10}, "excluded:control_solution", None, id="ten"),
        pytest.param(
            {"value": None, "status": 32, "location": 4},
            "excluded:control_solution",
            None,
            id="control-HI",
        ),
    ],
)
def test_glucose_is_judged_kept_or_left_out(
    fields: dict[str, Any], disposition: str, code: str | None
) -> None:
    found = judge([glu("e1", "03-02 09:00", 5, "random") | fields], DIABETIC, as_of="03-02 12:00")

    assert found["dispositions"] == {"e1": disposition}
    expected = [(f"GLU_EMERGENCY_{code}", "e1", "active")] if code else []
    assert alerts(found) == expected


@pytest.mark.parametrize(
    ("value", "unit", "mmol_l"),
    [
        pytest.param(126, "mg/dL", "7.0", id="126"),
        pytest.param(300, "mg/dL", "16.7", id="300"),
        pytest.param(70, "mg/dL", "3.9", id="70"),
        pytest.param(180, "mg/dL", "10.0", id="180"),
        pytest.param(200, "mg/dL", "11.1", id="200"),
        pytest.param(Decimal("0.00126"), "kg/L", "7.0", id="kg"),
        pytest.param(Decimal("0.00695"), "mol/L", "6.95", id="mol-is-not-rounded"),
        pytest.param(Decimal("6.9999"), "mmol/L", "6.9999", id="mmol-as-sent"),
    ],
)
def test_glucose_units_become_one(value: object, unit: str, mmol_l: str) -> None:
    found = judge([glu("e1", "03-02 09:00", value, unit=unit)], as_of="03-02 12:00")

    assert found["normalized"]["e1"] == {"value": Decimal(mmol_l), "unit": "mmol/L"}


@pytest.mark.parametrize(
    ("high", "low", "bad"),
    [
        pytest.param("18.6", "11.9", False, id="139.5-is-not-rounded-up"),
        pytest.param("18.7", "11.9", True, id="18.7-is-140"),
        pytest.param("18.6", "12.0", True, id="12.0-is-90"),
    ],
)
def test_kilopascals_are_compared_unrounded(high: str, low: str, *, bad: bool) -> None:
    reading = bp("e1", "03-02 09:00", Decimal(high), Decimal(low), unit="kPa")

    found = judge([reading], as_of="03-02 12:00")

    assert state(found) == ("second_followup_open" if bad else "controlled")


@pytest.mark.parametrize(
    ("fields", "expected", "suspect"),
    [
        pytest.param({}, "03-02 09:00", False, id="believed"),
        pytest.param({"measured_at": None}, "03-02 09:10", False, id="no-clock-no-fault"),
        pytest.param({"measured_at": at("03-02 09:15")}, "03-02 09:15", False, id="5-min-ahead"),
        pytest.param({"measured_at": at("03-02 09:15:01")}, "03-02 09:10", True, id="more"),
        pytest.param({"measured_at": at("2015-01-01 00:00")}, "2015-01-01 00:00", False, id="2015"),
        pytest.param({"measured_at": at("2014-12-31 23:59")}, "03-02 09:10", True, id="2014"),
        pytest.param({"measured_at": "0000-00-00T00:00:00"}, "03-02 09:10", True, id="year-0"),
        pytest.param(
            {
                "measured_at": at("2000-01-01 00:01"),
                "device_now": at("2000-01-01 00:03"),
                "gateway_now": at("03-02 09:05"),
            },
            "03-02 09:03",
            False,
            id="a-known-error-is-corrected",
        ),
        pytest.param({"device_now": at("03-02 08:00")}, "03-02 09:00", False, id="one-of-two"),
        pytest.param({"kind": "glucose", "status": 1 << 11}, "03-02 09:10", True, id="fault-bit"),
    ],
)
def test_effective_time(fields: dict[str, Any], expected: str, *, suspect: bool) -> None:
    event = bp("e1", "03-02 09:00", 120, 70, received="03-02 09:10") | fields

    assert effective_time(event) == (moment(at(expected)), suspect)


def test_a_stored_record_with_a_faulty_clock_counts_nothing() -> None:
    faulty = bp("e1", "2000-01-01 00:00", 190, 120, received="03-02 09:00")
    stored = judge([faulty | {"stored_record": True}], as_of="03-03 09:00")
    live = judge([faulty], as_of="03-03 09:00")

    assert (stored["dispositions"], stored["alerts"]) == ({"e1": "accepted"}, [])
    assert alert(live, "BP_EMERGENCY")["due"] == "2026-03-16"


def test_late_context_is_judged_and_the_latest_wins() -> None:
    reading = glu("e1", "03-02 07:00", 8, "unknown", seq=3)
    first = later("context", "c1", "03-02 08:00", device="GL-A", seq=3, context="fasting")
    other = later("context", "c2", "03-02 09:00", device="GL-A", seq=3, context="random")
    stranger = later("context", "c3", "03-02 10:00", device="GL-A", seq=4, context="fasting")

    assert state(judge([first, reading], DIABETIC, as_of="03-02 08:00"), "diabetes_t2") == (
        "second_followup_open"
    )
    found = judge([reading, first, other, stranger], DIABETIC, as_of="03-02 12:00")
    assert alerts(found) == [("GLU_UNSATISFIED_1", "e1", "cancelled")]


def test_a_corrected_unit_takes_a_reading_out_of_quarantine() -> None:
    events = [
        FIRST | {"unit": None},
        later("correction", "c2", "03-03 09:00", target="e1", set={"sbp": 128, "dbp": 80}),
        later("correction", "c1", "03-03 08:00", target="e1", set={"unit": "mmHg", "sbp": 160}),
    ]

    assert judge(events, as_of="03-02 12:00")["dispositions"]["e1"] == "quarantined:missing_unit"
    assert brief(judge(events, as_of="03-03 08:00"))[0] == "second_followup_open"
    found = judge(events, as_of="03-03 12:00")
    assert (found["normalized"]["e1"]["sbp"], state(found)) == (128, "controlled")
    assert alerts(found) == [("BP_UNSATISFIED_1", "e1", "cancelled")]


def test_a_retraction_is_final_and_cancels() -> None:
    events = [
        FIRST,
        later("retraction", "r1", "03-03 09:00", target="e1", reason="wrong resident"),
        later("correction", "c1", "03-04 09:00", target="e1", set={"sbp": 190}),
        FIRST | {"event_id": "e2", "received_at": at("03-05 09:00")},
    ]

    found = judge(events, as_of="03-06 09:00")

    assert found["dispositions"] == {"e1": "retracted", "e2": "duplicate"}
    assert alerts(found) == [("BP_UNSATISFIED_1", "e1", "cancelled")]
    assert found["cases"] == {}


def test_a_cancelled_alert_keeps_what_it_last_said() -> None:
    gone = later("retraction", "r1", "03-20 09:00", target="e1", reason="wrong resident")

    overdue = alert(judge([FIRST, gone], as_of="03-30 09:00"), "FOLLOWUP_OVERDUE")

    assert (overdue["status"], overdue["overdue_days"], overdue["page"]) == ("cancelled", 4, True)


def test_an_early_reading_that_comes_late_refolds_the_case() -> None:
    events = [FIRST, bp("e2", "02-20 09:00", 150, 92, received="03-03 09:00")]

    found = judge(events, as_of="03-03 09:10")

    assert alerts(found) == [
        ("BP_UNSATISFIED_1", "e1", "cancelled"),
        ("BP_UNSATISFIED_1", "e2", "resolved"),
        ("BP_UNSATISFIED_2", "e1", "active"),
    ]
    assert alert(found, "BP_UNSATISFIED_2")["late"] is False


@pytest.mark.parametrize(
    ("received", "late"),
    [("03-03 09:00", False), ("03-03 09:00:01", True)],
    ids=["after-24-hours", "after-more"],
)
def test_what_became_known_too_late_pages_nobody(received: str, *, late: bool) -> None:
    events = [bp("e1", "03-02 09:00", 190, 90, received=received)]

    found = alert(judge(events, HEALTHY, as_of="03-05 09:00"), "BP_EMERGENCY")

    assert (found["late"], found["page"]) == (late, not late)


@pytest.mark.parametrize(
    ("received", "late"),
    [("03-18 00:00", False), ("03-18 00:00:01", True)],
    ids=["a-day-after-midnight", "later"],
)
def test_an_overdue_alert_became_true_at_midnight(received: str, *, late: bool) -> None:
    events = [glu("e1", "03-02 09:00", 8, received=received)]

    found = alert(judge(events, DIABETIC, as_of="03-19 09:00"), "FOLLOWUP_OVERDUE")

    assert (found["late"], found["page"]) == (late, not late)
