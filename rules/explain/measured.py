"""The readings behind an explanation, as text: each by itself, and their mean."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from rules.columns import (
    ARM_CODES,
    ARM_LEFT,
    ARM_RIGHT,
    ARM_UNKNOWN,
    KIND_BLOOD_PRESSURE,
    KIND_CODES,
    MEAL_CODES,
    SETTING_CODES,
)
from rules.explain.explanation import UsedReading
from rules.explain.figures import mmhg_text, observed_text, pair_text
from rules.explain.judged import Evidence, Judged, Mean
from rules.explain.sides import difference_of_arms

_KINDS: Final = {code: name for name, code in KIND_CODES.items()}
_SETTINGS: Final = {code: name for name, code in SETTING_CODES.items()}
_ARMS: Final = {code: name for name, code in ARM_CODES.items()}
_MEALS: Final = {code: name for name, code in MEAL_CODES.items()}


def observed_by(judged: Judged, evidence: Evidence) -> str:
    """What one value or the mean of a session said, without saying that it is a mean."""
    if evidence.mean is None:
        row = evidence.rows[0]
        return observed_text(
            glucose_mmol_l_e4=int(judged.readings.glucose_mmol_l_e4[row]),
            range_status=int(judged.readings.range_status[row]),
        )
    return f"{_pair(evidence.mean)} mmHg"


def difference_text(evidence: Evidence) -> str:
    """How far the mean systolic values of both arms lie apart."""
    return f"{mmhg_text(difference_of_arms(evidence))} mmHg"


def mean_text(mean: Mean) -> str:
    """The mean of a session, and of how many readings it is."""
    return observed_text(
        systolic_mmhg_e13=mean.systolic, diastolic_mmhg_e13=mean.diastolic, count=mean.count
    )


def arms_text(evidence: Evidence) -> tuple[str, ...]:
    """The means of the left and of the right arm, where both were measured."""
    if not evidence.arms:
        return ()
    return tuple(_pair(evidence.arms[arm]) for arm in (ARM_LEFT, ARM_RIGHT))


def _pair(mean: Mean) -> str:
    return pair_text(mean.systolic // mean.count, mean.diastolic // mean.count)


def list_readings(
    judged: Judged, evidence: Evidence, *, both_arms: bool
) -> tuple[UsedReading, ...]:
    """Every reading of the evidence, in order of time.

    Args:
        judged: Where the rows come from.
        evidence: Its rows, and which of them count towards the mean.
        both_arms: The arms are compared, so both count.
    """
    arm = judged.readings.arm
    counted = evidence.counted
    if both_arms:
        counted = frozenset(row for row in evidence.rows if arm[row] != ARM_UNKNOWN)
    return tuple(_reading(judged, row, counted=row in counted) for row in evidence.rows)


def _reading(judged: Judged, row: int, *, counted: bool) -> UsedReading:
    readings = judged.readings
    kind = int(readings.kind[row])
    is_pressure = kind == KIND_BLOOD_PRESSURE
    value, _, unit = observed_text(
        systolic_mmhg_e13=int(readings.systolic_mmhg_e13[row]),
        diastolic_mmhg_e13=int(readings.diastolic_mmhg_e13[row]),
        glucose_mmol_l_e4=int(readings.glucose_mmol_l_e4[row]),
        range_status=int(readings.range_status[row]),
    ).partition(" ")
    return UsedReading(
        id=judged.id_of(row) or "",
        kind=_KINDS[kind],
        value=value,
        unit=unit or None,
        setting=_SETTINGS[int(readings.setting[row])],
        arm=_ARMS[int(readings.arm[row])],
        meal_context=None if is_pressure else _MEALS[int(readings.meal_context[row])],
        effective_at=_local(readings.effective_at[row], judged.limits.utc_offset),
        counted=counted,
    )


def _local(at: Any, offset: Any) -> datetime:  # noqa: ANN401 - scalars of numpy
    naive: datetime = at.item()
    shift: timedelta = offset.item()
    return naive.replace(tzinfo=UTC).astimezone(timezone(shift))
