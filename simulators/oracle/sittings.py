"""Sittings and assessments: decision table 2.2 (steps 7 and 8) and the tests of 2.3.

A sitting is what the table calls a session. A finding is a sitting, or one glucose value, with
its verdict; findings less than 24 hours after the first of their group are one assessment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from typing import Final

from simulators.oracle import shown
from simulators.oracle.normal import MINUTE, Act, Reading
from simulators.oracle.person import Profile, Resident, above, local_day
from simulators.oracle.shown import Limit

_HIGH_EMERGENCY, _LOW_EMERGENCY = Fraction("16.7"), Fraction("3.9")  # E3, E4; mmol/L.
_RANDOM_HIGH: Final = Fraction("11.1")  # G4.


@dataclass(frozen=True)
class Period:
    """While a condition is under contract: after ``start``, up to and including ``end``."""

    start: datetime | None
    end: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether something measured then counts."""
        return (self.start is None or at > self.start) and (self.end is None or at <= self.end)


@dataclass(frozen=True, eq=False)
class Sitting:
    """Readings of one setting with gaps of at most 10 minutes, over at most 60."""

    readings: tuple[Reading, ...]
    period: Period

    @property
    def first(self) -> Reading:
        """Where it began; its day is the sitting's day."""
        return self.readings[0]

    @cached_property
    def day(self) -> date:
        """The local day on which it began."""
        return local_day(self.first.at)

    @cached_property
    def arms(self) -> tuple[list[Reading], list[Reading]]:
        """The readings of the left and of the right arm."""
        left = [reading for reading in self.readings if reading.arm == "left"]
        return left, [reading for reading in self.readings if reading.arm == "right"]

    @cached_property
    def counted(self) -> Sequence[Reading]:
        """Those of the mean: with both arms, of the arm with the higher one."""
        left, right = self.arms
        return max(left, right, key=mean) if left and right else self.readings

    @cached_property
    def pressure(self) -> tuple[Fraction, Fraction]:
        """The mean, mmHg."""
        return mean(self.counted)


@dataclass(frozen=True, eq=False)
class Finding:
    """A sitting, or one glucose value, and what the table says of it.

    Attributes:
        seen: What an alert may show of it.
        limit: What it was compared with.
    """

    readings: tuple[Reading, ...]
    period: Period
    verdict: str
    seen: frozenset[str]
    limit: Limit

    @property
    def first(self) -> Reading:
        """Where it began."""
        return self.readings[0]


@dataclass(frozen=True, eq=False)
class Assessment:
    """A group of findings: the latest decides, the first one anchors.

    Attributes:
        decided_on: The local day of the deciding finding.
        place: Where among emergencies and visits it comes: the last reading of the first finding
            that agrees with the decision.
        holds_emergency: One of its readings is an emergency.
        seen: What its alert may show: the first to say so is shown, whatever follows it within
            the day.
        limit: Of the deciding finding.
    """

    verdict: str
    anchor: Reading
    decided_on: date
    place: Reading
    holds_emergency: bool
    seen: frozenset[str]
    limit: Limit


def mean(readings: Sequence[Reading]) -> tuple[Fraction, Fraction]:
    """Mean systolic and diastolic."""
    high = sum((reading.systolic for reading in readings), Fraction(0))
    low = sum((reading.diastolic for reading in readings), Fraction(0))
    return high / len(readings), low / len(readings)


def contract_periods(acts: Iterable[Act]) -> list[Period]:
    """When what is measured counts: not after a closure, until the return."""
    periods: list[Period] = []
    start: datetime | None = None
    is_open = True
    for act in acts:
        if act.kind == "closure" and is_open:
            periods.append(Period(start, act.at))
            is_open = False
        elif act.kind == "reopening" and not is_open:
            start, is_open = act.at, True
    return [*periods, Period(start, None)] if is_open else periods


def period_of(at: datetime, periods: Iterable[Period]) -> Period | None:
    """The period in which something was measured; None: it does not count."""
    return next((period for period in periods if period.holds(at)), None)


