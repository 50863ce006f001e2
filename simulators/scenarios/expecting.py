"""What must come of a scenario, as its file tells it; one word says what is counted.

``expectations`` judges by it.
"""

from collections.abc import Sequence
from typing import Any, Final

from gateway.wire.errors import Reason
from rules.codes import AlertCode, AlertStatus, CaseState
from simulators.scenarios.events import CONDITIONS
from simulators.scenarios.scenario import Expectation
from simulators.scenarios.table import Table

_READINGS: Final = ("sent", "stored", "duplicate", "quarantined", "redelivered", "unsettling")
FIGURES: Final = (
    *("htn.control_rate", "t2dm.control_rate"),
    *("htn.standard_management_rate", "t2dm.standard_management_rate"),
    *("htn.second_followup_on_time", "t2dm.second_followup_on_time"),
    *("htn.referral_followup_on_time", "htn.referral_closure_rate"),
    *("htn.routine_followup_on_time", "t2dm.routine_followup_on_time"),
    *("signing.all", "signing.key", "fulfilment.all", "fulfilment.key"),
)
"""What a supervisor asks for first, by the code of the indicator."""
_COUNT_MAX: Final = 100_000_000


def read_expectation(table: Table, persons: list[str]) -> Expectation:
    """One expectation; all of its table is read. Raises ``ScenarioError``."""
    words: dict[str, Sequence[str]] = {
        "alert": ["any", *AlertCode.__members__],
        "case": CONDITIONS,
        "quarantined": ["any", *(str(reason) for reason in Reason)],
        "refused": ["any"],
        "readings": _READINGS,
        "figure": FIGURES,
    }
    there = [name for name in words if table.has(name)]
    if len(there) != 1:
        table.refuse("", f"needs one of {', '.join(words)}, and only one")
    what = there[0]
    fields: dict[str, Any] = {"value": table.word(what, words[what])}
    if what in {"alert", "case"} and (what == "case" or table.has("person")):
        fields["person"] = table.word("person", persons)
    if what == "alert":
        fields |= _of_alert(table)
    if what == "case":
        states = [name.lower() for name in CaseState.__members__]
        fields["state"] = table.word("state", states)
        if table.has("on"):
            fields["on"] = table.moment("on")
    elif what == "figure":
        fields |= _percents(table)
    else:
        fields |= _bounds(table)
    table.done()
    return Expectation(where=table.here, what=what, **fields)


def _of_alert(table: Table) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if table.has("status"):
        statuses = [name.lower() for name in AlertStatus.__members__]
        fields["status"] = table.word("status", [*statuses, "standing"])
    for name, key in (("from", "since"), ("by", "by")):
        if table.has(name):
            fields[key] = table.moment(name)
    if table.has("due"):
        fields["due"] = table.day("due")
    return fields


def _percents(table: Table) -> dict[str, Any]:
    if not table.has("at_least") and not table.has("at_most"):
        table.refuse("", "needs at_least or at_most, in percent")
    least = table.number("at_least", 0, low=0, high=100)
    most = table.number("at_most", 100, low=0, high=100)
    if most < least:
        table.refuse("at_most", f"is {most:g}, below at_least ({least:g})")
    return {"at_least": least, "at_most": most}


def _bounds(table: Table) -> dict[str, Any]:
    if table.has("exactly"):
        number = table.whole("exactly", high=_COUNT_MAX)
        return {"at_least": number, "at_most": number}
    most = table.whole("at_most", high=_COUNT_MAX) if table.has("at_most") else None
    least = table.whole("at_least", 1 if most is None else 0, high=_COUNT_MAX)
    if most is not None and most < least:
        table.refuse("at_most", f"is {most}, below at_least ({least})")
    return {"at_least": least, "at_most": most}
