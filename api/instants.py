"""Times that people and programs send: RFC 3339 with an offset, and days as YYYY-MM-DD.

A number is neither: pydantic would take 0 for 1970, which nobody means. Every schema of the API
uses these for what comes in.
"""

import re
from datetime import date, datetime
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema

from gateway.wire.times import parse_instant

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _instant(value: object) -> object:
    if isinstance(value, str):
        return parse_instant(value)
    if isinstance(value, datetime):
        return value
    msg = "write a time as text, such as 2026-03-02T09:00:00+08:00"
    raise ValueError(msg)


def _day(value: object) -> object:
    if isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    msg = "write a day as text, such as 2026-03-02"
    raise ValueError(msg)


Instant: TypeAlias = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Day: TypeAlias = Annotated[date, BeforeValidator(_day)]
