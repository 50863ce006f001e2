"""Rows of the database to the columns of the rules, and people likewise. Pure.

The only place where names of the wire and the schema meet the codes of ``rules``.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from ingest.db.readings import HistoryRow, ReadingRow
from ingest.db.residents import Person
from rules.columns import (
    ARM_CODES,
    KIND_CODES,
    MEAL_CODES,
    MISSING,
    SETTING_CODES,
    BoolArray,
    DateArray,
    InstantArray,
    Int64Array,
    Readings,
    Residents,
)
from rules.units import GLUCOSE_UNIT_CODES, PRESSURE_UNIT_CODES, to_mmhg_e13, to_mmol_l_e4

LOCAL = ZoneInfo("Asia/Shanghai")
_ANY_UNIT = 0


def as_history(row: ReadingRow) -> HistoryRow:
    """A row about to be stored, as the judge would load it. Exact: the wire bounds decimals."""
    return HistoryRow(
        resident_id=row.resident_id or "",
        id=row.id,
        kind=row.kind,
        systolic_e4=_scaled(row.systolic, 4),
        diastolic_e4=_scaled(row.diastolic, 4),
        glucose_e7=_scaled(row.glucose, 7),
        unit=row.unit,
        status=row.status,
        setting=row.setting,
        arm=row.arm,
        meal_context=row.meal_context,
        sample=row.sample,
        stored_record=row.stored_record,
        time_suspect=row.time_suspect,
        effective_at=row.effective_at,
        captured_at=row.captured_at,
        arrived_at=row.arrived_at,
        received_at=row.received_at,
        centre_id=row.centre_id,
    )


def _scaled(value: Decimal | None, decimals: int) -> int | None:
    return None if value is None else int(value.scaleb(decimals))


def to_readings(rows: Sequence[HistoryRow], resident_rows: Mapping[str, int]) -> Readings:
    """Columns of ``rows``, row-aligned with them.

    Args:
        rows: Stored readings, any order.
        resident_rows: Pseudonym to row number in ``Residents``.
    """
    is_pressure = np.array([row.kind == "blood_pressure" for row in rows], dtype=np.bool_)
    pressure_unit = _codes([PRESSURE_UNIT_CODES.get(row.unit or "", _ANY_UNIT) for row in rows])
    glucose_unit = _codes([GLUCOSE_UNIT_CODES.get(row.unit or "", _ANY_UNIT) for row in rows])
    pressure_unit = np.where(is_pressure, pressure_unit, _ANY_UNIT).astype(np.int8)
    glucose_unit = np.where(is_pressure, _ANY_UNIT, glucose_unit).astype(np.int8)
    return Readings(
        resident=np.array([resident_rows[row.resident_id] for row in rows], dtype=np.int64),
        ids=np.array([row.id.bytes for row in rows], dtype="S16"),
        kind=_codes([KIND_CODES[row.kind] for row in rows]),
        systolic_mmhg_e13=to_mmhg_e13(_values([row.systolic_e4 for row in rows]), pressure_unit),
        diastolic_mmhg_e13=to_mmhg_e13(_values([row.diastolic_e4 for row in rows]), pressure_unit),
        glucose_mmol_l_e4=to_mmol_l_e4(_values([row.glucose_e7 for row in rows]), glucose_unit),
        range_status=_codes([_range_status(row.status) for row in rows]),
        setting=_codes([SETTING_CODES[row.setting] for row in rows]),
        arm=_codes([ARM_CODES[row.arm] for row in rows]),
        meal_context=_codes([MEAL_CODES[row.meal_context] for row in rows]),
        countable=np.array([_countable(row) for row in rows], dtype=np.bool_),
        effective_at=_instants([row.effective_at for row in rows]),
        captured_at=_instants([row.captured_at for row in rows]),
        arrived_at=_instants([row.arrived_at for row in rows]),
        received_at=_instants([row.received_at for row in rows]),
    )


def to_residents(people: Sequence[Person]) -> Residents:
    """Columns of people, row-aligned with them; of pregnancies the latest."""
    latest = [person.pregnancies[-1] if person.pregnancies else (None, None) for person in people]
    return Residents(
        birth_date=_dates([person.birth_date for person in people]),
        hypertension_since=_dates([person.hypertension_since for person in people]),
        diabetes_since=_dates([person.diabetes_since for person in people]),
        pregnant_since=_dates([since for since, _ in latest]),
        pregnant_until=_dates([until for _, until in latest]),
    )


def flag_pregnant(rows: Sequence[HistoryRow], people: Mapping[str, Person]) -> BoolArray:
    """Shape (n,): the resident was pregnant or lactating on the local day of the reading."""
    flags = np.zeros(len(rows), dtype=np.bool_)
    for at, row in enumerate(rows):
        person = people.get(row.resident_id)
        if person is not None and person.pregnancies:
            day = row.effective_at.astimezone(LOCAL).date()
            flags[at] = any(
                since <= day and (until is None or day <= until)
                for since, until in person.pregnancies
            )
    return flags


def as_timedelta(span: np.timedelta64) -> timedelta:
    """A span of a profile as Python's."""
    return timedelta(microseconds=int(span / np.timedelta64(1, "us")))


def _countable(row: HistoryRow) -> bool:
    """Shown but never judged: control solution, a stored record with a faulty clock.

    Source: clinical decision table 2.2 step 4; worked cases, semantics.
    """
    return row.sample != "control_solution" and not (row.stored_record and row.time_suspect)


def _range_status(status: Sequence[str]) -> int:
    return ("result_too_high" in status) - ("result_too_low" in status)


def _codes(codes: Sequence[int]) -> npt.NDArray[np.int8]:
    return np.array(codes, dtype=np.int8)


def _values(values: Sequence[int | None]) -> Int64Array:
    return np.array([MISSING if value is None else value for value in values], dtype=np.int64)


def _instants(times: Sequence[datetime]) -> InstantArray:
    return np.array([at.replace(tzinfo=None) for at in times], dtype="datetime64[us]")


def _dates(days: Sequence[date | None]) -> DateArray:
    return np.array(days, dtype="datetime64[D]")
