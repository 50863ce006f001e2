"""When a reading was really taken: the device's clock, corrected or not believed.

Source: clinical decision table 2.2 step 5.
"""

from typing import Final

import numpy as np

from rules.columns import BoolArray, InstantArray
from rules.errors import ShapeError

FUTURE_TOLERANCE: Final = np.timedelta64(5, "m")
EARLIEST: Final = np.datetime64("2014-12-31T16:00:00", "us")  # 2015 began in China.


def correct_times(
    *,
    measured_at: InstantArray,
    device_now: InstantArray,
    captured_at: InstantArray,
    arrived_at: InstantArray,
    time_fault: BoolArray,
) -> tuple[InstantArray, BoolArray]:
    """Effective time of each reading, and whether the device's clock was not believed.

    The device's time is shifted by (captured_at - device_now) when both are known. A result
    before 2015, or more than 5 minutes after arrival, is replaced by the arrival and flagged,
    and so is the time of a device that says its clock is at fault; a device without a clock
    gets the arrival without a flag.

    Args:
        measured_at: Shape (n,), device clock; NaT when the device has none.
        device_now: Shape (n,), device clock at ``captured_at``; NaT when not readable.
        captured_at: Shape (n,), gateway clock.
        arrived_at: Shape (n,), captured_at if synchronised, else ingest's clock.
        time_fault: Shape (n,), the device's own status bit.

    Returns:
        ``effective_at`` (``datetime64[us]``, never NaT) and ``time_suspect``, shape (n,).

    Raises:
        ShapeError: The columns differ in length.
    """
    if not measured_at.shape == device_now.shape == captured_at.shape == arrived_at.shape:
        msg = "measured_at, device_now, captured_at and arrived_at are not row-aligned"
        raise ShapeError(msg)
    absent = np.isnat(measured_at)
    shift = np.where(np.isnat(device_now), np.timedelta64(0, "us"), captured_at - device_now)
    device: InstantArray = measured_at + shift
    suspect: BoolArray = (device > arrived_at + FUTURE_TOLERANCE) | (device < EARLIEST)
    suspect = (suspect & ~absent) | time_fault
    return np.where(absent | suspect, arrived_at, device), suspect
