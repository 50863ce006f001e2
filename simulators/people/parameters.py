"""Every number of the made-up people, once. Sources by number stand in ``docs/simulation.md``.

Marks: ``[3]`` a source; ``real`` measured in ``simulators/data``; ``A`` an assumption of ours;
``C`` fitted, so that a default town shows the rates that the product brief reports (72.6 % of
managed blood pressures and 68.4 % of managed fasting glucoses under control). None of them
claims anything about anybody: they make a rehearsal look like a township, nothing more.

Arrays of pairs are (systolic, diastolic). Standard deviations are between zero and one person's
own mean unless the name says otherwise.
"""

from dataclasses import dataclass, field
from typing import Final

AGE_BANDS: Final = (
    *((0, 5, 5.5), (5, 10, 6.4), (10, 15, 6.0), (15, 20, 5.2), (20, 25, 5.3), (25, 30, 6.5)),
    *((30, 35, 8.8), (35, 40, 7.0), (40, 45, 6.6), (45, 50, 8.1), (50, 55, 8.6), (55, 60, 7.2)),
    *((60, 65, 5.2), (65, 70, 5.2), (70, 75, 3.5), (75, 80, 2.2), (80, 85, 1.4), (85, 95, 1.3)),
)
"""From, below, percent of residents. Census of 2020, five-year bands, recalled [1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnoses:
    """Who has what, and who knows."""

    hypertension_middle_years: float = 65.0  # Logistic: half have it. 27.8 % of adults [2].
    hypertension_scale_years: float = 12.0  # A; gives 33 % of 35 to 75 (37 % in [3]).
    hypertension_known: float = 0.557  # [4]
    diabetes_most: float = 0.30  # A: where the curve ends.
    diabetes_middle_years: float = 52.4  # 12.4 % of adults [5].
    diabetes_scale_years: float = 10.0  # A
    diabetes_known: float = 0.367  # [5]
    diabetes_odds_of_hypertension: float = 2.5  # A
    known_years_mean: float = 6.0  # A: since the diagnosis, exponential.
    found_per_year: float = 0.08  # A: of those who do not know.
    enrolled: float = 0.92  # A: of those who know, 35 and over, in the programme.
    programme_age_years: int = 35  # National norm.
    births_per_year: float = 0.045  # A: of women of 20 to 40, pregnant for 280 days.


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """Blood pressure, mmHg; systolic first."""

    usual_healthy: tuple[float, float] = (116.0, 73.0)  # A, at 50 years.
    usual_unknown: tuple[float, float] = (148.0, 89.0)  # A: high, nobody knows.
    usual_managed: tuple[float, float] = (123.2, 75.2)  # C
    per_year_of_age: tuple[float, float] = (0.25, -0.10)  # A, around 50 (hypertensive: 65).
    between_sd: tuple[float, float] = (10.0, 7.0)  # real, bp_ghana: 8.3 to 11.4 and 8.6 to 9.3.
    between_healthy_sd: tuple[float, float] = (9.0, 6.5)  # real, bp_preg: 8.7 and 6.4.
    correlation: float = 0.60  # real, means of people: 0.54 and 0.61.
    male_more: tuple[float, float] = (2.0, 1.5)  # A
    reading_sd: tuple[float, float] = (4.0, 3.0)  # [6] within a visit: median 3 to 4.
    sitting_sd: tuple[float, float] = (6.5, 4.4)  # real, bp_preg, two hours apart: 8.1 and 6.2.
    day_sd: tuple[float, float] = (
        5.5,
        3.7,
    )  # With the drift, [7] visit to visit: fifths 6.5 to 14.4;
    drift_sd: tuple[float, float] = (5.5, 3.5)  # real, bp_ghana, six months apart: 14.2, 9.0.
    drift_days: tuple[float, ...] = (97.0, 211.0, 389.0)  # A: periods of the slow drift.
    noise_correlation: float = 0.70  # real, bp_ghana, of differences: 0.72 to 0.78.
    season: tuple[float, float] = (4.0, 2.0)  # [8] half of summer to winter in towns, 8 mmHg.
    season_peak_day: int = 15  # Mid-January [8].
    circadian: tuple[float, float] = (8.0, 7.0)  # [9] half of the fall at night, 16 and 14.
    circadian_peak_hour: float = 15.5  # [9]
    white_coat_mean: float = 5.0  # A, below [10] (6.7): a terminal alarms less.
    white_coat_sd: float = 6.0  # A. Never below 0.
    white_coat_diastolic: float = 0.4  # [10] 2.4 / 6.7
    white_coat_fades: float = 0.5  # A: what is left of it at the next reading of a sitting.
    pulse_mean: float = 74.0  # A, per minute
    pulse_sd: float = 9.0  # A
    pulse_noise_sd: float = 5.0  # A


@dataclass(frozen=True, slots=True, kw_only=True)
class Sugar:
    """Glucose, mmol/L; spreads are of log(glucose - floor): low values vary little."""

    floor: float = 3.6  # A: the body's own defence.
    usual_healthy: float = 5.1  # A
    usual_prediabetes: float = 5.9  # A: within 5.6 to 6.9.
    prediabetes: float = 0.381  # [5] of adults.
    usual_unknown: float = 8.0  # A
    usual_managed: float = 7.2  # C
    between_healthy_sd: float = 0.15  # A
    between_sd: float = 0.40  # A
    day_sd: float = 0.12  # A: about 5 % of a healthy fasting value.
    day_diabetes_sd: float = 0.22  # A: 12 % of a diabetic one (real, on insulin: far more).
    meter_sd: float = 0.05  # A, of the value: well inside 95 % within 15 % (ISO 15197).
    dawn_mean: float = 0.9  # [11] median 16 mg/dL, quartiles 0 and 31.5.
    dawn_sd: float = 1.2  # [11] Never below 0.
    dawn_healthy: float = 0.3  # A
    dawn_peak_hour: float = 7.0  # A
    dawn_width_hours: float = 2.5  # A
    meal_rise_mean: float = 2.8  # A; real, uci_aim94: after / before supper 1.25, lunch 1.68.
    meal_rise_sd: float = 1.0  # A
    meal_rise_healthy: float = 1.2  # A
    random_share: tuple[float, float] = (0.1, 0.9)  # A: of that rise, at any time.


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What a dose step does, and who stops taking it."""

    steps_max: int = 4  # A
    step: tuple[float, float] = (9.1, 5.5)  # [12] mmHg, one standard dose.
    step_sd: float = 4.0  # A, systolic, between people.
    step_per_mmhg: float = 0.1  # [12] More where the pressure is higher
    step_from_mmhg: float = 154.0  # than this, recalled.
    half_days: float = 6.4  # [13] 0.91 weeks; 95 % after four.
    glucose_step: float = 0.70  # A, of what is above the floor: 8.0 to 6.5 ([14]: 0.95 % HbA1c).
    glucose_half_days: float = 14.0  # A
    lapses_per_year: float = 0.35  # A: of those treated, one step is left off.


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """When people measure and come, and how numbers are written down."""

    planned_days: int = 14  # A: a managed resident plans to measure every two weeks.
    missing_share: tuple[float, float] = (0.30, 0.60)  # Brief: 30 to 60 % are missing.
    pregnant_days: int = 28  # A: a pregnant woman every four.
    casual_per_year: float = 1.2  # A: others of 35 and over; first visit of the year.
    casual_glucose: float = 0.3  # A: of those, also glucose.
    comes_when_called: tuple[float, float] = (0.70, 1.00)  # A: each their own share.
    home_share: float = 0.15  # A: sittings at home, of the managed.
    morning_share: float = 0.7  # A
    morning_hour: float = 8.6  # real, uci_aim94, before breakfast: 5.8 to 8.9.
    morning_sd_hours: float = 0.9  # A
    afternoon_hour: float = 14.8  # A
    afternoon_sd_hours: float = 1.1  # A
    evening_hour: float = 19.8  # A, at home
    evening_sd_hours: float = 0.7  # A
    second_reading: float = 0.8  # A: of sittings; norm: two, 30 to 60 s apart [15].
    third_from_mmhg: float = 10.0  # [15] two that differ by more: a third.
    glucose_every: int = 2  # A: a diabetic measures glucose at every second sitting.
    meals: tuple[float, float, float] = (0.70, 0.18, 0.12)  # A: fasting, 2 h after, random.
    manual_share: float = 0.15  # A: office sittings that somebody types in.
    to_tens: float = 0.56  # real, bp_preg: 58 to 60 % end in 0.
    to_fives: float = 0.27  # real, bp_preg: 25 to 29 % in 5.
    to_evens: float = 0.15  # real, bp_preg: 10 to 15 % in 2, 4, 6 or 8.


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """All of them. ``dataclasses.replace`` makes another town."""

    diagnoses: Diagnoses = field(default_factory=Diagnoses)
    pressure: Pressure = field(default_factory=Pressure)
    sugar: Sugar = field(default_factory=Sugar)
    treatment: Treatment = field(default_factory=Treatment)
    habits: Habits = field(default_factory=Habits)
