"""What must become of a reading is said apart from the contract that decides it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from gateway.wire import items
from simulators.oracle.dispositions import why_put_aside
from simulators.planned import Expected, Numeral
from simulators.scenarios.drafts import Draft, Terminals
from simulators.series import SHANGHAI
from simulators.sites import Kind

AT = datetime(2026, 3, 2, 9, tzinfo=SHANGHAI)
GOOD: dict[str, Any] = {"systolic": 128, "diastolic": 80, "unit": "mmHg"}


def sent(
    kind: Kind,
    values: dict[str, Any],
    **fields: Any,  # noqa: ANN401 - of the draft
) -> list[tuple[str | None, str | None]]:
    draft = Draft.honest(AT, "CARD", "gateway-1", kind, values)
    for name, value in fields.items():
        setattr(draft, name, value)
    told = Terminals("boot", {"CARD": "somebody"}).send(draft)
    return [(each.reading.expected, each.reading.reason) for each in told]


@pytest.mark.parametrize(
    ("kind", "values", "why"),
    [
        ("blood_pressure", GOOD, None),
        ("blood_pressure", GOOD | {"systolic": 300, "diastolic": 200}, None),
        ("blood_pressure", GOOD | {"systolic": 301}, "implausible"),
        ("blood_pressure", GOOD | {"diastolic": 19}, "implausible"),
        ("blood_pressure", GOOD | {"systolic": 80}, "implausible"),
        ("blood_pressure", GOOD | {"systolic": "high"}, "not_a_number"),
        ("blood_pressure", {"systolic": 128, "diastolic": 80}, "missing_unit"),
        ("blood_pressure", GOOD | {"unit": "furlong"}, "unknown_unit"),
        ("blood_pressure", {"systolic": 128, "unit": "mmHg"}, "missing_value"),
        ("glucose", {"glucose": Decimal("0.6"), "unit": "mmol/L"}, None),
        ("glucose", {"glucose": Decimal("55.1"), "unit": "mmol/L"}, "implausible"),
        ("glucose", {"glucose": Decimal("5.61234"), "unit": "mmol/L"}, "too_precise"),
    ],
)
def test_a_measurement_is_put_aside_for_what_the_table_says(
    kind: str, values: dict[str, Any], why: str | None
) -> None:
    assert why_put_aside(kind, values) == why


def test_a_contract_that_lets_everything_in_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "validate_item", lambda fields: fields)
    monkeypatch.setattr("simulators.planned.validate_item", lambda fields: fields)

    assert sent("blood_pressure", GOOD | {"systolic": 400}) == [
        (Expected.QUARANTINED, "implausible")
    ]


def test_each_disturbance_foretells_what_it_leads_to() -> None:
    values = {"glucose": Numeral("5.6"), "unit": "mmol/L"}
    impossible = GOOD | {"systolic": 400}

    assert sent("glucose", values) == [(Expected.STORED, None)]
    assert sent("glucose", values, copies=2) == [
        (Expected.STORED, None),
        (Expected.DUPLICATE, None),
        (Expected.DUPLICATE, None),
    ]
    assert sent("glucose", values, spoilt_before=True) == [
        (Expected.REFUSED, None),
        (Expected.STORED, None),
    ]
    assert sent("glucose", values, measured_at=datetime(2000, 1, 1, tzinfo=SHANGHAI)) == [
        (Expected.STORED, None)
    ]
    assert sent("blood_pressure", impossible, copies=1) == [
        (Expected.QUARANTINED, "implausible"),
        (Expected.QUARANTINED, "implausible"),
    ]
