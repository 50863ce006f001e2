"""Promise: what the API refuses of a form stands beside its field, in the reader's language."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest
from pydantic import ValidationError
from starlette.requests import Request

from api.console.forms import FIELDS_MAX, Form, read_form
from api.console.pages import Pages, Words
from api.console.records import refusals
from api.console.records.bodies import BODIES, MEDICATION_ROWS, read_body
from api.errors import BadParameterError, RefusedContentError
from api.followups.schemas import Body
from api.followups.writing import require_sound
from api.local_days import local_day
from ingest.db.records import Kind

NOW: Final = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # 09:00 local.
SOUND: Final[dict[Kind, dict[str, str]]] = {
    "visit": {"at": "2026-03-02T08:30", "mode": "clinic"},
    "referral": {
        "at": "2026-03-02T08:30",
        "condition": "hypertension",
        "form.reasons": "1",
        "form.institution": "区医院",
    },
    "referral_followup": {"at": "2026-03-02T08:30", "condition": "diabetes", "outcome": "treated"},
    "contact_attempt": {"at": "2026-03-02T08:30", "outcome": "reached"},
}
REFUSED: Final[tuple[tuple[Kind, dict[str, str], str, str], ...]] = (
    ("visit", {"at": ""}, "at", "required"),
    ("visit", {"at": "yesterday"}, "at", "time"),
    ("visit", {"at": "2026-03-02T09:30"}, "at", "at"),
    ("visit", {"mode": "by post"}, "mode", "choose"),
    ("visit", {"condition": "gout"}, "condition", "choose"),
    ("visit", {"findings": "nothing"}, "findings", "choose"),
    ("visit", {"measured.systolic_mmhg": "12o"}, "measured.systolic_mmhg", "number"),
    ("visit", {"measured.systolic_mmhg": "nan"}, "measured.systolic_mmhg", "number"),
    ("visit", {"measured.systolic_mmhg": "1e999999"}, "measured.systolic_mmhg", "at_most"),
    ("visit", {"measured.systolic_mmhg": "40"}, "measured.systolic_mmhg", "at_least"),
    ("visit", {"measured.diastolic_mmhg": "201"}, "measured.diastolic_mmhg", "at_most"),
    ("visit", {"measured.glucose_mmol_l": "7.123"}, "measured.glucose_mmol_l", "decimals"),
    ("visit", {"measured.pulse_per_min": "70.5"}, "measured.pulse_per_min", "whole"),
    (
        *("visit", {"measured.systolic_mmhg": "150"}),
        *("measured.diastolic_mmhg", "measured_diastolic_mmhg_missing"),
    ),
    (
        *("visit", {"measured.diastolic_mmhg": "90"}),
        *("measured.systolic_mmhg", "measured_systolic_mmhg_missing"),
    ),
    (
        *("visit", {"measured.systolic_mmhg": "90", "measured.diastolic_mmhg": "90"}),
        *("measured.diastolic_mmhg", "measured_diastolic_mmhg"),
    ),
    (
        *("visit", {"measured.pulse_per_min": "70"}),
        *("measured.pulse_per_min", "measured_pulse_per_min"),
    ),
    (
        *("visit", {"measured.glucose_mmol_l": "7.1"}),
        *("measured.glucose_context", "measured_glucose_context_missing"),
    ),
    (
        *("visit", {"measured.glucose_context": "fasting"}),
        *("measured.glucose_mmol_l", "measured_glucose_mmol_l_missing"),
    ),
    (
        *("visit", {"form.result_code": "1", "findings": "new_complication"}),
        *("form.result_code", "form_result_code"),
    ),
    ("visit", {"form.result_code": "3"}, "findings", "findings_missing"),
    ("visit", {"form.result_code": "4"}, "findings", "findings_missing"),
    ("visit", {"form.adverse_reaction": "咳嗽"}, "findings", "findings_missing"),
    ("visit", {"form.complication": "x"}, "findings", "findings_missing"),
    ("visit", {"form.result_code": "5"}, "form.result_code", "at_most"),
    ("visit", {"form.next_followup_on": "soon"}, "form.next_followup_on", "day"),
    (
        "visit",
        {"form.next_followup_on": "2026-03-01"},
        "form.next_followup_on",
        "form_next_followup_on",
    ),
    (
        *("visit", {"form.medications.0.dose_each": "5 mg"}),
        *("form.medications.0.name", "required"),
    ),
    (
        *("visit", {"form.medications.2.name": "x", "form.medications.2.times_per_day": "25"}),
        *("form.medications.0.times_per_day", "at_most"),
    ),
    ("visit", {"note": "x" * 501}, "note", "too_long"),
    ("referral", {"condition": ""}, "condition", "required"),
    ("referral", {"form.reasons": ""}, "form.reasons", "required"),
    ("referral", {"form.reasons": "5"}, "form.reasons", "at_most"),
    ("referral", {"form.institution": " "}, "form.institution", "required"),
    ("referral_followup", {"outcome": ""}, "outcome", "required"),
    ("contact_attempt", {"outcome": "gone"}, "outcome", "choose"),
)


def a_form(**fields: str) -> Form:
    """What a browser sends of a form filled in so; an empty choice is not sent."""
    lists = {"findings", "form.reasons"}
    return Form({name: [text] for name, text in fields.items() if text or name not in lists})


def refuse(kind: Kind, form: Form, words: Words) -> dict[str, str]:
    """What is said of it beside which fields."""
    try:
        body: Body = BODIES[kind].model_validate(read_body(form, kind))
    except ValidationError as error:
        return refusals.of_schema(error, words)
    try:
        require_sound(body, NOW)
    except RefusedContentError as error:
        return refusals.of_rules(error, body, words, today=local_day(NOW))
    return {}


@pytest.fixture(params=["zh", "en"])
def words(request: pytest.FixtureRequest) -> Words:
    """Either language."""
    return Words(request.param)


@pytest.mark.parametrize(("kind", "fields"), SOUND.items())
def test_a_sound_form_is_taken(kind: Kind, fields: dict[str, str], words: Words) -> None:
    assert refuse(kind, a_form(**fields), words) == {}


@pytest.mark.parametrize(("kind", "fields", "field", "word"), REFUSED)
def test_what_is_refused_is_said_beside_its_field(
    kind: Kind, fields: dict[str, str], field: str, word: str, words: Words
) -> None:
    said = refuse(kind, a_form(**{**SOUND[kind], **fields}), words)

    assert [*said] == [field]
    before, _, after = words(f"refusal.{word}", limit="\0").partition("\0")
    assert said[field].startswith(before)
    assert said[field].endswith(after)
    assert "{" not in said[field]


def test_several_mistakes_are_said_at_once(words: Words) -> None:
    form = a_form(at="", mode="x", **{"measured.systolic_mmhg": "abc"})

    assert {*refuse("visit", form, words)} == {"at", "mode", "measured.systolic_mmhg"}
    crossed = {"measured.systolic_mmhg": "150", "form.result_code": "3"}
    said = refuse("visit", a_form(**SOUND["visit"], **crossed), words)
    assert {*said} == {"measured.diastolic_mmhg", "findings"}


def test_what_is_typed_becomes_the_body_of_the_api() -> None:
    form = a_form(
        **SOUND["visit"],
        **{
            "condition": "hypertension",
            "measured.systolic_mmhg": " 152.5 ",
            "measured.diastolic_mmhg": "９２",
            "findings": "new_complication",
            "form.result_code": "4",
            "form.medications.1.name": "氨氯地平",
            "form.medications.1.times_per_day": "1",
        },
    )

    body = BODIES["visit"].model_validate(read_body(form, "visit"))

    assert body.at == datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
    assert body.fields()["form"] == {
        "result_code": 4,
        "medications": [{"name": "氨氯地平", "times_per_day": 1}],
        "measured": {"systolic_mmhg": "152.5", "diastolic_mmhg": "92"},
    }
    assert MEDICATION_ROWS >= 2


@pytest.mark.parametrize(
    "body", [b"\xff\xfe=1", urlencode([("a", "1")] * (FIELDS_MAX + 1)).encode()]
)
async def test_what_is_no_form_is_refused(body: bytes) -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(BadParameterError):
        await read_form(request)


def test_words_of_a_page_are_those_of_its_reader() -> None:
    pages = Pages(Path(), lambda: NOW)
    request = Request({"type": "http", "headers": [(b"cookie", b"suifang_language=en")]})

    assert pages.words(request)("form.save") == "Record"
