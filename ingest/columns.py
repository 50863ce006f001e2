"""Rows of the database, and people, to the columns of the rules. Pure.

Readings that have just come are here; stored ones are read as columns already
(``ingest.db.history``). Units, quality, control solutions and clocks are the rules' matter.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from ingest.db.amendments import Said
from ingest.db.readings import ReadingRow
from ingest.db.residents import Person, Pregnancy
from ingest.db.words import (
    ARM_CODES,
    CONTROL_SOLUTION,
    KIND_CODES,
    MEAL_CODES,
    SETTING_CODES,
    STATUS_BITS,
    UNIT_CODES,
    UNIT_CODES_BY_KIND,
    Codes,
)
from rules.columns import (
    KIND_BLOOD_PRESSURE,
    MISSING,
    DateArray,
    InstantArray,
    Int64Array,
    Periods,
    Residents,
)
from rules.reported import NO_SEQUENCE, NO_UNIT, Amendments, Field, Reported

Period: TypeAlias = tuple[str, date, date | None, int]
"""Pseudonym, first day, last day (None: open), what holds."""

_INEXACT: Final = 10**17
"""Stands for a value with more digits than an instrument has: implausible, never rounded."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_reported(rows: Sequence[ReadingRow], residents: Mapping[str | None, int]) -> Reported:
    """Columns of readings that have just come, row-aligned with them.

    Args:
        rows: In any order.
        residents: Pseudonym, or None for unclaimed, to row number in ``Residents``.
    """
    return Reported(
        resident=np.array([residents[row.resident_id] for row in rows], dtype=np.int64),
        ids=np.array([row.id.bytes for row in rows], dtype="S16"),
        kind=_codes([KIND_CODES[row.kind] for row in rows]),
        systolic_e4=_values([row.systolic for row in rows], 4),
        diastolic_e4=_values([row.diastolic for row in rows], 4),
        glucose_e7=_values([row.glucose for row in rows], 7),
        unit=_codes([UNIT_CODES[row.unit] for row in rows]),
        status=np.array([_status_bits(row.status) for row in rows], dtype=np.int64),
        setting=_codes([SETTING_CODES[row.setting] for row in rows]),
        arm=_codes([ARM_CODES[row.arm] for row in rows]),
        meal_context=_codes([MEAL_CODES[row.meal_context] for row in rows]),
        control_solution=np.array([row.sample == CONTROL_SOLUTION for row in rows], np.bool_),
        stored_record=np.array([row.stored_record for row in rows], dtype=np.bool_),
        device=np.zeros(len(rows), dtype=np.int64),  # The store has settled duplicates.
        sequence=np.full(len(rows), NO_SEQUENCE, dtype=np.int64),
        measured_at=to_instants([row.measured_at for row in rows]),
        device_now=to_instants([_shift_base(row) for row in rows]),
        captured_at=to_instants([row.captured_at for row in rows]),
        arrived_at=to_instants([row.arrived_at for row in rows]),
        received_at=to_instants([row.received_at for row in rows]),
    )


def _shift_base(row: ReadingRow) -> datetime | None:
    """As ``ingest.rows`` does: a gateway without a time server corrects no device's clock."""
    return row.device_now if row.clock_synchronised else None


def to_residents(people: Sequence[Person], pregnancies: Periods, profiles: Periods) -> Residents:
    """Columns of people, row-aligned with them."""
    return Residents(
        birth_date=_dates([person.birth_date for person in people]),
        hypertension_since=_dates([person.hypertension_since for person in people]),
        diabetes_since=_dates([person.diabetes_since for person in people]),
        enrolled_on=_dates([person.enrolled_on for person in people]),
        pregnancies=pregnancies,
        profiles=profiles,
    )


def to_periods(periods: Sequence[Period], residents: Mapping[str, int]) -> Periods:
    """Dated states as columns; ``residents`` says whose row is which."""
    return Periods(
        resident=np.array([residents[owner] for owner, _, _, _ in periods], dtype=np.int64),
        since=_dates([since for _, since, _, _ in periods]),
        until=_dates([until for _, _, until, _ in periods]),
        value=_codes([value for _, _, _, value in periods]),
    )


def to_pregnancies(rows: Sequence[Pregnancy], residents: Mapping[str, int]) -> Periods:
    """Pregnancies and lactations as columns."""
    return to_periods([(row.resident_id, row.since, row.until, 1) for row in rows], residents)


