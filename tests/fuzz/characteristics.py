"""Random and mutated bytes through every decoder: never another error, never accepted nonsense.

What is accepted must be what the bytes say: the length that the flags ask for (by a table of its
own here), numbers that fractions work out alike, the same bytes when written again, JSON that
reads back, and a line that ingest takes with these very numbers or quarantines with a reason.
"""

import json
import random
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from gateway.devices.gatt.blood_pressure import BloodPressureMeasurement
from gateway.devices.gatt.catalogue import CATALOGUE, Characteristic
from gateway.devices.gatt.errors import DecodeError
from gateway.devices.gatt.exact_json import write_json
from gateway.devices.gatt.glucose import GlucoseMeasurement
from gateway.devices.gatt.lines import (
    Origin,
    blood_pressure_line,
    glucose_line,
    undecodable_line,
)
from gateway.freezer import Stamp, freeze_reading
from gateway.wire.errors import Reason, WireError
from gateway.wire.ids import new_id
from gateway.wire.limits import READING_BYTES_MAX
from gateway.wire.readings import BloodPressure, Glucose, Reading, parse_reading
from tests.builders import AT
from tests.fuzz.mutations import mutate

_VECTORS: Final = Path(__file__).parents[1] / "contract/ble/byte_vectors.json"
_BYTES_MAX: Final = 48  # An ATT notification of a negotiated size; texts are longer.
_ORIGIN: Final = Origin(device_id="d", utc_offset=timedelta(hours=8), owner={"resident_id": "r"})
_STAMP: Final = Stamp(new_id(AT), AT, clock_synchronised=True)
_SPECIAL: Final = {0x7FE, 0x7FF, 0x800, 0x801, 0x802}
# Mandatory bytes; then what each flag bit adds. Source: as the decoders', read once more.
_LENGTHS: Final[dict[str, tuple[int, tuple[int, ...]]]] = {
    "2A35": (7, (0, 7, 2, 1, 2, 0, 0, 0)),
    "2A36": (7, (0, 7, 2, 1, 2, 0, 0, 0)),
    "2A18": (10, (2, 3, 0, 2, 0, 0, 0, 0)),
    "2A34": (3, (3, 1, 1, 3, 3, 0, 2, 1)),
    "SFLOAT": (2, (0,) * 8),
    "FLOAT32": (4, (0,) * 8),
    "DATETIME": (7, (0,) * 8),
    "2A49": (2, (0,) * 8),
    "2A51": (2, (0,) * 8),
    "2A23": (8, (0,) * 8),
    "2A50": (7, (0,) * 8),
}


def seeds() -> list[bytes]:
    """Values of the published vectors, and of the characteristics that have none."""
    vectors = json.loads(_VECTORS.read_bytes())["vectors"]
    others = ("64", "E107020304050601 80 01", "20 04", "4163 6D65 00", "00091FFFFE800001", "01FFFF")
    texts = [vector["hex"] for vector in vectors if vector["hex"]]
    return [bytes.fromhex(text) for text in [*texts, *others]]


@dataclass(slots=True)
class Counts:
    """What became of the values of one decoder."""

    accepted: int = 0
    rejected: int = 0


class CharacteristicFuzz:
    """Sends each value through every decoder of the catalogue; counts what became of it."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - repeatable
        self._seeds = seeds()
        self.values = 0
        self.counts = {code: Counts() for code in CATALOGUE}
        self.readings = 0
        self.quarantined: dict[Reason, int] = {}

    def run(self, values: int) -> None:
        """Send so many values. Raises ``AssertionError`` with the one that went wrong."""
        for _ in range(values):
            value = self._next()
            self.values += 1
            for characteristic in CATALOGUE.values():
                self._send(characteristic, value)

    def _next(self) -> bytes:
        if self._dice.random() < 0.3:
            return self._dice.randbytes(self._dice.randrange(25))
        return mutate(self._dice, self._seeds, bytes_max=_BYTES_MAX)

    def _send(self, characteristic: Characteristic[Any], value: bytes) -> None:
        code, counts = characteristic.code, self.counts[characteristic.code]
        needed = _length_by_flags(code, value)
        try:
            found = characteristic.decode(value)
        except DecodeError as error:
            counts.rejected += 1
            self._require_reason(error, code, value, needed)
            return
        counts.accepted += 1
        assert characteristic.encode(found) == value, (code, value.hex())
        shown = characteristic.describe(value)
        assert json.loads(write_json(shown), parse_float=Decimal) == shown, (code, value.hex())
        assert needed is None or shown["_trailing"] == len(value) - needed, (code, value.hex())
        if isinstance(found, BloodPressureMeasurement):
            self._require_pressure(self._arrive(blood_pressure_line(found, _ORIGIN)), value)
        if isinstance(found, GlucoseMeasurement):
            self._require_glucose(self._arrive(glucose_line(found, _ORIGIN)), value)

    def _require_reason(
        self, error: DecodeError, code: str, value: bytes, needed: int | None
    ) -> None:
        assert 0 <= error.offset <= len(value), (code, value.hex())
        assert needed is None or len(value) < needed, (code, value.hex())
        if code in {"2A35", "2A18"}:
            assert self._arrive(undecodable_line(code, value, error, _ORIGIN)) is None

    def _arrive(self, line: bytes) -> Reading | None:
        frozen = freeze_reading(line, _STAMP, key=None)
        assert len(frozen) <= READING_BYTES_MAX
        try:
            reading = parse_reading(frozen)
        except WireError as error:
            self.quarantined[error.reason] = self.quarantined.get(error.reason, 0) + 1
            return None
        self.readings += 1
        return reading

    def _require_pressure(self, reading: Reading | None, value: bytes) -> None:
        if reading is None:
            return
        assert isinstance(reading, BloodPressure), value.hex()
        assert Fraction(reading.systolic) == _number(value[1:3]), value.hex()
        assert Fraction(reading.diastolic) == _number(value[3:5]), value.hex()
        assert reading.unit == ("kPa" if value[0] & 1 else "mmHg"), value.hex()

    def _require_glucose(self, reading: Reading | None, value: bytes) -> None:
        if reading is None:
            return
        assert isinstance(reading, Glucose), value.hex()
        at = 10 + 2 * (value[0] & 1)
        assert reading.device_sequence == value[1] + 256 * value[2], value.hex()
        if reading.glucose is None:
            assert {"result_too_high", "result_too_low"} & {*reading.status}, value.hex()
            return
        assert Fraction(reading.glucose) == _number(value[at : at + 2]), value.hex()
        assert reading.unit == ("mol/L" if value[0] & 4 else "kg/L"), value.hex()
        control = value[at + 2] & 0xF == 10 or value[at + 2] >> 4 == 4
        assert (reading.sample == "control_solution") == control, value.hex()
        assert (reading.resident_id is None) == control, value.hex()


def _length_by_flags(code: str, value: bytes) -> int | None:
    """How many bytes there must be; None where the table does not say."""
    if code not in _LENGTHS:
        return None
    mandatory, optional = _LENGTHS[code]
    flags = value[0] if value else 0
    return mandatory + sum(size for bit, size in enumerate(optional) if flags >> bit & 1)


def _number(two: bytes) -> Fraction:
    """An SFLOAT by schoolbook arithmetic."""
    word = two[0] + 256 * two[1]
    assert word not in _SPECIAL
    mantissa = (word & 0xFFF ^ 0x800) - 0x800
    exponent = (word >> 12 ^ 8) - 8
    return Fraction(mantissa * 10 ** (exponent + 8), 10**8)
