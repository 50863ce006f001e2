"""What is sent to record something of a follow-up, and how it comes back.

A body never says who recorded it: that is whoever asks. What contradicts itself is refused with
the field that does.
"""

from abc import abstractmethod
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from api.cases.schemas import Condition
from api.cursors import PageQuery
from api.followups.forms import (
    OF_DIABETES,
    OF_HYPERTENSION,
    ReferralForm,
    Strict,
    Text,
    VisitForm,
    require_number,
)
from api.instants import Day, Instant
from api.local_days import local_day
from ingest.db.records import Finding, Kind, Record, State

Mode = Literal["clinic", "home", "phone"]
Mistake = tuple[str, str, str]
"""Field, value, what would be right."""
_COMPLICATIONS: Final = frozenset({"new_complication", "worse_complication"})
_REACTION: Final = "adverse_drug_reaction"
QUIET: Final = frozenset({"none", "controlled", "referral_closed", "closed"})
"""States that ask for nothing. Source: decision table 2.4."""
_DUE_DAYS_MAX: Final = 90  # One routine interval. Source: decision table 2.4.


# Within what an instrument can show. Source: decision table 2.2, step 4.
Systolic = Annotated[
    Decimal,
    Field(ge=50, le=300, decimal_places=2),
    BeforeValidator(require_number),
    WithJsonSchema({"type": "number", "minimum": 50, "maximum": 300}),
]
Diastolic = Annotated[
    Decimal,
    Field(ge=20, le=200, decimal_places=2),
    BeforeValidator(require_number),
    WithJsonSchema({"type": "number", "minimum": 20, "maximum": 200}),
]
Glucose = Annotated[
    Decimal,
    Field(ge=Decimal("0.6"), le=55, decimal_places=2),
    BeforeValidator(require_number),
    WithJsonSchema({"type": "number", "minimum": 0.6, "maximum": 55}),
]


class Measured(Strict):
    """Values read off an instrument that is not connected, as they were shown."""

    measured_at: Annotated[Instant | None, Field(description="Left out: `at` of the visit")] = None
    systolic_mmhg: Systolic | None = None
    diastolic_mmhg: Diastolic | None = None
    pulse_per_min: Annotated[int | None, Field(strict=True, ge=20, le=300)] = None
    glucose_mmol_l: Glucose | None = None
    glucose_context: Literal["fasting", "postprandial_2h", "random"] | None = None

    def find_mistakes(self) -> Iterator[Mistake]:
        """What is half told."""
        if (self.systolic_mmhg is None) != (self.diastolic_mmhg is None):
            lacking = "systolic_mmhg" if self.systolic_mmhg is None else "diastolic_mmhg"
            yield f"measured.{lacking}", "", "a pressure is both: send it, too"
        elif (
            self.systolic_mmhg is not None
            and self.diastolic_mmhg is not None
            and self.systolic_mmhg <= self.diastolic_mmhg
        ):
            value = str(self.diastolic_mmhg)
            yield "measured.diastolic_mmhg", value, "must be below systolic_mmhg"
        if self.pulse_per_min is not None and self.systolic_mmhg is None:
            yield "measured.pulse_per_min", str(self.pulse_per_min), "belongs to a pressure"
        if (self.glucose_mmol_l is None) != (self.glucose_context is None):
            lacking = "glucose_mmol_l" if self.glucose_mmol_l is None else "glucose_context"
            yield f"measured.{lacking}", "", "a glucose value needs its context, and the reverse"


class Body(Strict):
    """What all have."""

    at: Annotated[Instant, Field(description="When it happened; not in the future")]
    replaces: Annotated[
        UUID | None,
        Field(description="A record of the same kind that was a mistake: it counts no more"),
    ] = None

    def find_mistakes(self, today: date) -> Iterator[Mistake]:  # noqa: ARG002 - others ask
        """What contradicts itself. ``today`` is the local day."""
        yield from ()

    @abstractmethod
    def fields(self) -> dict[str, Any]:
        """Of ``Record``, by its names."""