def to_amendments(
    said: Sequence[Said], places: Mapping[bytes, int], reported: Reported
) -> Amendments:
    """What was said of readings, one row for each field.

    Whose reading it is has been settled before (``ingest.histories``).

    Args:
        said: Of any readings; those that are not in ``places`` are left out.
        places: Id to row of ``reported``.
        reported: Says of which kind a reading is: a unit means nothing without it.
    """
    rows = [
        (places[each.reading_id.bytes], int(field), value, each)
        for each in said
        if each.reading_id.bytes in places
        for field, value in _fields(each, reported, places[each.reading_id.bytes])
    ]
    return Amendments(
        target=np.array([target for target, _, _, _ in rows], dtype=np.int64),
        field=_codes([field for _, field, _, _ in rows]),
        value=np.array([value for _, _, value, _ in rows], dtype=np.int64),
        received_at=to_instants([each.received_at for _, _, _, each in rows]),
        ids=np.array([each.id.bytes for _, _, _, each in rows], dtype="S16"),
    )


def _fields(said: Said, reported: Reported, row: int) -> list[tuple[Field, int]]:
    if said.kind == "retraction":
        return [(Field.RETRACTED, 1)]
    if said.kind == "context":
        code = MEAL_CODES[said.changes["meal_context"]]
        return [(Field.LATE_CONTEXT, code)] if code != MEAL_CODES["unknown"] else []
    kind = "blood_pressure" if reported.kind[row] == KIND_BLOOD_PRESSURE else "glucose"
    codes: dict[str, Codes] = {"unit": UNIT_CODES_BY_KIND[kind], **_AMENDED_WORDS}
    found = []
    for name, new in said.changes.items():
        if name in codes:
            found.append((Field[name.upper()], codes[name].get(new, NO_UNIT)))
        elif name != "resident_id":
            found.append((Field[name.upper()], _AMENDED_VALUES[name](new)))
    return found


def to_microseconds(at: datetime) -> int:
    """Microseconds since 1970, UTC, of an aware instant."""
    return (at - _EPOCH) // _MICROSECOND


def to_instants(times: Sequence[datetime | None]) -> InstantArray:
    """Aware UTC datetimes as ``datetime64[us]``; None becomes NaT."""
    naive = [None if at is None else at.replace(tzinfo=None) for at in times]
    return np.array(naive, dtype="datetime64[us]")


def to_datetimes(instants: InstantArray) -> list[datetime]:
    """``datetime64[us]`` as aware UTC datetimes; there is no NaT among them."""
    return [at.replace(tzinfo=UTC) for at in instants.astype("datetime64[us]").tolist()]


def to_days(days: DateArray) -> list[date | None]:
    """Local calendar days; NaT becomes None."""
    found: list[date | None] = days.astype("datetime64[D]").tolist()
    return found


def as_timedelta(span: np.timedelta64) -> timedelta:
    """A span of a profile as Python's."""
    return timedelta(microseconds=int(span / np.timedelta64(1, "us")))


def _status_bits(status: Sequence[str]) -> int:
    return sum(STATUS_BITS.get(word, 0) for word in {*status})


def _scaled(value: Decimal | None, decimals: int) -> int:
    if value is None:
        return MISSING
    scaled = value.scaleb(decimals)
    return int(scaled) if scaled == scaled.to_integral_value() else _INEXACT


def _values(values: Sequence[Decimal | None], decimals: int) -> Int64Array:
    return np.array([_scaled(value, decimals) for value in values], dtype=np.int64)


def _codes(codes: Sequence[int]) -> npt.NDArray[np.int8]:
    return np.array(codes, dtype=np.int8)


def _dates(days: Sequence[date | None]) -> DateArray:
    return np.array(days, dtype="datetime64[D]")


_AMENDED_WORDS: Final[dict[str, Codes]] = {
    "meal_context": MEAL_CODES,
    "arm": ARM_CODES,
    "setting": SETTING_CODES,
}
_AMENDED_VALUES: Final[dict[str, Callable[[Any], int]]] = {
    "systolic": lambda text: _scaled(Decimal(text), 4),
    "diastolic": lambda text: _scaled(Decimal(text), 4),
    "glucose": lambda text: _scaled(Decimal(text), 7),
    "status": _status_bits,
    "measured_at": lambda text: (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND,
}
