"""Flags decide the layout, every field stands where the flags put it, and no byte is lost.

Values are written field by field by a writer of these tests' own, then decoded; cutting a value
anywhere is rejected with the field that is broken, and what follows it is left over.
"""

from decimal import Decimal
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.devices.gatt.blood_pressure import (
    BloodPressureFeature,
    BloodPressureStatus,
    IntermediateCuffPressure,
    decode_blood_pressure,
    decode_cuff_pressure,
    encode_blood_pressure,
)
from gateway.devices.gatt.catalogue import CATALOGUE, find_characteristic
from gateway.devices.gatt.errors import DecodeError, Malformed
from gateway.devices.gatt.glucose import (
    GlucoseFeature,
    GlucoseStatus,
    decode_glucose,
    encode_glucose,
)
from gateway.devices.gatt.glucose_context import decode_context, encode_context
from tests.unit.gateway.devices.gatt.gatt_builders import a_context, a_glucose_record, a_pressure

_DATE = "EA070302090102"  # 2026-03-02 09:01:02.
_Optional: TypeAlias = list[tuple[int, str, dict[str, Any]]]
# By flag bit: the bytes that the bit adds, in the order of the layout, and what they say.
_CUFF: _Optional = [
    (1, _DATE, {"timestamp": "2026-03-02T09:01:02"}),
    (2, "48F0", {"pulse": Decimal("7.2")}),
    (3, "FE", {"user_id": 254}),
    (4, "2780", {"status": 0x8027}),
]
_GLUCOSE: _Optional = [
    (0, "E2FF", {"time_offset_min": -30}),
    (
        1,
        "37C03A",
        {
            "unit": "kg/L",
            "concentration": Decimal("0.0055"),
            "type": "control_solution",
            "location": "earlobe",
        },
    ),
    (3, "0108", {"status": 0x0801}),
]
_CONTEXT: _Optional = [
    (7, "B3", {"ext_flags": 0xB3}),
    (0, "035AD0", {"carb_id": 3, "carb_kg": Decimal("0.090")}),
    (1, "05", {"meal": "bedtime"}),
    (2, "42", {"tester": 2, "health": 4}),
    (3, "08074B", {"exercise_s": 1800, "exercise_pct": 75}),
    (4, "020FA0", {"med_id": 2, "med_unit": "kg", "med_value": Decimal("0.000015")}),
    (6, "48F0", {"hba1c_pct": Decimal("7.2")}),
]
_LAYOUTS: dict[str, tuple[str, dict[str, Any], _Optional]] = {
    "2A35": (
        "800050005A00",
        {"unit": "mmHg", "systolic": 128, "diastolic": 80, "map": 90},
        _CUFF,
    ),
    "2A36": ("8000FF07FF07", {"unit": "mmHg", "systolic": 128}, _CUFF),
    "2A18": (
        "0701" + _DATE,
        {"sequence": 263, "base_time": "2026-03-02T09:01:02", "context_follows": False},
        _GLUCOSE,
    ),
    "2A34": ("0701", {"sequence": 263}, _CONTEXT),
}


def _write(code: str, chosen: list[bool], tail: str = "") -> tuple[bytes, dict[str, Any]]:
    head, said, optional = _LAYOUTS[code]
    fields = dict(said)
    flags, text = 0, head
    for (bit, piece, more), wanted in zip(optional, chosen, strict=True):
        if wanted:
            flags |= 1 << bit
            text += piece
            fields |= more
    return bytes([flags]) + bytes.fromhex(text + tail), fields


@st.composite
def _values(draw: st.DrawFn) -> tuple[str, bytes, dict[str, Any]]:
    code = draw(st.sampled_from(sorted(_LAYOUTS)))
    optional = _LAYOUTS[code][2]
    chosen = [draw(st.booleans()) for _ in optional]
    return code, *_write(code, chosen)


@given(_values())
def test_every_combination_of_flags_puts_every_field_in_its_place(
    written: tuple[str, bytes, dict[str, Any]],
) -> None:
    code, value, fields = written
    characteristic = CATALOGUE[code]

    assert characteristic.fields(characteristic.decode(value)) == fields
    assert characteristic.encode(characteristic.decode(value)) == value


@given(_values(), st.data())
def test_a_value_cut_short_is_rejected_wherever_it_is_cut(
    written: tuple[str, bytes, dict[str, Any]], data: st.DataObject
) -> None:
    code, value, _ = written
    length = data.draw(st.integers(0, len(value) - 1))

    with pytest.raises(DecodeError) as caught:
        CATALOGUE[code].decode(value[:length])

    assert caught.value.code is Malformed.TRUNCATED
    assert caught.value.offset <= length
    assert caught.value.field


