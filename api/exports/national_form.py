"""The fields of the national follow-up forms as columns: the standard's names, codes beside texts.

Names: WS 372.2-2012 and 国家基本公共卫生服务规范（第三版, 2017）. An identifier of a data element
stands in brackets behind its name where one is known here: those of 收缩压 and 空腹血糖
were found in stored copies, 舒张压 is recalled; the others have to be
completed from the standard's own text.

It must never hold a name or an ID number. Invariant: one row of a table here is one field of the
report of completeness; a field that is not on the form of a condition is not counted as missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from api.local_days import local_day
from api.spreadsheets import Cell

Row = Mapping[str, Any]
KPA_IN_MMHG: Final = Decimal("7.50061575846")  # Source: decision table 2.2, step 6.
MG_DL_IN_MMOL_L: Final = Decimal("18.0156")  # Likewise; glucose, 180.156 g/mol.
_TENTH: Final = Decimal("0.1")
_BOTH: Final = frozenset({"hypertension", "diabetes"})
_HYPERTENSION: Final = frozenset({"hypertension"})
_DIABETES: Final = frozenset({"diabetes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of the form."""

    name: str
    value: Callable[[Row], Cell]
    texts: Mapping[int, str] | None = None  # Of a code: a second column has its text.
    forms: frozenset[str] = _BOTH
    optional: bool = False  # Often there is nothing to say: not counted as missing.

    @property
    def headings(self) -> list[str]:
        """Of its columns."""
        return [self.name] if self.texts is None else [f"{self.name}代码", self.name]

    def cells(self, row: Row) -> list[Cell]:
        """Of its columns; a list of codes is divided by semicolons."""
        value = self.value(row)
        if self.texts is None:
            return [value]
        codes = [] if value is None else [int(each) for each in str(value).split(";")]
        return [value, ";".join(self.texts[code] for code in codes) or None]

    def applies(self, row: Row) -> bool:
        """Whether the form of this visit has the field."""
        return row["condition"] is None or row["condition"] in self.forms


def _form(name: str) -> Callable[[Row], Cell]:
    def read(row: Row) -> Cell:
        value: Cell = (row["form"] or {}).get(name)
        return value

    return read


def _codes(name: str) -> Callable[[Row], Cell]:
    def read(row: Row) -> Cell:
        found = (row["form"] or {}).get(name)
        return ";".join(map(str, sorted(found))) if found else None

    return read


def _measured(name: str, of_reading: str) -> Callable[[Row], Cell]:
    """As typed, or as that was corrected, else from the reading that the visit names."""

    def read(row: Row) -> Cell:
        typed: Cell = (row["form"] or {}).get("measured", {}).get(name)
        if typed is None:
            return _in_mmhg(row[of_reading], row["pressure_unit"])
        if "blood_pressure" not in row["corrected"]:
            return typed
        stands = row["corrected"]["blood_pressure"]
        return None if stands is None else _in_mmhg(stands[of_reading], stands["unit"])

    return read


def _in_mmhg(value: Decimal | None, unit: str | None) -> Decimal | None:
    if value is None or unit == "mmHg":
        return value
    return (value * KPA_IN_MMHG).quantize(_TENTH, ROUND_HALF_UP)


def _fasting(row: Row) -> Cell:
    measured = (row["form"] or {}).get("measured", {})
    if "glucose" in row["corrected"]:
        stands = row["corrected"]["glucose"]
        if stands is None or stands["meal_context"] != "fasting":
            return None
        return _in_mmol_l(stands["glucose"], stands["unit"])
    if measured.get("glucose_context") == "fasting":
        typed: Cell = measured["glucose_mmol_l"]
        return typed
    return _in_mmol_l(row["fasting"], row["fasting_unit"])


def _in_mmol_l(value: Decimal | None, unit: str | None) -> Decimal | None:
    """None for a unit that is not one of the two that meters show."""
    if value is None or unit == "mmol/L":
        return value
    return (value / MG_DL_IN_MMOL_L).quantize(_TENTH, ROUND_HALF_UP) if unit == "mg/dL" else None


def _medications(row: Row) -> Cell:
    form = row["form"] or {}
    lines = []
    for each in form.get("medications") or []:
        times = each.get("times_per_day")
        parts = (each["name"], times and f"每日{times}次", each.get("dose_each"))
        lines.append(" ".join(str(part) for part in parts if part))
    return "; ".join([*lines, *filter(None, [form.get("medication_text")])]) or None


def _insulin(row: Row) -> Cell:
    lines = [
        " ".join(filter(None, (each["kind"], each.get("usage"))))
        for each in (row["form"] or {}).get("insulin") or []
    ]
    return "; ".join(lines) or None


def _reaction(row: Row) -> Cell:
    return 2 if "adverse_drug_reaction" in row["findings"] else 1


def _complications(row: Row) -> Cell:
    found = {"new_complication": 1, "worse_complication": 2}
    return ";".join(str(found[each]) for each in sorted(row["findings"]) if each in found) or None


def _reasons(row: Row) -> Cell:
    found = (row["referral"] or {}).get("reasons")
    return ";".join(map(str, sorted(found))) if found else None


def _referred_to(row: Row) -> Cell:
    referral = row["referral"] or {}
    return " ".join(filter(None, (referral.get("institution"), referral.get("department")))) or None


_WAYS: Final = {"clinic": 1, "home": 2, "phone": 3}
_SYMPTOMS: Final = (
    {
        1: "无症状",
        2: "头痛头晕",
        3: "恶心呕吐",
        4: "眼花耳鸣",
        5: "呼吸困难",
        6: "心悸胸闷",
        7: "鼻衄出血不止",
        8: "四肢发麻",
        9: "下肢水肿",
    },
    {
        1: "无症状",
        2: "多饮",
        3: "多食",
        4: "多尿",
        5: "视力模糊",
        6: "感染",
        7: "手脚麻木",
        8: "下肢浮肿",
        9: "体重明显下降",
    },
)
_GOOD: Final = {1: "良好", 2: "一般", 3: "差"}

