"""Which decoder is whose: characteristics by their assigned number, read without asking further.

Besides the characteristics there are the three plain formats that test vectors are written for:
``SFLOAT``, ``FLOAT32`` and ``DATETIME`` (which is also 0x2A08).

Source: Bluetooth assigned numbers, GATT characteristics.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from gateway.devices.gatt import blood_pressure, device, glucose, glucose_context, racp, show
from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.exact_json import Json
from gateway.devices.gatt.octets import Octets
from gateway.devices.gatt.sfloat import (
    Value,
    decode_float,
    encode_float,
    encode_sfloat,
)

T = TypeVar("T")
_BASE_UUID: Final = "-0000-1000-8000-00805F9B34FB"


@dataclass(frozen=True, slots=True)
class Characteristic(Generic[T]):
    """How one kind of value is read, written and shown."""

    code: str  # The assigned number, four hexadecimal digits, or the name of a plain format.
    name: str
    decode: Callable[[bytes], T]
    encode: Callable[[T], bytes]
    fields: Callable[[T], Mapping[str, Json]]  # What was sent, by the words of the test vectors.
    remarks: Callable[[T], Mapping[str, Json]]  # What the bits mean, and what is odd.

    def describe(self, value: bytes) -> dict[str, Json]:
        """All that a value says, for people and tests. Raises ``DecodeError``."""
        found = self.decode(value)
        return {"characteristic": self.code, "name": self.name} | {
            **self.fields(found),
            **self.remarks(found),
        }


def _read_sfloat(value: bytes) -> show.Bare[Value]:
    octets = Octets(value)
    return show.Bare(octets.sfloat("value"), octets.rest())


def _read_float(value: bytes) -> show.Bare[Value]:
    octets = Octets(value)
    word = int.from_bytes(octets.exactly("value", 4), "little")
    return show.Bare(decode_float(word), octets.rest())


def _read_date_time(value: bytes) -> show.Bare[DateTime]:
    octets = Octets(value)
    return show.Bare(octets.date_time("value"), octets.rest())


def _write_sfloat(bare: show.Bare[Value]) -> bytes:
    return encode_sfloat(bare.value).to_bytes(2, "little") + bare.leftover


def _write_float(bare: show.Bare[Value]) -> bytes:
    return encode_float(bare.value).to_bytes(4, "little") + bare.leftover


def _write_date_time(bare: show.Bare[DateTime]) -> bytes:
    return bare.value.to_bytes() + bare.leftover


def _text(code: str, name: str) -> Characteristic[device.DeviceText]:
    return Characteristic(
        code, name, device.decode_text, device.encode_text, show.text_fields, show.leftover
    )


_ALL: Final[tuple[Characteristic[Any], ...]] = (
    Characteristic(
        "2A35",
        "blood_pressure_measurement",
        blood_pressure.decode_blood_pressure,
        blood_pressure.encode_blood_pressure,
        show.pressure_fields,
        show.cuff_remarks,
    ),
    Characteristic(
        "2A36",
        "intermediate_cuff_pressure",
        blood_pressure.decode_cuff_pressure,
        blood_pressure.encode_cuff_pressure,
        show.cuff_pressure_fields,
        show.cuff_pressure_remarks,
    ),
    Characteristic(
        "2A49",
        "blood_pressure_feature",
        blood_pressure.decode_feature,
        blood_pressure.encode_feature,
        show.feature_fields,
        show.feature_remarks,
    ),
    Characteristic(
        "2A18",
        "glucose_measurement",
        glucose.decode_glucose,
        glucose.encode_glucose,
        show.glucose_fields,
        show.glucose_remarks,
    ),
    Characteristic(
        "2A34",
        "glucose_measurement_context",
        glucose_context.decode_context,
        glucose_context.encode_context,
        show.context_fields,
        show.context_remarks,
    ),
    Characteristic(
        "2A51",
        "glucose_feature",
        glucose.decode_feature,
        glucose.encode_feature,
        show.feature_fields,
        show.feature_remarks,
    ),
    Characteristic(
        "2A52",
        "record_access_control_point",
        racp.decode_record_access,
        racp.encode_record_access,
        show.record_access_fields,
        show.record_access_remarks,
    ),
    Characteristic(
        "2A19",
        "battery_level",
        device.decode_battery,
        device.encode_battery,
        show.battery_fields,
        show.leftover,
    ),
    Characteristic(
        "2A23",
        "system_id",
        device.decode_system_id,
        device.encode_system_id,
        show.system_id_fields,
        show.leftover,
    ),
    Characteristic(
        "2A50",
        "pnp_id",
        device.decode_pnp_id,
        device.encode_pnp_id,
        show.pnp_id_fields,
        show.leftover,
    ),
    Characteristic(
        "2A2B",
        "current_time",
        device.decode_current_time,
        device.encode_current_time,
        show.current_time_fields,
        show.current_time_remarks,
    ),
    Characteristic(
        "2A0F",
        "local_time_information",
        device.decode_local_time,
        device.encode_local_time,
        show.local_time_fields,
        show.local_time_remarks,
    ),
    _text("2A24", "model_number"),
    _text("2A25", "serial_number"),
    _text("2A26", "firmware_revision"),
    _text("2A27", "hardware_revision"),
    _text("2A28", "software_revision"),
    _text("2A29", "manufacturer_name"),
    Characteristic(
        "SFLOAT", "sfloat", _read_sfloat, _write_sfloat, show.bare_number_fields, show.leftover
    ),
    Characteristic(
        "FLOAT32", "float", _read_float, _write_float, show.bare_number_fields, show.leftover
    ),
    Characteristic(
        "DATETIME",
        "date_time",
        _read_date_time,
        _write_date_time,
        show.date_time_fields,
        show.date_time_remarks,
    ),
)
CATALOGUE: Final = {characteristic.code: characteristic for characteristic in _ALL}
_OTHER_NAMES: Final = {"2A08": "DATETIME", "FLOAT": "FLOAT32"}


def find_characteristic(name: str) -> Characteristic[Any] | None:
    """Look up ``2A35``, ``0x2a35`` or ``00002a35-0000-1000-8000-00805f9b34fb``."""
    code = name.strip().upper().removesuffix(_BASE_UUID)
    code = code.removeprefix("0X").removeprefix("0000") or code
    return CATALOGUE.get(_OTHER_NAMES.get(code, code))