def split_sittings(readings: Iterable[Reading], periods: Sequence[Period]) -> list[Sitting]:
    """Sittings of readings of one setting, given in order."""
    result: list[list[Reading]] = []
    held: list[Period] = []
    for reading in readings:
        period = period_of(reading.at, periods)
        if period is None:
            continue
        if (
            result
            and period is held[-1]
            and reading.at - result[-1][-1].at <= 10 * MINUTE
            and reading.at - result[-1][0].at <= 60 * MINUTE
        ):
            result[-1].append(reading)
        else:
            result.append([reading])
            held.append(period)
    return [Sitting(tuple(each), period) for each, period in zip(result, held, strict=True)]


def closed_sittings(
    readings: Sequence[Reading], periods: Sequence[Period], now: datetime
) -> list[Sitting]:
    """The sittings that may be judged now.

    Within a sitting the readings came in clusters of arrivals with gaps of at most 10 minutes.
    A reading belongs to the sitting once 10 minutes have passed since the last of its cluster.
    """
    waited: set[str] = set()
    for sitting in split_sittings(readings, periods):
        for cluster in _clusters(sitting.readings):
            if cluster[-1].received_at + 10 * MINUTE <= now:
                waited |= {reading.id for reading in cluster}
    return split_sittings([reading for reading in readings if reading.id in waited], periods)


def _clusters(readings: Iterable[Reading]) -> list[list[Reading]]:
    result: list[list[Reading]] = []
    for reading in sorted(readings, key=lambda each: each.received_at):
        if result and reading.received_at - result[-1][-1].received_at <= 10 * MINUTE:
            result[-1].append(reading)
        else:
            result.append([reading])
    return result


def needs_third(sitting: Sitting) -> bool:
    """Exactly two readings that differ by more than 10 mmHg on either side."""
    if len(sitting.readings) != 2:
        return False
    one, two = sitting.readings
    return abs(one.systolic - two.systolic) > 10 or abs(one.diastolic - two.diastolic) > 10


def emergency_of(reading: Reading, resident: Resident) -> str | None:
    """E1 to E4: at or above, at or below, in any setting and any context, in both profiles."""
    if reading.kind == "glucose":
        high = reading.beyond == "HI"
        low = reading.beyond == "LO"
        if reading.glucose is not None:
            high = reading.glucose >= _HIGH_EMERGENCY
            low = reading.glucose <= _LOW_EMERGENCY
        return "GLU_EMERGENCY_HIGH" if high else "GLU_EMERGENCY_LOW" if low else None
    if reading.systolic >= 180 or reading.diastolic >= 110:
        return "BP_EMERGENCY"
    above_normal = reading.systolic >= 140 or reading.diastolic >= 90
    if above_normal and resident.is_pregnant(local_day(reading.at)):
        return "BP_PREG_HIGH"
    return None


def pressure_findings(
    sittings: Iterable[Sitting], resident: Resident, profile: Profile
) -> list[Finding]:
    """B1 for the diagnosed, B3 for those who are not and are old enough."""
    findings = []
    for sitting in sittings:
        on, (high, low) = sitting.day, sitting.pressure
        diagnosed = resident.has("hypertension", on)
        if not diagnosed and not resident.is_from(profile.screen_pressure_age, on):
            continue
        elderly = diagnosed and profile.tier_from_65 and resident.is_elderly(on)
        bad = above(high, 150 if elderly else 140, strict=profile.strict)
        bad = bad or above(low, 90, strict=profile.strict)
        findings.append(
            Finding(
                sitting.readings,
                sitting.period,
                _verdict(diagnosed, bad),
                shown.while_growing(sitting.counted),
                shown.in_office(profile, diagnosed=diagnosed, elderly=elderly),
            )
        )
    return findings


