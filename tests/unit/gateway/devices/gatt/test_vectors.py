"""Every published vector is decoded to exactly what it says, or rejected with a reason."""

from copy import deepcopy
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.devices.gatt.blood_pressure import BloodPressureMeasurement
from gateway.devices.gatt.catalogue import find_characteristic
from gateway.devices.gatt.glucose import decode_glucose
from gateway.devices.gatt.lines import Origin, blood_pressure_line, glucose_line
from gateway.devices.gatt.vectors import VectorFileError, check_vector, read_vectors
from gateway.freezer import Stamp, freeze_reading
from gateway.wire.errors import WireError
from gateway.wire.ids import new_id
from gateway.wire.readings import parse_reading
from tests.unit.gateway.gateway_builders import NOON

FILE = Path(__file__).parents[4] / "contract/ble/byte_vectors.json"
VECTORS = [dict(vector) for vector in read_vectors(FILE)]
READINGS = [vector for vector in VECTORS if vector["characteristic"] in {"2A35", "2A18"}]
_EAST_8 = timedelta(hours=8)


def _id(vector: dict[str, Any]) -> str:
    return str(vector["id"])


def test_the_file_holds_all_of_them() -> None:
    assert len({_id(vector) for vector in VECTORS}) == 101


@pytest.mark.parametrize("vector", VECTORS, ids=_id)
def test_a_vector_is_decoded_exactly_or_rejected(vector: dict[str, Any]) -> None:
    verdict = check_vector(vector)

    assert verdict.passed, verdict.differences
    assert not verdict.unlisted  # Nothing was invented beside what is listed.
    assert (verdict.rejected is not None) == bool(vector.get("expected_error"))


@pytest.mark.parametrize("vector", VECTORS, ids=_id)
def test_no_byte_of_an_accepted_vector_is_lost(vector: dict[str, Any]) -> None:
    if vector.get("expected_error"):
        return
    characteristic = find_characteristic(vector["characteristic"])
    assert characteristic is not None
    value = bytes.fromhex(vector["hex"])

    assert characteristic.encode(characteristic.decode(value)) == value


def _changed(value: object) -> object:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | Decimal) else f"{value}0"


@pytest.mark.parametrize("vector", VECTORS, ids=_id)
def test_a_vector_with_any_field_changed_fails(vector: dict[str, Any]) -> None:
    if vector.get("expected_error"):
        wrong = {**vector, "expected_error": False, "expected": {"value": 1}}
        assert not check_vector(wrong).passed
        return
    key = "spec_decoding" if "spec_decoding" in vector else "expected"
    for field, value in vector[key].items():
        wrong = deepcopy(vector)
        wrong[key][field] = _changed(value)
        assert not check_vector(wrong).passed, field
    rejected = {"expected_error": True, "source_agrees_with_spec": True, key: None}
    assert not check_vector({**vector, **rejected}).passed


@pytest.mark.parametrize(
    "vector", [v for v in READINGS if "user_time" in v.get("derived", {})], ids=_id
)
def test_the_users_time_is_base_and_offset(vector: dict[str, Any]) -> None:
    found = decode_glucose(bytes.fromhex(vector["hex"]))

    moment = found.base_time.at(_EAST_8, minutes=found.time_offset_minutes or 0)
    assert moment is not None
    assert moment == datetime.fromisoformat(f"{vector['derived']['user_time']}+08:00")


def _line_of(vector: dict[str, Any]) -> bytes:
    characteristic = find_characteristic(vector["characteristic"])
    assert characteristic is not None
    found = characteristic.decode(bytes.fromhex(vector["hex"]))
    origin = Origin(device_id="d", utc_offset=_EAST_8)
    if isinstance(found, BloodPressureMeasurement):
        return blood_pressure_line(found, origin)
    return glucose_line(found, origin)


@pytest.mark.parametrize("vector", [v for v in READINGS if "expected" in v], ids=_id)
def test_what_no_person_could_have_is_quarantined_and_the_rest_is_not(
    vector: dict[str, Any],
) -> None:
    """Scale guard: through the whole gateway, up to the door of ingest."""
    stamp = Stamp(new_id(NOON), NOON, clock_synchronised=True)
    frozen = freeze_reading(_line_of(vector), stamp, key=None)
    unusable = "nothing to store" in vector.get("note", "") or vector["id"] in _UNUSABLE
    if vector["physiologically_plausible"] and not unusable:
        parse_reading(frozen)
        return
    with pytest.raises(WireError):
        parse_reading(frozen)


