"""Who is told next about an alert that nobody has acknowledged. Pure: no clock, no database.

    raised ─▶ doctor ─▶ doctor, reminded ─▶ team leader ─▶ centre ─▶ the digest of each shift

Invariants: steps are reached in order and each once a round; what is critical waits for nothing;
anything else never speaks in quiet hours, and is told when they end: held, not dropped. An alert
that the judge escalated begins with the people of its step: the same ladder, entered higher.

Source: the order of people is that of the decision table, 2.4 (doctor, team leader, centre). The
minutes are this product's choice (ADR 0036), for each deployment to set: no document names any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from api.notify.hours import DutyHours


class Rung(StrEnum):
    """Who is told; also the duties of staff."""

    DOCTOR = "doctor"
    TEAM_LEADER = "team_leader"
    CENTRE = "centre"


RUNGS: Final = tuple(Rung)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Minutes after an alert opened at which its steps are reached."""

    reminder: timedelta
    team_leader: timedelta
    centre: timedelta

    @property
    def steps(self) -> tuple[tuple[timedelta, Rung], ...]:
        """When, and who, in order."""
        return (
            (timedelta(0), Rung.DOCTOR),
            (self.reminder, Rung.DOCTOR),
            (self.team_leader, Rung.TEAM_LEADER),
            (self.centre, Rung.CENTRE),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An alert that asks for somebody, as far as the ladder is concerned."""

    opened_at: datetime
    step: int  # How many steps were taken in this round.
    escalation: int
    critical: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """What is to be done now, and when to look again."""

    step: int  # Steps taken after this.
    new: Sequence[Rung]  # Told now, whether they were told before in this round or not.
    reached: Sequence[Rung]  # Told now if they were not yet: they came later.
    held: bool  # A new step was due in quiet hours.
    look_at: datetime | None  # None: the top is reached, all have been asked.


def climb(of: Standing, ladder: Ladder, hours: DutyHours, now: datetime) -> Climb:
    """The steps that are due by now, in one go."""
    quiet_end = None if of.critical else hours.quiet_end(now)
    if quiet_end is not None:
        return Climb(step=of.step, new=(), reached=(), held=False, look_at=quiet_end)
    due = [of.opened_at + after for after, _ in ladder.steps]
    step = max(of.step, sum(at <= now for at in due))
    fresh = range(of.step, step)
    new = {ladder.steps[number][1] for number in fresh}
    reached = {rung for _, rung in ladder.steps[:step]}
    above = set(RUNGS[1 : 1 + min(of.escalation, len(RUNGS) - 1)]) if step else set()
    if 0 in fresh:
        new |= above
    held = not of.critical and any(hours.quiet_end(due[number]) is not None for number in fresh)
    look_at = None
    if step < len(due):
        later = due[step] if of.critical else (hours.quiet_end(due[step]) or due[step])
        look_at = max(later, now)
    return Climb(
        step=step,
        new=[rung for rung in RUNGS if rung in new],
        reached=[rung for rung in RUNGS if rung in reached | above],
        held=held,
        look_at=look_at,
    )
