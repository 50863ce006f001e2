"""From the fields of a form to the body that the API takes, and from its refusals to the fields.

A field is called by its path in the body (``measured.systolic_mmhg``, ``form.medications.0.name``),
so that what the API refuses names the field on the page. Nothing is checked here: what is no
number stays a text, and the schema refuses it. An empty field is one that was not filled in.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from api.console.forms import Form
from api.followups import schemas
from api.local_days import LOCAL
from ingest.db.records import Kind

MEDICATION_ROWS: Final = 3
BODIES: Final[Mapping[Kind, type[schemas.Body]]] = {
    "visit": schemas.VisitIn,
    "referral": schemas.ReferralIn,
    "referral_followup": schemas.ReferralFollowupIn,
    "contact_attempt": schemas.ContactAttemptIn,
}
"""What can be recorded from a page."""

_TEXTS: Final = (
    *("condition", "mode", "outcome", "note"),
    "measured.glucose_context",
    *("form.adverse_reaction", "form.complication", "form.medication_text"),
    *("form.next_followup_on", "form.institution", "form.department"),
)
_NUMBERS: Final = (
    *("measured.systolic_mmhg", "measured.diastolic_mmhg", "measured.glucose_mmol_l"),
    *("measured.pulse_per_min", "form.result_code", "form.medication_adherence"),
)


def read_body(form: Form, kind: Kind) -> dict[str, Any]:
    """The body that a form says, by the paths of its fields."""
    body: dict[str, Any] = {"form": {}} if kind in {"visit", "referral"} else {}
    for path in _TEXTS:
        _put(body, path, form.get(path).strip() or None)
    for path in _NUMBERS:
        _put(body, path, _number(form.get(path)))
    _put(body, "findings", form.all("findings") or None)
    _put(body, "form.reasons", [_number(each) for each in form.all("form.reasons")] or None)
    _put(body, "form.medications", read_medications(form) or None)
    _put(body, "at", read_instant(form.get("at")))
    return body


def read_medications(form: Form) -> list[dict[str, Any]]:
    """The lines that somebody began to fill in."""
    lines = []
    for row in range(MEDICATION_ROWS):
        line = {
            "name": form.get(f"form.medications.{row}.name").strip() or None,
            "times_per_day": _number(form.get(f"form.medications.{row}.times_per_day")),
            "dose_each": form.get(f"form.medications.{row}.dose_each").strip() or None,
        }
        if any(value is not None for value in line.values()):
            lines.append({name: value for name, value in line.items() if value is not None})
    return lines


def _put(body: dict[str, Any], path: str, value: object) -> None:
    if value is None:
        return
    *parents, last = path.split(".")
    for parent in parents:
        body = body.setdefault(parent, {})
    body[last] = value


def _number(text: str) -> int | Decimal | str | None:
    text = text.strip()
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if not value.is_finite():
        return text
    return int(value) if value == value.to_integral_value() and abs(value) < 10**6 else value


def read_instant(text: str) -> str | None:
    """A local time as browsers send it, with the offset of the residents."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return text.strip() or None
    return (at if at.tzinfo else at.replace(tzinfo=LOCAL)).isoformat()
