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
    )

    assert at.tolist() == column(effective).tolist()
    assert flag.tolist() == [suspect]
    assert at.dtype == np.dtype("datetime64[us]")


def test_unaligned_columns_are_refused() -> None:
    one, two = np.zeros(1, dtype="datetime64[us]"), np.zeros(2, dtype="datetime64[us]")

    with pytest.raises(ShapeError):
        correct_times(measured_at=one, device_now=one, captured_at=two, arrived_at=one)
