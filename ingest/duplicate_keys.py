"""What makes two ids one measurement: the second duplicate rule, in numbers and text.

The same device, the same sequence number (or, without one, the same device time and values) and
the same resident. Written once for one reading and for whole columns: ints and arrays alike.
Pure functions of the payload, so that a redelivery gets the same key.

Source: clinical decision table 2.6, architecture 8.9.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from gateway.wire.readings import StatusFlag

Whole = TypeVar("Whole", int, npt.NDArray[np.int64])

STATUS_ORDER: Final[dict[StatusFlag, int]] = {
    "body_movement": 0,
    "cuff_loose": 1,
    "improper_position": 2,
    "irregular_pulse": 3,
    "pulse_out_of_range": 4,
    "result_too_high": 5,
    "result_too_low": 6,
    "time_fault": 7,
}
"""Bits of the status in ``glucose_code``. They are stored: append, never renumber."""


def pressure_code(
    systolic_e4: Whole, diastolic_e4: Whole, pulse_e2: Whole, unit_arm: Whole
) -> Whole:
    """One number for a cuff measurement, equal when all it measured is equal; it fits 62 bits.

    Args:
        systolic_e4: In the reported unit, within the physical limits: below 2**22.
        diastolic_e4: Likewise, below 2**21.
        pulse_e2: Below 2**15 - 1; -1 where there is none.
        unit_arm: ``unit_arm_code``.
    """
    return (((systolic_e4 << 21) + diastolic_e4 << 15) + pulse_e2 + 1 << 4) + unit_arm


def glucose_code(glucose_e7: Whole, unit: Whole, status: Whole) -> Whole:
    """One number for a glucose measurement, never one of ``pressure_code``.

    Args:
        glucose_e7: In the reported unit, within the physical limits: below 2**34; -1 for HI or LO.
        unit: Of ``words.UNIT_CODES``; 0 where there is none.
        status: ``status_code``.
    """
    return ((glucose_e7 + 1 << 3) + unit << 8) + status + (1 << 62)


def unit_arm_code(unit: int, arm: int) -> int:
    """Unit (1 or 2) and arm (0 to 2) in four bits."""
    return (unit << 2) + arm


def status_code(status: Iterable[StatusFlag]) -> int:
    """A set of flags as bits."""
    return sum(1 << STATUS_ORDER[flag] for flag in set(status))


def sequence_key(boot_id: str | None, sequence: int, arm: str | None) -> str:
    """The key of a device that counts. ``ingest.db.amendments`` looks keys of this form up."""
    return f"sequence:{boot_id or ''}:{sequence}{':' + arm if arm else ''}"


def time_key(measured_us: int, code: int) -> str:
    """The key of a device that does not count but whose clock can be believed."""
    return f"time:{measured_us}:{code}"
