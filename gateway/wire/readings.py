"""What a gateway puts on the wire: one reading, exactly as the instrument said it.

A ``Reading`` that exists is one a living person could have produced with a working
instrument. Values are exact decimals in the unit the device reported, with the scale it
reported; nothing is converted here, nothing is guessed, and unknown fields are kept.
``parse_reading`` is the only door: plain ``json`` turns numbers into binary floats.
"""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Final, Literal, NoReturn, Self, TypeAlias
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from gateway.wire import limits
from gateway.wire.errors import Reason, WireError
from gateway.wire.ids import time_of
from gateway.wire.times import parse_instant

_MAGNITUDE_MAX: Final = 9  # Decimal digits before the point, less one.


def _exact_number(value: object) -> Decimal:
    """Take an integer or a decimal literal; a float has already lost what was written."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        if value.adjusted() > _MAGNITUDE_MAX:  # Arithmetic on 1e999999999 would overflow.
            raise PydanticCustomError(Reason.IMPLAUSIBLE, "the value is absurdly large")
        return value
    if value is None:
        raise PydanticCustomError(Reason.MISSING_VALUE, "the value is missing")
    raise PydanticCustomError(Reason.NOT_A_NUMBER, "expected a JSON number")


def _instant(value: object) -> datetime:
    if isinstance(value, str):
        try:
            return parse_instant(value)
        except ValueError as error:
            raise PydanticCustomError(
                Reason.INVALID_TIME, "{problem}", {"problem": str(error)}
            ) from error
    raise PydanticCustomError(Reason.INVALID_TIME, "expected RFC 3339 text with an offset")


def _identifier(value: object) -> UUID:
    try:
        identifier = UUID(value) if isinstance(value, str) else None
        if identifier is None or str(identifier) != value:
            _refuse_identifier("expected a UUID in lower-case hyphenated form")
        time_of(identifier)
    except ValueError as error:
        _refuse_identifier(str(error))
    return identifier


def _refuse_identifier(problem: str) -> NoReturn:
    raise PydanticCustomError(Reason.INVALID_ID, "{problem}", {"problem": problem})


def _storable(text: str) -> str:
    if "\x00" in text:
        raise PydanticCustomError(Reason.INVALID_FIELD, "a NUL character cannot be stored")
    return text


Exact: TypeAlias = Annotated[
    Decimal, BeforeValidator(_exact_number), WithJsonSchema({"type": "number"})
]
Instant: TypeAlias = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Identifier: TypeAlias = Annotated[
    UUID,
    BeforeValidator(_identifier),
    WithJsonSchema({"type": "string", "format": "uuid", "description": "UUID version 7"}),
]
Text: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=limits.TEXT_CHARACTERS_MAX),
    AfterValidator(_storable),
]
StatusFlag: TypeAlias = Literal[
    "body_movement",
    "cuff_loose",
    "improper_position",
    "irregular_pulse",
    "pulse_out_of_range",
    "result_too_high",
    "result_too_low",
    "time_fault",
    "sensor_malfunction",
    "sample_insufficient",
    "strip_insertion_error",
    "strip_type_error",
    "temperature_too_high",
    "temperature_too_low",
    "read_interrupted",
    "general_fault",
]
Sample: TypeAlias = Literal[
    "capillary_whole_blood",
    "capillary_plasma",
    "venous_whole_blood",
    "venous_plasma",
    "arterial_whole_blood",
    "arterial_plasma",
    "undetermined_whole_blood",
    "undetermined_plasma",
    "interstitial_fluid",
    "control_solution",
]
MealContext: TypeAlias = Literal[
    "fasting", "preprandial", "postprandial_2h", "random", "bedtime", "unknown"
]
# The first three: clinical decision table 2.2 step 4. The others: the meter itself says that the
# test was none (Glucose Service, sensor status annunciation; docs/decisions/0016).
UNUSABLE_STATUS: Final = frozenset[StatusFlag](
    {
        "body_movement",
        "cuff_loose",
        "improper_position",
        "sensor_malfunction",
        "sample_insufficient",
        "strip_insertion_error",
        "strip_type_error",
        "temperature_too_high",
        "temperature_too_low",
        "read_interrupted",
        "general_fault",
    }
)
UNDECODABLE: Final = "undecodable"
"""The kind of a line that is no measurement: bytes of a device that no decoder takes."""
_UNDECODABLE_FIELDS: Final = ("characteristic", "decode_error", "decode_field", "decode_offset")


class _Reading(BaseModel):
    """What every reading carries. Unknown fields are kept (``model_extra``) and ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False)

    id: Identifier
    device_id: Text
    device_sequence: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    boot_id: Text | None = None
    resident_id: Text | None = None  # Pseudonym; absent means unclaimed.
    measured_at: Instant | None = None  # Device clock. Can be wrong: then flagged, never lost.
    stored_record: bool = False  # Fetched from the device's memory, not taken live.
    captured_at: Instant  # Gateway clock, frozen when the spool took it.
    clock_synchronised: bool = False  # The gateway's own clock followed a time server.
    device_now: Instant | None = None  # Device clock at ``captured_at``, when readable.
    setting: Literal["office", "home", "ambulatory"] = "office"
    status: list[StatusFlag] = Field(default_factory=list, max_length=16)

    @model_validator(mode="after")
    def _device_trusts_itself(self) -> Self:
        bad = sorted(UNUSABLE_STATUS.intersection(self.status))
        if bad:
            raise PydanticCustomError(
                Reason.DEVICE_STATUS, "the device reports {flags}", {"flags": ", ".join(bad)}
            )
        return self