class VisitIn(Body):
    """A visit."""

    condition: Annotated[
        Condition | None, Field(description="null: both; then both forms may be filled")
    ] = None
    mode: Annotated[Mode, Field(description="门诊 1, 家庭 2, 电话 3")]
    findings: Annotated[tuple[Finding, ...], Field(max_length=3)] = ()
    measured: Measured | None = None
    reading_ids: Annotated[
        tuple[UUID, ...], Field(max_length=10, description="Readings that the visit rests on")
    ] = ()
    form: VisitForm = VisitForm()
    note: Text | None = None

    def find_mistakes(self, today: date) -> Iterator[Mistake]:
        """As the form's parts depend on each other."""
        if self.measured is not None:
            yield from self.measured.find_mistakes()
        yield from self._find_wrong_results()
        yield from self._find_wrong_form(today)

    def _find_wrong_results(self) -> Iterator[Mistake]:
        found, form = {*self.findings}, self.form
        worse = bool(found & _COMPLICATIONS)
        code = form.result_code
        if code == 1 and found:
            yield "form.result_code", "1", "1 is controlled, but there are findings: 3 or 4"
        if code == 3 and _REACTION not in found:  # noqa: PLR2004 - codes of the form
            yield "findings", "", f"result_code 3 needs {_REACTION}"
        if code == 4 and not worse:  # noqa: PLR2004 - likewise
            yield "findings", "", "result_code 4 needs new_complication or worse_complication"
        if form.adverse_reaction is not None and _REACTION not in found:
            yield "findings", "", f"form.adverse_reaction needs {_REACTION}"
        if form.complication is not None and not worse:
            yield "findings", "", "form.complication needs a finding of a complication"

    def _find_wrong_form(self, today: date) -> Iterator[Mistake]:
        form = self.form
        foreign = {"hypertension": OF_DIABETES, "diabetes": OF_HYPERTENSION}
        for name in foreign.get(self.condition or "", ()):
            if getattr(form, name) is not None:
                yield f"form.{name}", "", f"is not on the form of {self.condition}"
        for name in ("symptoms_hypertension", "symptoms_diabetes"):
            symptoms = getattr(form, name)
            if symptoms and 1 in symptoms and len(symptoms) > 1:
                yield f"form.{name}", str(symptoms), "1 means none: nothing stands beside it"
        if form.foot_pulse_side is not None and form.foot_pulse not in {2, 3}:
            yield "form.foot_pulse_side", form.foot_pulse_side, "belongs to foot_pulse 2 or 3"
        if form.hba1c_on is not None and form.hba1c_on > today:
            yield "form.hba1c_on", str(form.hba1c_on), "must not be in the future"
        if form.next_followup_on is not None and form.next_followup_on < local_day(self.at):
            value = str(form.next_followup_on)
            yield "form.next_followup_on", value, "must not be before the visit"

    def fields(self) -> dict[str, Any]:
        """As it is stored: measured values and readings stand in the form."""
        form = self.form.model_dump(mode="json", exclude_none=True)
        if self.measured is not None:
            form["measured"] = self.measured.model_dump(mode="json", exclude_none=True)
        if self.reading_ids:
            form["reading_ids"] = [str(each) for each in self.reading_ids]
        return {
            "condition": self.condition,
            "mode": self.mode,
            "findings": tuple(sorted({*self.findings})),
            "form": form or None,
            "note": self.note,
        }


class ReferralIn(Body):
    """A referral was made. The case moves by what is found, and is closed by the follow-up."""

    condition: Condition
    form: ReferralForm
    note: Text | None = None

    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        form = self.form.model_dump(mode="json", exclude_none=True)
        return {"condition": self.condition, "form": form, "note": self.note}


class ReferralFollowupIn(Body):
    """What became of a referral: it is closed. Who has not gone yet: a contact attempt."""

    condition: Condition
    mode: Mode = "phone"
    outcome: Literal["treated", "admitted", "referred_back", "nothing_found"]
    note: Text | None = None

    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(exclude={"at", "replaces"})


