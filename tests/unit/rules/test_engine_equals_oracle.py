"""The promise: the vectorised engine and a plain row-by-row evaluator agree on everything.

And neither the order of the rows nor other residents change a judgement (I3, I4).
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rules.engine import Judgement, judge
from rules.profiles import load_profile
from tests.unit.rules import rules_oracle as oracle
from tests.unit.rules import rules_oracle_case as oracle_case
from tests.unit.rules.rules_builders import (
    LOCAL,
    Person,
    Row,
    a_blood_pressure,
    a_glucose,
    alerts_in,
    anchors_in,
    cases_in,
    instant,
    readings_of,
    residents_of,
)

START = datetime(2026, 1, 30, 23, 50, tzinfo=LOCAL)
Told: TypeAlias = tuple[dict[tuple[int, str], dict[str, object]], list[dict[str, object]]]
"""Cases by (resident, condition), and alerts in a fixed order."""

NUMBERS = {"wuzhou": oracle_case.WUZHOU, "cn_nbphs_2017": oracle_case.NATIONAL}

_NEAR = [0, 0, 1, 9, 10, 11, 59, 60, 61, 239, 240, 241, 24 * 60 - 1, 24 * 60, 24 * 60 + 1]
_MINUTES = st.one_of(st.sampled_from(_NEAR), st.integers(0, 40 * 24 * 60))
_MMHG = st.tuples(
    st.sampled_from(["110", "134.9", "135", "139.9", "140", "140.1", "150", "160", "180", "185"]),
    st.sampled_from(["60", "84", "85", "89.9", "90", "90.1", "95", "109.9", "110"]),
    st.just("mmHg"),
)
_KPA = st.tuples(
    st.sampled_from(["14.5", "18.6", "18.66", "18.67", "18.7", "19.99", "20", "23.99", "24"]),
    st.sampled_from(["9", "11.33", "11.9", "11.99", "12", "14.6", "14.67"]),
    st.just("kPa"),
)
_GLUCOSE = st.one_of(
    st.tuples(
        st.sampled_from(["3.8", "3.9", "4", "6.9999", "7", "7.1", "10", "16.7"]), st.just("mmol/L")
    ),
    st.tuples(
        st.sampled_from(["69", "70", "71", "125", "126", "127", "128", "180", "300", "301"]),
        st.just("mg/dL"),
    ),
    st.tuples(st.sampled_from(["0.0039", "0.007", "0.0070001", "0.0167"]), st.just("mol/L")),
    st.tuples(st.sampled_from(["0.0007", "0.00126", "0.003"]), st.just("kg/L")),
    st.tuples(st.none(), st.none()),
)
_DAYS = st.dates(date(2026, 1, 25), date(2026, 5, 1))
_PEOPLE = st.builds(
    Person,
    birth_date=st.one_of(
        st.none(),
        st.sampled_from(
            [date(1961, 2, 14), date(1961, 3, 1), date(1956, 2, 29), date(1991, 2, 20)]
        ),
        st.sampled_from([date(2008, 2, 3), date(2015, 1, 1), date(1980, 9, 9)]),
    ),
    hypertension_since=st.one_of(st.none(), st.just(date(2010, 1, 1)), _DAYS),
    diabetes_since=st.one_of(st.none(), st.just(date(2010, 1, 1)), _DAYS),
    pregnant_since=st.one_of(st.none(), st.none(), _DAYS),
    pregnant_until=st.one_of(st.none(), _DAYS),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Row]:
    """Rows of up to three residents whose gaps lie on and beside every boundary."""
    rows: list[Row] = []
    at = START
    for number in range(draw(st.integers(0, 30))):
        at += timedelta(minutes=draw(_MINUTES))
        common: dict[str, Any] = {
            "at": at,
            "id": draw(st.binary(min_size=14, max_size=14)) + bytes([number, 0]),
            "captured_at": at + timedelta(seconds=draw(st.sampled_from([0, 0, 30]))),
            "arrived_at": at + timedelta(minutes=draw(st.sampled_from([0, 0, 2, 5000]))),
            "received_at": at + timedelta(hours=draw(st.sampled_from([0, 0, 24, 25, 400]))),
            "countable": draw(st.integers(0, 9)) > 0,
            "resident": draw(st.sampled_from([0, 0, 0, 1, 2])),
        }
        if draw(st.integers(0, 2)):
            high, low, unit = draw(st.one_of(_MMHG, _KPA))
            rows.append(
                a_blood_pressure(
                    Decimal(high),
                    Decimal(low),
                    unit=unit,
                    setting=draw(st.sampled_from(["office", "office", "home", "ambulatory"])),
                    arm=draw(st.sampled_from([None, None, "left", "right"])),
                    **common,
                )
            )
        else:
            number_text, unit_text = draw(_GLUCOSE)
            rows.append(
                a_glucose(
                    number_text,
                    unit=unit_text,
                    range_status=draw(st.sampled_from([-1, 1])) if number_text is None else 0,
                    meal_context=draw(
                        st.sampled_from(["fasting", "fasting", "postprandial_2h", "random"])
                    ),
                    **common,
                )
            )
    return draw(st.permutations(rows))


def engine_says(
    rows: Sequence[Row], people: Sequence[Person], profile: str, as_of: datetime
) -> Told:
    judgement = judge(
        readings_of(rows), residents_of(people), load_profile(profile), as_of=instant(as_of)
    )
    alerts = alerts_in(judgement, rows)
    anchors = anchors_in(judgement, rows)
    cases = {key: {**case, "anchor": anchors[key]} for key, case in cases_in(judgement).items()}
    return cases, sorted(alerts, key=repr)


def oracle_says(
    rows: Sequence[Row], people: Sequence[Person], profile: str, as_of: datetime
) -> Told:
    cases: dict[tuple[int, str], dict[str, object]] = {}
    alerts: list[dict[str, object]] = []
    for resident, person in enumerate(people):
        mine = [row for row in rows if row.resident == resident]
        for name, case in oracle.evaluate(mine, person, NUMBERS[profile], as_of).items():
            if case.state != "none":
                due = case.due.isoformat() if case.due else None
                referred = case.state in oracle_case.REFERRAL | {"referral_followup_overdue"}
                cases[resident, name] = {
                    "state": case.state,
                    "consecutive_unsatisfied": case.count,
                    "second_followup_due": None if referred else due,
                    "referral_followup_due": due if referred else None,
                    "next_routine_due": case.routine.isoformat() if case.routine else None,
                    "anchor": case.anchor.id if case.anchor else None,
                }
            alerts += [_as_told(resident, name, alert) for alert in case.alerts]
    return cases, sorted(alerts, key=repr)


def _as_told(resident: int, condition: str, alert: oracle_case.Alert) -> dict[str, object]:
    late = oracle.lateness(alert)
    days = alert.overdue_days
    return {
        "resident": resident,
        "condition": condition,
        "code": alert.code,
        "severity": alert.severity,
        "status": alert.status,
        "anchor": alert.anchor.id.rstrip(b"\0"),
        "due": alert.due.isoformat() if alert.due else None,
        "page": alert.severity in {"high", "critical"} and not late,
        "late": late,
        "overdue_days": days,
        "escalation": 0 if days < 7 else 1 if days < 14 else 2,
    }


def _bytes_of(alert: dict[str, object]) -> bytes:
    anchor = alert["anchor"]
    assert isinstance(anchor, bytes)
    return anchor


def _without_padding(told: Told) -> Told:
    cases, alerts = told
    stripped = [{**alert, "anchor": _bytes_of(alert).rstrip(b"\0")} for alert in alerts]
    return cases, sorted(stripped, key=repr)


@pytest.mark.parametrize("profile", ["wuzhou", "cn_nbphs_2017"])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=histories(),
    people=st.lists(_PEOPLE, min_size=3, max_size=3),
    patience=st.timedeltas(timedelta(minutes=-5), timedelta(days=60)),
)
@example(rows=[], people=[Person()] * 3, patience=timedelta(0))
def test_engine_and_plain_evaluator_agree(
    profile: str, rows: list[Row], people: list[Person], patience: timedelta
) -> None:
    as_of = max((row.at for row in rows), default=START) + patience

    found = _without_padding(engine_says(rows, people, profile, as_of))

    assert found == oracle_says(rows, people, profile, as_of)
    identities = [
        (alert["resident"], alert["condition"], alert["code"], alert["anchor"])
        for alert in found[1]
    ]
    assert len(set(identities)) == len(identities)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=histories(),
    people=st.lists(_PEOPLE, min_size=3, max_size=3),
    shuffle=st.randoms(use_true_random=False),
)
def test_any_order_of_rows_gives_the_same_judgement(
    rows: list[Row], people: list[Person], shuffle: Random
) -> None:
    as_of = START + timedelta(days=400)
    other = list(rows)
    shuffle.shuffle(other)

    assert engine_says(rows, people, "wuzhou", as_of) == engine_says(other, people, "wuzhou", as_of)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=histories(),
    people=st.lists(_PEOPLE, min_size=3, max_size=3),
    patience=st.timedeltas(timedelta(minutes=-5), timedelta(days=60)),
)
def test_nothing_changes_before_the_next_tick_but_the_count_of_days(
    rows: list[Row], people: list[Person], patience: timedelta
) -> None:
    as_of = max((row.at for row in rows), default=START) + patience
    columns, residents = readings_of(rows), residents_of(people)
    profile = load_profile("wuzhou")
    judgement = judge(columns, residents, profile, as_of=instant(as_of))

    for resident, tick in enumerate(judgement.next_tick):
        horizon = instant(as_of) + np.timedelta64(2000, "D") if np.isnat(tick) else tick
        assert horizon > instant(as_of)
        just_before = horizon - np.timedelta64(1, "us")
        later = judge(columns, residents, profile, as_of=just_before)
        assert _but_days(later, rows, resident) == _but_days(judgement, rows, resident)
        if not np.isnat(tick):
            then = judge(columns, residents, profile, as_of=tick)
            assert then.next_tick[resident] != tick


def _but_days(judgement: Judgement, rows: list[Row], resident: int) -> object:
    cases = {key: case for key, case in cases_in(judgement).items() if key[0] == resident}
    alerts = [
        {name: value for name, value in alert.items() if name != "overdue_days"}
        for alert in alerts_in(judgement, rows)
        if alert["resident"] == resident
    ]
    return cases, sorted(alerts, key=repr)
