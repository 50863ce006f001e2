"""The promise: what was owed, answered and found is what a plain evaluator notes as it goes by.

The evaluator is the rules' own oracle with a notebook: after each event it writes down which
alerts ended, by what and on which day. It never imports the engine.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import wraps
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules import engine
from rules.codes import Condition
from rules.indicator_facts import collect_facts
from simulators.oracle import evaluate
from simulators.oracle.advisories import ROUTINE_DAYS
from simulators.oracle.alert import Alert
from simulators.oracle.case import Case
from simulators.oracle.normal import Act, Knowledge, know, read_event
from simulators.oracle.person import PROFILES, Resident, local_day, read_resident
from tests.unit.rules.oracle.histories import cases, random_case
from tests.unit.rules.rules_crowd import CHOICES, LIMITS, CaseFile, gather, instant, read_member

_KIND: Final = {
    **dict.fromkeys(("BP_UNSATISFIED_1", "GLU_UNSATISFIED_1", "ADR_1"), 1),
    **dict.fromkeys(("BP_UNSATISFIED_2", "GLU_UNSATISFIED_2", "ADR_2", "COMPLICATION"), 2),
    **dict.fromkeys(("BP_EMERGENCY", "BP_PREG_HIGH", "SCREEN_HTN_SUSPECTED"), 2),
    **dict.fromkeys(("GLU_EMERGENCY_HIGH", "GLU_EMERGENCY_LOW"), 2),
}
_CODES: Final = {"hypertension": Condition.HYPERTENSION, "diabetes_t2": Condition.DIABETES}
_EVENTS: Final = (
    "on_emergency",
    "on_assessment",
    "on_random_high",
    "on_visit",
    "on_referral_followup",
    "on_override",
    "on_closure",
)
Owed = tuple[int, int, date, date | None]
"""Condition, kind, due, answered."""
Found = tuple[int, date, bool]
"""Condition, day, controlled."""


def _day_of(event: Any) -> date:  # noqa: ANN401 - a reading, an assessment or an act
    return local_day(getattr(event, "anchor", event).at)


@dataclass
class Notebook(Case):
    """A case that notes by what each of its alerts ended, and what was found on which day."""

    ended: dict[int, tuple[str, date]] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)  # Ended by the very event that raised them.
    found: list[tuple[date, bool]] = field(default_factory=list)
    low: list[date] = field(default_factory=list)

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - any attribute
        found = super().__getattribute__(name)
        if name not in _EVENTS:
            return found

        @wraps(found)
        def noting(event: Any, *more: Any) -> None:  # noqa: ANN401 - a reading or an act
            before = len(self.alerts)
            self._look(name, event, more)
            found(event, *more)
            for number, alert in enumerate(self.alerts):
                if alert.status == "resolved" and number not in self.ended:
                    self.ended[number] = (name, _day_of(event))
                    if number >= before:
                        self.own.add(number)

        return noting

    def _look(self, name: str, event: Any, more: tuple[Any, ...]) -> None:  # noqa: ANN401
        if self.is_closed:
            return
        if name == "on_assessment" and event.verdict in {"satisfied", "unsatisfied"}:
            self.found.append((event.decided_on, event.verdict == "satisfied"))
        if more == ("GLU_EMERGENCY_LOW",) and event.context == "fasting":
            self.low.append(local_day(event.at))

    def owed(self) -> Iterator[Owed]:
        """Second and referral follow-ups that were owed, and when they were answered."""
        for number, alert in enumerate(self.alerts):
            kind = _KIND.get(alert.code)
            if kind is None or alert.due is None:
                continue
            word, day = self.ended.get(number, ("", None))
            answers = {"on_override", "on_referral_followup"}
            if kind == 1:
                answers |= {"on_visit"}
                if "UNSATISFIED" in alert.code:
                    answers |= {"on_assessment", "on_emergency"}
            answered = day if word in answers and number not in self.own else None
            if day is None or answered is not None or day > alert.due:
                yield self._owed(alert, kind, answered)

    def _owed(self, alert: Alert, kind: int, answered: date | None) -> Owed:
        assert alert.due is not None
        return int(_CODES[self.condition]), kind, alert.due, answered


def plain_routine(resident: Resident, condition: str, acts: list[Act]) -> Iterator[Owed]:
    """Routine follow-ups: counted from the enrolment, a return, or the last visit."""
    if condition not in resident.diagnosed:
        return
    since, closed = resident.enrolled_on, False

    def owed(base: date, answered: date | None) -> Owed:
        due = max(base, resident.diagnosed[condition]) + ROUTINE_DAYS
        return int(_CODES[condition]), 3, due, answered

    for act in acts:
        on = local_day(act.at)
        if act.kind == "closure" and not closed:
            if since is not None and on > owed(since, None)[2]:
                yield owed(since, None)
            since, closed = None, True
        elif act.kind == "reopening" and closed:
            since, closed = on, False
        elif not closed and _is_face_to_face(act, condition) and (since is None or on >= since):
            if since is not None:
                yield owed(since, on)
            since = on
    if since is not None:
        yield owed(since, None)


def _is_face_to_face(act: Act, condition: str) -> bool:
    return (
        act.kind == "visit"
        and act.told.get("mode") != "phone"
        and act.condition in {None, condition}
    )


def plain_facts(case: CaseFile, at: datetime, patch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Owed and found, as the evaluator noted them."""
    resident = read_resident(case["resident"])
    profile = PROFILES[case["resident"].get("profile") or case["profile"]]
    told = [read_event(event, resident.id) for event in case["events"]]
    knowledge = know([each for each in told if each.arrival <= at], resident.id, {})
    patch.setattr(evaluate, "Case", Notebook)
    folded = evaluate.fold(knowledge, resident, profile, at)
    owed: dict[tuple[int, int, date], set[date | None]] = {}
    found: set[Found] = set()
    for lane in folded.cases:
        assert isinstance(lane, Notebook)
        code = int(_CODES[lane.condition])
        for condition, kind, due, answered in (
            *lane.owed(),
            *plain_routine(resident, lane.condition, knowledge.acts),
        ):
            owed.setdefault((condition, kind, due), set()).add(answered)
        found |= {(code, day, good) for day, good in lane.found}
        found |= {(code, day, False) for day in lane.low if resident.has("diabetes_t2", day)}
        found |= _bare_visits(knowledge, lane.condition, {day for day, _ in lane.found})
    return {key: None if None in days else max(days) for key, days in owed.items()}, found  # type: ignore[type-var]


