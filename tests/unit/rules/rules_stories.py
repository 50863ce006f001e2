"""Events as a story tells them: on which day of March, and whether it went well. At 9:00 local."""

from typing import Any

from tests.unit.rules.oracle.told import bp, glu, recorded, visit

REACTION, COMPLICATION = "adverse_drug_reaction", "new_complication"
CLOSED = "closed"
DAYS = tuple(f"03-{day:02} 09:00" for day in range(1, 32))


def bad(day: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    """Unsatisfied, or high."""
    return bp(f"e{day}", DAYS[day - 1], 152, 94, **fields)


def good(day: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    """Satisfied, or normal."""
    return bp(f"e{day}", DAYS[day - 1], 120, 70, **fields)


def urgent(day: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    """An emergency in the office."""
    return bp(f"e{day}", DAYS[day - 1], 190, 100, **fields)


def home(day: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    """An emergency at home."""
    return bp(f"e{day}", DAYS[day - 1], 190, 100, setting="home", **fields)


def sugar(day: int, value: float, context: str = "fasting") -> dict[str, Any]:
    """A glucose value in mmol/L."""
    return glu(f"g{day}", DAYS[day - 1], value, context)


def seen(day: int, *findings: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    """A recorded visit."""
    return visit(f"v{day}", DAYS[day - 1], *findings, **fields)


def result(day: int) -> dict[str, Any]:
    """A recorded referral follow-up."""
    return recorded("referral_followup", f"f{day}", DAYS[day - 1], outcome="seen")


def doctor(day: int, state_given: str, due: str | None = None) -> dict[str, Any]:
    """An override."""
    extra = {"due": due} if due else {}
    return recorded("override", f"o{day}", DAYS[day - 1], state=state_given, **extra)


def closes(day: int, reason: str = "moved") -> dict[str, Any]:
    """A closure."""
    return recorded("closure", f"x{day}", DAYS[day - 1], reason=reason)


def returns(day: int) -> dict[str, Any]:
    """A new contract."""
    return recorded("reopening", f"y{day}", DAYS[day - 1])


def at_hour(event: dict[str, Any], hour: int) -> dict[str, Any]:
    """The same later on that day."""
    names = event.keys() & {"at", "measured_at", "received_at"}
    return event | {name: event[name].replace("T09:", f"T{hour:02}:") for name in names}


def evening_of_the_last(events: list[dict[str, Any]]) -> str:
    """When it is asked what has become of the case."""
    last = max(event.get("at") or event["measured_at"] for event in events)
    return f"{last[5:10]} 20:00"
