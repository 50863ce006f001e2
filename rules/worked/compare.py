"""Where a result differs from what a worked case expects: one line each.

An alert agrees when every field that the expectation names agrees; the list is complete. A
condition that is not named is ``none``. Numbers agree to the digits given.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from rules.worked.evaluate import NO_CASE

_SAME_UNIT: Final = {"mmHg": "mm[Hg]"}


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """All differences between ``expected`` and the result of ``evaluate_case``."""
    return [
        *_of_alerts(expected.get("alerts", []), found["alerts"]),
        *_of_cases(expected.get("cases", {}), found["cases"]),
        *_of_dispositions(expected.get("dispositions", {}), found["dispositions"]),
        *_of_values(expected.get("normalized", {}), found["normalized"]),
        *_of_third(expected, found),
    ]


def _agrees(wanted: dict[str, Any], alert: dict[str, Any]) -> bool:
    return all(name in alert and alert[name] == value for name, value in wanted.items())


def _of_alerts(expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> Iterator[str]:
    """Match one to one, the most demanding expectations first."""
    left = list(found)
    for wanted in sorted(expected, key=len, reverse=True):
        match = next((alert for alert in left if _agrees(wanted, alert)), None)
        if match is None:
            yield f"alert missing: {_short(wanted)}"
        else:
            left.remove(match)
    for alert in left:
        yield f"alert not expected: {_short(alert)}"


def _short(alert: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in alert.items())


def _of_cases(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for condition in sorted({*expected, *found}):
        wanted, case = expected.get(condition, NO_CASE), found.get(condition, NO_CASE)
        for name, value in wanted.items():
            if case.get(name) != value:
                yield f"case {condition}: {name} is {case.get(name)}, expected {value}"


def _of_dispositions(expected: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    for name, wanted in expected.items():
        if found.get(name) != wanted:
            yield f"disposition of {name} is {found.get(name)}, expected {wanted}"
    for name, given in found.items():
        if name not in expected and given not in {"accepted", "duplicate"}:
            yield f"disposition of {name} is {given}, expected accepted"


def _of_values(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for name, values in expected.items():
        for field, wanted in values.items():
            given = found.get(name, {}).get(field)
            if not _same(wanted, given):
                yield f"normalised {name}.{field} is {given}, expected {wanted}"


def _same(wanted: Any, given: Any) -> bool:  # noqa: ANN401 - whatever the file says
    if isinstance(wanted, int | Decimal) and isinstance(given, Decimal):
        digits = Decimal(1).scaleb(int(Decimal(wanted).as_tuple().exponent))
        return given.quantize(digits) == wanted or given == wanted
    if wanted == given or (isinstance(wanted, str) and _SAME_UNIT.get(wanted) == given):
        return True
    return _same_instant(wanted, given)


def _same_instant(wanted: Any, given: Any) -> bool:  # noqa: ANN401 - whatever the file says
    try:
        return datetime.fromisoformat(wanted) == datetime.fromisoformat(given)
    except (TypeError, ValueError):
        return False


def _of_third(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    wanted = expected.get("needs_third_reading")
    if wanted is not None and sorted(wanted) != sorted(found["needs_third_reading"]):
        yield f"third readings asked for {found['needs_third_reading']}, expected {wanted}"
