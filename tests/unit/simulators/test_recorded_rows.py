"""A recording is the same in every format, and a bad row is named: file, line, field, value."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from api.fhir import codes
from simulators import bundles
from simulators.errors import RecordingError
from simulators.planned import refusal_of
from simulators.recordings import RecordedReading, read_recording
from simulators.replay import plan_replay
from simulators.sites import sites_of

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CSV = """resident,timestamp,kind,systolic,diastolic,glucose,unit,context
A,2026-01-01T09:00:00,bp,147.0,88,,mm[Hg],
B,2026-01-02T07:30:00,glucose,,,6.10,mmol/L,pre_breakfast
"""
FIRST = (
    '{"resident":"A","timestamp":"2026-01-01T09:00:00","kind":"bp","systolic":147.0,'
    '"diastolic":88,"unit":"mm[Hg]"}'
)
SECOND = (
    '{"resident":"B","timestamp":"2026-01-02T07:30:00","kind":"glucose","glucose":6.10,'
    '"unit":"mmol/L","context":"pre_breakfast","elapsed_min":null}'
)


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def _values(readings: list[RecordedReading]) -> list[dict[str, object]]:
    return [dict(reading.values) for reading in readings]


def test_ndjson_is_the_same_recording_as_csv(tmp_path: Path) -> None:
    from_csv = read_recording(_write(tmp_path, "a.csv", CSV))
    from_ndjson = read_recording(_write(tmp_path, "a.ndjson", f"{FIRST}\n\n{SECOND}\n"))

    assert from_ndjson == from_csv
    lines = b" ".join(each.line for each in plan_replay(NOW, from_csv, sites_of(["gw"])))
    assert b'"systolic":147.0,"diastolic":88,' in lines
    assert b'"glucose":6.10,' in lines


def test_parquet_is_the_same_recording(tmp_path: Path) -> None:
    table = pa.table(
        {
            "resident": ["A", "B"],
            "timestamp": [datetime(2026, 1, 1, 9), datetime(2026, 1, 2, 7, 30)],  # noqa: DTZ001
            "kind": ["bp", "glucose"],
            "systolic": [147.0, None],
            "diastolic": pa.array([88, None], pa.int16()),
            "glucose": pa.array([None, "6.10"]),
            "unit": ["mm[Hg]", "mmol/L"],
            "context": [None, "pre_breakfast"],
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")

    assert read_recording(tmp_path / "a.parquet") == read_recording(_write(tmp_path, "a.csv", CSV))


def test_without_pyarrow_one_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(RecordingError, match=r"pip install 'suifang\[parquet\]'"):
        read_recording(_write(tmp_path, "a.parquet", ""))


def _observation(code: str, **members: object) -> dict[str, object]:
    return {
        "resource": {
            "resourceType": "Observation",
            "id": "o-1",
            "status": "final",
            "code": {"coding": [{"system": bundles.LOINC, "code": code}]},
            "subject": {"reference": "urn:uuid:12345678-1234-1234-1234-123456789012"},
            "effectiveDateTime": "2026-01-01T01:00:00Z",
            **members,
        }
    }


def _quantity(value: float, unit: str) -> dict[str, object]:
    return {"value": value, "unit": unit, "code": unit}


def _bundle(*entries: object) -> str:
    return json.dumps({"resourceType": "Bundle", "entry": entries})


PRESSURE = _observation(
    "85354-9",
    component=[
        {
            "code": {"coding": [{"system": bundles.LOINC, "code": code}]},
            "valueQuantity": _quantity(value, "mm[Hg]"),
        }
        for code, value in (("8462-4", 88.0), ("8480-6", 147.5))
    ],
)


def test_a_bundle_s_pressures_and_sugars_are_read_and_nothing_else(tmp_path: Path) -> None:
    _write(
        tmp_path,
        "b.json",
        _bundle(
            {"resource": {"resourceType": "Patient", "name": [{"family": "Nobody"}]}},
            PRESSURE,
            _observation("29463-7", valueQuantity=_quantity(70, "kg")),
            _observation("2339-0", valueQuantity=_quantity(98.1, "mg/dL"), status="cancelled"),
        ),
    )
    _write(
        tmp_path, "c.json", _bundle(_observation("1558-6", valueQuantity=_quantity(98.1, "mg/dL")))
    )
    said: list[str] = []
    pressure, sugar = read_recording(tmp_path, said.append)

    assert said == [
        f"{tmp_path}: 2 observations were not read: 1 not final, 1 of no code read here"
    ]
    assert _values([pressure, sugar]) == [
        {"systolic": "147.5", "diastolic": "88.0", "unit": "mmHg", "setting": "office"},
        {"glucose": "98.1", "unit": "mg/dL", "setting": "office", "meal_context": "fasting"},
    ]
    assert pressure.at == datetime(2026, 1, 1, 9)  # noqa: DTZ001 - wall clock at UTC+8
    assert not pressure.counts
    plan = plan_replay(NOW, [pressure, sugar], sites_of(["gw"]))
    assert [refusal_of(reading.line) for reading in plan] == [None, None]
    assert b"Nobody" not in plan[0].line
    assert sum(map(str.isdecimal, pressure.card_number)) < 14, "no national number"


def test_the_codes_are_those_the_api_takes() -> None:
    fasting = {code for code, sugar in codes.GLUCOSE_OF_CODE.items() if sugar.fasting}

    assert {codes.PANEL, codes.OLD_PANEL} == bundles.PANELS
    assert {codes.SYSTOLIC, codes.DIASTOLIC} == bundles.COMPONENTS.keys()
    assert fasting == bundles.FASTING_CODES
    assert codes.GLUCOSE_OF_CODE.keys() - fasting == bundles.GLUCOSE_CODES


_HEAD = "resident,timestamp,kind\n"
_TIMED = "resident,timestamp,kind,elapsed_min\n"
_DEEP = '{"resident":' + "[" * 200_000


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", _HEAD + "A,2026-01-01,bp,9\n", r"a\.csv, line 2: \['9'\] stand beyond the head"),
        (
            "a.csv",
            _HEAD + 'A,2026-01-01,bp\nB,"x\ny",bp\n',
            r"a\.csv, line 4: timestamp 'x\\ny' is",
        ),
        ("a.ndjson", FIRST + "\n{", r"a\.ndjson, line 2: Expecting .*; each line is one JSON"),
        ("a.jsonl", "[1]\n", r"a\.jsonl, line 1: '\[1\]' is no JSON object"),
        ("a.ndjson", '{"resident":{"a":1}}\n', r"line 1: resident \{'a': '1'\} is no text"),
        ("a.ndjson", '{"resident":"A","systolicc":"1"}', r"there is no column 'systolicc'; the"),
        (
            "a.csv",
            "resident,resident\n",
            r"a\.csv, line 1: the column 'resident' stands there twice",
        ),
        ("a.csv", _TIMED + "A,2026-01-01,bp,99999999999999\n", r"line 2: elapsed_min '99999999999"),
        (
            "a.csv",
            _TIMED + "A,2026-01-01,bp,99999999\n",
            r"line 2: timestamp '2026-01-01' leads out",
        ),
        ("a.csv", _HEAD + "A,0001-01-01T00:00:00+14:00,bp\n", r"line 2: timestamp '0001.* 1900 to"),
        ("a.csv", _HEAD + "A,9999-12-31T23:00:00-12:00,bp\n", r"line 2: timestamp '9999.* 1900 to"),
        ("a.ndjson", _DEEP, r"a\.ndjson, line 1: .*; each line is one JSON"),
        ("a.json", _DEEP, r"a\.json is no JSON: .*"),
        ("a.json", '{"resourceType":"Bundle","entry":3}', r"its entry is no list"),
        ("a.json", _bundle(3), r"a\.json, entry 1: 'a member of another type' is missing or no"),
        ("a.json", _bundle({"resource": [3]}), r"a\.json, entry 1: 'a member of another type' is"),
        (
            "a.json",
            _bundle({"resource": {"resourceType": "Observation", "status": "final", "code": 3}}),
            r"an id\): 'a member of another",
        ),
        ("a.json", _bundle({"resource": {"resourceType": "Observation"}}), r"an id\): 'status' is"),
        ("a.parquet", "no", r"a\.parquet is no Parquet file"),
        ("a.json", "{", r"a\.json is no JSON: .*; give a FHIR bundle"),
        ("a.json", '{"resourceType":"Patient"}', r"is no FHIR bundle: its resourceType"),
        (
            "a.json",
            _bundle(_observation("2339-0")),
            r"entry 1 \(Observation o-1\): 'valueQuantity'",
        ),
        ("a.txt", "", r"a\.txt is of no known kind: its name ends in \.csv"),
    ],
)
def test_what_is_bad_is_named(tmp_path: Path, name: str, text: str, problem: str) -> None:
    with pytest.raises(RecordingError, match=problem):
        read_recording(_write(tmp_path, name, text))


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="holds no FHIR bundle"):
        read_recording(tmp_path)