class BloodPressure(_Reading):
    """One cuff measurement: systolic and diastolic are one pair, never apart."""

    kind: Literal["blood_pressure"]
    systolic: Exact
    diastolic: Exact
    unit: Literal["mmHg", "kPa"]
    pulse: Exact | None = None  # Beats a minute.
    arm: Literal["left", "right"] | None = None
    posture: Literal["sitting", "lying_down", "standing", "semi_recumbent"] | None = None

    @model_validator(mode="after")
    def _a_person_could_have_it(self) -> Self:
        _require_pressure("systolic", self.systolic, self.unit, limits.SYSTOLIC_MMHG)
        _require_pressure("diastolic", self.diastolic, self.unit, limits.DIASTOLIC_MMHG)
        if self.systolic <= self.diastolic:
            raise PydanticCustomError(
                Reason.IMPLAUSIBLE,
                "systolic {systolic} is not above diastolic {diastolic}",
                {
                    "field": "systolic",
                    "systolic": str(self.systolic),
                    "diastolic": str(self.diastolic),
                },
            )
        if self.pulse is not None:
            _require_decimals("pulse", self.pulse, 2, str)
            _require_within("pulse", self.pulse, limits.PULSE_PER_MINUTE, "/min", str)
        return self


class Glucose(_Reading):
    """One glucose value, or the meter's word that it is beyond its range (HI, LO)."""

    kind: Literal["glucose"]
    glucose: Exact | None = None
    unit: Literal["mmol/L", "mg/dL", "mol/L", "kg/L"] | None = None
    meal_context: MealContext = "unknown"
    sample: Sample | None = None

    @model_validator(mode="after")
    def _a_person_could_have_it(self) -> Self:
        if {"result_too_high", "result_too_low"}.issubset(self.status):
            raise PydanticCustomError(
                Reason.DEVICE_STATUS, "the meter says both too high and too low"
            )
        if self.glucose is None:
            if not {"result_too_high", "result_too_low"}.intersection(self.status):
                raise PydanticCustomError(
                    Reason.MISSING_VALUE, "no glucose value and no too-high or too-low status"
                )
            return self
        if self.unit is None:
            raise PydanticCustomError(
                Reason.MISSING_UNIT, "a glucose value without a unit is never guessed"
            )
        hint = partial(limits.glucose_mistake, self.glucose, self.unit)
        decimals_max = limits.GLUCOSE_DECIMALS_MAX[self.unit]
        _require_decimals("glucose", self.glucose, decimals_max, hint)
        bounds = limits.glucose_bounds(self.unit)
        _require_within("glucose", self.glucose, bounds, self.unit, hint)
        return self


Reading: TypeAlias = BloodPressure | Glucose
_ADAPTER: TypeAdapter[Reading] = TypeAdapter(Annotated[Reading, Field(discriminator="kind")])


def _require_decimals(
    field: str, value: Decimal, decimals_max: int, hint: Callable[[], str]
) -> None:
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > decimals_max:
        raise PydanticCustomError(
            Reason.TOO_PRECISE,
            "{field} {value} has more than {decimals_max} decimals{hint}",
            {"field": field, "value": str(value), "decimals_max": decimals_max, "hint": hint()},
        )


