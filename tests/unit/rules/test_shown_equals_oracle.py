"""The promise: an alert shows the value, the limit and the source that the decision table gives it.

The plain evaluator words them on its own, from the table; a wrong limit beside a right alert would
mislead whoever reads it. What is shown may be any finding of the day that says the same: the first
to say so was shown.
"""

from datetime import datetime
from typing import TypeAlias

import pytest

from rules import engine
from rules.codes import AlertCode
from rules.explain import explain_alert
from rules.explain.judged import Judged
from simulators.oracle.evaluate import fold
from simulators.oracle.normal import know, read_event
from simulators.oracle.person import PROFILES, read_resident
from tests.unit.rules.rules_crowd import CHOICES, LIMITS, CaseFile, Crowd, gather, read_member
from tests.unit.rules.rules_crowd import instant as at_utc
from tests.unit.rules.test_rules_equal_oracle import random_cases

Key: TypeAlias = tuple[str, str, str]
Shown: TypeAlias = tuple[str, str, str]
_NAMES = {"HYPERTENSION": "hypertension", "DIABETES": "diabetes_t2"}


def engine_shows(crowd: Crowd, as_of: datetime) -> list[dict[Key, Shown]]:
    judgement = engine.judge(
        crowd.readings, crowd.records, crowd.residents, LIMITS, as_of=at_utc(as_of)
    )
    judged = Judged(
        readings=crowd.readings,
        records=crowd.records,
        residents=crowd.residents,
        limits=LIMITS,
        judgement=judgement,
    )
    member = {row: number for number, row in enumerate(crowd.rows)}
    shown: list[dict[Key, Shown]] = [{} for _ in crowd.rows]
    for number, resident in enumerate(judgement.alerts.resident.tolist()):
        if resident not in member:
            continue
        told = explain_alert(judged, number)
        anchor = crowd.names[judgement.alerts.anchor[number]] or "R1"
        key = _NAMES[told.condition.name], AlertCode(judgement.alerts.code[number]).name, anchor
        observed = told.session_mean or told.observed or told.decided.what.value
        shown[member[resident]][key] = observed, told.limit.threshold, told.limit.source
    return shown


def require_the_same(case: CaseFile, as_of: datetime, shown: dict[Key, Shown]) -> set[str]:
    resident = read_resident(case["resident"])
    profile = PROFILES[case["resident"].get("profile") or case["profile"]]
    told = [read_event(event, resident.id) for event in case["events"]]
    knowledge = know([each for each in told if each.arrival <= as_of], resident.id, {})
    folded = fold(knowledge, resident, profile, as_of)
    alerts = {alert.key: alert for alert in (*folded.alerts(), *folded.overdue(as_of))}
    assert alerts.keys() == shown.keys()
    for key, (observed, threshold, source) in shown.items():
        alert = alerts[key]
        assert (threshold, source) == (alert.limit.threshold, alert.limit.source), key
        assert observed in alert.seen, key
    return {code for _, code, _ in shown}


@pytest.mark.parametrize("profile", CHOICES)
def test_every_alert_shows_what_the_table_says(profile: str) -> None:
    told = random_cases(700, people=300, events=20, profile=profile)
    as_of = datetime.fromisoformat(told[0]["as_of"])

    shown = engine_shows(gather([read_member(case) for case in told], as_of), as_of)

    codes = {
        code
        for case, mine in zip(told, shown, strict=True)
        for code in require_the_same(case, as_of, mine)
    }
    assert codes >= set(AlertCode.__members__) - {"SCREEN_HTN_SUSPECTED"}
