"""The wire keeps what the instrument said, exactly, and names what is wrong with the rest."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.errors import Reason, WireError
from gateway.wire.readings import BloodPressure, Glucose, parse_reading

_HEAD = (
    '{"id":"0193b0a0-5c00-7000-8000-000000000001","device_id":"d",'
    '"captured_at":"2024-12-10T08:00:00Z",'
)


def _pressure(rest: str = '"systolic":120,"diastolic":80,"unit":"mmHg"') -> bytes:
    return f'{_HEAD}"kind":"blood_pressure",{rest}}}'.encode()


def _glucose(rest: str = '"glucose":7.0,"unit":"mmol/L"') -> bytes:
    return f'{_HEAD}"kind":"glucose",{rest}}}'.encode()


@pytest.mark.parametrize("literal", ["7", "7.0", "7.00", "6.99", "54.9999"])
def test_a_value_keeps_its_digits_and_its_scale(literal: str) -> None:
    reading = parse_reading(_glucose(f'"glucose":{literal},"unit":"mmol/L"'))

    assert isinstance(reading, Glucose)
    assert str(reading.glucose) == literal


def test_unknown_fields_are_kept() -> None:
    reading = parse_reading(_glucose('"glucose":7.0,"unit":"mmol/L","cuff":{"size":1.50}'))

    assert reading.model_extra == {"cuff": {"size": Decimal("1.50")}}


@pytest.mark.parametrize(
    ("raw", "reason", "field"),
    [
        pytest.param(b"{", Reason.MALFORMED_JSON, "", id="not-json"),
        pytest.param(b"\xff\xfe", Reason.MALFORMED_JSON, "", id="not-utf-8"),
        pytest.param(b"[" * 100_000, Reason.MALFORMED_JSON, "", id="nested-too-deep"),
        pytest.param(
            _glucose('"glucose":7.0,"unit":"mmol/L","note":"\\ud83d"'),
            Reason.MALFORMED_JSON,
            "",
            id="half-a-character",
        ),
        pytest.param(
            _glucose('"status":["result_too_high","result_too_low"]'),
            Reason.DEVICE_STATUS,
            "",
            id="both-too-high-and-too-low",
        ),
        pytest.param(b"[]", Reason.INVALID_FIELD, "", id="not-an-object"),
        pytest.param(
            _glucose('"glucose":NaN,"unit":"mmol/L"'), Reason.MALFORMED_JSON, "", id="nan"
        ),
        pytest.param(_glucose('"glucose":7.0'), Reason.MISSING_UNIT, "", id="glucose-no-unit"),
        pytest.param(
            _pressure('"systolic":120,"diastolic":80'), Reason.MISSING_UNIT, "unit", id="bp-no-unit"
        ),
        pytest.param(
            _pressure('"systolic":120,"diastolic":80,"unit":null'),
            Reason.MISSING_UNIT,
            "unit",
            id="bp-null-unit",
        ),
        pytest.param(
            _pressure('"systolic":120,"diastolic":80,"unit":"psi"'),
            Reason.UNKNOWN_UNIT,
            "unit",
            id="bp-unknown-unit",
        ),
        pytest.param(
            _pressure('"systolic":120,"unit":"mmHg"'),
            Reason.MISSING_VALUE,
            "diastolic",
            id="half-a-pair",
        ),
        pytest.param(_glucose('"meal_context":"fasting"'), Reason.MISSING_VALUE, "", id="no-value"),
        pytest.param(
            _glucose('"glucose":"0Hi","unit":"mg/dL"'),
            Reason.NOT_A_NUMBER,
            "glucose",
            id="text-for-a-number",
        ),
        pytest.param(
            _glucose('"glucose":"7.0","unit":"mmol/L"'),
            Reason.NOT_A_NUMBER,
            "glucose",
            id="number-as-text",
        ),
        pytest.param(
            _glucose('"glucose":true,"unit":"mmol/L"'), Reason.NOT_A_NUMBER, "glucose", id="true"
        ),
        pytest.param(
            _glucose('"glucose":7.12345,"unit":"mmol/L"'),
            Reason.TOO_PRECISE,
            "glucose",
            id="decimals",
        ),
        pytest.param(
            _glucose('"glucose":1e999999999,"unit":"mmol/L"'),
            Reason.IMPLAUSIBLE,
            "glucose",
            id="absurdly-large",
        ),
        pytest.param(
            _glucose('"glucose":1E99999999999999999999,"unit":"mmol/L"'),
            Reason.MALFORMED_JSON,
            "",
            id="beyond-decimal",
        ),
        pytest.param(
            _glucose('"glucose":1e-999999999,"unit":"mmol/L"'),
            Reason.TOO_PRECISE,
            "glucose",
            id="tiny",
        ),
        pytest.param(
            _glucose('"glucose":0,"unit":"mg/dL"'), Reason.IMPLAUSIBLE, "glucose", id="glucose-zero"
        ),
        pytest.param(
            _glucose('"glucose":7.0,"unit":"mg/dL"'),
            Reason.IMPLAUSIBLE,
            "glucose",
            id="scale-guard",
        ),
        pytest.param(
            _pressure('"systolic":80,"diastolic":120,"unit":"mmHg"'),
            Reason.IMPLAUSIBLE,
            "systolic",
            id="swapped",
        ),
        pytest.param(
            _pressure('"systolic":120,"diastolic":80,"unit":"kPa"'),
            Reason.IMPLAUSIBLE,
            "systolic",
            id="mmhg-under-a-kpa-flag",
        ),
        pytest.param(
            _pressure('"systolic":120,"diastolic":80,"unit":"mmHg","status":["cuff_loose"]'),
            Reason.DEVICE_STATUS,
            "",
            id="device-distrusts-itself",
        ),
        pytest.param(
            _glucose('"glucose":7.0,"unit":"mmol/L","meal_context":"56"'),
            Reason.UNKNOWN_CONTEXT,
            "meal_context",
            id="unknown-context",
        ),
        pytest.param(
            _glucose('"glucose":7.0,"unit":"mmol/L","measured_at":" 138"'),
            Reason.INVALID_TIME,
            "measured_at",
            id="time-that-is-none",
        ),
        pytest.param(
            _glucose('"glucose":7.0,"unit":"mmol/L","measured_at":"138"'),
            Reason.INVALID_TIME,
            "measured_at",
            id="a-number-is-no-time",
        ),
        pytest.param(
            _glucose('"glucose":7.0,"unit":"mmol/L","measured_at":"2024-12-10T08:00:00"'),
            Reason.INVALID_TIME,
            "measured_at",
            id="time-without-offset",
        ),
        pytest.param(
            _glucose('"glucose":7.0,"unit":"mmol/L","measured_at":"0001-01-01T00:00:00+08:00"'),
            Reason.INVALID_TIME,
            "measured_at",
            id="before-year-one",
        ),
        pytest.param(
            _glucose().replace(b"-7000-", b"-4000-"), Reason.INVALID_ID, "id", id="uuid-4"
        ),
        pytest.param(
            _glucose().replace(b"0193b0a0", b"0193B0A0"), Reason.INVALID_ID, "id", id="upper-case"
        ),
        pytest.param(
            _glucose().replace(b'"glucose","', b'"oximetry","'), Reason.UNKNOWN_KIND, "", id="kind"
        ),
        pytest.param(
            _glucose().replace(b'"d"', b'"d\\u0000"'), Reason.INVALID_FIELD, "device_id", id="nul"
        ),
    ],
)
def test_a_bad_reading_names_its_reason(raw: bytes, reason: Reason, field: str) -> None:
    with pytest.raises(WireError) as raised:
        parse_reading(raw)

    assert (raised.value.reason, raised.value.field) == (reason, field)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(_glucose('"status":["result_too_high"]'), id="meter-says-hi"),
        pytest.param(
            _glucose('"glucose":7.0,"unit":"mmol/L","measured_at":"1970-01-01T00:00:00Z"'),
            id="clock-in-1970",
        ),
        pytest.param(
            _glucose('"glucose":7.0,"unit":"mmol/L","measured_at":"2099-01-01T00:00:00+08:00"'),
            id="clock-in-the-future",
        ),
        pytest.param(_pressure('"systolic":18.66,"diastolic":12.0,"unit":"kPa"'), id="kpa"),
        pytest.param(_pressure('"systolic":300,"diastolic":200,"unit":"mmHg"'), id="upper-bound"),
        pytest.param(_pressure('"systolic":50,"diastolic":20,"unit":"mmHg"'), id="lower-bound"),
    ],
)
def test_an_odd_but_possible_reading_passes(raw: bytes) -> None:
    assert parse_reading(raw).device_id == "d"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_reading_or_a_wire_error(raw: bytes) -> None:
    with pytest.raises(WireError):
        parse_reading(raw)


@given(
    st.dictionaries(
        st.sampled_from(
            ["systolic", "diastolic", "unit", "measured_at", "status", "pulse", "arm", "kind", "id"]
        ),
        st.none()
        | st.booleans()
        | st.integers()
        | st.decimals(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5)
        | st.lists(st.text(max_size=3), max_size=2),
    )
)
def test_any_fields_are_a_plausible_pair_or_a_wire_error(fields: dict[str, object]) -> None:
    rest = _as_json({"systolic": 120, "diastolic": 80, "unit": "mmHg", **fields})
    try:
        reading = parse_reading(_pressure(rest))
    except WireError:
        return
    if isinstance(reading, BloodPressure):
        assert reading.systolic > reading.diastolic


def _as_json(fields: dict[str, object]) -> str:
    def value(item: object) -> str:
        match item:
            case None:
                return "null"
            case bool():
                return str(item).lower()
            case str():
                return '"' + "".join(f"\\u{ord(c):04x}" for c in item if ord(c) < 0xD800) + '"'
            case list():
                return "[" + ",".join(value(part) for part in item) + "]"
            case _:
                return str(item)

    return ",".join(f'"{name}":{value(item)}' for name, item in fields.items())
