"""The promise: what a checkpoint has folded need not be folded again, whatever comes after.

fold(checkpoint, tail) = fold(all): the same cases and the same alerts, but for those that were
answered before the cut, about which nobody asks any more.
"""

from datetime import datetime
from random import Random
from typing import Any, TypeAlias

import numpy as np
import pytest

from rules import engine
from rules.carried import Carried
from rules.checkpoint import take_checkpoint
from rules.codes import AlertCode
from rules.judgement import Judgement
from rules.local_time import local_midnight
from tests.unit.rules.oracle.histories import START, random_case
from tests.unit.rules.oracle.told import at as local
from tests.unit.rules.oracle.told import bp, glu, recorded, visit
from tests.unit.rules.rules_crowd import CHOICES, LIMITS, Crowd, gather, instant, read_member

Moments: TypeAlias = list[tuple[bytes, int]]
"""Id and microsecond of everything that an anchor can point at."""
REACTION = "adverse_drug_reaction"
_NEVER = np.iinfo(np.int64).max


def take(crowd: Crowd, before: datetime, as_of: datetime) -> Carried:
    return take_checkpoint(
        crowd.readings,
        crowd.records,
        crowd.residents,
        LIMITS,
        before=instant(before),
        as_of=instant(as_of),
    )


def judge(crowd: Crowd, as_of: datetime, start: Carried | None = None) -> Judgement:
    return engine.judge(
        crowd.readings, crowd.records, crowd.residents, LIMITS, as_of=instant(as_of), start=start
    )


def list_moments(crowd: Crowd, start: Carried | None = None) -> Moments:
    enrolled = local_midnight(crowd.residents.enrolled_on, LIMITS.utc_offset)
    parts = [
        (crowd.readings.ids, crowd.readings.effective_at),
        (crowd.records.ids, crowd.records.at),
        (np.zeros(len(enrolled), "S16"), enrolled),
    ]
    if start is not None:
        parts.append((start.moments.ids, start.moments.at))
    found = [(ids.tolist(), at.astype(np.int64).tolist()) for ids, at in parts]
    listed = [pair for ids, at in found for pair in zip(ids, at, strict=True)]
    return [*listed, (b"nothing", _NEVER)]  # Anchor -1.


def tell(table: Any, moments: Moments) -> list[dict[str, Any]]:  # noqa: ANN401 - cases or alerts
    """Rows with ids and times in the place of anchors, in a fixed order."""
    columns = {name: getattr(table, name).tolist() for name in table.__dataclass_fields__}
    for name in columns.keys() & {"anchor", "decided", "resolved_by"}:
        columns[name] = [moments[each] for each in columns[name]]
    values = zip(*columns.values(), strict=True)
    return sorted((dict(zip(columns, row, strict=True)) for row in values), key=repr)


def require_the_same(crowd: Crowd, start: Carried, as_of: datetime, people: Any = ...) -> None:  # noqa: ANN401 - an index
    """That whole and tail agree on everything that the tail still has to say of ``people``."""
    whole, tail = judge(crowd, as_of), judge(crowd, as_of, start)
    mine = set(np.arange(len(crowd.residents))[people].tolist())
    before, after = list_moments(crowd), list_moments(crowd, start)
    until = start.until.astype(np.int64)

    def of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if row["resident"] in mine]

    unanswered = [
        alert
        for alert in tell(whole.alerts, before)
        if alert["resolved_by"][1] >= until[alert["resident"]]
    ]
    assert of(tell(tail.cases, after)) == of(tell(whole.cases, before))
    assert of(tell(tail.alerts, after)) == of(unanswered)
    np.testing.assert_array_equal(tail.next_tick[people], whole.next_tick[people])
    np.testing.assert_array_equal(tail.high_normal_on[people], whole.high_normal_on[people])
    owner = crowd.readings.resident
    is_tail = crowd.readings.effective_at >= start.until[owner]
    is_tail &= np.isin(owner, list(mine))
    asked, left = set(whole.third_reading.tolist()), set(np.flatnonzero(is_tail).tolist())
    assert set(tail.third_reading.tolist()) & left == asked & left
    for name in ("session", "group"):
        found, expected = getattr(tail.trace, name), getattr(whole.trace, name)
        assert found[is_tail].tolist() == expected[is_tail].tolist()


def random_crowd(seed: int, *, people: int, events: int) -> tuple[Crowd, datetime]:
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    cases = [
        random_case(random, events=events, profile=random.choice(CHOICES)) for _ in range(people)
    ]
    as_of = datetime.fromisoformat(random.choice(cases)["as_of"])
    return gather([read_member(case) for case in cases], as_of), as_of


