"""``suifang gateway decode`` tells exactly what bytes say, and its exit code can be relied on."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app

FILE = Path(__file__).parents[2] / "contract/ble/byte_vectors.json"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["decode", *arguments])


def said(result: Result) -> dict[str, Any]:
    return dict(json.loads(result.stdout, parse_float=Decimal))


@pytest.mark.parametrize("name", ["2A35", "0x2a35", "00002a35-0000-1000-8000-00805f9b34fb"])
@pytest.mark.parametrize("form", ["1FA0F06BF07FF0", "1F A0 F0 6B F0 7F F0", "0x1f:a0-f0 6bf07ff0"])
def test_a_value_is_printed_with_the_devices_digits(name: str, form: str) -> None:
    rest = "EA0709070A200E4800010500AA"

    result = run("--characteristic", name, "--hex", form + rest)

    assert result.exit_code == 0
    assert '"systolic":16.0,' in result.stdout
    assert said(result) == {
        "characteristic": "2A35",
        "name": "blood_pressure_measurement",
        "unit": "kPa",
        "systolic": Decimal("16.0"),
        "diastolic": Decimal("10.7"),
        "map": Decimal("12.7"),
        "timestamp": "2026-09-07T10:32:14",
        "pulse": 72,
        "user_id": 1,
        "status": 5,
        "status_words": ["body_movement", "irregular_pulse"],
        "flags": 31,
        "leftover": "AA",
        "_trailing": 1,
    }


def test_the_cuff_under_way_says_that_it_is_no_reading() -> None:
    result = run("--characteristic", "2A36", "--hex", "02510000000000E40705150A1E2D", "--json")

    assert said(result)["is_reading"] is False


def test_malformed_bytes_are_told_with_the_reason() -> None:
    result = run("--characteristic", "2A18", "--hex", "0F0300E40705150A1E2D0500CDCC")

    assert result.exit_code == 1
    assert said(result)["error"] == {
        "reason": "truncated",
        "field": "type_and_location",
        "offset": 14,
        "detail": "needs 1 bytes, 0 are left",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--characteristic", "2A35"),
        ("--hex", "00"),
        ("--characteristic", "2A99", "--hex", "00"),
        ("--characteristic", "2A35", "--hex", "0"),
        ("--characteristic", "2A35", "--hex", "00", "--check"),
        ("--characteristic", "2A35", "--hex", "00", "--vectors", str(FILE)),
        ("--vectors", "/nowhere/vectors.json"),
    ],
)
def test_a_wrong_command_line_is_exit_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "suifang gateway decode: " in result.stderr


def test_the_published_vectors_pass() -> None:
    result = run("--vectors", str(FILE), "--check")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "101 vectors, 101 passed, 0 failed, 11 rejected"
    assert "pass BLE-008 2A34 (14 bytes left over)" in result.stdout


def test_one_difference_is_exit_1_and_named(tmp_path: Path) -> None:
    vectors = [
        {"id": "V1", "characteristic": "SFLOAT", "hex": "FF07", "expected": {"value": 0}},
        {"id": "V2", "characteristic": "2A19", "hex": "64", "expected": {"percent": 100}},
        {"id": "V3", "characteristic": "2A19", "hex": "65", "expected_error": True},
        {"id": "V4", "characteristic": "2A19", "hex": "64", "expected_error": True},
    ]
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps({"vectors": vectors}))

    plain, as_json = (
        run("--vectors", str(path), "--check"),
        run("--vectors", str(path), "--check", "--json"),
    )

    assert (plain.exit_code, as_json.exit_code) == (1, 1)
    assert 'FAIL V1 SFLOAT value: expected 0, decoded "NaN"' in plain.stdout
    assert "FAIL V4 2A19 should be rejected" in plain.stdout
    assert plain.stdout.splitlines()[-1] == "4 vectors, 2 passed, 2 failed, 1 rejected"
    report = said(as_json)
    assert (report["passed"], report["failed"]) == (2, 2)
    assert [row["passed"] for row in report["results"]] == [False, True, True, False]


def test_without_check_a_file_is_only_decoded(tmp_path: Path) -> None:
    path = tmp_path / "vectors.json"
    vector = {"id": "V1", "characteristic": "SFLOAT", "hex": "6CF1", "expected": {"value": 1}}
    path.write_text(json.dumps([vector]))

    result = run("--vectors", str(path))

    assert result.exit_code == 0
    assert '"value":36.4' in result.stdout


def test_a_file_without_vectors_has_not_passed(tmp_path: Path) -> None:
    path = tmp_path / "vectors.json"
    path.write_text('{"vectors": []}')

    assert run("--vectors", str(path), "--check").exit_code == 1