def fasting_findings(
    readings: Iterable[Reading], periods: Sequence[Period], resident: Resident, profile: Profile
) -> list[Finding]:
    """G1 for the diagnosed, fasting G4 for those who are not. A low emergency is neither."""
    findings = []
    for reading in readings:
        period, on = period_of(reading.at, periods), local_day(reading.at)
        if reading.context != "fasting" or period is None or reading.beyond == "LO":
            continue
        if reading.glucose is not None and reading.glucose <= _LOW_EMERGENCY:
            continue
        diagnosed = resident.has("diabetes_t2", on)
        if not diagnosed and not resident.is_from(profile.screen_fasting_age, on):
            continue
        bad = reading.glucose is None or above(reading.glucose, 7, strict=profile.strict)
        verdict, limit = _verdict(diagnosed, bad), shown.fasting(profile, diagnosed=diagnosed)
        seen = frozenset({shown.of_reading(reading)})
        findings.append(Finding((reading,), period, verdict, seen, limit))
    return findings


def _verdict(diagnosed: bool, bad: bool) -> str:  # noqa: FBT001 - two sides of one table
    if diagnosed:
        return "unsatisfied" if bad else "satisfied"
    return "high" if bad else "normal"


def is_random_high(reading: Reading, periods: Sequence[Period], resident: Resident) -> bool:
    """G4, not fasting: random or 2 h after a meal at 11.1 or more, without a diagnosis."""
    if reading.context not in {"random", "postprandial_2h"}:
        return False
    if resident.has("diabetes_t2", local_day(reading.at)) or not period_of(reading.at, periods):
        return False
    if reading.glucose is None:
        return reading.beyond == "HI"
    return reading.glucose >= _RANDOM_HIGH


def high_normal_on(
    sittings: Iterable[Sitting], resident: Resident, profile: Profile
) -> date | None:
    """B4: the day of the latest sitting at 130 or 85 or more and not high, undiagnosed."""
    found: date | None = None
    for sitting in sittings:
        if not resident.is_from(profile.screen_pressure_age, sitting.day):
            continue
        high, low = sitting.pressure
        is_high = above(high, 140, strict=profile.strict) or above(low, 90, strict=profile.strict)
        if not resident.has("hypertension", sitting.day) and not is_high:
            found = sitting.day if high >= 130 or low >= 85 else found
    return found


def settling_words(acts: Iterable[Act], condition: str) -> list[datetime]:
    """When somebody settled the case: followed the referral up, or overrode to a quiet state."""
    return [
        act.at
        for act in acts
        if act.condition in {None, condition}
        and (
            act.kind == "referral_followup"
            or (
                act.kind == "override"
                and act.told["state"] in {"none", "controlled", "referral_closed", "closed"}
            )
        )
    ]


def group_findings(findings: Iterable[Finding], words: Sequence[datetime]) -> list[list[Finding]]:
    """Those less than 24 hours after the first of their group, under the same contract.

    What is measured after a person's word that settled the case is another assessment.
    """
    groups: list[list[Finding]] = []
    for finding in findings:
        if (
            groups
            and not any(groups[-1][-1].first.at <= word < finding.first.at for word in words)
            and finding.period is groups[-1][0].period
            and finding.first.at - groups[-1][0].first.at < timedelta(hours=24)
        ):
            groups[-1].append(finding)
        else:
            groups.append([finding])
    return groups


def seen_in(group: Iterable[Finding]) -> frozenset[str]:
    """What those of a group show that say what the latest says."""
    found = list(group)
    return frozenset[str]().union(
        *(each.seen for each in found if each.verdict == found[-1].verdict)
    )


def assess(
    findings: Iterable[Finding], emergencies: Iterable[str], words: Sequence[datetime]
) -> list[Assessment]:
    """The groups, each judged by its latest finding. ``emergencies`` are readings' ids."""
    ids = set(emergencies)
    assessments = []
    for group in group_findings(findings, words):
        decision = group[-1].verdict
        agreeing = next(finding for finding in group if finding.verdict == decision)
        assessments.append(
            Assessment(
                verdict=decision,
                anchor=group[0].first,
                decided_on=local_day(group[-1].first.at),
                place=agreeing.readings[-1],
                holds_emergency=any(
                    reading.id in ids for finding in group for reading in finding.readings
                ),
                seen=seen_in(group),
                limit=group[-1].limit,
            )
        )
    return assessments