def _bare_visits(knowledge: Knowledge, condition: str, measured: set[date]) -> set[Found]:
    days = {local_day(act.at) for act in knowledge.acts if _is_face_to_face(act, condition)}
    return {(int(_CODES[condition]), day, False) for day in days - measured}


def require_agreement(told: list[CaseFile], patch: pytest.MonkeyPatch) -> None:
    at = datetime.fromisoformat(told[0]["as_of"])
    crowd = gather([read_member(case) for case in told], at)
    judgement = engine.judge(
        crowd.readings, crowd.records, crowd.residents, LIMITS, as_of=instant(at)
    )

    facts = collect_facts(judgement, crowd.readings, crowd.records, crowd.residents, LIMITS)

    owed, outcomes = facts.obligations, facts.outcomes
    for case, row in zip(told, crowd.rows, strict=True):
        mine = owed.person == row
        columns = (owed.condition, owed.kind, owed.due, owed.answered)
        said = {
            (condition, kind, due): answered
            for condition, kind, due, answered in zip(
                *(column[mine].tolist() for column in columns), strict=True
            )
        }
        expected, found = plain_facts(case, at, patch)
        assert said == expected
        assert len(said) == mine.sum()
        mine = outcomes.person == row
        columns_found = (outcomes.condition, outcomes.day, outcomes.controlled)
        assert {*zip(*(each[mine].tolist() for each in columns_found), strict=True)} == found


_SETTINGS: Final = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@_SETTINGS
@given(told=st.lists(cases(16), min_size=1, max_size=4))
def test_engine_and_notebook_agree(told: list[CaseFile], monkeypatch: pytest.MonkeyPatch) -> None:
    require_agreement(told, monkeypatch)


@pytest.mark.parametrize("seed", range(2))
def test_many_histories_agree(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    told = [random_case(random, events=25, profile=random.choice(CHOICES)) for _ in range(150)]

    require_agreement(told, monkeypatch)