def cuts(crowd: Crowd, random: Random, as_of: datetime, many: int) -> list[datetime]:
    """Moments anywhere, and at or beside an event."""
    events = np.concatenate([crowd.readings.effective_at, crowd.records.at])
    at = [START + random.random() * (as_of - START) for _ in range(many)]
    for row in random.choices(range(len(events)), k=many):
        beside = events[row] + np.timedelta64(random.choice([-1, 0, 0, 1]), "us")
        at.append(datetime.fromisoformat(f"{beside}+00:00"))
    return at


@pytest.mark.parametrize("block", [3, 1 << 13], ids=["several-blocks", "one-block"])
@pytest.mark.parametrize("seed", range(8))
def test_checkpoint_and_tail_say_what_all_says(
    seed: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RESIDENTS_PER_BLOCK", block)
    crowd, as_of = random_crowd(seed, people=20, events=(20, 60)[seed % 2])

    for before in cuts(crowd, Random(seed), as_of, 2):  # noqa: S311 - repeatable on purpose
        require_the_same(crowd, take(crowd, before, as_of), as_of)


@pytest.mark.parametrize("seed", range(4))
def test_checkpoint_taken_before_the_rest_was_known(seed: int) -> None:
    """Whoever had nothing told later about the time before the cut may be folded on."""
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    members = [
        read_member(random_case(random, events=40, profile=random.choice(CHOICES)))
        for _ in range(40)
    ]
    as_of = datetime.fromisoformat(members[0].case["as_of"])
    then = START + random.random() * (as_of - START)
    known, everything = gather(members, then), gather(members, as_of)

    start = take(known, then, then)

    settled = [
        row
        for row in range(len(start.until))
        if past_of(known, start, row) == past_of(everything, start, row)
    ]
    assert len(settled) > 10
    require_the_same(everything, start, as_of, settled)


def past_of(crowd: Crowd, start: Carried, row: int) -> list[list[object]]:
    """What is known of a resident before the cut."""
    found = []
    for table, at in (
        (crowd.readings, crowd.readings.effective_at),
        (crowd.records, crowd.records.at),
    ):
        rows = np.flatnonzero((table.resident == row) & (at < start.until[row]))
        rows = rows[np.argsort(table.ids[rows], kind="stable")]
        found.append([getattr(table, name)[rows].tolist() for name in table.__dataclass_fields__])
    return found


HIGH = bp("e1", "03-02 09:00", 152, 94)
HOME = bp("e1", "03-02 09:00", 150, 90, setting="home")
EMERGENCY = bp("e1", "03-02 09:00", 190, 100, setting="home")
MOVED = recorded("closure", "x1", "03-03 09:00", reason="moved")
BACK = recorded("reopening", "x2", "03-08 09:00")


@pytest.mark.parametrize(
    ("events", "as_of", "expected"),
    [
        pytest.param(
            [HIGH, bp("e2", "03-06 09:00", 152, 94)],
            "03-07 09:00",
            ["BP_UNSATISFIED_1 e1 resolved", "BP_UNSATISFIED_2 e2 active"],
            id="second-in-a-row",
        ),
        pytest.param(
            [HIGH, bp("e2", "03-20 09:00", 120, 70)],
            "03-21 09:00",
            ["BP_UNSATISFIED_1 e1 resolved", "FOLLOWUP_OVERDUE e1 resolved"],
            id="answered-late",
        ),
        pytest.param(
            [HIGH],
            "03-17 00:00",
            ["BP_UNSATISFIED_1 e1 active", "FOLLOWUP_OVERDUE e1 active"],
            id="overdue",
        ),
        pytest.param(
            [EMERGENCY | {"received_at": local("03-04 10:00")}],
            "03-17 00:00",
            ["BP_EMERGENCY e1 active", "REFERRAL_FOLLOWUP_OVERDUE e1 active"],
            id="referral-overdue",
        ),
        pytest.param(
            [bp("e1", "03-04 22:00", 190, 100), bp("e2", "03-05 02:00", 190, 100, setting="home")],
            "03-05 03:00",
            ["BP_EMERGENCY e1 active"],
            id="same-emergency-within-four-hours",
        ),
        pytest.param(
            [HOME, bp("e2", "03-06 09:00", 150, 90, setting="home")],
            "03-07 09:00",
            ["BP_HOME_HIGH e1 active"],
            id="advisory-is-not-repeated",
        ),
        pytest.param(
            [
                HOME,
                bp("e2", "03-06 09:00", 120, 70, setting="home"),
                HOME
                | {
                    "event_id": "e3",
                    "measured_at": local("03-08 09:00"),
                    "received_at": local("03-08 09:00"),
                },
            ],
            "03-09 09:00",
            ["BP_HOME_HIGH e1 resolved", "BP_HOME_HIGH e3 active"],
            id="advisory-is-answered",
        ),
        pytest.param(
            [HOME, recorded("closure", "x1", "03-06 09:00", reason="death")],
            "03-09 09:00",
            ["BP_HOME_HIGH e1 resolved"],
            id="closure-answers-the-advisory",
        ),
        pytest.param(
            [MOVED, bp("e2", "03-06 09:00", 152, 94), bp("e3", "03-07 09:00", 190, 100)],
            "03-09 09:00",
            ["BP_EMERGENCY e3 active"],
            id="closed-before",
        ),
        pytest.param(
            [HIGH, MOVED, bp("e2", "03-06 09:00", 152, 94), BACK, bp("e3", "03-09 09:00", 152, 94)],
            "03-10 09:00",
            ["BP_UNSATISFIED_1 e3 active"],
            id="closed-before-and-returned-after",
        ),
        pytest.param(
            [visit("v1", "03-02 09:00", REACTION), visit("v2", "03-06 09:00", REACTION)],
            "03-07 09:00",
            ["ADR_1 v1 resolved", "ADR_2 v2 active"],
            id="second-reaction",
        ),
        pytest.param(
            [visit("v1", "03-02 09:00")], "06-01 00:00", ["ROUTINE_OVERDUE v1 active"], id="routine"
        ),
        pytest.param(
            [visit("v1", "03-02 09:00"), visit("v2", "06-02 09:00")],
            "06-03 00:00",
            ["ROUTINE_OVERDUE v1 resolved"],
            id="routine-answered",
        ),
    ],
)
def test_what_is_open_at_the_cut_goes_on(
    events: list[dict[str, Any]], as_of: str, expected: list[str]
) -> None:
    resident = {"id": "R1", "birth_date": "1968-02-11", "conditions": ["hypertension"]}
    case = {"id": "c", "profile": "wuzhou", "resident": resident, "events": events}
    now = datetime.fromisoformat(local(as_of))
    crowd = gather([read_member(case)], now)

    start = take(crowd, datetime.fromisoformat(local("03-05 00:00")), now)

    tail = judge(crowd, now, start)
    moments = list_moments(crowd, start)
    told = [
        f"{AlertCode(each['code']).name} {each['anchor'][0].decode()} "
        f"{'resolved' if each['status'] == 2 else 'active'}"
        for each in tell(tail.alerts, moments)
    ]
    assert sorted(told) == expected
    require_the_same(crowd, start, now)


@pytest.mark.parametrize(
    ("events", "until"),
    [
        pytest.param([bp("e1", "03-04 23:55", 152, 94)], "03-04 23:55", id="session"),
        pytest.param([bp("e1", "03-04 09:00", 152, 94)], "03-04 09:00", id="assessment"),
        pytest.param(
            [bp("e1", "03-04 09:00", 152, 94, setting="home")], "03-04 09:00", id="advisory"
        ),
        pytest.param([glu("g1", "03-04 09:00", 6)], "03-04 09:00", id="fasting"),
        pytest.param([bp("e1", "03-04 00:00", 152, 94)], "03-05 00:00", id="24-hours-are-over"),
        pytest.param([glu("g1", "03-04 09:00", 12, "random")], "03-05 00:00", id="random"),
        pytest.param([], "03-05 00:00", id="nothing"),
        pytest.param(
            [
                bp("e1", "03-03 23:00", 120, 70),
                bp("e2", "03-04 22:00", 152, 94, setting="home"),
                bp("e3", "03-04 22:30", 120, 70),
            ],
            "03-03 23:00",
            id="one-leads-to-the-other",
        ),
        pytest.param(
            [bp("e1", "03-01 09:00", 120, 70, received="03-06 11:55")],
            "03-01 09:00",
            id="still-waits",
        ),
    ],
)
def test_the_cut_moves_to_where_nothing_is_unfinished(
    events: list[dict[str, Any]], until: str
) -> None:
    resident = {
        "id": "R1",
        "birth_date": "1968-02-11",
        "conditions": ["hypertension", "diabetes_t2"],
    }
    case = {"id": "c", "profile": "wuzhou", "resident": resident, "events": events}
    now = datetime.fromisoformat(local("03-06 12:00"))

    start = take(
        gather([read_member(case)], now), datetime.fromisoformat(local("03-05 00:00")), now
    )

    assert start.until.tolist() == [instant(datetime.fromisoformat(local(until))).item()]