@given(_values(), st.binary(min_size=1, max_size=9))
def test_bytes_left_over_are_reported_and_change_nothing(
    written: tuple[str, bytes, dict[str, Any]], tail: bytes
) -> None:
    code, value, fields = written
    characteristic = CATALOGUE[code]

    shown = characteristic.describe(value + tail)

    assert (shown["leftover"], shown["_trailing"]) == (tail.hex().upper(), len(tail))
    assert {name: shown[name] for name in fields} == fields


@pytest.mark.parametrize(("code", "bits"), [("2A35", 0xE0), ("2A36", 0xE0), ("2A18", 0xE0)])
def test_reserved_flags_change_no_field_and_are_told(code: str, bits: int) -> None:
    value, fields = _write(code, [True] * len(_LAYOUTS[code][2]))
    reserved = bytes([value[0] | bits]) + value[1:]
    characteristic = CATALOGUE[code]

    assert characteristic.fields(characteristic.decode(reserved)) == fields
    assert characteristic.describe(reserved)["flags_reserved"] == bits
    assert "flags_reserved" not in characteristic.describe(value)


def test_the_unit_is_the_flag_s_and_needs_a_value() -> None:
    assert decode_blood_pressure(bytes.fromhex("01A0F06BF07FF0")).unit == "kPa"
    assert decode_glucose(bytes.fromhex("060100" + _DATE + "37C011")).unit == "mol/L"
    assert decode_glucose(bytes.fromhex("040100" + _DATE)).unit is None
    assert decode_context(bytes.fromhex("300100020FA0")).medication_unit == "L"
    assert decode_context(bytes.fromhex("200100")).medication_unit is None


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0, ()),
        (0b000001, ("body_movement",)),
        (0b100110, ("cuff_loose", "irregular_pulse", "improper_position")),
        (0b001000, ("pulse_above_range",)),
        (0b010000, ("pulse_below_range",)),
        (0b011000, ("pulse_range_reserved",)),
    ],
)
def test_a_cuff_status_is_words(bits: int, words: tuple[str, ...]) -> None:
    assert BloodPressureStatus(bits=bits).words == words
    assert BloodPressureStatus(bits=bits | 0xFFC0).words == words
    assert BloodPressureStatus(bits=bits | 0xFFC0).reserved == 0xFFC0


def test_a_meter_status_has_twelve_words_and_features_eleven_and_nine() -> None:
    assert len(set(GlucoseStatus(bits=0xFFFF).words)) == 12
    assert GlucoseStatus(bits=0xFFFF).reserved == 0xF000
    assert GlucoseStatus(bits=1 << 11).words == ("time_fault",)
    assert len(GlucoseFeature(bits=0xFFFF).words) == 11
    assert BloodPressureFeature(bits=0b100101).words == (
        "body_movement_detection",
        "irregular_pulse_detection",
        "multiple_bonds",
    )


@pytest.mark.parametrize("code", range(16))
def test_sample_and_location_codes_without_a_word_have_none(code: int) -> None:
    value = bytes.fromhex("020100" + _DATE + "37C0") + bytes([code << 4 | code])

    found = decode_glucose(value)

    assert (found.sample is None) == (code not in range(1, 11))
    assert (found.location is None) == (code not in {1, 2, 3, 4, 15})
    assert found.is_control_solution == (code in {4, 10})


def test_the_cuff_under_way_is_a_class_of_its_own() -> None:
    found = decode_cuff_pressure(_write("2A36", [False] * 4)[0])

    assert isinstance(found, IntermediateCuffPressure)
    assert found.cuff == 128
    assert not {"systolic", "diastolic", "mean_arterial"} & {*dir(found)}


def test_a_flag_without_its_field_is_not_written() -> None:
    with pytest.raises(ValueError, match="flags"):
        encode_blood_pressure(a_pressure(pulse=None))
    with pytest.raises(ValueError, match="flags"):
        encode_blood_pressure(a_pressure(user_id=1))
    with pytest.raises(ValueError, match="flags"):
        encode_glucose(a_glucose_record(concentration=None))
    with pytest.raises(ValueError, match="flags"):
        encode_glucose(a_glucose_record(sample_code=None))
    with pytest.raises(ValueError, match="flags"):
        encode_context(a_context(None))


@pytest.mark.parametrize("name", ["2A99", "", "blood", "2A", "00002a35-0000-1000-8000-00"])
def test_what_has_no_decoder_is_not_found(name: str) -> None:
    assert find_characteristic(name) is None
