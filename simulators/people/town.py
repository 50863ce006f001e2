"""A town through which days pass: what its people measure, and what a treatment does to them.

    make_town ─▶ readings_of(day) ─▶ [who is seen] visit(rows, day) ─▶ readings_of(day + 1) ─▶ …

Invariants: the same plan, seed and calls give the same answers bit for bit; days never go back;
no loop over residents. The town knows no rule and judges nothing.
"""

from datetime import date
from typing import Final, Literal

import numpy as np

from simulators.people.columns import NO_GLUCOSE, DayReadings, Sittings
from simulators.people.instruments import Bodies, show
from simulators.people.sittings import draw_sittings, plans_of, sit_down
from simulators.people.traits import (
    BoolArray,
    DateArray,
    FloatArray,
    IntArray,
    TownPlan,
    Traits,
    draw_pairs,
    draw_traits,
)

__all__ = ["Town", "TownPlan", "make_town"]

_YEAR_DAYS: Final = 365.25
_STREAM_DAY, _STREAM_LAPSE, _STREAM_CALL, _STREAM_SUGAR = 1, 2, 3, 4


def make_town(plan: TownPlan, seed: int) -> "Town":
    """A town on the morning of its first day."""
    return Town(plan, seed)


class _Doses:
    """A treatment: steps taken, and how much of their effect has come. Shape (n,) each.

    Every step moves the target; the effect follows it exponentially, so that steps add up
    exactly whenever they are taken.
    """

    def __init__(self, steps: IntArray, half_days: float, first: int) -> None:
        self.steps = steps.copy()
        self._half_days = half_days
        self._reached = np.zeros(len(steps))
        self._target = np.zeros(len(steps))
        self._as_of = np.full(len(steps), first)

    def effect(self, rows: IntArray, day: int) -> FloatArray:
        left = 0.5 ** ((day - self._as_of[rows]) / self._half_days)
        target = self._target[rows]
        effect: FloatArray = target + (self._reached[rows] - target) * left
        return effect

    def change(self, rows: IntArray, day: int, by: FloatArray, steps: int) -> None:
        """Move the target of these rows, each named once, by so much."""
        self._reached[rows] = self.effect(rows, day)
        self._as_of[rows] = day
        self._target[rows] += by
        self.steps[rows] += steps


