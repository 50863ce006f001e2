"""A seeded synthetic population: who the residents are and what was measured of them.

Invented people, realistic in what costs time: readings come in sittings of one to several, the
next sitting hours or weeks later; some residents measure every morning, at home or at the
terminal, so that assessments follow each other in long chains; digits are rounded to zero,
some devices report kPa, some sittings measure both arms, some readings arrive late. No number
here is a clinical limit.

Made a few thousand residents at a time into columns allocated once, so that ten million readings
need little more than themselves (about 86 bytes each). Rows come by resident and time, as the
database gives them, or shuffled. The same arguments give the same population.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rules.codes import ClosureReason, Condition, RecordKind
from rules.columns import (
    ARM_LEFT,
    ARM_RIGHT,
    BOTH_CONDITIONS,
    KIND_BLOOD_PRESSURE,
    KIND_GLUCOSE,
    MEAL_BEDTIME,
    MEAL_FASTING,
    MEAL_POSTPRANDIAL_2H,
    MEAL_PREPRANDIAL,
    MEAL_RANDOM,
    MEAL_UNKNOWN,
    MISSING,
    RANGE_HIGH,
    RANGE_LOW,
    SETTING_AMBULATORY,
    SETTING_HOME,
    SETTING_OFFICE,
    BoolArray,
    InstantArray,
    Int64Array,
    Periods,
    Readings,
    Records,
    Residents,
)
from rules.local_time import local_date
from rules.runs import begins_where, stack_tables

SEED: Final = 20240101
UTC_OFFSET: Final = np.timedelta64(8 * 3600 * 10**6, "us")
START: Final = np.datetime64("2024-01-01T00:00:00", "us")
HISTORY: Final = np.timedelta64(730 * 86_400 * 10**6, "us")
_RESIDENTS_PER_CHUNK: Final = 20_000
_SECOND: Final = 10**6
_DAY: Final = 86_400 * _SECOND
_MEALS: Final = (
    (MEAL_FASTING, 0.60),
    (MEAL_POSTPRANDIAL_2H, 0.15),
    (MEAL_RANDOM, 0.15),
    (MEAL_PREPRANDIAL, 0.05),
    (MEAL_BEDTIME, 0.03),
    (MEAL_UNKNOWN, 0.02),
)
_MMHG_PER_KPA: Final = 7.50061575846
_MMHG_E13_PER_TENTH_KPA: Final = 7_500_615_758_460


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Which population; all the arguments that make it."""

    residents: int
    readings_each: int  # On average, or exactly if live.
    live: bool = False  # The last reading of everybody lies less than 20 minutes before ``as_of``.
    recorded: bool = False  # Visits, referral follow-ups and closures were recorded too.
    shuffled: bool = False
    seed: int = SEED

    @property
    def readings(self) -> int:
        """Number of readings, exactly."""
        return self.residents * self.readings_each


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What ``rules.engine.judge`` takes."""

    readings: Readings
    records: Records
    residents: Residents
    as_of: np.datetime64

    def pregnant(self) -> BoolArray:
        """By reading, whether its resident is pregnant or lactating on that day."""
        day = local_date(self.readings.effective_at, UTC_OFFSET)
        found: BoolArray = self.residents.pregnancies.value_on(self.readings.resident, day) != 0
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _People:
    """Traits of the residents of a chunk, shape (m,) each."""

    counts: Int64Array  # Readings.
    hypertensive: BoolArray
    diabetic: BoolArray
    enrolled: BoolArray
    diary: BoolArray  # Measures every morning,
    diary_at_home: BoolArray  # and does so at home.
    kpa: BoolArray  # The device reports kPa.
    arm: npt.NDArray[np.int8]
    systolic: npt.NDArray[np.float64]  # Usual values.
    diastolic: npt.NDArray[np.float64]
    glucose: npt.NDArray[np.float64]


def make_population(shape: Shape) -> Population:
    """Make the population of a shape. At least one resident."""
    columns = _allocate(shape.readings)
    people, records = [], []
    as_of = START + HISTORY + np.timedelta64(30 * _DAY, "us")
    at = 0
    for low, high in _chunks(shape.residents):
        rng = np.random.default_rng([shape.seed, low])
        mine = _draw_people(rng, high - low, shape)
        rows = slice(at, at + int(mine.counts.sum()))
        part = {name: column[rows] for name, column in columns.items()}
        _fill_readings(rng, part, mine, as_of, live=shape.live)
        if shape.recorded:
            records.append(_draw_records(rng, part, mine, low))
        part["resident"] += low
        people.append(_draw_residents(rng, mine, low))
        at = rows.stop
    if shape.shuffled:
        order = np.random.default_rng([shape.seed, shape.residents]).permutation(shape.readings)
        for column in columns.values():  # One at a time: no second copy of everything.
            column[:] = column[order]
    return Population(
        readings=Readings(**columns),
        records=stack_tables(records) if records else Records.none(),
        residents=_stack_residents(people),
        as_of=as_of,
    )


def _chunks(residents: int) -> Iterator[tuple[int, int]]:
    for low in range(0, residents, _RESIDENTS_PER_CHUNK):
        yield low, min(low + _RESIDENTS_PER_CHUNK, residents)


def _allocate(rows: int) -> dict[str, npt.NDArray[Any]]:
    types: dict[str, str] = {
        "resident": "int64",
        "ids": "S16",
        **dict.fromkeys(("kind", "range_status", "setting", "arm", "meal_context"), "int8"),
        **dict.fromkeys(("systolic_mmhg_e13", "diastolic_mmhg_e13", "glucose_mmol_l_e4"), "int64"),
        "countable": "bool",
        **dict.fromkeys(
            ("effective_at", "captured_at", "arrived_at", "received_at"), "datetime64[us]"
        ),
    }
    assert set(types) == {field.name for field in fields(Readings)}
    return {name: np.empty(rows, dtype) for name, dtype in types.items()}


def _draw_people(rng: np.random.Generator, many: int, shape: Shape) -> _People:
    counts = np.full(many, shape.readings_each)
    if not shape.live:  # Uneven: some have one reading, some many times the average.
        weights = rng.gamma(2.0, size=many)
        counts = rng.multinomial(many * shape.readings_each, weights / weights.sum())
    hypertensive, diabetic = rng.random(many) < 0.55, rng.random(many) < 0.25
    systolic = rng.normal(126, 11, many) + 12 * hypertensive
    return _People(
        counts=counts.astype(np.int64),
        hypertensive=hypertensive,
        diabetic=diabetic,
        enrolled=(hypertensive | diabetic) & (rng.random(many) < 0.8),
        diary=rng.random(many) < 0.05,
        diary_at_home=rng.random(many) < 0.5,
        kpa=rng.random(many) < 0.1,
        arm=np.where(rng.random(many) < 0.4, ARM_LEFT, 0).astype(np.int8),
        systolic=systolic,
        diastolic=0.42 * systolic + 24 + rng.normal(0, 6, many),
        glucose=rng.normal(5.7, 0.5, many) + diabetic * rng.gamma(2.0, 0.7, many),
    )


def _fill_readings(
    rng: np.random.Generator,
    part: dict[str, npt.NDArray[Any]],
    people: _People,
    as_of: np.datetime64,
    *,
    live: bool,
) -> None:
    """Fill the columns of a chunk; ``resident`` counts from 0."""
    resident = np.repeat(np.arange(len(people.counts)), people.counts)
    many = len(resident)
    part["resident"][:] = resident
    part["ids"][:] = np.frombuffer(rng.bytes(16 * many), dtype="S16")
    begins = begins_where(resident) | (rng.random(many) < 0.65)
    sitting = np.cumsum(begins) - 1
    at = _draw_times(rng, resident, begins, people)
    now = int(as_of.astype(np.int64))
    if live:
        last = at[np.cumsum(people.counts) - 1]
        at += (now - rng.integers(0, 1_200 * _SECOND, len(last)) - last)[resident]
    part["effective_at"][:] = at.view("datetime64[us]")
    captured = at + rng.integers(0, 3 * _SECOND, many)
    late = np.where(rng.random(many) < 0.08, rng.exponential(6 * 3600 * _SECOND, many), 0)
    arrived = captured + late.astype(np.int64)
    received = arrived + rng.integers(0, 2 * _SECOND, many)
    for name, times in (("captured", captured), ("arrived", arrived), ("received", received)):
        part[f"{name}_at"][:] = np.minimum(times, now).view("datetime64[us]")
    glucose = rng.random(many) < np.where(people.diabetic, 0.45, 0.15)[resident]
    part["kind"][:] = np.where(glucose, KIND_GLUCOSE, KIND_BLOOD_PRESSURE)
    part["countable"][:] = rng.random(many) >= 0.003
    _fill_setting(rng, part, sitting, people)
    _fill_pressure(rng, part, people)
    _fill_glucose(rng, part, people)


def _draw_times(
    rng: np.random.Generator, resident: Int64Array, begins: BoolArray, people: _People
) -> Int64Array:
    """Ascending microseconds for each resident: minutes, hours or days after the one before."""
    many = len(resident)
    first = begins_where(resident)
    same_day = begins & ~first & (rng.random(many) < 0.12)
    waits = np.where(begins & ~same_day, rng.exponential(1.0, many), 0.0)
    total = np.bincount(resident, waits, len(people.counts)) + rng.exponential(1.0)
    history = int(HISTORY.astype(np.int64))
    step = (waits / total[resident] * history).astype(np.int64)
    step[~begins] = rng.integers(45, 660, np.count_nonzero(~begins)) * _SECOND  # A few: too long.
    step[same_day] = rng.integers(2 * 3600, 9 * 3600, np.count_nonzero(same_day)) * _SECOND
    daily = people.diary[resident] & begins & ~first
    step[daily] = _DAY + rng.integers(-5_400, 5_400, np.count_nonzero(daily)) * _SECOND
    step = step // _SECOND * _SECOND
    at = np.cumsum(step)
    before = (at - step)[first]
    at -= np.repeat(before, people.counts[people.counts > 0])
    at += int(START.astype(np.int64))
    return at


def _fill_setting(
    rng: np.random.Generator,
    part: dict[str, npt.NDArray[Any]],
    sitting: Int64Array,
    people: _People,
) -> None:
    sittings = int(sitting[-1]) + 1 if len(sitting) else 0
    resident = part["resident"]
    home = (rng.random(sittings) < 0.08)[sitting]
    diary = people.diary[resident]
    home = np.where(diary, people.diary_at_home[resident], home)
    part["setting"][:] = np.where(home, SETTING_HOME, SETTING_OFFICE)
    part["setting"][rng.random(len(sitting)) < 0.005] = SETTING_AMBULATORY
    both_arms = (rng.random(sittings) < 0.04)[sitting]
    alternating = np.where(np.arange(len(sitting)) % 2 == 0, ARM_LEFT, ARM_RIGHT)
    part["arm"][:] = np.where(both_arms, alternating, people.arm[resident])


def _fill_pressure(
    rng: np.random.Generator, part: dict[str, npt.NDArray[Any]], people: _People
) -> None:
    resident, many = part["resident"], len(part["resident"])
    systolic = np.clip(people.systolic[resident] + rng.normal(0, 9, many), 60, 280)
    diastolic = np.clip(people.diastolic[resident] + rng.normal(0, 6, many), 25, 180)
    diastolic = np.minimum(diastolic, systolic - 8)
    rounded = rng.random(many) < 0.2  # By ear: people round to the nearest ten.
    given = part["kind"] == KIND_BLOOD_PRESSURE
    kpa = people.kpa[resident]
    for name, value in (("systolic", systolic), ("diastolic", diastolic)):
        mmhg = np.where(rounded, np.round(value, -1), np.round(value)).astype(np.int64) * 10**13
        tenths = np.round(value / _MMHG_PER_KPA * 10).astype(np.int64)
        exact = np.where(kpa, tenths * _MMHG_E13_PER_TENTH_KPA, mmhg)
        part[f"{name}_mmhg_e13"][:] = np.where(given, exact, MISSING)


def _fill_glucose(
    rng: np.random.Generator, part: dict[str, npt.NDArray[Any]], people: _People
) -> None:
    resident, many = part["resident"], len(part["resident"])
    swing = people.diabetic[resident] * rng.exponential(1.6, many)
    value = np.clip(people.glucose[resident] + rng.normal(0, 0.9, many) + swing, 1.0, 33.0)
    tenths = np.round(value * 10).astype(np.int64)
    given = part["kind"] == KIND_GLUCOSE
    beyond = given & (rng.random(many) < 0.001)  # The meter says HI or LO.
    part["glucose_mmol_l_e4"][:] = np.where(given & ~beyond, tenths * 1_000, MISSING)
    status = np.where(rng.random(many) < 0.7, RANGE_HIGH, RANGE_LOW)
    part["range_status"][:] = np.where(beyond, status, 0)
    meals, shares = zip(*_MEALS, strict=True)
    meal = np.array(meals)[np.searchsorted(np.cumsum(shares[:-1]), rng.random(many))]
    part["meal_context"][:] = np.where(given, meal, MEAL_UNKNOWN)


def _draw_residents(rng: np.random.Generator, people: _People, low: int) -> Residents:
    many = len(people.counts)
    never = np.datetime64("NaT", "D")
    today = (START + HISTORY).astype("datetime64[D]")

    def days_before(most: int) -> npt.NDArray[np.datetime64]:
        """Some lie inside the history: diagnosed on the way."""
        found: npt.NDArray[np.datetime64] = today - rng.integers(0, most, many)
        return found

    birth = np.datetime64("1935-01-01") + rng.integers(0, 365 * 80, many)
    expecting = np.flatnonzero(rng.random(many) < 0.01)
    since = today - rng.integers(0, 900, len(expecting))
    return Residents(
        birth_date=np.where(rng.random(many) < 0.01, never, birth),
        hypertension_since=np.where(people.hypertensive, days_before(5_000), never),
        diabetes_since=np.where(people.diabetic, days_before(5_000), never),
        enrolled_on=np.where(people.enrolled, days_before(1_500), never),
        pregnancies=Periods(
            resident=expecting + low,
            since=since,
            until=since + np.int64(450),
            value=np.ones(len(expecting), np.int8),
        ),
        profiles=Periods.none(),
    )


def _stack_residents(people: list[Residents]) -> Residents:
    return Residents(
        birth_date=np.concatenate([each.birth_date for each in people]),
        hypertension_since=np.concatenate([each.hypertension_since for each in people]),
        diabetes_since=np.concatenate([each.diabetes_since for each in people]),
        enrolled_on=np.concatenate([each.enrolled_on for each in people]),
        pregnancies=stack_tables([each.pregnancies for each in people]),
        profiles=Periods.none(),
    )


def _draw_records(
    rng: np.random.Generator, part: dict[str, npt.NDArray[Any]], people: _People, low: int
) -> Records:
    """Visits after some readings, a few referral follow-ups, the end of a few contracts."""
    resident = part["resident"]
    chance = rng.random(len(resident))
    after = people.enrolled[resident] & (chance < 0.12)
    ends = np.zeros(len(resident), np.bool_)
    ends[np.cumsum(people.counts)[people.counts > 0] - 1] = True
    ends &= rng.random(len(resident)) < 0.004
    rows = np.flatnonzero(after | ends)
    is_end = ends[rows]
    follows = ~is_end & (chance[rows] < 0.02)
    visits = ~is_end & ~follows
    many = len(rows)
    kinds = np.where(follows, RecordKind.REFERRAL_FOLLOWUP, RecordKind.VISIT)
    pressure = part["kind"][rows] == KIND_BLOOD_PRESSURE
    condition = np.where(pressure, Condition.HYPERTENSION, Condition.DIABETES)
    later = np.timedelta64(600 * _SECOND, "us")
    at: InstantArray = np.add(part["effective_at"][rows], later)
    return Records(
        resident=resident[rows] + low,
        ids=np.frombuffer(rng.bytes(16 * many), dtype="S16"),
        kind=np.where(is_end, RecordKind.CLOSURE, kinds).astype(np.int8),
        condition=np.where(is_end, BOTH_CONDITIONS, condition).astype(np.int8),
        at=at,
        received_at=at,
        adverse_reaction=visits & (rng.random(many) < 0.03),
        complication=visits & (rng.random(many) < 0.01),
        face_to_face=visits & (rng.random(many) < 0.9),
        state=np.zeros(many, np.int8),
        due=np.full(many, np.datetime64("NaT", "D")),
        reason=np.where(is_end, ClosureReason.MOVED, 0).astype(np.int8),
    )
