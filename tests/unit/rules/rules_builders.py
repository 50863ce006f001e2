"""Rows and people as a test writes them, and the columns the rules take."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from rules import columns, units
from rules.codes import AlertCode, CaseState, Condition, Severity
from rules.engine import Judgement

LOCAL = timezone(timedelta(hours=8))
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=LOCAL)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One reading in the unit its device reported."""

    id: bytes
    kind: str
    at: datetime  # Effective.
    captured_at: datetime
    arrived_at: datetime
    received_at: datetime
    unit: str | None
    systolic: Decimal | None = None
    diastolic: Decimal | None = None
    glucose: Decimal | None = None
    range_status: int = 0
    setting: str = "office"
    arm: str | None = None
    meal_context: str = "unknown"
    countable: bool = True
    resident: int = 0


@dataclass(frozen=True, kw_only=True)
class Person:
    """What the rules know of somebody."""

    birth_date: date | None = date(1968, 2, 11)
    hypertension_since: date | None = None
    diabetes_since: date | None = None
    pregnant_since: date | None = None
    pregnant_until: date | None = None


LONG_AGO = date(2010, 1, 1)
HYPERTENSIVE = Person(hypertension_since=LONG_AGO)
DIABETIC = Person(diabetes_since=LONG_AGO)
HEALTHY = Person()
PREGNANT = Person(birth_date=date(1994, 5, 5), pregnant_since=date(2025, 12, 1))
_COUNTER = iter(range(1, 10**9))


def _row(at: datetime, **fields: Any) -> Row:  # noqa: ANN401 - passed on
    arrived = fields.pop("arrived_at", at + timedelta(seconds=5))
    received = fields.pop("received_at", arrived)
    identifier = fields.pop("id", next(_COUNTER).to_bytes(16, "big"))
    captured = fields.pop("captured_at", at)
    return Row(
        id=identifier,
        at=at,
        captured_at=captured,
        arrived_at=arrived,
        received_at=received,
        **fields,
    )


def a_blood_pressure(
    systolic: object = 128,
    diastolic: object = 78,
    *,
    at: datetime = NOON,
    unit: str = "mmHg",
    **fields: Any,  # noqa: ANN401 - passed on
) -> Row:
    """A blood pressure with defaults and only what matters."""
    values = {"systolic": Decimal(str(systolic)), "diastolic": Decimal(str(diastolic))}
    return _row(at, kind="blood_pressure", unit=unit, **values, **fields)


def a_glucose(
    glucose: object = "5.6",
    *,
    at: datetime = NOON,
    unit: str | None = "mmol/L",
    meal_context: str = "fasting",
    **fields: Any,  # noqa: ANN401 - passed on
) -> Row:
    """A glucose value with defaults and only what matters; None is HI or LO."""
    number = None if glucose is None else Decimal(str(glucose))
    return _row(at, kind="glucose", unit=unit, glucose=number, meal_context=meal_context, **fields)


def _instants(values: list[datetime]) -> npt.NDArray[np.datetime64]:
    naive = [value.astimezone(UTC).replace(tzinfo=None) for value in values]
    return np.array(naive, dtype="datetime64[us]")


def _scaled(value: Decimal | None, digits: int) -> int:
    if value is None:
        return columns.MISSING
    scaled = value.scaleb(digits)
    assert scaled == int(scaled)
    return int(scaled)


