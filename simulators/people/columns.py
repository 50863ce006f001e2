"""What somebody measures, as columns: sittings in, readings out. One row each, aligned.

A *sitting* is one person at one instrument at one time; it gives one to three blood pressures,
or one glucose value, or both.
"""

from dataclasses import dataclass, fields
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from simulators.people.traits import BoolArray, FloatArray, IntArray

Int8Array: TypeAlias = NDArray[np.int8]
Int16Array: TypeAlias = NDArray[np.int16]
Int32Array: TypeAlias = NDArray[np.int32]

BLOOD_PRESSURE: Final = 0
GLUCOSE: Final = 1
MEALS: Final = ("fasting", "postprandial_2h", "random")
"""Names on the wire of ``meal``."""
FASTING, POSTPRANDIAL, RANDOM = range(3)
NO_GLUCOSE: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sittings:
    """Who sits down, shape (s,) each.

    Attributes:
        row: The resident.
        hour: Local time of the first reading, hours since midnight.
        office: In the centre; else at home.
        pressures: Blood pressures wished for: 0, 1, or 2 (a third follows if they differ).
        meal: Index into ``MEALS``, or ``NO_GLUCOSE``.
        manual: Somebody types the numbers in.
    """

    row: IntArray
    hour: FloatArray
    office: BoolArray
    pressures: IntArray
    meal: IntArray
    manual: BoolArray

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReadings:
    """Readings of one local day, shape (r,) each.

    Attributes:
        row: The resident.
        second: Of the local day.
        kind: ``BLOOD_PRESSURE`` or ``GLUCOSE``.
        systolic_mmhg: 0 where it is glucose; so are the next two.
        diastolic_mmhg: As shown by the instrument.
        pulse_per_min: Likewise.
        glucose_tenths: Tenths of mmol/L; 0 where it is blood pressure.
        meal: Index into ``MEALS``; ``NO_GLUCOSE`` where it is blood pressure.
        office: In the centre; else at home.
        manual: Typed in, digit preference and all.
        true_systolic_mmhg: The state behind, without coat and noise; NaN where it is glucose.
        true_diastolic_mmhg: The same.
        true_glucose_mmol_l: The same; NaN where it is blood pressure.
    """

    row: IntArray
    second: Int32Array
    kind: Int8Array
    systolic_mmhg: Int16Array
    diastolic_mmhg: Int16Array
    pulse_per_min: Int16Array
    glucose_tenths: Int16Array
    meal: Int8Array
    office: BoolArray
    manual: BoolArray
    true_systolic_mmhg: FloatArray
    true_diastolic_mmhg: FloatArray
    true_glucose_mmol_l: FloatArray

    def __len__(self) -> int:
        return len(self.row)

    def take(self, chosen: BoolArray | IntArray) -> "DayReadings":
        """These rows, by mask or index."""
        return DayReadings(
            **{each.name: getattr(self, each.name)[chosen] for each in fields(DayReadings)}
        )

    @classmethod
    def joined(cls, parts: "list[DayReadings]") -> "DayReadings":
        """One after the other."""
        return cls(
            **{
                each.name: np.concatenate([getattr(part, each.name) for part in parts])
                for each in fields(cls)
            }
        )

    def by_time(self) -> "DayReadings":
        """In the order of their time of day; at one time in that of residents."""
        return self.take(np.lexsort((self.row, self.second)))
