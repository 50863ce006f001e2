"""Random histories in the form of the worked cases: gaps and values on and beside every limit.

A history is a function of its random source alone. Times are strictly increasing or deliberately
equal; ids are unique ASCII text of at most 16 bytes; events stand in order of arrival. Values are
exact (int or Decimal), with no more decimals than a gateway lets through.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Final, TypeAlias, TypeVar

from hypothesis import strategies as st

from simulators.oracle.person import CONDITIONS, PROFILES, SHANGHAI
from tests.unit.rules.oracle.measured import draw_clock, draw_glucose, draw_pressure

Event: TypeAlias = dict[str, Any]
T = TypeVar("T")

START: Final = datetime(2026, 1, 30, 23, 50, tzinfo=SHANGHAI)
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=s) for s in (1, 60, 3_600, 86_400))
_LIMITS: Final = (
    (10 * MINUTE, 12),
    (60 * MINUTE, 2),
    (4 * HOUR, 4),
    (24 * HOUR, 8),
    (14 * DAY, 2),
    (15 * DAY, 1),
    (90 * DAY, 1),
)
_DELAYS: Final = (
    *[5 * SECOND] * 12,
    2 * MINUTE,
    10 * MINUTE,
    10 * MINUTE + SECOND,
    25 * MINUTE,
    24 * HOUR - SECOND,
    24 * HOUR,
    24 * HOUR + SECOND,
    3 * DAY,
    20 * DAY,
)
_OPEN_STATES: Final = (
    "screening",
    "second_followup_open",
    "referral_recommended",
    "emergency_referral",
    "screening_referral",
)
_RESET_STATES: Final = ("none", "controlled", "referral_closed", "closed")
_FINDINGS: Final[tuple[list[str], ...]] = (
    *[[]] * 7,
    *[["adverse_drug_reaction"]] * 7,
    ["new_complication"],
    ["worse_complication"],
    ["adverse_drug_reaction", "new_complication"],
)
_BORN: Final = (
    None,
    "1961-02-14",  # 65 in the history's first weeks; the others 70, 35, 18 and a child.
    "1961-03-01",
    "1956-02-29",
    "1991-02-20",
    "1980-09-09",
    "2008-02-03",
    "2015-01-01",
)


def random_case(random: Random, *, events: int, profile: str) -> dict[str, Any]:
    """One resident's history of about that many events.

    Args:
        random: The only source of chance.
        events: How many steps the story takes; each adds one event.
        profile: Name of the deployment's rule profile.
    """
    resident = random_resident(random)
    story = Story(random, resident)
    for _ in range(events):
        story.go_on()
    told = sorted(story.events, key=_arrival)
    last = _arrival(told[-1]) if told else START
    patience = random.choice([-5 * MINUTE, 10 * MINUTE, HOUR, 15 * DAY, 29 * DAY, 92 * DAY])
    return {
        "id": "random",
        "profile": profile,
        "resident": resident,
        "events": told,
        "as_of": (last + patience).isoformat(),
    }


def cases(events_max: int) -> st.SearchStrategy[dict[str, Any]]:
    """The same for hypothesis, which finds the smallest history that fails."""
    return st.builds(
        random_case,
        st.randoms(use_true_random=False),
        events=st.integers(0, events_max),
        profile=st.sampled_from(sorted(PROFILES)),
    )


def random_resident(random: Random) -> dict[str, Any]:
    """Ages, diagnoses and pregnancies around the time of the history."""
    resident: dict[str, Any] = {"id": "R1", "birth_date": random.choice(_BORN), "conditions": []}
    for name in CONDITIONS:
        chance = random.random()
        if chance < 0.4:
            resident["conditions"].append(name)
        elif chance < 0.75:
            resident["conditions"].append({"condition": name, "since": _some_day(random)})
    if random.random() < 0.2:
        kind, span = (
            random.choice(["pregnant", "lactating"]),
            sorted([*_days(random), *_days(random)]),
        )
        dated = {"since": span[0], "until": random.choice([span[1], None])}
        resident[kind] = random.choice([True, dated])
    if random.random() < 0.5:
        resident["enrolled_on"] = _some_day(random)
    if random.random() < 0.05:
        resident["profile"] = random.choice(sorted(PROFILES))
    return resident


def _some_day(random: Random) -> str:
    return _days(random)[0]


def _days(random: Random) -> list[str]:
    return [(START.date() + random.randint(-100, 90) * DAY).isoformat()]


def _arrival(event: Event) -> datetime:
    return datetime.fromisoformat(event.get("received_at") or event["at"])


class Story:
    """A history while it is made up: the time, and what was told until now."""

    def __init__(self, random: Random, resident: dict[str, Any]) -> None:
        self.random = random
        self.at = START
        self.severe = random.choice([0.01, 0.05, 0.3])
        self.events: list[Event] = []
        self.readings: list[Event] = []
        self.is_closed = False
        self.sequence = 0
        self.diagnosed = [
            each if isinstance(each, str) else each["condition"] for each in resident["conditions"]
        ]

    def go_on(self) -> None:
        """Let some time pass and something happen."""
        self.at += self._gap()
        chance = self.random.random()
        rest: tuple[tuple[float, Callable[[], Event]], ...] = (
            (0.73, self._reading),
            (0.79, self._visit),
            (0.86, self._referral_followup),
            (0.89, self._again),
            (0.92, self._correction),
            (0.94, self._retraction),
            (0.96, self._context),
            (0.98, self._override),
            (0.99, self._reschedule),
            (1.00, self._contract),
        )
        tell = next(tell for below, tell in rest if chance < below)
        if self.is_closed and self.random.random() < 0.15:
            tell = self._contract
        self.events.append(tell())

    def _pick(self, *choices: T) -> T:
        return self.random.choice(choices)

    def _gap(self) -> timedelta:
        chance = self.random.random()
        if chance < 0.05:
            return timedelta(0)
        if chance < 0.40:
            return self.random.randint(1, 9 * 60) * SECOND
        if chance < 0.55:
            return self.random.randint(1, 5 * 24 * 60) * MINUTE
        limits, weights = zip(*_LIMITS, strict=True)
        limit: timedelta = self.random.choices(limits, weights)[0]
        return limit + self._pick(-SECOND, timedelta(0), SECOND)

    def _new(self, type_: str, /, **fields: object) -> Event:
        return {"type": type_, "event_id": f"{type_[0]}{len(self.events)}", **fields}

    def _reading(self) -> Event:
        kind = self._pick("bp", "bp", "glucose")
        received = self.at + self.random.choice(_DELAYS)
        event = self._new("reading", resident="R1", kind=kind, device=f"D-{kind}", seq=None)
        event |= (
            draw_pressure(self.random, self.severe)
            if kind == "bp"
            else draw_glucose(self.random, self.severe)
        )
        if self.random.random() < 0.5:
            self.sequence += 1
            event["seq"] = self.sequence
            event["boot_id"] = self._pick(None, None, "b2")
        event |= draw_clock(self.random, self.at, received, event)
        event["received_at"] = received.isoformat()
        self.readings.append(event)
        return event

    def _again(self) -> Event:
        """Something told before: redelivered, published again, or under a number already used."""
        if not self.readings:
            return self._reading()
        before = self.random.choice(self.readings[-5:])
        later = self._later(before)
        how = self._pick("redelivered", "published again", "other values", "other arm")
        if how == "redelivered":
            return before | {"received_at": later}
        again = before | {"event_id": f"a{len(self.events)}", "received_at": later}
        if how == "other arm":
            again["arm"] = self._pick("left", "right", None)
        elif how == "other values":
            draw = draw_pressure if before["kind"] == "bp" else draw_glucose
            again |= draw(self.random, self.severe)
        self.readings.append(again)
        return again

    def _correction(self) -> Event:
        if not self.readings:
            return self._visit()
        target = self._target()
        values = (
            draw_pressure(self.random, self.severe)
            if target["kind"] == "bp"
            else draw_glucose(self.random, self.severe)
        )
        names = self.random.sample(sorted(values), self.random.randint(1, len(values)))
        said = {name: values[name] for name in names}
        if target["kind"] == "bp" and "sbp" in said:  # Numbers are corrected with their unit.
            said |= {name: values[name] for name in ("sbp", "dbp", "unit")}
        if target["kind"] == "glucose" and "value" in said:
            said["unit"] = values["unit"]
        return self._new(
            "correction",
            target=target["event_id"],
            set=said,
            by="nurse",
            received_at=self._later(target),
        )

    def _retraction(self) -> Event:
        """Of a reading, now and then of anything that was told before."""
        if not self.readings:
            return self._visit()
        anything = self.random.random() < 0.3
        target = self.random.choice(self.events[-8:]) if anything else self._target()
        return self._new(
            "retraction",
            target=target["event_id"],
            reason="wrong resident",
            received_at=self._later(target),
        )

    def _context(self) -> Event:
        if not self.readings:
            return self._visit()
        target = self._target()
        event = self._new(
            "context",
            device=target["device"],
            seq=target["seq"] if target["seq"] is not None else self.sequence + 1,
            context=self._pick("fasting", "random", "postprandial_2h", "bedtime"),
            received_at=self._later(target),
        )
        return event | {"boot_id": target.get("boot_id")}

    def _target(self) -> Event:
        recent = self.random.random() < 0.7
        return self.random.choice(self.readings[-4:] if recent else self.readings)

    def _later(self, event: Event) -> str:
        """Some time after an event came in; now and then before it."""
        received = _arrival(event)
        delay = self._pick(SECOND, MINUTE, 10 * MINUTE, 11 * MINUTE, HOUR, 25 * HOUR, 16 * DAY)
        return (received + self._pick(delay, delay, delay, delay, -SECOND)).isoformat()

    def _condition(self) -> str:
        """Mostly one that is diagnosed."""
        if self.diagnosed and self.random.random() < 0.9:
            return self.random.choice(self.diagnosed)
        return self.random.choice(CONDITIONS)

    def _visit(self) -> Event:
        event = self._new(
            "visit",
            condition=self._condition(),
            at=self.at.isoformat(),
            findings=list(self.random.choice(_FINDINGS)),
        )
        mode = self._pick(None, None, "clinic", "home", "phone")
        return event | ({"mode": mode} if mode else {})

    def _referral_followup(self) -> Event:
        return self._new(
            "referral_followup",
            condition=self._condition(),
            at=self.at.isoformat(),
            outcome="seen_at_hospital",
        )

    def _override(self) -> Event:
        is_open = self.random.random() < 0.5
        event = self._new(
            "override",
            condition=self._condition(),
            at=self.at.isoformat(),
            state=self.random.choice(_OPEN_STATES if is_open else _RESET_STATES),
            author="doctor",
            reason="seen in person",
        )
        if is_open and self.random.random() < 0.8:
            day: date = (self.at + self._pick(0, 1, 7, 14, 30) * DAY).astimezone(SHANGHAI).date()
            event["due"] = day.isoformat()
        return event

    def _reschedule(self) -> Event:
        day: date = (self.at + self._pick(0, 1, 7, 14, 30) * DAY).astimezone(SHANGHAI).date()
        return self._new(
            "reschedule",
            condition=self._condition(),
            at=self.at.isoformat(),
            due=day.isoformat(),
        )

    def _contract(self) -> Event:
        self.is_closed = not self.is_closed
        if self.is_closed:
            reason = self._pick("death", "moved", "contract_ended")
            return self._new("closure", at=self.at.isoformat(), reason=reason)
        return self._new("reopening", at=self.at.isoformat())