def readings_of(rows: Sequence[Row]) -> columns.Readings:
    """The columns of these rows, normalised by ``rules.units``."""

    def small(values: list[int]) -> npt.NDArray[np.int8]:
        return np.array(values, dtype=np.int8)

    pressure_unit = small([units.PRESSURE_UNIT_CODES.get(row.unit or "", 0) for row in rows])
    glucose_unit = small([units.GLUCOSE_UNIT_CODES.get(row.unit or "", 0) for row in rows])

    def pressure(side: str) -> npt.NDArray[np.int64]:
        scaled = [_scaled(getattr(row, side), 4) for row in rows]
        return units.to_mmhg_e13(np.array(scaled, dtype=np.int64), pressure_unit)

    glucose = np.array([_scaled(row.glucose, 7) for row in rows], dtype=np.int64)
    return columns.Readings(
        resident=np.array([row.resident for row in rows], dtype=np.int64),
        ids=np.array([row.id for row in rows], dtype="S16"),
        kind=small([columns.KIND_CODES[row.kind] for row in rows]),
        systolic_mmhg_e13=pressure("systolic"),
        diastolic_mmhg_e13=pressure("diastolic"),
        glucose_mmol_l_e4=units.to_mmol_l_e4(glucose, glucose_unit),
        range_status=small([row.range_status for row in rows]),
        setting=small([columns.SETTING_CODES[row.setting] for row in rows]),
        arm=small([columns.ARM_CODES[row.arm] for row in rows]),
        meal_context=small([columns.MEAL_CODES[row.meal_context] for row in rows]),
        countable=np.array([row.countable for row in rows], dtype=np.bool_),
        effective_at=_instants([row.at for row in rows]),
        captured_at=_instants([row.captured_at for row in rows]),
        arrived_at=_instants([row.arrived_at for row in rows]),
        received_at=_instants([row.received_at for row in rows]),
    )


def residents_of(people: Sequence[Person]) -> columns.Residents:
    """The columns of these people."""

    def days(name: str) -> npt.NDArray[np.datetime64]:
        return np.array([getattr(person, name) for person in people], dtype="datetime64[D]")

    return columns.Residents(
        birth_date=days("birth_date"),
        hypertension_since=days("hypertension_since"),
        diabetes_since=days("diabetes_since"),
        pregnant_since=days("pregnant_since"),
        pregnant_until=days("pregnant_until"),
    )


def instant(at: datetime) -> np.datetime64:
    """An aware time as numpy's UTC instant."""
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")


def _day(value: np.datetime64) -> str | None:
    return None if np.isnat(value) else str(value)


def cases_in(judgement: Judgement) -> dict[tuple[int, str], dict[str, object]]:
    """(resident, condition) to the fields of ``clinical_cases.json``; states none are absent."""
    cases = judgement.cases
    return {
        (int(cases.resident[row]), Condition(cases.condition[row]).name.lower()): {
            "state": CaseState(cases.state[row]).name.lower(),
            "consecutive_unsatisfied": int(cases.consecutive_unsatisfied[row]),
            "second_followup_due": _day(cases.second_followup_due[row]),
            "referral_followup_due": _day(cases.referral_followup_due[row]),
            "next_routine_due": _day(cases.next_routine_due[row]),
        }
        for row in range(len(cases))
    }


def anchors_in(judgement: Judgement, rows: Sequence[Row]) -> dict[tuple[int, str], bytes]:
    """(resident, condition) to the id of the reading that last moved the case."""
    cases = judgement.cases
    return {
        (int(cases.resident[row]), Condition(cases.condition[row]).name.lower()): rows[
            cases.anchor[row]
        ].id
        for row in range(len(cases))
    }


def alerts_in(judgement: Judgement, rows: Sequence[Row]) -> list[dict[str, object]]:
    """Alerts with the fields of ``clinical_cases.json``; the anchor is the row's id."""
    alerts = judgement.alerts
    return [
        {
            "resident": int(alerts.resident[row]),
            "condition": Condition(alerts.condition[row]).name.lower(),
            "code": AlertCode(alerts.code[row]).name,
            "severity": Severity(alerts.severity[row]).name.lower(),
            "status": {1: "active", 2: "resolved"}[int(alerts.status[row])],
            "anchor": rows[alerts.anchor[row]].id,
            "due": _day(alerts.due[row]),
            "page": bool(alerts.page[row]),
            "late": bool(alerts.late[row]),
            "overdue_days": int(alerts.overdue_days[row]),
            "escalation": int(alerts.escalation[row]),
        }
        for row in range(len(alerts))
    ]
