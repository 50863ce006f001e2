"""Columns as a test writes them: so many rows of defaults, and only what matters."""

from typing import Any, TypeVar

import numpy as np

from rules.columns import Periods, Readings, Records, Residents
from rules.reported import Amendments, Field, Reported
from rules.units import MMHG_E13_PER_MMHG

Table = TypeVar("Table", Reported, Readings, Records, Amendments)
NOON = np.datetime64("2026-03-02T04:00", "us")  # 12:00 in Shanghai.
NOT_A_TIME = np.datetime64("NaT", "us")
MINUTE = np.timedelta64(60_000_000, "us")
MMHG = MMHG_E13_PER_MMHG
_SCALED = 10_000


def numbered(many: int) -> list[bytes]:
    """Ids that ascend with the rows."""
    return [b"%04d" % row for row in range(many)]


def _fill(table: type[Table], defaults: dict[str, tuple[object, str]], columns: Any) -> Table:  # noqa: ANN401 - columns by name
    """Every column that is not given holds its default; a scalar stands in every row."""
    lengths = {len(each) for each in columns.values() if isinstance(each, list | tuple)}
    many = max(lengths, default=1)
    filled = {}
    for name, (default, dtype) in defaults.items():
        value = columns.pop(name, default)
        if name == "ids" and value is None:
            value = numbered(many)
        column = np.array(value if isinstance(value, list | tuple) else [value] * many)
        filled[name] = column.astype(dtype)
    assert not columns, f"no such column: {', '.join(columns)}"
    return table(**filled)


def reported(**columns: Any) -> Reported:  # noqa: ANN401 - columns by name
    """Readings as devices sent them: 128/78 mmHg at noon, numbered, in the office."""
    times = dict.fromkeys(("measured_at", "captured_at", "arrived_at", "received_at"), NOON)
    defaults: dict[str, tuple[object, str]] = {
        **dict.fromkeys(("resident", "device", "status"), (0, "int64")),
        "ids": (None, "S16"),
        "kind": (1, "int8"),
        "systolic_e4": (128 * _SCALED, "int64"),
        "diastolic_e4": (78 * _SCALED, "int64"),
        "glucose_e7": (-1, "int64"),
        "unit": (1, "int8"),
        "setting": (1, "int8"),
        **dict.fromkeys(("arm", "meal_context"), (0, "int8")),
        **dict.fromkeys(("control_solution", "stored_record"), (False, "bool")),
        "sequence": (-1, "int64"),
        "device_now": (NOT_A_TIME, "datetime64[us]"),
        **{name: (at, "datetime64[us]") for name, at in times.items()},
    }
    return _fill(Reported, defaults, columns)


def amendments(*said: tuple[int, Field, int], **columns: Any) -> Amendments:  # noqa: ANN401 - columns by name
    """What was said: (row, field, value) each, received one minute after the other."""
    many = range(len(said))
    defaults: dict[str, tuple[object, str]] = {
        "target": ([each[0] for each in said], "int64"),
        "field": ([each[1] for each in said], "int8"),
        "value": ([each[2] for each in said], "int64"),
        "received_at": ([NOON + number * MINUTE for number in many], "datetime64[us]"),
        "ids": (numbered(len(said)), "S16"),
    }
    return _fill(Amendments, defaults, columns)


def readings(**columns: Any) -> Readings:  # noqa: ANN401 - columns by name
    """Usable readings: 128/78 mmHg in the office, each at noon; pressures in mmHg."""
    for side, default in (("systolic", 128), ("diastolic", 78)):
        value = columns.pop(side, default)
        scaled = [each * MMHG for each in value] if isinstance(value, list) else value * MMHG
        columns.setdefault(f"{side}_mmhg_e13", scaled)
    times = ("effective_at", "captured_at", "arrived_at", "received_at")
    defaults: dict[str, tuple[object, str]] = {
        "resident": (0, "int64"),
        "ids": (None, "S16"),
        "kind": (1, "int8"),
        **dict.fromkeys(("systolic_mmhg_e13", "diastolic_mmhg_e13"), (-1, "int64")),
        "glucose_mmol_l_e4": (-1, "int64"),
        **dict.fromkeys(("range_status", "arm", "meal_context"), (0, "int8")),
        "setting": (1, "int8"),
        "countable": (True, "bool"),
        **dict.fromkeys(times, (NOON, "datetime64[us]")),
    }
    return _fill(Readings, defaults, columns)


def records(**columns: Any) -> Records:  # noqa: ANN401 - columns by name
    """What people recorded: a visit about hypertension at noon, face to face."""
    defaults: dict[str, tuple[object, str]] = {
        "resident": (0, "int64"),
        "ids": (None, "S16"),
        **dict.fromkeys(("kind", "condition"), (1, "int8")),
        **dict.fromkeys(("state", "reason"), (0, "int8")),
        **dict.fromkeys(("at", "received_at"), (NOON, "datetime64[us]")),
        **dict.fromkeys(("adverse_reaction", "complication"), (False, "bool")),
        "face_to_face": (True, "bool"),
        "due": (np.datetime64("NaT", "D"), "datetime64[D]"),
    }
    return _fill(Records, defaults, columns)


def periods(*held: tuple[int, str, str, int]) -> Periods:
    """(resident, first day, last day, value) each."""
    residents, since, until, values = zip(*held, strict=True) if held else ((), (), (), ())
    return Periods(
        resident=np.array(residents, np.int64),
        since=np.array(since, "datetime64[D]"),
        until=np.array(until, "datetime64[D]"),
        value=np.array(values, np.int8),
    )


def residents(many: int = 1, **columns: Any) -> Residents:  # noqa: ANN401 - columns by name
    """People born in 1968 with no diagnosis, not enrolled."""
    birth_date = columns.pop("birth_date", ["1968-02-11"] * many)
    days = {
        name: np.array(columns.pop(name, ["NaT"] * many), "datetime64[D]")
        for name in ("hypertension_since", "diabetes_since", "enrolled_on")
    }
    return Residents(
        birth_date=np.array(birth_date, "datetime64[D]"),
        **days,
        pregnancies=columns.pop("pregnancies", Periods.none()),
        profiles=columns.pop("profiles", Periods.none()),
    )
