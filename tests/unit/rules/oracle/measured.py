"""Random measurements: values in every unit on and beside every limit, and the clocks of devices.

Only what a device could say; nothing here knows what the rules make of it.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

_MMHG: Final = (
    "110 128 129.9 130 134.9 135 139.9 140 140.1 144.9 145 149.9 150 150.1 160 170 179.9",
    "60 78 84.9 85 85.1 89.9 90 90.1 95 100",
)
_MMHG_SEVERE: Final = ("160 170 179.9 180 185 220", "90 109.9 110 111")
_KPA: Final = (
    "14.5 17.33 17.99 18.6 18.66 18.67 18.7 19.99 20 23.99",
    "9 11.33 11.34 11.9 11.99 12",
)
_KPA_SEVERE: Final = ("18.7 23.99 24", "12 14.6 14.66 14.67")
_PRESSURES: Final = {
    "mm[Hg]": (_MMHG, _MMHG_SEVERE),
    "mmHg": (_MMHG, _MMHG_SEVERE),
    "kPa": (_KPA, _KPA_SEVERE),
}
_GLUCOSE: Final = {
    "mmol/L": ("3.91 5.6 6.9999 7 7.0 7.1 9.9 10 11.0 11.1 12 16.6", "3.8 3.9 16.7 20"),
    "mg/dL": ("71 100 125 126 127 128 179 180 199 200", "69 70 300 301"),
    "mol/L": ("0.0056 0.007 0.0070001 0.01 0.0111", "0.0039 0.0167"),
    "kg/L": ("0.00126 0.00127 0.0018 0.002", "0.0007 0.003"),
}
_NOT_NUMBERS: Final = (None, "NaN", "0Hi", "NRes")
_MINUTE: Final = timedelta(minutes=1)


def _one_of(random: Random, numbers: str) -> int | Decimal:
    text = random.choice(numbers.split())
    return int(text) if text.isdigit() else Decimal(text)


def draw_pressure(random: Random, severe: float) -> dict[str, Any]:
    """Values, unit, arm, setting and status of one blood pressure.

    ``severe`` is how often the values are drawn from around the emergency limits.
    """
    unit: str | None = random.choice(["mm[Hg]", "mm[Hg]", "mmHg", "kPa"])
    highs, lows = _PRESSURES[str(unit)][random.random() < severe]
    high: object = _one_of(random, highs)
    low: object = _one_of(random, lows)
    oddity = random.random()
    if oddity < 0.02:
        high = random.choice(_NOT_NUMBERS)
    elif oddity < 0.05:
        high, low = random.choice([(301, 100), (300, 100), (50, 20), (49, 20), (90, 90), (91, 90)])
        unit = "mm[Hg]"
    elif oddity < 0.07:
        unit = random.choice([None, "", "bar"])
    return {
        "sbp": high,
        "dbp": low,
        "unit": unit,
        "arm": random.choice([None, None, "left", "right"]),
        "setting": random.choice(["office"] * 6 + ["home"] * 2 + ["ambulatory"]),
        "status": random.choice([0] * 50 + [1, 2, 4, 4, 8, 32, 36]),
    }


def draw_glucose(random: Random, severe: float) -> dict[str, Any]:
    """Value, unit, context, sample and status of one glucose reading; ``severe`` likewise."""
    unit: str | None = random.choice(["mmol/L", "mmol/L", "mg/dL", "mol/L", "kg/L"])
    value: object = _one_of(random, _GLUCOSE[str(unit)][random.random() < severe])
    status = random.choice([0] * 20 + [32, 64])  # A number counts more than HI or LO.
    oddity = random.random()
    if oddity < 0.06 * (severe > 0.1) + 0.01:
        value, status = random.choice(_NOT_NUMBERS), random.choice([0, 32, 64])
        unit = random.choice([unit, None])
    elif oddity < 0.09:
        value, unit = _one_of(random, "0.59 0.6 55 55.1"), "mmol/L"
    elif oddity < 0.11:
        unit = random.choice([None, "", "g"])
    contexts = ["fasting"] * 5 + ["postprandial_2h"] * 2 + ["random", "preprandial", "unknown"]
    return {
        "value": value,
        "unit": unit,
        "context": random.choice([*contexts, None]),
        "sample_type": random.choice([None, None, 1, 1, 1, 9] * 4 + [10]),
        "status": status | random.choice([0] * 20 + [1 << 11]),
    }


def draw_clock(
    random: Random, at: datetime, received: datetime, event: dict[str, Any]
) -> dict[str, Any]:
    """What device and gateway say of the time when something was measured at ``at``."""
    told: dict[str, Any] = {"measured_at": at.isoformat()}
    chance = random.random()
    if chance < 0.10:  # The gateway took it some time before it came in.
        told["gateway_now"] = random.choice([at, received]).isoformat()
    elif chance < 0.20:  # A device clock that is wrong and known.
        skew = random.choice([-3, 10, 600, 30_000_000]) * _MINUTE
        told["measured_at"] = (at - skew).isoformat()
        told["gateway_now"] = received.isoformat()
        told["device_now"] = (received - skew).isoformat()
    elif chance < 0.24:  # One that is ahead: five minutes are believed.
        ahead = random.choice([5 * _MINUTE, 5 * _MINUTE + timedelta(seconds=1), 90 * _MINUTE])
        told["measured_at"] = (received + ahead).isoformat()
    elif chance < 0.28:  # One that is wrong, and nobody knows by how much.
        told["measured_at"] = random.choice(
            ["1970-01-01T00:00:30+00:00", "2000-01-01T00:00:00+08:00", "2014-12-31T23:59:59+08:00"]
        )
    elif chance < 0.30 and event["seq"] is not None:
        told["measured_at"] = None
    if random.random() < 0.08:
        told["stored_record"] = True
    return told
