"""Whether what had to come of a scenario has come: every expectation with what was seen.

Pure: values in, verdicts out. A cancelled alert counts only where its status is asked for. All
times are told in the one zone of a scenario, and it is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from simulators.scenarios.outcome import AlertSeen, FigureSeen, Outcome
from simulators.scenarios.scenario import Expectation
from simulators.series import local_text

_SHOWN_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One expectation, judged."""

    where: str  # File and line.
    expected: str
    seen: str
    met: bool
    look: str  # Where to look when it is not met.

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "where": self.where,
            "expected": self.expected,
            "seen": self.seen,
            "met": self.met,
            "look": self.look,
        }


def judge_expectations(
    expectations: Sequence[Expectation],
    outcome: Outcome,
    names: Mapping[str, str],
    *,
    database: str,
) -> list[Verdict]:
    """One verdict an expectation.

    Args:
        expectations: Of the scenario.
        outcome: What the system holds.
        names: Pseudonym by the scenario's id of a person.
        database: Which one people are to look into, in words; never a deployment's.
    """
    found = [_judge(each, outcome, names) for each in expectations]
    return [replace(each, look=f"{each.look}, in {database}") for each in found]


def _judge(wanted: Expectation, outcome: Outcome, names: Mapping[str, str]) -> Verdict:
    if wanted.what == "case":
        return _judge_case(wanted, outcome, names[wanted.person or ""])
    if wanted.what == "figure":
        return _judge_figure(wanted, outcome.figures.get(wanted.value))
    seen, examples, look = _count(wanted, outcome, names)
    met = wanted.at_least <= seen and (wanted.at_most is None or seen <= wanted.at_most)
    return Verdict(
        where=wanted.where,
        expected=f"{_describe(wanted)}: {_bounds(wanted)}",
        seen="; ".join([str(seen), *examples]) if not met else str(seen),
        met=met,
        look=look,
    )


def _count(
    wanted: Expectation, outcome: Outcome, names: Mapping[str, str]
) -> tuple[int, list[str], str]:
    """How many were seen, some of them in words, and where to look."""
    if wanted.what == "alert":
        name = names[wanted.person] if wanted.person else None
        others = [
            alert
            for alert in outcome.alerts
            if (wanted.value in {"any", alert.code}) and name in {None, alert.resident_id}
        ]
        found = [alert for alert in others if _fits(wanted, alert)]
        shown = [_tell(alert) for alert in (found or others)[:_SHOWN_MAX]]
        of = f" WHERE resident_id = '{name}'" if name else ""
        return len(found), shown, f"table alert{of}"
    if wanted.what == "quarantined":
        reasons = [f"{reason} {number}" for reason, number in outcome.reasons.items()]
        every = wanted.value == "any"
        number = outcome.reasons.total() if every else outcome.reasons[wanted.value]
        return number, reasons, "table quarantine"
    if wanted.what == "refused":
        return outcome.refused, [], '"refused" in the ledger, quarantine'
    totals = {**outcome.totals, "sent": outcome.sent}
    return totals[wanted.value], [], "table gateway_day"


def _fits(wanted: Expectation, alert: AlertSeen) -> bool:
    if wanted.status is None or wanted.status == "standing":
        fits = alert.status != "cancelled"
    else:
        fits = alert.status == wanted.status
    fits &= wanted.since is None or alert.effective_at >= wanted.since
    fits &= wanted.by is None or alert.raised_at <= wanted.by
    return fits and (wanted.due is None or alert.due == wanted.due)


def _judge_figure(wanted: Expectation, figure: FigureSeen | None) -> Verdict:
    if figure is None:
        seen, met = "not computed: the days were not played to their end", False
    elif figure.percent is None:
        seen, met = "over nobody", False
    else:
        of = "" if figure.denominator is None else f" ({figure.numerator} of {figure.denominator})"
        seen = f"{figure.percent} %{of}"
        low, high = wanted.at_least, wanted.at_most
        met = low <= figure.percent and (high is None or figure.percent <= high)
    return Verdict(
        where=wanted.where,
        expected=f"figure {wanted.value}: {_bounds(wanted)} %",
        seen=seen,
        met=met,
        look="the tables that `suifang indicators` counts",
    )


def _judge_case(wanted: Expectation, outcome: Outcome, name: str) -> Verdict:
    key = (name, wanted.value)
    state = outcome.states.get(key, "none")
    if wanted.on is not None:
        state = _state_at(outcome, key, wanted.on)
    at = f" on {local_text(wanted.on)}" if wanted.on else " at the end"
    return Verdict(
        where=wanted.where,
        expected=f"case {wanted.value} of {wanted.person}{at}: {wanted.state}",
        seen=state,
        met=state == wanted.state,
        look=f"table case_transition WHERE resident_id = '{name}'",
    )


def _state_at(outcome: Outcome, key: tuple[str, str], at: datetime) -> str:
    states = [
        change.state
        for change in outcome.changes
        if (change.resident_id, change.condition) == key and change.at <= at
    ]
    return states[-1] if states else "none"


def _tell(alert: AlertSeen) -> str:
    due = f", due {alert.due}" if alert.due else ""
    of, raised = local_text(alert.effective_at), local_text(alert.raised_at)
    return f"{alert.code} {alert.status} of {of}{due}, raised {raised}"


def _describe(wanted: Expectation) -> str:
    text = f"{wanted.what} {wanted.value}"
    text += f" of {wanted.person}" if wanted.person else ""
    text += f" {wanted.status}" if wanted.status else ""
    text += f" from {local_text(wanted.since)}" if wanted.since else ""
    text += f" by {local_text(wanted.by)}" if wanted.by else ""
    return text + (f" due {wanted.due}" if wanted.due else "")


def _bounds(wanted: Expectation) -> str:
    if wanted.at_most is None:
        return f"at least {wanted.at_least:g}"
    if wanted.at_least == wanted.at_most:
        return f"exactly {wanted.at_least:g}"
    return f"{wanted.at_least:g} to {wanted.at_most:g}"