FIELDS: Final[Sequence[Field]] = (
    Field(name="随访日期", value=lambda row: local_day(row["at"])),
    Field(
        name="随访方式",
        value=lambda row: _WAYS[row["mode"]],
        texts={1: "门诊", 2: "家庭", 3: "电话"},
    ),
    Field(
        name="高血压症状",
        value=_codes("symptoms_hypertension"),
        texts=_SYMPTOMS[0],
        forms=_HYPERTENSION,
    ),
    Field(
        name="糖尿病症状", value=_codes("symptoms_diabetes"), texts=_SYMPTOMS[1], forms=_DIABETES
    ),
    Field(name="其他症状", value=_form("symptoms_other"), optional=True),
    Field(name="收缩压(mmHg)[DE04.10.174.00]", value=_measured("systolic_mmhg", "systolic")),
    Field(name="舒张压(mmHg)[DE04.10.176.00]", value=_measured("diastolic_mmhg", "diastolic")),
    Field(name="体重(kg)", value=_form("weight_kg")),
    Field(name="目标体重(kg)", value=_form("weight_target_kg")),
    Field(name="体质指数(kg/m2)", value=_form("body_mass_index")),
    Field(name="目标体质指数(kg/m2)", value=_form("body_mass_index_target")),
    Field(name="心率(次/分)", value=_form("heart_rate_per_min"), forms=_HYPERTENSION),
    Field(
        name="足背动脉搏动",
        value=_form("foot_pulse"),
        texts={1: "触及正常", 2: "减弱", 3: "消失"},
        forms=_DIABETES,
    ),
    Field(name="其他体征", value=_form("signs_other"), optional=True),
    Field(name="日吸烟量(支)", value=_form("smoking_per_day")),
    Field(name="目标日吸烟量(支)", value=_form("smoking_target_per_day")),
    Field(name="日饮酒量(两)", value=_form("alcohol_liang_per_day")),
    Field(name="目标日饮酒量(两)", value=_form("alcohol_target_liang_per_day")),
    Field(name="运动频率(次/周)", value=_form("exercise_times_per_week")),
    Field(name="目标运动频率(次/周)", value=_form("exercise_target_times_per_week")),
    Field(name="运动时长(分钟/次)", value=_form("exercise_minutes_each")),
    Field(name="目标运动时长(分钟/次)", value=_form("exercise_target_minutes_each")),
    Field(
        name="摄盐情况",
        value=_form("salt"),
        texts={1: "轻", 2: "中", 3: "重"},
        forms=_HYPERTENSION,
    ),
    Field(name="主食(克/天)", value=_form("staple_food_g_per_day"), forms=_DIABETES),
    Field(name="目标主食(克/天)", value=_form("staple_food_target_g_per_day"), forms=_DIABETES),
    Field(name="心理调整", value=_form("psychological_adjustment"), texts=_GOOD),
    Field(name="遵医行为", value=_form("compliance"), texts=_GOOD),
    Field(name="空腹血糖(mmol/L)[DE04.50.102.00]", value=_fasting, forms=_DIABETES),
    Field(name="糖化血红蛋白(%)", value=_form("hba1c_percent"), forms=_DIABETES, optional=True),
    Field(name="糖化血红蛋白检查日期", value=_form("hba1c_on"), forms=_DIABETES, optional=True),
    Field(name="辅助检查", value=_form("tests_other"), optional=True),
    Field(
        name="服药依从性",
        value=_form("medication_adherence"),
        texts={1: "规律", 2: "间断", 3: "不服药"},
    ),
    Field(name="药物不良反应", value=_reaction, texts={1: "无", 2: "有"}),
    Field(name="药物不良反应说明", value=_form("adverse_reaction"), optional=True),
    Field(
        name="低血糖反应",
        value=_form("hypoglycaemia"),
        texts={1: "无", 2: "偶尔", 3: "频繁"},
        forms=_DIABETES,
    ),
    Field(
        name="并发症变化",
        value=_complications,
        texts={1: "新的并发症", 2: "原有并发症加重"},
        optional=True,
    ),
    Field(
        name="此次随访分类",
        value=_form("result_code"),
        texts={1: "控制满意", 2: "控制不满意", 3: "不良反应", 4: "并发症"},
    ),
    Field(name="用药情况", value=_medications),
    Field(name="胰岛素", value=_insulin, forms=_DIABETES, optional=True),
    Field(
        name="转诊原因",
        value=_reasons,
        texts={
            1: "连续两次控制不满意",
            2: "药物不良反应难以控制",
            3: "出现新的并发症",
            4: "原有并发症加重",
        },
        optional=True,
    ),
    Field(name="转诊机构及科别", value=_referred_to, optional=True),
    Field(name="下次随访日期", value=_form("next_followup_on")),
    Field(name="随访医生编号", value=lambda row: row["staff_id"]),
)
_CONDITIONS: Final = {"hypertension": "高血压", "diabetes": "2型糖尿病", None: "高血压;2型糖尿病"}
HEADINGS: Final = [
    *("随访记录编号", "居民编号", "团队编号", "病种", "记录人"),
    *(heading for field in FIELDS for heading in field.headings),
]


def as_cells(row: Row) -> list[Cell]:
    """One visit, aligned with ``HEADINGS``."""
    return [
        str(row["id"]),
        row["resident_id"],
        row["team_id"],
        _CONDITIONS[row["condition"]],
        row["author"],
        *(cell for field in FIELDS for cell in field.cells(row)),
    ]
