"""Whether people were judged rightly and in time: the plain evaluator over what was truly measured.

A ledger of a rehearsal says who people are, what was truly measured of whom, and what doctors
recorded. From that alone ``simulators.oracle`` says which alerts and cases there ought to be, and
every other one is a difference. Readings that still wait in a spool are left out: nobody can know
them yet. A run that was cut short is judged by what the ledger last says was judged whole. Where
it names people and nobody can be judged, that is a difference: a check of nobody agrees with
nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias
from uuid import UUID

from gateway.wire.times import parse_instant
from simulators.balance import Difference, Kind
from simulators.contents import compare_contents
from simulators.holdings import (
    Raised,
    Snapshot,
    ToldAlert,
    read_alerts,
    read_raised,
    read_states,
    read_untold,
    read_wrongly_paged,
)
from simulators.ledger import Entry, read_story
from simulators.oracle.alert import Alert
from simulators.oracle.evaluate import fold
from simulators.oracle.normal import know, read_event
from simulators.oracle.person import CONDITIONS, PROFILES, local_day, read_resident
from simulators.promptness import Grounds, bounds_of
from simulators.series import local_text
from simulators.settings import REPORTED_IDS_MAX
from simulators.shown import AlertKey, compare_shown

State: TypeAlias = tuple[str, str, str, date | None, date | None, date | None]
"""Resident, condition, state; due: second follow-up, referral's, routine."""

_OF_ORACLE: Final = {"diabetes": "diabetes_t2"}
_OF_SYSTEM: Final = {"diabetes_t2": "diabetes"}
_DUES: Final = ("second_followup", "referral_followup", "next_routine")
_MOTHERS: Final = ("pregnant", "lactating")
_PEOPLES: Final = {
    "visit": "visit",
    "referral_followup": "referral_followup",
    "override": "override",
    "reschedule": "reschedule",
    "closure": "closure",
    "return": "reopening",
}


@dataclass(slots=True)
class Story:
    """What ledgers tell of people."""

    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: defaultdict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    ended_at: datetime | None = None  # None: something was not judged yet, or nobody is told of.
    profile: str = ""
    step_s: int = 0
    told_at: defaultdict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    acts_at: dict[str, datetime] = field(default_factory=dict)
    lines: list[tuple[datetime, bool, frozenset[str]]] = field(default_factory=list)


def read_people(paths: Sequence[Path]) -> Story:
    """Everything about people in these ledgers; read them with ``read_ledger`` first."""
    story = Story()
    withdrawn: set[str] = set()
    for path in paths:
        for line in read_story(path):
            if "person" in line:
                story.people[line["person"]["id"]] = line["person"]
                story.told_at[line["person"]["id"]].append(parse_instant(line["at"]))
            elif "ended" in line:
                story.ended_at = parse_instant(line["ended"])
                story.profile, story.step_s = line["profile"], line["step_s"]
            elif "line" in line:
                names = frozenset(line["gateways"])
                story.lines.append((parse_instant(line["at"]), line["line"] == "back", names))
            else:
                act, at = line["act"], parse_instant(line["at"])
                story.told_at[act["resident_id"]].append(at)
                story.acts_at[act["id"]] = at
                _hear(act, story, withdrawn)
    for resident, events in story.events.items():
        story.events[resident] = [each for each in events if each["id"] not in withdrawn]
    return story


