"""What is stored comes to say what the rules say now, and nothing that was told is rewritten."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.db.alerts import Standing, alert_id
from ingest.db.cases import CaseRow
from ingest.differences import AlertDifference, compare_alerts, compare_cases

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
EARLY, LATE, OTHER = (UUID(int=n) for n in (1, 2, 3))


def an_alert(anchor: UUID = LATE, **more: Any) -> Standing:  # noqa: ANN401 - fields of any type
    plain = Standing(
        resident_id="r-1",
        condition="hypertension",
        code="BP_UNSATISFIED_1",
        anchor_id=anchor,
        anchor_kind="reading",
        effective_at=AT + timedelta(hours=anchor.int),
        severity="warn",
        status="active",
        due=date(2026, 3, 16),
        overdue_days=0,
        escalation=0,
    )
    return plain._replace(**more)


def by_id(*standings: Standing) -> dict[UUID, Standing]:
    """As they would be raised."""
    return {alert_id(each.resident_id, *each[1:4]): each for each in standings}


def compare(
    stored: dict[UUID, Standing],
    wanted: dict[UUID, Standing],
    assessments: dict[UUID, UUID] | None = None,
    unseen: frozenset[UUID] = frozenset(),
) -> AlertDifference:
    """Compare, where each reading belongs to its own assessment unless said otherwise."""
    return compare_alerts(
        stored,
        wanted,
        assessed_at=lambda reading: (assessments or {}).get(reading, reading),
        was_seen=lambda standing: standing.anchor_id not in unseen,
    )


def applied(stored: dict[UUID, Standing], wanted: dict[UUID, Standing]) -> dict[UUID, Standing]:
    """What is stored after the difference has been written."""
    found = compare(stored, wanted)
    return {**stored, **found.changed, **{id_: wanted[id_] for id_ in found.raised}}


def test_what_is_wanted_and_not_there_is_raised() -> None:
    wanted = by_id(an_alert())

    assert compare({}, wanted) == AlertDifference(raised=list(wanted), changed={})


def test_what_stands_as_it_stood_is_left_alone() -> None:
    stored = by_id(an_alert())

    found = compare(stored, dict(stored))

    assert (found.raised, found.changed) == ([], {})


@pytest.mark.parametrize("status", ["active", "resolved"])
def test_what_lost_its_ground_is_cancelled_and_once_only(status: str) -> None:
    stored = by_id(an_alert(status=status))
    ((id_, standing),) = stored.items()
    cancelled = standing._replace(status="cancelled")

    assert compare(stored, {}).changed == {id_: cancelled}
    assert compare({id_: cancelled}, {}).changed == {}


def test_what_rests_on_a_reading_not_looked_at_is_not_missed() -> None:
    assert compare(by_id(an_alert()), {}, unseen=frozenset({LATE})).changed == {}


def test_a_cancelled_alert_whose_ground_returns_is_active_again() -> None:
    wanted = by_id(an_alert())
    ((id_, standing),) = wanted.items()
    stored = {id_: standing._replace(status="cancelled", due=None)}

    found = compare(stored, wanted)

    assert (found.raised, found.changed) == ([], {id_: standing})


def test_an_alert_moves_to_an_earlier_reading_of_its_assessment_and_keeps_its_row() -> None:
    stored = by_id(an_alert(LATE))
    earlier = an_alert(EARLY, due=date(2026, 3, 15))

    found = compare(stored, by_id(earlier), {LATE: EARLY})

    assert (found.raised, found.changed) == ([], dict.fromkeys(stored, earlier))


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        pytest.param(an_alert(), an_alert(EARLY, code="BP_UNSATISFIED_2"), id="other-code"),
        pytest.param(an_alert(), an_alert(EARLY, resident_id="r-2"), id="other-resident"),
        pytest.param(an_alert(), an_alert(EARLY, condition="diabetes"), id="other-condition"),
        pytest.param(
            an_alert(code="BP_EMERGENCY"), an_alert(EARLY, code="BP_EMERGENCY"), id="emergency"
        ),
        pytest.param(
            an_alert(anchor_kind="record"), an_alert(EARLY, anchor_kind="record"), id="of-a-record"
        ),
    ],
)
def test_another_alert_of_the_same_assessment_is_no_moved_one(
    stored: Standing, wanted: Standing
) -> None:
    found = compare(by_id(stored), by_id(wanted), {LATE: EARLY})

    assert len(found.raised) == 1
    assert [each.status for each in found.changed.values()] == ["cancelled"]


def test_a_cancelled_alert_is_not_moved() -> None:
    stored = by_id(an_alert(LATE, status="cancelled"))

    found = compare(stored, by_id(an_alert(EARLY)), {LATE: EARLY})

    assert (len(found.raised), found.changed) == (1, {})


def test_of_two_alerts_that_become_one_assessment_the_earlier_moves() -> None:
    stored = by_id(an_alert(LATE), an_alert(OTHER))
    wanted = by_id(an_alert(EARLY))

    found = compare(stored, wanted, {LATE: EARLY, OTHER: EARLY})

    late, other = stored
    assert found.raised == []
    assert found.changed[late] == an_alert(EARLY)
    assert found.changed[other].status == "cancelled"


def test_a_moved_alert_is_the_same_when_judged_again() -> None:
    moved = dict.fromkeys(by_id(an_alert(LATE)), an_alert(EARLY))

    found = compare(moved, by_id(an_alert(EARLY)))

    assert (found.raised, found.changed) == ([], {})


def test_a_moved_alert_gives_its_id_back_when_both_readings_raise_one() -> None:
    (id_,) = by_id(an_alert(LATE))
    wanted = by_id(an_alert(EARLY), an_alert(LATE))

    found = compare({id_: an_alert(EARLY)}, wanted)

    assert found.changed == {id_: an_alert(LATE)}
    assert found.raised == list(by_id(an_alert(EARLY)))


def test_an_alert_of_nobody_moves_to_whoever_claims_its_reading() -> None:
    stored = by_id(an_alert(resident_id=None))

    found = compare(stored, by_id(an_alert()))

    assert (found.raised, found.changed) == ([], dict.fromkeys(stored, an_alert()))


_SETS = st.lists(
    st.builds(
        an_alert,
        st.sampled_from([EARLY, LATE, OTHER]),
        code=st.sampled_from(["BP_UNSATISFIED_1", "BP_EMERGENCY"]),
        status=st.sampled_from(["active", "resolved"]),
    ),
    unique_by=lambda each: (each.anchor_id, each.code),
    max_size=4,
)


@given(st.lists(_SETS, min_size=1, max_size=6))
def test_after_any_history_of_judgements_what_stands_is_the_last_one(
    history: list[list[Standing]],
) -> None:
    stored: dict[UUID, Standing] = {}
    for wanted in history:
        before = set(stored)
        stored = applied(stored, by_id(*wanted))
        assert before <= set(stored)  # Nothing is ever deleted.

    standing = [each for each in stored.values() if each.status != "cancelled"]
    assert sorted(standing) == sorted(history[-1])
    assert applied(stored, by_id(*history[-1])) == stored


def a_case(**more: Any) -> CaseRow:  # noqa: ANN401 - fields of any type
    plain = CaseRow(
        resident_id="r-1",
        condition="hypertension",
        state="second_followup_open",
        consecutive_unsatisfied=1,
        second_followup_due=date(2026, 3, 16),
        referral_followup_due=None,
        next_routine_due=None,
        anchor_id=LATE,
        profile="wuzhou",
        profile_version="1",
        updated_at=AT,
        anchor_kind="reading",
        cause="first_unsatisfied",
    )
    return plain._replace(**more)


KEY = ("r-1", "hypertension")
LATER = AT + timedelta(days=1)


def test_a_new_case_comes_from_none() -> None:
    assert compare_cases({}, {KEY: a_case()}, at=AT) == [("none", a_case())]


def test_a_case_that_only_another_profile_judged_stays_as_it_was_told() -> None:
    again = a_case(profile="cn_nbphs_2017", profile_version="2", updated_at=LATER)

    assert compare_cases({KEY: a_case()}, {KEY: again}, at=LATER) == []


@pytest.mark.parametrize(
    "change",
    [
        {"second_followup_due": date(2026, 3, 17)},
        {"anchor_id": EARLY},
        {"consecutive_unsatisfied": 2},
        {"cause": "overridden_open"},
        {"state": "controlled"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_case_that_stands_otherwise_is_told(change: dict[str, Any]) -> None:
    now = a_case(**change, updated_at=LATER)

    assert compare_cases({KEY: a_case()}, {KEY: now}, at=LATER) == [("second_followup_open", now)]


def test_a_case_that_lost_its_ground_goes_back_to_none_and_stays_there() -> None:
    ((before, now),) = compare_cases({KEY: a_case()}, {}, at=LATER)

    assert (before, now.state, now.anchor_id, now.cause) == (
        "second_followup_open",
        "none",
        None,
        None,
    )
    assert compare_cases({KEY: now}, {}, at=LATER) == []