class ContactAttemptIn(Body):
    """Somebody was looked for. It moves no case."""

    condition: Condition | None = None
    mode: Mode = "phone"
    outcome: Literal[
        "reached", "not_reached", "wrong_number", "refused", "referral_not_attended", "moved_away"
    ]
    note: Text | None = None

    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(exclude={"at", "replaces"})


def _find_wrong_due(due: date, at: datetime, today: date) -> Iterator[Mistake]:
    if due < local_day(at):
        yield "due", str(due), "must not be before `at`"
    elif (due - today).days > _DUE_DAYS_MAX:
        yield "due", str(due), f"must be at most {_DUE_DAYS_MAX} days from today"


class RescheduleIn(Body):
    """Another last day for what a case asks for; the state stays."""

    condition: Condition
    due: Annotated[Day, Field(description="Last local day, inclusive")]
    note: Annotated[Text, Field(description="Why")]

    def find_mistakes(self, today: date) -> Iterator[Mistake]:
        """A day that helps nobody."""
        yield from _find_wrong_due(self.due, self.at, today)

    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return {"condition": self.condition, "due": self.due, "note": self.note}


class OverrideIn(Body):
    """A doctor's word: where a case stands from here on."""

    condition: Condition
    state: State
    due: Annotated[Day | None, Field(description="Needed where the state asks for something")] = (
        None
    )
    note: Annotated[Text, Field(description="Why")]

    def find_mistakes(self, today: date) -> Iterator[Mistake]:
        """A state that asks for something says until when."""
        if self.due is None:
            if self.state not in QUIET:
                yield "due", "", f"{self.state} asks for something: say until when"
        elif self.state in {"none", "closed"}:
            yield "due", str(self.due), f"{self.state} asks for nothing: leave it out"
        else:
            yield from _find_wrong_due(self.due, self.at, today)

    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(exclude={"at", "replaces"})


class ClosureIn(Body):
    """Nobody follows this resident up any more, in either condition."""

    reason: Literal["death", "moved", "contract_ended"]
    note: Text | None = None

    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return {"reason": self.reason, "note": self.note}


class ReturnIn(Body):
    """The resident is back: what is measured from here on counts again."""

    note: Text | None = None

    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return {"note": self.note}


class WithdrawalIn(Body):
    """A record was a mistake and nothing takes its place."""

    replaces: Annotated[UUID, Field(description="The record")]
    note: Annotated[Text, Field(description="Why")]

    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return {"note": self.note}


def to_record(body: Body, kind: Kind, record_id: UUID, resident_id: str, author: str) -> Record:
    """What is stored of a body."""
    return Record(
        id=record_id,
        resident_id=resident_id,
        kind=kind,
        at=body.at,
        author=author,
        withdraws=body.replaces,
        **body.fields(),
    )


class RecordOut(BaseModel):
    """Something that was recorded. It is never rewritten: another record can withdraw it."""

    id: UUID
    number: Annotated[int, Field(description="Order of arrival")]
    resident_id: str
    kind: Kind
    condition: Condition | None
    at: datetime
    received_at: datetime
    author: Annotated[str, Field(description="Subject of whoever recorded it")]
    staff_id: Annotated[str | None, Field(description="Of the register, if the author is there")]
    mode: Mode
    findings: list[Finding]
    state: str | None
    due: date | None
    reason: str | None
    outcome: str | None
    note: str | None
    form: Annotated[
        dict[str, Any] | None,
        Field(description="As sent, with `measured` and `reading_ids`; decimals are text"),
    ]
    replaces: Annotated[UUID | None, Field(description="The record that this one withdraws")]
    withdrawn_by: Annotated[UUID | None, Field(description="null: it stands")]


class FollowupQuery(PageQuery):
    """Filters of a resident's records."""

    kind: Kind | None = None
    condition: Condition | None = None


class FollowupPage(BaseModel):
    """Records, the newest arrival first."""

    items: list[RecordOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]