def _require_pressure(
    field: str, value: Decimal, unit: str, bounds_mmhg: tuple[Decimal, Decimal]
) -> None:
    hint = partial(limits.pressure_mistake, value, unit, bounds_mmhg)
    _require_decimals(field, value, limits.BLOOD_PRESSURE_DECIMALS_MAX[unit], hint)
    _require_within(field, limits.to_mmhg(value, unit), bounds_mmhg, "mmHg", hint)


def _require_within(
    field: str,
    value: Decimal,
    bounds: tuple[Decimal, Decimal],
    unit: str,
    hint: Callable[[], str],
) -> None:
    low, high = bounds
    if not low <= value <= high:
        raise PydanticCustomError(
            Reason.IMPLAUSIBLE,
            "{field} {value} {unit} lies outside {low} to {high} {unit}{hint}",
            {
                "field": field,
                "value": str(value),
                "unit": unit,
                "low": str(low),
                "high": str(high),
                "hint": hint(),
            },
        )


def _refuse_constant(literal: str) -> NoReturn:
    msg = f"{literal} is not JSON"
    raise ValueError(msg)


def parse_json(raw: bytes) -> Any:  # noqa: ANN401 - JSON is any shape until it is validated
    """Decode JSON with every number kept exact (``int`` or ``Decimal``).

    Raises:
        WireError: ``malformed_json``, also for NaN, Infinity, too deep nesting, and an escape
            that is half a character: no database and no other decoder would take it.
    """
    try:
        value = json.loads(raw, parse_float=Decimal, parse_constant=_refuse_constant)
        if b"\\u" in raw:
            require_whole_characters(value)
    except (ValueError, ArithmeticError, RecursionError) as error:  # 1E99999999999999999999
        raise WireError(Reason.MALFORMED_JSON, str(error)[:200]) from error
    return value


def require_whole_characters(value: object) -> None:
    """Refuse half a surrogate pair anywhere in decoded JSON. Raises ``ValueError``."""
    json.dumps(value, ensure_ascii=False, default=str).encode()


def parse_reading(raw: bytes) -> Reading:
    """Turn the bytes of one reading into a ``Reading``.

    Raises:
        WireError: The bytes are no reading that can be judged; says the reason and the field.
    """
    return validate_reading(parse_json(raw))


def validate_reading(fields: object) -> Reading:
    """Validate one reading whose numbers are ``int`` or ``Decimal``. Raises ``WireError``."""
    try:
        return _ADAPTER.validate_python(fields)
    except ValidationError as error:
        raise to_wire_error(error.errors(include_url=False), fields) from error


# A reading with several faults is filed under the one an operator should look at first.
_URGENCY = {reason: rank for rank, reason in enumerate(Reason)}


def to_wire_error(problems: list[ErrorDetails], fields: object) -> WireError:
    """What pydantic found wrong with one item of a batch, as the one reason to file it under."""
    if isinstance(fields, dict) and fields.get("kind") == UNDECODABLE:
        said = (str(fields.get(name, "?"))[:80] for name in _UNDECODABLE_FIELDS)
        detail = "characteristic {}: {} in field {} at byte {}".format(*said)
        return WireError(Reason.UNDECODABLE, detail, field="bytes")
    found = []
    for problem in problems:
        path = [str(part) for part in problem["loc"][1:]]  # The first part is the kind.
        given = f" (got {problem['input']!r:.80})" if path else ""
        detail = f"{problem['msg']}{given}"[:300]
        # What is wrong with a value in its unit says itself which one.
        field = ".".join(path) or str(problem.get("ctx", {}).get("field", ""))
        found.append(WireError(_reason_of(problem, path), detail, field=field))
    return min(found, key=lambda error: _URGENCY[error.reason])


def _reason_of(problem: ErrorDetails, path: list[str]) -> Reason:
    kind, field = problem["type"], path[0] if path else ""
    if kind in list(Reason):
        return Reason(kind)
    if kind.startswith("union_tag"):
        return Reason.UNKNOWN_KIND
    if field == "unit":
        absent = kind == "missing" or problem["input"] is None
        return Reason.MISSING_UNIT if absent else Reason.UNKNOWN_UNIT
    if kind == "missing":
        return {"id": Reason.INVALID_ID, "captured_at": Reason.INVALID_TIME}.get(
            field, Reason.MISSING_VALUE
        )
    if field == "meal_context":
        return Reason.UNKNOWN_CONTEXT
    return Reason.INVALID_FIELD