class Town:
    """People and their state on the day it has come to; see the module.

    Attributes:
        plan: As made.
        seed: As made.
        traits: Who lives there.
    """

    def __init__(self, plan: TownPlan, seed: int) -> None:
        self.plan = plan
        self.seed = seed
        self.traits: Traits = draw_traits(plan, seed)
        first, treatment = plan.first_day.toordinal(), plan.parameters.treatment
        traits = self.traits
        known = self._found_by(traits.hypertension_since, plan.first_day)
        steps = np.where(known, traits.steps, 0)
        self._pressure_doses = _Doses(steps, treatment.half_days, first)
        known = self._found_by(traits.diabetes_since, plan.first_day)
        steps = np.where(known, traits.steps, 0)
        self._sugar_doses = _Doses(steps, treatment.glucose_half_days, first)
        self._today = first - 1
        self._calls = 0
        self._noise: tuple[FloatArray, FloatArray] | None = None

    def __len__(self) -> int:
        return len(self.traits)

    def managed(self, day: date) -> BoolArray:
        """Who is in the programme on this day, for whichever condition. Shape (n,)."""
        enrolled: BoolArray = self.traits.enrolled_on <= np.datetime64(day, "D")
        return enrolled

    def diagnosed(self, condition: Literal["hypertension", "diabetes"], day: date) -> BoolArray:
        """Of whom it is known on this day. Shape (n,)."""
        return self._found_by(getattr(self.traits, f"{condition}_since"), day)

    def plans(self, day: date) -> BoolArray:
        """Who of the managed plans to measure on this day, whether or not it happens."""
        return plans_of(self.managed(day), self.plan.parameters.habits, day)

    def readings_of(self, day: date) -> DayReadings:
        """What people measure by themselves on this local day, in the order of time.

        Raises:
            ValueError: The day lies before one that has passed.
        """
        random = self._pass_to(day)
        sittings = draw_sittings(
            self.traits,
            self.plan.parameters,
            day,
            random,
            managed=self.managed(day),
            diabetic=self.diagnosed("diabetes", day),
        )
        return self.measure(sittings, day, random=random).by_time()

    def readings_at_visit(self, rows: IntArray, day: date) -> DayReadings:
        """What is measured of these when a doctor sees them on this day, in the office."""
        random = self._pass_to(day)
        diabetic = self.diagnosed("diabetes", day)[rows]
        sittings = sit_down(rows, diabetic, self.plan.parameters.habits, random)
        return self.measure(sittings, day, random=random).by_time()

    def measure(
        self,
        sittings: Sittings,
        day: date,
        *,
        random: np.random.Generator,
        severe_share: float = 0.0,
    ) -> DayReadings:
        """What these sittings give on this day, in the order of ``instruments.show``."""
        self._pass_to(day)
        noise = self._noise or (np.zeros(0), np.zeros(0))
        here = (noise[0][sittings.row], noise[1][sittings.row])
        return show(
            self._bodies(sittings, day),
            here,
            sittings,
            traits=self.traits,
            parameters=self.plan.parameters,
            random=random,
            severe_share=severe_share,
        )

    def visit(self, rows: IntArray, day: date, *, pressure: BoolArray, sugar: BoolArray) -> None:
        """A doctor saw these, and gave some of them one dose step more. Takes effect in weeks.

        Args:
            rows: Residents, each once.
            day: When.
            pressure: Whose blood-pressure treatment is stepped up, aligned with ``rows``.
            sugar: Likewise, of glucose. Whoever takes all steps already stays as they are.
        """
        self._pass_to(day)
        numbers, today = self.plan.parameters.treatment, day.toordinal()
        more = rows[pressure & (self._pressure_doses.steps[rows] < numbers.steps_max)]
        self._pressure_doses.change(more, today, -self._step(more, today), 1)
        more = rows[sugar & (self._sugar_doses.steps[rows] < numbers.steps_max)]
        self._sugar_doses.change(more, today, np.full(len(more), np.log(numbers.glucose_step)), 1)

    def usual(self, day: date) -> Bodies:
        """Everybody's state on this day, mean of the day, as treated. Shape (n,) each."""
        everybody = np.arange(len(self))
        at = np.full(len(self), self.plan.parameters.pressure.circadian_peak_hour - 6)
        nothing = np.zeros(len(self), np.bool_)
        none = np.full(len(self), NO_GLUCOSE)
        return self._bodies(
            Sittings(
                row=everybody,
                hour=at,
                office=nothing,
                pressures=np.zeros(len(self), np.int64),
                meal=none,
                manual=nothing,
            ),
            day,
        )

    @staticmethod
    def _found_by(since: DateArray, day: date) -> BoolArray:
        known: BoolArray = since <= np.datetime64(day, "D")
        return known

    def _pass_to(self, day: date) -> np.random.Generator:
        """Let the days up to this one pass; the numbers of this call."""
        wanted = day.toordinal()
        if wanted < self._today:
            msg = f"{day} has passed in this town; it is {date.fromordinal(self._today)} there"
            raise ValueError(msg)
        if wanted > self._today:
            for passed in range(self._today + 1, wanted + 1):
                self._lapse(passed)
            self._today, self._calls = wanted, 0
            random = np.random.default_rng([self.seed, _STREAM_DAY, wanted])
            numbers = self.plan.parameters.pressure
            self._noise = draw_pairs(random, numbers.day_sd, numbers.noise_correlation, len(self))
        self._calls += 1
        return np.random.default_rng([self.seed, _STREAM_CALL, wanted, self._calls])

    def _lapse(self, today: int) -> None:
        """Some of those treated leave off a step."""
        numbers = self.plan.parameters.treatment
        random = np.random.default_rng([self.seed, _STREAM_LAPSE, today])
        chance = random.random((2, len(self))) < numbers.lapses_per_year / _YEAR_DAYS
        less = np.flatnonzero(chance[0] & (self._pressure_doses.steps > 0))
        self._pressure_doses.change(less, today, self._step(less, today), -1)
        less = np.flatnonzero(chance[1] & (self._sugar_doses.steps > 0))
        self._sugar_doses.change(less, today, np.full(len(less), -np.log(numbers.glucose_step)), -1)

    def _step(self, rows: IntArray, today: int) -> FloatArray:
        """How much one step moves systolic here and now."""
        numbers = self.plan.parameters.treatment
        usual = self.traits.systolic_mmhg[rows] + self._pressure_doses.effect(rows, today)
        above = usual - numbers.step_from_mmhg
        step: FloatArray = np.maximum(
            self.traits.step_mmhg[rows] + numbers.step_per_mmhg * above, 0.0
        )
        return step

    def _bodies(self, sittings: Sittings, day: date) -> Bodies:
        numbers, treatment = self.plan.parameters.pressure, self.plan.parameters.treatment
        traits, rows, today = self.traits, sittings.row, day.toordinal()
        periods = 2 * np.pi * today / np.array(numbers.drift_days)
        waves = np.sin(periods + traits.drift[rows]).sum(axis=1)
        drift = waves * np.sqrt(2 / len(numbers.drift_days))
        peak = date(day.year, 1, numbers.season_peak_day).toordinal()
        season = np.cos(2 * np.pi * (today - peak) / _YEAR_DAYS)
        circle = np.cos(2 * np.pi * (sittings.hour - numbers.circadian_peak_hour) / 24)
        effect = self._pressure_doses.effect(rows, today)
        sides = [
            usual[rows]
            + numbers.drift_sd[side] * drift
            + numbers.season[side] * season
            + numbers.circadian[side] * circle
            + effect * treatment.step[side] / treatment.step[0]
            for side, usual in enumerate((traits.systolic_mmhg, traits.diastolic_mmhg))
        ]
        return Bodies(sides[0], sides[1], self._fasting(rows, day))

    def _fasting(self, rows: IntArray, day: date) -> FloatArray:
        """Fasting glucose of this very day; the same however often somebody measures."""
        numbers, today = self.plan.parameters.sugar, day.toordinal()
        random = np.random.default_rng([self.seed, _STREAM_SUGAR, today])
        noise = random.normal(size=len(self))[rows]
        spread = np.where(self.traits.diabetes[rows], numbers.day_diabetes_sd, numbers.day_sd)
        above = self.traits.glucose_mmol_l[rows] - numbers.floor
        effect = self._sugar_doses.effect(rows, today) + spread * noise
        fasting: FloatArray = numbers.floor + above * np.exp(effect)
        return fasting
