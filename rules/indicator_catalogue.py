"""The indicators by name: id, version, titles, formula and source; how to count stands elsewhere.

Light on purpose: whoever only shows figures imports no arrays. ``indicators`` counts the same
entries over columns. A changed formula is a new version of the same id, never another text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Final

from rules.codes import Condition

FACE_TO_FACE_PER_YEAR: Final = 4
"""Source: 国家基本公共卫生服务规范(第三版, 2017), at least four face-to-face follow-ups a year."""


class Unit(StrEnum):
    """What an indicator counts. A person can be owed several follow-ups."""

    PERSONS = "persons"
    FOLLOW_UPS = "follow_ups"


class FollowUpKind(IntEnum):
    """What was owed to a resident."""

    SECOND = 1  # After an unsatisfied assessment or an adverse reaction.
    REFERRAL = 2
    ROUTINE = 3


class Answer(StrEnum):
    """How a follow-up ended whose due day has passed. The first three exclude each other."""

    ON_TIME = "on_time"
    LATE = "late"
    MISSED = "missed"
    CLOSED = "closed"  # On time or late.


class Rate(StrEnum):
    """Of persons."""

    MANAGEMENT = "management_rate"
    STANDARD_MANAGEMENT = "standard_management_rate"
    CONTROL = "control_rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version of one indicator; either ``rate`` is set, or ``kind`` and ``answer`` are."""

    id: str
    version: int = 1
    condition: Condition
    unit: Unit
    title_zh: str
    title_en: str
    formula: str
    source: str
    rate: Rate | None = None
    kind: FollowUpKind | None = None
    answer: Answer | None = None


_RATE_SOURCE: Final = "国家基本公共卫生服务规范(第三版, 2017); clinical decision table 1.3"
_FOLLOWUP_SOURCE: Final = "due days: clinical decision table 2.4; the rate is a product decision"
_CONDITIONS: Final = {
    Condition.HYPERTENSION: ("htn", "高血压", "hypertension", "血压", "blood pressure"),
    Condition.DIABETES: ("t2dm", "2型糖尿病", "type 2 diabetes", "血糖", "glucose"),
}
_KINDS: Final = {
    FollowUpKind.SECOND: ("second_followup", "二次随访", "second follow-up"),
    FollowUpKind.REFERRAL: ("referral_followup", "转诊随访", "referral follow-up"),
    FollowUpKind.ROUTINE: ("routine_followup", "常规随访", "routine follow-up"),
}
_ANSWERS: Final = {
    Answer.ON_TIME: ("及时率", "on time", "answered on or before the due day"),
    Answer.LATE: ("逾期完成率", "late", "answered after the due day"),
    Answer.MISSED: ("逾期未完成率", "missed", "not answered"),
}


def _rates(condition: Condition) -> Iterator[Entry]:
    prefix, illness_zh, illness_en, value_zh, value_en = _CONDITIONS[condition]
    plain = Entry(
        id=f"{prefix}.{Rate.MANAGEMENT}",
        condition=condition,
        unit=Unit.PERSONS,
        title_zh=f"{illness_zh}患者管理率",
        title_en=f"Management rate, {illness_en}",
        formula="managed in the period / estimated patients",
        source=_RATE_SOURCE,
        rate=Rate.MANAGEMENT,
    )
    yield plain
    yield replace(
        plain,
        id=f"{prefix}.{Rate.STANDARD_MANAGEMENT}",
        title_zh=f"{illness_zh}患者规范管理率",
        title_en=f"Standardised management rate, {illness_en}",
        formula="managed with enough face-to-face follow-up days and a health check in the period"
        " / managed in the period",
        rate=Rate.STANDARD_MANAGEMENT,
    )
    yield replace(
        plain,
        id=f"{prefix}.{Rate.CONTROL}",
        title_zh=f"管理人群{value_zh}控制率",
        title_en=f"Control rate, {value_en}",
        formula="managed and under control at the most recent follow-up of the period"
        " / managed in the period",
        rate=Rate.CONTROL,
    )


def _followups(condition: Condition) -> Iterator[Entry]:
    prefix, illness_zh, illness_en, _, _ = _CONDITIONS[condition]
    plain = Entry(
        id=f"{prefix}.referral_closure_rate",
        condition=condition,
        unit=Unit.FOLLOW_UPS,
        title_zh=f"{illness_zh}转诊闭环率",
        title_en=f"Referral closure rate, {illness_en}",
        formula="of these answered, on time or late"
        " / referral follow-ups whose due day passed in the period",
        source=_FOLLOWUP_SOURCE,
        kind=FollowUpKind.REFERRAL,
        answer=Answer.CLOSED,
    )
    for kind, (name, kind_zh, kind_en) in _KINDS.items():
        for answer, (answer_zh, answer_en, meaning) in _ANSWERS.items():
            yield replace(
                plain,
                id=f"{prefix}.{name}_{answer}",
                title_zh=f"{illness_zh}{kind_zh}{answer_zh}",
                title_en=f"{kind_en.capitalize()} {answer_en}, {illness_en}",
                formula=f"of these {meaning} / {kind_en}s whose due day passed in the period",
                kind=kind,
                answer=answer,
            )
    yield plain


CATALOGUE: Final[Mapping[str, Entry]] = {
    entry.id: entry
    for condition in Condition
    for entry in (*_rates(condition), *_followups(condition))
}