# Plausible bytes, and yet no reading: the device says that it failed, or there is no number.
_UNUSABLE = {
    "BLE-001",  # Body movement, cuff loose, improper position.
    "BLE-002",  # Cuff loose.
    "BLE-037",  # No concentration.
    "BLE-050",  # The same.
    "BLE-053",  # The same.
    "BLE-073",  # Body movement.
    "BLE-074",  # Systolic NaN.
    "BLE-075",  # No concentration.
    "BLE-078",  # The same.
    "BLE-128",  # The same.
}


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        ({"characteristic": "2A99", "hex": "00"}, "no decoder"),
        ({"characteristic": "2A35", "hex": "0"}, "hexadecimal"),
        ({"characteristic": "2A35", "hex": "zz"}, "hexadecimal"),
        ({"characteristic": "2A35"}, '"hex"'),
        ({"characteristic": "2A35", "hex": 7}, '"hex"'),
        ({}, "no decoder"),
        ({"characteristic": "2A19", "hex": "07"}, '"expected"'),
        ({"characteristic": "2A19", "hex": "07", "expected": [7]}, '"expected"'),
        ({"characteristic": "2A19", "hex": "07", "expected": {"percent": True}}, "percent"),
    ],
)
def test_a_vector_that_is_none_fails_and_ends_nothing(vector: dict[str, Any], said: str) -> None:
    verdict = check_vector(vector)

    assert not verdict.passed
    assert said in verdict.differences[0]


def test_a_code_may_be_given_as_a_number_or_by_another_usual_word() -> None:
    value = "020300E807030F0A1E0001D029"  # Type 9, location 2.
    for kind, location in ((9, 2), ("ISF", "AST"), ("Interstitial Fluid", "alternate_site_test")):
        vector = {
            "characteristic": "2A18",
            "hex": value,
            "expected": {"type": kind, "location": location},
        }
        assert check_vector(vector).passed


@pytest.mark.parametrize("word", [11, "reserved_11", "reserved", "RFU", "Reserved (11)", "11"])
def test_a_reserved_code_may_be_named_in_several_ways(word: object) -> None:
    vector = {"characteristic": "2A18", "hex": "020300E807030F0A1E0001D02B"}

    assert check_vector({**vector, "expected": {"type": word}}).passed
    for wrong in (12, "reserved_12", "control_solution", "12"):
        assert not check_vector({**vector, "expected": {"type": wrong}}).passed


def test_a_literal_out_of_binary_arithmetic_is_the_decimal_it_stands_for() -> None:
    vector = {"characteristic": "SFLOAT", "hex": "BDF0"}

    assert check_vector({**vector, "expected": {"value": Decimal("18.900000000000002")}}).passed
    assert not check_vector({**vector, "expected": {"value": Decimal("18.9000001")}}).passed


def test_a_vector_that_knows_only_what_is_wrong_fails_nothing() -> None:
    wrong = {"hex": "FF07", "source_agrees_with_spec": False}

    for claim in ({"expected": {"value": 0}}, {"expected_error": True}):
        assert check_vector({"characteristic": "SFLOAT", **wrong, **claim}).passed
        assert check_vector({"characteristic": "2A35", **wrong, **claim}).passed


def test_plain_numbers_obey_the_byte_order_and_characteristics_do_not() -> None:
    number = {"characteristic": "SFLOAT", "hex": "F170", "byte_order": "big-endian"}
    battery = {"characteristic": "2A34", "hex": "000100", "byte_order": "big-endian"}

    assert check_vector({**number, "expected": {"value": Decimal("36.8")}}).passed
    assert check_vector({**battery, "expected": {"sequence": 1}}).passed


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"vectors":{}}', "1e99999999999999999999"])
def test_a_file_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.json"
    path.write_text(content)

    with pytest.raises(VectorFileError, match=r"vectors\.json"):
        read_vectors(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(VectorFileError, match=r"nowhere\.json"):
        read_vectors(tmp_path / "nowhere.json")