def _hear(act: Mapping[str, Any], story: Story, withdrawn: set[str]) -> None:
    if act["kind"] == "withdrawal":
        withdrawn.add(act["withdraws"])
    kind = _PEOPLES.get(act["kind"])
    if kind is None:
        return  # It moves no case.
    given = act.get("condition")
    both = (None,) if kind != "visit" else CONDITIONS  # The evaluator's visits are of one each.
    for condition in both if given is None else (_OF_ORACLE.get(given, given),):
        event = {**act, "type": kind, "event_id": f"{act['id']} {condition}"}
        event["condition"] = condition
        story.events[act["resident_id"]].append(event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the system says of people, read at once: judging them takes minutes for a town."""

    alerts: Sequence[ToldAlert]
    states: Sequence[State]
    raised: Sequence[Raised]
    untold: Counter[Any]
    wrongly_paged: Counter[Any]
    altered: Counter[Any]


def read_held(snapshot: Snapshot, entries: Sequence[Entry]) -> Held:
    """All of it, out of one snapshot that may be closed then; with the ledgers' entries."""
    return Held(
        alerts=read_alerts(snapshot),
        states=read_states(snapshot),
        raised=read_raised(snapshot),
        untold=Counter(read_untold(snapshot)),
        wrongly_paged=Counter(read_wrongly_paged(snapshot)),
        altered=compare_contents(entries, snapshot),
    )


def judge_again(
    paths: Sequence[Path], entries: Sequence[Entry], waiting: Collection[UUID], held: Held
) -> tuple[int, list[Difference]]:
    """Compare what there is with what there ought to be. Asks the database nothing.

    Args:
        paths: The ledgers.
        entries: Of all of them.
        waiting: Readings that are in some spool and nowhere else.
        held: What the system says.

    Returns:
        How many residents were judged, and what differs.
    """
    story = read_people(paths)
    if not story.people:
        return 0, []
    if story.ended_at is None or story.profile not in PROFILES:
        return 0, [_unjudged(story)]
    for entry in entries:
        if entry.truth is not None and entry.reading_id not in waiting:
            _measure(entry, story)
    wanted: defaultdict[AlertKey, list[Alert]] = defaultdict(list)
    states: Counter[State] = Counter()
    for resident in story.people:
        for key, alert in _alerts_of(resident, story, states):
            wanted[key].append(alert)
    alerts = Counter({key: len(mine) for key, mine in wanted.items()})
    people = story.people.keys()
    told = [alert for alert in held.alerts if alert.resident_id in people]
    seen_alerts = Counter(alert.key for alert in told)
    seen_states = Counter(state for state in held.states if state[0] in people)
    bounds = bounds_of(timedelta(seconds=story.step_s))
    grounds = Grounds(entries, story.lines, story.acts_at, story.told_at)
    timing = grounds.compare(held.raised, bounds)
    return len(people), [
        *_differ("alerts that ought to be there and are not", alerts - seen_alerts),
        *_differ("alerts that there ought not to be", seen_alerts - alerts),
        *_differ("cases that ought to be so and are not", states - seen_states),
        *_differ("cases that ought not to be so", seen_states - states),
        *_differ(
            "kept otherwise than truly measured",
            held.altered,
            kind=Kind.ALTERED,
        ),
        *_differ("alerts the feed does not tell of", held.untold),
        *_differ("alerts that call somebody or nobody wrongly", held.wrongly_paged),
        *_differ(
            "alerts that show another value, limit or source than stands behind them",
            compare_shown(wanted, told, story.profile),
            kind=Kind.MISTOLD,
        ),
        *_differ("alerts that rest on what nobody sent", timing.baseless),
        *_differ("emergencies told late", timing.emergencies, kind=Kind.LATE),
        *_differ("alerts told late", timing.others, kind=Kind.LATE),
    ]


def _unjudged(story: Story) -> Difference:
    why = (
        "the ledger never says that a day was judged to its end"
        if story.ended_at is None
        else f"the evaluator has no profile {story.profile!r}, it has {', '.join(PROFILES)}"
    )
    return Difference(
        kind=Kind.MISJUDGED,
        gateway_id="",
        count=len(story.people),
        detail=f"nobody was judged once more: {why}",
    )


def _measure(entry: Entry, story: Story) -> None:
    truth = entry.truth or {}
    resident = truth.get("resident_id")
    if resident is None:
        return
    fields: Mapping[str, Any] = truth["fields"]
    event = {
        "type": "reading",
        "event_id": str(entry.reading_id or id(entry)),
        "measured_at": truth["measured_at"],
        "received_at": truth["measured_at"],
        "gateway_now": truth["measured_at"],
        "unit": fields.get("unit"),
        "setting": fields.get("setting"),
        "arm": fields.get("arm"),
    }
    if "glucose" in fields:
        event |= {
            "kind": "glucose",
            "value": Decimal(fields["glucose"]),
            "context": fields.get("meal_context"),
        }
    else:
        event |= {"kind": "bp", "sbp": fields["systolic"], "dbp": fields["diastolic"]}
    story.events[resident].append(event)


def _alerts_of(
    resident: str, story: Story, states: Counter[State]
) -> Iterator[tuple[AlertKey, Alert]]:
    """What ought to be there of one person; the states of their cases are added."""
    at = story.ended_at
    assert at is not None  # noqa: S101 - asked before
    person = read_resident(_as_told(story.people[resident]))
    knowledge = know(
        [read_event(event, resident) for event in story.events[resident]], resident, {}
    )
    folded = fold(knowledge, person, PROFILES[story.profile], at)
    on = local_day(at)
    for case in folded.cases:
        if case.state != "none":
            told = case.tell(on)
            second, referral, routine = (_day(told[f"{name}_due"]) for name in _DUES)
            condition = _OF_SYSTEM.get(case.condition, case.condition)
            states[resident, condition, str(told["state"]), second, referral, routine] += 1
    for alert in (*folded.alerts(), *folded.overdue(at)):
        condition = _OF_SYSTEM.get(alert.condition, alert.condition)
        key = (resident, condition, alert.code, alert.status, alert.severity, alert.due)
        yield key, alert


def _day(text: object) -> date | None:
    return None if text is None else date.fromisoformat(str(text))


def _as_told(person: Mapping[str, Any]) -> dict[str, Any]:
    """A resident of the contract system as the evaluator reads one."""
    told: dict[str, Any] = {
        "id": person["id"],
        "birth_date": person["birth_date"],
        "enrolled_on": person["enrolled_on"],
        "conditions": [],
    }
    for each in person["conditions"]:
        name, span = each["condition"], {"since": each["since"], "until": each["until"]}
        if name in _MOTHERS:
            told["pregnant" if "pregnant" not in told else "lactating"] = span
        elif each["until"] is None:
            told["conditions"].append({"condition": _OF_ORACLE.get(name, name), **span})
    return told


def _differ(
    detail: str, found: Counter[Any], *, kind: Kind = Kind.MISJUDGED
) -> Iterator[Difference]:
    if found:
        shown = sorted(", ".join(map(_text, row)) for row in found)
        yield Difference(
            kind=kind,
            gateway_id="",
            count=found.total(),
            detail=detail,
            examples=shown[:REPORTED_IDS_MAX],
        )


def _text(part: object) -> str:
    return local_text(part) if isinstance(part, datetime) else str(part)
