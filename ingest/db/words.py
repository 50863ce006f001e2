"""The words of the wire and the schema, and the codes of the rules that stand for them.

The only place where the two meet. A word the rules know nothing of stands for 0.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from rules import reported
from rules.codes import CaseState, ClosureReason, Condition, RecordKind
from rules.columns import ARM_CODES, BOTH_CONDITIONS, KIND_CODES, MEAL_CODES, SETTING_CODES
from rules.reported import NO_UNIT
from rules.units import GLUCOSE_UNIT_CODES, PRESSURE_UNIT_CODES

__all__ = [
    "ARM_CODES",
    "COMPLICATIONS",
    "CONDITION_CODES",
    "CONTROL_SOLUTION",
    "FACE_TO_FACE",
    "KIND_CODES",
    "MEAL_CODES",
    "REACTIONS",
    "REASON_CODES",
    "RECORD_CODES",
    "SETTING_CODES",
    "STATE_CODES",
    "STATUS_BITS",
    "UNIT_CODES",
    "UNIT_CODES_BY_KIND",
    "Codes",
]

Codes: TypeAlias = Mapping[Any, int]
"""Of words, and of None where the field is absent."""

UNIT_CODES_BY_KIND: Final[dict[str, Codes]] = {
    "blood_pressure": PRESSURE_UNIT_CODES,
    "glucose": GLUCOSE_UNIT_CODES,
}
UNIT_CODES: Final[Codes] = {
    None: NO_UNIT,
    **PRESSURE_UNIT_CODES,
    **GLUCOSE_UNIT_CODES,
}
"""For what came over the wire, which lets no unit of another kind through."""
STATUS_BITS: Final[Codes] = {
    "body_movement": reported.STATUS_BODY_MOVEMENT,
    "cuff_loose": reported.STATUS_CUFF_LOOSE,
    "irregular_pulse": reported.STATUS_IRREGULAR_PULSE,
    "improper_position": reported.STATUS_IMPROPER_POSITION,
    "result_too_high": reported.STATUS_RESULT_TOO_HIGH,
    "result_too_low": reported.STATUS_RESULT_TOO_LOW,
    "time_fault": reported.STATUS_TIME_FAULT,
    "sensor_malfunction": reported.STATUS_SENSOR_MALFUNCTION,
    "sample_insufficient": reported.STATUS_SAMPLE_INSUFFICIENT,
    "strip_insertion_error": reported.STATUS_STRIP_INSERTION_ERROR,
    "strip_type_error": reported.STATUS_STRIP_TYPE_ERROR,
    "temperature_too_high": reported.STATUS_TEMPERATURE_TOO_HIGH,
    "temperature_too_low": reported.STATUS_TEMPERATURE_TOO_LOW,
    "read_interrupted": reported.STATUS_READ_INTERRUPTED,
    "general_fault": reported.STATUS_GENERAL_FAULT,
}
CONTROL_SOLUTION: Final = "control_solution"

CONDITION_CODES: Final[Codes] = {
    None: BOTH_CONDITIONS,
    **{condition.name.lower(): int(condition) for condition in Condition},
}
RECORD_CODES: Final[Codes] = {kind.name.lower(): int(kind) for kind in RecordKind}
STATE_CODES: Final[Codes] = {
    None: int(CaseState.NONE),
    **{state.name.lower(): int(state) for state in CaseState},
}
REASON_CODES: Final[Codes] = {
    None: 0,
    **{reason.name.lower(): int(reason) for reason in ClosureReason},
}
REACTIONS: Final = ("adverse_drug_reaction",)
COMPLICATIONS: Final = ("new_complication", "worse_complication")
FACE_TO_FACE: Final = ("clinic", "home")
