"""Random histories of one resident: values at the limits, close in time, all kinds of records."""

from datetime import date

from hypothesis import strategies as st

from rules.codes import CaseState, ClosureReason, RecordKind
from rules.columns import BOTH_CONDITIONS
from tests.unit.rules.rules_explained import (
    LONG_AGO,
    PRESSURE,
    SUGAR,
    History,
    Person,
    Said,
    Taken,
    bp,
    on_day,
    record,
    sugar,
    visit,
)

_MEALS = st.sampled_from(["fasting", "fasting", "random", "postprandial_2h"])
_ARMS = st.sampled_from([None, "left", "right"])
_SETTINGS = st.sampled_from(["office", "office", "home", "ambulatory"])
_DAYS = st.sampled_from([0, 1, 2, 8, 9, 14, 15, 22, 23, 30])
_WHEN = {"day": _DAYS, "minute": st.sampled_from([0, 3, 9, 12, 600, 1430])}


def _pressures(arm: str | None) -> st.SearchStrategy[Taken]:
    return st.builds(
        bp,
        systolic=st.sampled_from(["128", "139.99", "140", "140.01", "146", "149", "152", "186"]),
        diastolic=st.sampled_from(["70", "85", "89.99", "90", "96", "112"]),
        arm=_ARMS if arm is None else st.just(arm),
        setting=_SETTINGS,
        **_WHEN,
    )


_GLUCOSES = st.builds(
    sugar,
    value=st.sampled_from(["3.7", "5.5", "7", "7.1", "9.5", "10.4", "11.6", "17.0"]),
    meal=_MEALS,
    **_WHEN,
)
_BEYOND = st.builds(
    sugar, value=st.none(), range_status=st.sampled_from([1, -1]), meal=_MEALS, **_WHEN
)
_STATES = st.sampled_from(
    [
        CaseState.CONTROLLED,
        CaseState.SECOND_FOLLOWUP_OPEN,
        CaseState.REFERRAL_RECOMMENDED,
        CaseState.SCREENING,
    ]
)


def override(number: int, condition: int, state: CaseState, dated: bool) -> Said:  # noqa: FBT001
    """A doctor's decision, with a due day soon after or with none."""
    due = on_day(number + 3) if dated else None
    return record(number, RecordKind.OVERRIDE, condition=condition, state=state, due=due)


def reschedule(number: int, condition: int) -> Said:
    """Another day, soon after."""
    return record(number, RecordKind.RESCHEDULE, condition=condition, due=on_day(number + 5))


_PEOPLE = st.builds(
    Person,
    born=st.sampled_from([None, date(1990, 1, 1), date(1950, 1, 1), date(1961, 3, 10)]),
    hypertension=st.sampled_from([None, LONG_AGO]),
    diabetes=st.sampled_from([None, LONG_AGO]),
    enrolled=st.sampled_from([None, date(2025, 11, 25)]),
    pregnant=st.booleans(),
)
_SAID = st.one_of(
    st.builds(
        visit,
        day=_DAYS,
        condition=st.sampled_from([PRESSURE, SUGAR]),
        reaction=st.booleans(),
        complication=st.sampled_from([False, False, True]),
    ),
    st.builds(record, day=_DAYS, kind=st.just(RecordKind.REFERRAL_FOLLOWUP)),
    st.builds(
        record,
        day=_DAYS,
        kind=st.sampled_from([RecordKind.CLOSURE, RecordKind.RETURN]),
        condition=st.just(BOTH_CONDITIONS),
        reason=st.just(ClosureReason.MOVED),
    ),
    st.builds(reschedule, _DAYS, st.sampled_from([PRESSURE, SUGAR])),
    st.builds(override, _DAYS, st.sampled_from([PRESSURE, SUGAR]), _STATES, st.booleans()),
)
HISTORIES = st.builds(
    History,
    person=_PEOPLE,
    taken=st.lists(st.one_of(_pressures(None), _pressures("left"), _GLUCOSES, _BEYOND), max_size=9),
    said=st.lists(_SAID, max_size=4, unique_by=lambda said: said.day),
    until=st.integers(32, 60),
    profile=st.sampled_from(["wuzhou", "cn_nbphs_2017"]),
)
