"""Every indicator that is served: what people read beside a number, and the SQL that counts it.

The rule engine's come from ``rules.indicator_catalogue`` as they are; the others are defined
here. SQL is of a *family*: rows of persons that its statement in ``statements.py`` gives, of
which ``numerator`` and ``denominator`` say how much each row counts. Every family gives each
person and condition once, so that figures of teams add up to those of centres and the city.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rules.codes import Condition
from rules.indicator_catalogue import CATALOGUE, FACE_TO_FACE_PER_YEAR, Answer, Entry, Rate


class Family(StrEnum):
    """Which rows an indicator is counted from."""

    MANAGED = "managed"  # A person and a condition for which they are managed in the period.
    OWED = "owed"  # A person and a condition of which something is known in the year.
    SIGNED = "signed"  # A registered resident.
    LOAD = "load"  # Likewise, beside the people who work for their team; no drill-down.


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One indicator: what people read, and how much a row of its family counts in it."""

    code: str
    version: int
    title_zh: str
    title_en: str
    formula: str
    source: str
    unit: str
    people: str
    family: Family
    condition: str | None
    numerator: str
    denominator: str | None  # None: an estimate, with no persons behind it.


_KEY: Final = (
    "hypertension OR diabetes OR elderly OR child OR maternal OR tuberculosis"
    " OR severe_mental_disorder OR disability"
)
GROUPS: Final[Mapping[str, tuple[str, str, str]]] = {
    "all": ("签约居民", "all residents", "true"),
    "key": ("重点人群", "key groups together", _KEY),
    "hypertension": ("高血压患者", "hypertension", "hypertension"),
    "diabetes": ("2型糖尿病患者", "type 2 diabetes", "diabetes"),
    "elderly": ("65岁及以上老年人", "aged 65 and over", "elderly"),
    "child": ("0~6岁儿童", "children up to 6 years", "child"),
    "maternal": ("孕产妇", "pregnant or lactating", "maternal"),
    "tuberculosis": ("结核病患者", "tuberculosis", "tuberculosis"),
    "severe_mental_disorder": (
        "严重精神障碍患者", "severe mental disorder", "severe_mental_disorder"),
    "disability": ("残疾人", "disability", "disability"),
}  # fmt: skip
"""Key groups: title in Chinese and English, SQL over the flags of signed rows.

Source: 关于推进家庭医生签约服务的指导意见(2016), the groups that sign first (recalled);
65 and 0 to 6 years: 国家基本公共卫生服务规范(第三版, 2017), 老年人 and 0~6岁儿童健康管理."""

_ENOUGH: Final = f"""coalesce(bit_count(y.face_to_face & %(days)s::bit(366)), 0)
    >= {FACE_TO_FACE_PER_YEAR}"""
_EXAMINED: Final = "h.resident_id IS NOT NULL"
# Of the days on which something was found the later one makes the greater number.
_CONTROLLED: Final = """coalesce(y.controlled & %(days)s::bit(366), 0::bit(366))
    > coalesce(y.uncontrolled & %(days)s::bit(366), 0::bit(366))"""


def _of_rules(entry: Entry) -> Shown:
    if entry.rate is not None:
        family, denominator = Family.MANAGED, "1"
        counted = {
            Rate.MANAGEMENT: "1",
            Rate.STANDARD_MANAGEMENT: f"({_ENOUGH} AND {_EXAMINED})::int",
            Rate.CONTROL: f"({_CONTROLLED})::int",
        }[entry.rate]
    else:
        family = Family.OWED
        kind = entry.id.partition(".")[2].partition("_")[0]
        denominator, on_time, late = (
            f"coalesce(bit_count(y.{kind}_{word} & %(owed)s::bit(366)), 0)"
            for word in ("due", "on_time", "late")
        )
        counted = {
            Answer.ON_TIME: on_time,
            Answer.LATE: late,
            Answer.MISSED: f"{denominator} - {on_time} - {late}",
            Answer.CLOSED: f"{on_time} + {late}",
        }[entry.answer or Answer.CLOSED]
    return Shown(
        code=entry.id,
        version=entry.version,
        title_zh=entry.title_zh,
        title_en=entry.title_en,
        formula=entry.formula,
        source=entry.source,
        unit=str(entry.unit),
        people="managed" if entry.rate is not None else "owed",
        family=family,
        condition=Condition(entry.condition).name.lower(),
        numerator=counted,
        denominator=None if entry.rate is Rate.MANAGEMENT else denominator,
    )


def _of_contracts() -> Iterator[Shown]:
    for name, (title_zh, title_en, flags) in GROUPS.items():
        yield Shown(
            code=f"signing.{name}",
            version=1,
            title_zh=f"{title_zh}签约率",
            title_en=f"Signing rate, {title_en}",
            formula="with a contract that runs / registered with a team; both on the last known"
            " day of the period",
            source="product brief (key-group signing); the formula is a product decision",
            unit="persons",
            people=name,
            family=Family.SIGNED,
            condition=None,
            numerator=f"(({flags}) AND signed)::int",
            denominator=f"({flags})::int",
        )
        yield Shown(
            code=f"fulfilment.{name}",
            version=1,
            title_zh=f"{title_zh}履约率",
            title_en=f"Fulfilment rate, {title_en}",
            formula="visited on as many days as their package promised up to the last known day"
            " of the period (its follow-ups a year x days of the contract in the calendar year"
            " / 365, rounded down) / signed and promised at least one up to that day",
            source="product brief (fulfilment); the formula is a product decision",
            unit="persons",
            people=name,
            family=Family.SIGNED,
            condition=None,
            numerator=f"(({flags}) AND fulfilled)::int",
            denominator=f"(({flags}) AND owed)::int",
        )


def _of_load() -> Iterator[Shown]:
    for code, title_zh, title_en, what, counted in (
        ("load.residents", "人均签约服务居民数", "Residents", "registered residents", "1"),
        ("load.signed", "人均签约人数", "Signed residents", "signed residents", "signed::int"),
        ("load.open_cases", "人均未结案例数", "Open cases", "cases that wait for something",
         "open_cases"),
        ("load.overdue", "人均逾期案例数", "Overdue cases", "cases whose due day has passed",
         "overdue_cases"),
    ):  # fmt: skip
        yield Shown(
            code=code,
            version=1,
            title_zh=title_zh,
            title_en=f"{title_en} for each member of a team",
            formula=f"{what} / places in teams (who works in two teams has two); both today",
            source="product decision",
            unit="per_place",
            people="all",
            family=Family.LOAD,
            condition=None,
            numerator=counted,
            denominator=None,
        )


SHOWN: Final[Mapping[str, Shown]] = {
    shown.code: shown
    for shown in (*map(_of_rules, CATALOGUE.values()), *_of_contracts(), *_of_load())
}
