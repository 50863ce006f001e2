"""What people read of an expectation: one zone, which database, a figure with its people."""

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from simulators.scenarios.expectations import Verdict, judge_expectations
from simulators.scenarios.expecting import FIGURES
from simulators.scenarios.outcome import AlertSeen, FigureSeen, Outcome
from simulators.scenarios.scenario import Expectation
from simulators.series import SHANGHAI

HERE = "the rehearsal's own database"
SEEN = AlertSeen(
    *("name", "hypertension", "BP_EMERGENCY", "active", date(2026, 3, 16)),
    effective_at=datetime(2026, 3, 2, 1, tzinfo=UTC),
    raised_at=datetime(2026, 3, 2, 1, 5, tzinfo=UTC),
)


def judged(figures: dict[str, FigureSeen] | None = None, **wanted: Any) -> Verdict:  # noqa: ANN401 - passed on
    outcome = Outcome(
        alerts=[SEEN],
        changes=[],
        states={},
        reasons=Counter({"implausible": 2}),
        totals={},
        figures=figures or {},
    )
    expectation = Expectation(where="small.toml, line 3", **wanted)
    (verdict,) = judge_expectations([expectation], outcome, {}, database=HERE)
    return verdict


def test_all_times_are_told_in_the_zone_of_the_scenario_which_is_named() -> None:
    by = datetime(2026, 3, 2, 9, 1, tzinfo=SHANGHAI)

    verdict = judged(what="alert", value="BP_EMERGENCY", by=by)

    assert not verdict.met
    assert "by 2026-03-02 09:01 Asia/Shanghai" in verdict.expected
    assert "of 2026-03-02 09:00 Asia/Shanghai" in verdict.seen
    assert "raised 2026-03-02 09:05 Asia/Shanghai" in verdict.seen


def test_people_are_sent_to_the_rehearsals_database() -> None:
    for what, value in (("quarantined", "any"), ("alert", "any"), ("refused", "any")):
        assert HERE in judged(what=what, value=value, at_most=0).look


def test_a_figure_is_told_with_its_people() -> None:
    found = {"htn.control_rate": FigureSeen(Decimal("72.62"), 845, 1164)}
    wanted = {"what": "figure", "value": "htn.control_rate", "at_least": 70.0}

    good = judged(found, **wanted, at_most=75.0)
    low = judged(found, **wanted, at_most=72.0)

    assert good.met
    assert good.expected == "figure htn.control_rate: 70 to 75 %"
    assert good.seen == "72.62 % (845 of 1164)"
    assert not low.met
    assert not judged(what="figure", value="htn.control_rate", at_least=0.0).met
    nobody = {"htn.control_rate": FigureSeen(None, 0, 0)}
    assert judged(nobody, **wanted).seen == "over nobody"


def test_figures_that_may_be_expected_are_served() -> None:
    from api.indicators.shown import SHOWN  # noqa: PLC0415 - the API's, beside the simulators

    assert set(FIGURES) <= set(SHOWN)
