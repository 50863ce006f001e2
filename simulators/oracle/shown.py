"""What an alert must show beside it: what was measured, the limit, and where the limit is from.

The plain evaluator's own words, written down once more from the decision table (1.2 to 1.5, 2.3)
and the guidelines it names: whoever reads an alert decides by them. Exact fractions in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Final

from simulators.oracle.normal import Reading
from simulators.oracle.person import Profile

_NORM: Final = "国家基本公共卫生服务规范(第三版, 2017)"
_PRESSURE: Final = f"{_NORM} 高血压患者健康管理服务规范"
_SUGAR: Final = f"{_NORM} 2型糖尿病患者健康管理服务规范"
_GUIDE: Final = "国家基层糖尿病防治管理指南(2025)"
_BRIEF: Final = "Wuzhou brief"
_FOLLOWUP: Final = (
    f"{_NORM} 随访评估, 分类干预(2)(3); routine overdue: decision table 2.3 Q1;"
    " reactions: 2.3 F1; escalation days: 2.4 (D)"
)
_EMERGENCY: Final = f"{_PRESSURE}, 随访评估(1)"
_SUGAR_EMERGENCY: Final = f"{_SUGAR}, 随访评估(1); comparator: decision table 1.2"
_EXACT_DECIMALS: Final = 4


@dataclass(frozen=True)
class Limit:
    """As an alert shows it."""

    threshold: str
    source: str


@dataclass(frozen=True)
class Sources:
    """Where the limits are from in which the profiles differ."""

    office: str
    office_elderly: str
    screening: str
    fasting: str
    screening_fasting: str


SOURCES: Final = {
    "wuzhou": Sources(
        office=f"{_BRIEF}: 血压高于 140/90 mmHg; decision table 1.5, 2.3 B1",
        office_elderly="",
        screening=f"{_BRIEF}: 血压高于 140/90 mmHg; decision table 2.3 B3",
        fasting=f"{_BRIEF}: 空腹血糖高于 7.0 mmol/L; decision table 2.3 G1",
        screening_fasting=f"{_BRIEF}: 空腹血糖高于 7.0 mmol/L; decision table 2.3 G4",
    ),
    "cn_nbphs_2017": Sources(
        office=f"{_PRESSURE}, 分类干预(2)",
        office_elderly=f"{_PRESSURE}, 分类干预: 65 岁及以上 150/90",
        screening=f"{_PRESSURE}, 筛查(2)",
        fasting=f"{_SUGAR}, 分类干预(2)",
        screening_fasting=f"{_GUIDE}, diagnosis by fasting glucose 7.0; decision table 2.3 G4",
    ),
    "who_hearts": Sources(
        office="WHO 2021 / HEARTS, treated at or above 140/90"
        " (ncbi.nlm.nih.gov/books/n/who344424/ch3); decision table 1.4",
        office_elderly="",
        screening=f"{_PRESSURE}, 筛查(2)",
        fasting=f"{_SUGAR}, 分类干预(2)",
        screening_fasting=f"{_GUIDE}, diagnosis by fasting glucose 7.0; decision table 2.3 G4",
    ),
}

EMERGENCIES: Final = {
    "BP_EMERGENCY": Limit(">= 180/110 mmHg", _EMERGENCY),
    "BP_PREG_HIGH": Limit(">= 140/90 mmHg", f"{_EMERGENCY}: 妊娠期或哺乳期血压高于正常"),
    "GLU_EMERGENCY_HIGH": Limit(">= 16.7 mmol/L", _SUGAR_EMERGENCY),
    "GLU_EMERGENCY_LOW": Limit("<= 3.9 mmol/L", _SUGAR_EMERGENCY),
}
RECORDED: Final = {
    "ADR_1": Limit("adverse reaction at a visit", _FOLLOWUP),
    "ADR_2": Limit("adverse reaction at 2 visits in a row", _FOLLOWUP),
    "COMPLICATION": Limit("new or worse complication at a visit", _FOLLOWUP),
}
ROUTINE: Final = Limit("more than 90 days since the last face-to-face visit", _FOLLOWUP)
BY_DOCTOR: Final = Limit("by the day that a doctor set", "Decision table 2.4 (D)")
ARMS: Final = Limit(
    ">= 20 mmHg systolic between the arms",
    "Referral at a difference of 20 mmHg: decision table 2.3 B5; office sessions, anybody:"
    " decision 0011 (D)",
)
AFTER_MEAL: Final = Limit(
    ">= 10.0 mmol/L",
    "China 2018 guideline, non-fasting < 10.0 (decision table 1.4); decision table 2.3 G2",
)
RANDOM: Final = Limit(
    ">= 11.1 mmol/L random or 2 h after a meal",
    f"{_GUIDE}, diagnosis by random or 2 h glucose 11.1; decision table 2.3 G4",
)


def at_home(*, elderly: bool) -> Limit:
    """B2."""
    if elderly:
        return Limit(">= 145/85 mmHg", "Decision table 2.3 B2 (D)")
    source = "中国高血压防治指南(2024 revision), home limit 135/85; decision table 2.3 B2"
    return Limit(">= 135/85 mmHg", source)


def in_office(profile: Profile, *, diagnosed: bool, elderly: bool) -> Limit:
    """B1 for the diagnosed, B3 for those who are not; ``elderly``: of the tier from 65 years."""
    sources, more = SOURCES[profile.id], ">" if profile.strict else ">="
    if not diagnosed:
        return Limit(f"{more} 140/90 mmHg", sources.screening)
    if elderly:
        return Limit(f"{more} 150/90 mmHg", sources.office_elderly)
    return Limit(f"{more} 140/90 mmHg", sources.office)


def suspected(profile: Profile) -> Limit:
    """Three high days: hypertension is suspected."""
    more = ">" if profile.strict else ">="
    return Limit(
        f"{more} 140/90 mmHg on 3 local days within 90", f"{_PRESSURE}, 筛查(2): 非同日三次"
    )


def fasting(profile: Profile, *, diagnosed: bool) -> Limit:
    """G1 for the diagnosed, fasting G4 for those who are not."""
    sources, more = SOURCES[profile.id], ">" if profile.strict else ">="
    return Limit(f"{more} 7.0 mmol/L", sources.fasting if diagnosed else sources.screening_fasting)


def within(days: int, opened_by: str, opener: Limit, profile: Profile) -> Limit:
    """What asked for something that nobody answered gave it so many days."""
    source = _FOLLOWUP
    if opened_by in {"SCREEN_BP_HIGH", "SCREEN_HTN_SUSPECTED"}:
        source = opener.source
    if opened_by == "SCREEN_GLU_HIGH":
        source = fasting(profile, diagnosed=False).source
    return Limit(f"within {days} days", source)


def of_reading(reading: Reading) -> str:
    """One value by itself."""
    if reading.kind == "bp":
        return of_readings([reading])
    if reading.glucose is None:
        return reading.beyond or ""
    text = _text(reading.glucose)
    return f"{text if '.' in text else text + '.0'} mmol/L"


def of_readings(readings: Sequence[Reading]) -> str:
    """The mean of some pressures, and that it is one."""
    count = len(readings)
    high = sum((each.systolic for each in readings), Fraction(0)) / count
    low = sum((each.diastolic for each in readings), Fraction(0)) / count
    mean = f", mean of {count}" if count > 1 else ""
    return f"{_text(high)}/{_text(low)} mmHg{mean}"


def while_growing(readings: Sequence[Reading]) -> frozenset[str]:
    """What a sitting showed as its readings came: an alert keeps what was known at first."""
    return frozenset(of_readings(readings[: number + 1]) for number in range(len(readings)))


def of_difference(apart: Fraction) -> str:
    """How far the arms lie apart."""
    return f"{_text(apart)} mmHg"


def _text(value: Fraction) -> str:
    """Exact up to four decimals; else cut to two, and never to a whole number it did not reach."""
    places = _EXACT_DECIMALS
    if (value * 10**places).denominator != 1:
        places = 2
        while not floor(value * 10**places) % 10**places:
            places += 1
    whole, rest = divmod(floor(value * 10**places), 10**places)
    return f"{whole}.{rest:0{places}d}".rstrip("0").rstrip(".")
