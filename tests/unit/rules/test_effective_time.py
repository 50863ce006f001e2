"""The promise: a device's clock is corrected, believed when plausible, or replaced and flagged.

Without a device clock the arrival counts, and that is no fault.
"""

import numpy as np
import pytest

from rules.effective_time import correct_times
from rules.errors import ShapeError

ARRIVED = "2026-03-02T09:00:00"


@pytest.mark.parametrize(
    ("measured", "device_now", "captured", "effective", "suspect"),
    [
        pytest.param("2026-03-02T08:59", "NaT", ARRIVED, "2026-03-02T08:59", False, id="plain"),
        pytest.param("NaT", "NaT", ARRIVED, ARRIVED, False, id="no-clock-no-flag"),
        pytest.param("NaT", "2026-03-02T08:00", ARRIVED, ARRIVED, False, id="only-device-now"),
        pytest.param(
            "2026-03-02T08:00",
            "2026-03-02T08:10",
            ARRIVED,
            "2026-03-02T08:50",
            False,
            id="slow-clock-corrected",
        ),
        pytest.param(
            "1970-01-01T00:01",
            "1970-01-01T00:02",
            ARRIVED,
            "2026-03-02T08:59",
            False,
            id="a-clock-of-1970-that-is-known-is-corrected",
        ),
        pytest.param("1970-01-01T00:01", "NaT", ARRIVED, ARRIVED, True, id="1970"),
        pytest.param("2000-01-01T00:00", "NaT", ARRIVED, ARRIVED, True, id="2000"),
        pytest.param("0001-01-01T00:00", "NaT", ARRIVED, ARRIVED, True, id="year-1"),
        pytest.param("9999-12-31T23:59", "NaT", ARRIVED, ARRIVED, True, id="year-9999"),
        pytest.param(
            "2026-03-02T09:05", "NaT", ARRIVED, "2026-03-02T09:05", False, id="five-minutes-ahead"
        ),
        pytest.param(
            "2026-03-02T09:05:00.000001", "NaT", ARRIVED, ARRIVED, True, id="more-than-five"
        ),
        pytest.param("2014-12-31T15:59:59", "NaT", ARRIVED, ARRIVED, True, id="2014-in-china"),
        pytest.param(
            "2014-12-31T16:00", "NaT", ARRIVED, "2014-12-31T16:00", False, id="2015-in-china"
        ),
        pytest.param(
            "2026-03-02T08:59",
            "2026-03-02T08:00",
            ARRIVED,
            ARRIVED,
            True,
            id="corrected-into-the-future",
        ),
    ],
)
def test_device_clock_is_corrected_believed_or_replaced(
    measured: str, device_now: str, captured: str, effective: str, *, suspect: bool
) -> None:
    def column(text: str) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
        return np.array([text], dtype="datetime64[us]")

    at, flag = correct_times(
        measured_at=column(measured),
        device_now=column(device_now),
        captured_at=column(captured),
        arrived_at=column(ARRIVED),
        time_fault=np.array([False]),
    )

    assert at.tolist() == column(effective).tolist()
    assert flag.tolist() == [suspect]
    assert at.dtype == np.dtype("datetime64[us]")


@pytest.mark.parametrize("measured", ["2026-03-02T08:59", "1970-01-01", "NaT"])
def test_a_device_that_reports_a_time_fault_gets_the_arrival(measured: str) -> None:
    arrived = np.array([ARRIVED], dtype="datetime64[us]")

    at, flag = correct_times(
        measured_at=np.array([measured], dtype="datetime64[us]"),
        device_now=arrived,
        captured_at=arrived,
        arrived_at=arrived,
        time_fault=np.array([True]),
    )

    assert at.tolist() == arrived.tolist()
    assert flag.tolist() == [True]


def test_the_arrival_counts_not_the_capture() -> None:
    def column(*texts: str) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
        return np.array(texts, dtype="datetime64[us]")

    at, flag = correct_times(
        measured_at=column("2026-03-02T08:59", "1970-01-01"),
        device_now=column("NaT", "NaT"),
        captured_at=column("2026-03-01T08:00", "2026-03-01T08:00"),
        arrived_at=column(ARRIVED, ARRIVED),
        time_fault=np.array([False, False]),
    )

    assert at.astype("datetime64[m]").astype(str).tolist() == [
        "2026-03-02T08:59",
        "2026-03-02T09:00",
    ]
    assert flag.tolist() == [False, True]


@pytest.mark.parametrize("short", ["measured_at", "device_now", "captured_at", "arrived_at"])
def test_unaligned_columns_are_refused(short: str) -> None:
    columns = dict.fromkeys(
        ("measured_at", "device_now", "captured_at", "arrived_at"),
        np.zeros(2, dtype="datetime64[us]"),
    )

    with pytest.raises(ShapeError, match="are not row-aligned"):
        correct_times(
            **columns | {short: np.zeros(1, dtype="datetime64[us]")},
            time_fault=np.zeros(2, dtype=np.bool_),
        )
