"""The national forms of a follow-up visit as this API takes them.

Sources: 国家基本公共卫生服务规范（第三版, 2017）, 高血压患者随访服务记录表 and
2型糖尿病患者随访服务记录表; WS 372.2-2012 is the data set of the first. Codes as on the forms; they
were compared with those of a live public-health system. Every field is optional: a visit is
recorded with what was done, and the completeness report says what is missing. ``national_form.py``
gives each its name there.

It must never hold who recorded it (that is the principal) nor a name or number of the resident.
"""

from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from api.instants import Day

_NUL: Final = "\x00"


def _require_storable(text: str) -> str:
    if _NUL in text:
        msg = "must not hold a NUL character"
        raise ValueError(msg)
    return text


Short = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_require_storable)]
Text = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_require_storable)]


def require_number(value: object) -> object:
    """Refuse text where a number is asked: JSON has both."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        msg = "write a number, without quotes"
        raise ValueError(msg)  # noqa: TRY004 - pydantic asks for it
    return value


# What can be on the form at all, not what is normal.
_Number = Annotated[Decimal, BeforeValidator(require_number)]
Kilograms = Annotated[
    _Number,
    Field(ge=1, le=500, decimal_places=1),
    WithJsonSchema({"type": "number", "minimum": 1, "maximum": 500}),
]
BodyMassIndex = Annotated[
    _Number,
    Field(ge=5, le=100, decimal_places=2),
    WithJsonSchema({"type": "number", "minimum": 5, "maximum": 100}),
]
Percent = Annotated[
    _Number,
    Field(ge=2, le=25, decimal_places=1),
    WithJsonSchema({"type": "number", "minimum": 2, "maximum": 25}),
]
Liang = Annotated[
    _Number,
    Field(ge=0, le=99, decimal_places=1),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 99}),
]
Count = Annotated[int, Field(strict=True, ge=0, le=999)]
OneToThree = Annotated[int, Field(strict=True, ge=1, le=3)]
Symptoms = Annotated[list[Annotated[int, Field(strict=True, ge=1, le=9)]], Field(max_length=9)]


class Strict(BaseModel):
    """What one does not know is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Medication(Strict):
    """One line of 用药情况."""

    name: Annotated[Short, Field(description="药物名称")]
    times_per_day: Annotated[int | None, Field(strict=True, ge=1, le=24)] = None
    dose_each: Annotated[Short | None, Field(description="每次剂量", examples=["5 mg"])] = None


class Insulin(Strict):
    """胰岛素."""

    kind: Short
    usage: Annotated[Short | None, Field(description="用法用量")] = None


class VisitForm(Strict):
    """What the form asks beside the day, the way, the findings and the measured values."""

    symptoms_hypertension: Annotated[
        Symptoms | None,
        Field(
            description="1 无症状 2 头痛头晕 3 恶心呕吐 4 眼花耳鸣 5 呼吸困难 6 心悸胸闷"
            " 7 鼻衄出血不止 8 四肢发麻 9 下肢水肿"
        ),
    ] = None
    symptoms_diabetes: Annotated[
        Symptoms | None,
        Field(
            description="1 无症状 2 多饮 3 多食 4 多尿 5 视力模糊 6 感染 7 手脚麻木 8 下肢浮肿"
            " 9 体重明显下降"
        ),
    ] = None
    symptoms_other: Text | None = None
    weight_kg: Kilograms | None = None
    weight_target_kg: Kilograms | None = None
    body_mass_index: BodyMassIndex | None = None
    body_mass_index_target: BodyMassIndex | None = None
    heart_rate_per_min: Annotated[int | None, Field(strict=True, ge=20, le=300)] = None
    foot_pulse: Annotated[OneToThree | None, Field(description="1 触及正常 2 减弱 3 消失")] = None
    foot_pulse_side: Annotated[
        Literal["both", "left", "right"] | None, Field(description="Of a weak or absent pulse")
    ] = None
    signs_other: Text | None = None
    smoking_per_day: Annotated[Count | None, Field(description="支")] = None
    smoking_target_per_day: Count | None = None
    alcohol_liang_per_day: Annotated[Liang | None, Field(description="两 (50 g)")] = None
    alcohol_target_liang_per_day: Liang | None = None
    exercise_times_per_week: Count | None = None
    exercise_target_times_per_week: Count | None = None
    exercise_minutes_each: Count | None = None
    exercise_target_minutes_each: Count | None = None
    salt: Annotated[OneToThree | None, Field(description="1 轻 2 中 3 重")] = None
    salt_target: OneToThree | None = None
    staple_food_g_per_day: Annotated[int | None, Field(strict=True, ge=0, le=5_000)] = None
    staple_food_target_g_per_day: Annotated[int | None, Field(strict=True, ge=0, le=5_000)] = None
    psychological_adjustment: Annotated[
        OneToThree | None, Field(description="1 良好 2 一般 3 差")
    ] = None
    compliance: Annotated[OneToThree | None, Field(description="遵医行为: 1 良好 2 一般 3 差")] = (
        None
    )
    hba1c_percent: Percent | None = None
    hba1c_on: Day | None = None
    tests_other: Text | None = None
    medication_adherence: Annotated[
        OneToThree | None, Field(description="1 规律 2 间断 3 不服药")
    ] = None
    adverse_reaction: Annotated[
        Text | None, Field(description="Which; needs the finding adverse_drug_reaction")
    ] = None
    complication: Annotated[
        Text | None, Field(description="Which; needs a finding of a complication")
    ] = None
    hypoglycaemia: Annotated[OneToThree | None, Field(description="1 无 2 偶尔 3 频繁")] = None
    result_code: Annotated[
        int | None,
        Field(strict=True, ge=1, le=4, description="1 控制满意 2 控制不满意 3 不良反应 4 并发症"),
    ] = None
    medications: Annotated[list[Medication] | None, Field(max_length=8)] = None
    medication_text: Annotated[Text | None, Field(description="Other or all medication")] = None
    insulin: Annotated[list[Insulin] | None, Field(max_length=3)] = None
    next_followup_on: Annotated[
        Day | None, Field(description="As agreed; what is due is not moved by it")
    ] = None


OF_DIABETES: Final = (
    "symptoms_diabetes",
    "foot_pulse",
    "foot_pulse_side",
    "staple_food_g_per_day",
    "staple_food_target_g_per_day",
    "hba1c_percent",
    "hba1c_on",
    "hypoglycaemia",
    "insulin",
)
"""Only on the form of diabetes."""
OF_HYPERTENSION: Final = ("symptoms_hypertension", "salt", "salt_target")
"""Only on the form of hypertension."""


class ReferralForm(Strict):
    """转诊."""

    reasons: Annotated[
        list[Annotated[int, Field(strict=True, ge=1, le=4)]],
        Field(
            min_length=1,
            max_length=4,
            description="1 连续两次控制不满意 2 药物不良反应难以控制 3 出现新的并发症"
            " 4 原有并发症加重",
        ),
    ]
    institution: Annotated[Short, Field(description="机构")]
    department: Annotated[Short | None, Field(description="科别")] = None
    visit_id: Annotated[
        str | None, Field(pattern=r"^[0-9a-f-]{36}$", description="At which it was advised")
    ] = None
