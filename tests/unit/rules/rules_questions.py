"""Short questions to the engine about one person: the state, the case, the alerts."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rules.engine import judge
from rules.profiles import load_profile
from tests.unit.rules.rules_builders import (
    HYPERTENSIVE,
    LONG_AGO,
    Person,
    Row,
    alerts_in,
    cases_in,
    instant,
    readings_of,
    residents_of,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CONTROLLED, OPEN = "controlled", "second_followup_open"
BOTH = Person(hypertension_since=LONG_AGO, diabetes_since=LONG_AGO)


def state_of(
    rows: Sequence[Row],
    person: Person = HYPERTENSIVE,
    *,
    as_of: datetime | None = None,
    profile: str = "wuzhou",
    condition: str = "hypertension",
) -> str:
    return str(case_of(rows, person, as_of=as_of, profile=profile, condition=condition)["state"])


def case_of(
    rows: Sequence[Row],
    person: Person = HYPERTENSIVE,
    *,
    as_of: datetime | None = None,
    profile: str = "wuzhou",
    condition: str = "hypertension",
) -> dict[str, object]:
    at = as_of or max(row.arrived_at for row in rows) + HOUR
    judgement = judge(
        readings_of(rows), residents_of([person]), load_profile(profile), as_of=instant(at)
    )
    return cases_in(judgement).get((0, condition), {"state": "none"})


def alerts_of(
    rows: Sequence[Row],
    person: Person = HYPERTENSIVE,
    *,
    as_of: datetime | None = None,
    profile: str = "wuzhou",
) -> list[tuple[str, str]]:
    at = as_of or max(row.arrived_at for row in rows) + HOUR
    judgement = judge(
        readings_of(rows), residents_of([person]), load_profile(profile), as_of=instant(at)
    )
    return [(str(alert["code"]), str(alert["status"])) for alert in alerts_in(judgement, rows)]
