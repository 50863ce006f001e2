"""What each kind of event looks like from outside: in the feed, in webhooks, in AsyncAPI.

It must never refuse what is stored: events are passed on as they were written, and these models
describe them. Fields are only ever added; a reader ignores those that it does not know. Invariant:
every kind of ``ingest.db.outbox`` is here, which a test holds against what is really written.
"""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from api.alerts.schemas import AnchorKind, Severity, Status
from api.cursors import Number
from ingest.db.outbox import EventKind

Pseudonym = Annotated[str, Field(description="Pseudonym of the resident")]
LIMIT_MAX: Final = 500
WAIT_S_MAX: Final = 30


class _Data(BaseModel):
    """What happened, and how it stands since."""

    model_config = ConfigDict(extra="allow")


class AlertData(_Data):
    """An alert as it stands: what was seen, against which limit, by whose rule."""

    alert_id: UUID
    resident_id: Annotated[str | None, Field(description="Pseudonym; null: unclaimed")]
    team_id: Annotated[str | None, Field(description="Of the resident, when this happened")]
    centre_id: str | None
    condition: str
    code: Annotated[str, Field(examples=["BP_EMERGENCY"])]
    severity: Severity
    status: Status
    observed: Annotated[str, Field(examples=["186/112 mmHg"])]
    threshold: str
    source: str
    profile: str
    profile_version: str
    anchor_id: UUID
    anchor_kind: AnchorKind
    anchor_reading_id: UUID | None
    effective_at: datetime
    raised_at: datetime
    raised_by: Literal["ingest", "judge"]
    due: date | None
    overdue_days: int
    escalation: int
    page: bool
    late: bool
    updated_at: datetime


class MovedAlertData(AlertData):
    """The same, and where it was before, if it has moved with its resident."""

    from_team_id: str | None = None
    from_centre_id: str | None = None


class AlertActData(_Data):
    """What a person, or the ladder of people, did with an alert."""

    alert_id: UUID
    resident_id: Annotated[str | None, Field(description="Pseudonym; null: unclaimed")]
    centre_id: str | None = None
    author: str | None = None
    until: Annotated[datetime | None, Field(description="Of a snooze")] = None
    step: Annotated[int | None, Field(description="Of the ladder: 1 is the first")] = None


class CaseData(_Data):
    """A case as it stands, and where it came from."""

    resident_id: Pseudonym
    team_id: str | None
    centre_id: str | None
    condition: str
    from_state: str
    state: str
    cause: Annotated[str | None, Field(description="Action of the case machine")]
    severity: Annotated[Severity | None, Field(description="null: nothing is open")] = None
    consecutive_unsatisfied: int
    second_followup_due: date | None
    referral_followup_due: date | None
    next_routine_due: date | None
    anchor_id: UUID | None
    anchor_kind: AnchorKind | None
    anchor_reading_id: UUID | None
    profile: str
    profile_version: str
    updated_at: datetime


class RecordData(_Data):
    """That something was recorded; read it for findings and words."""

    record_id: UUID
    resident_id: Pseudonym
    kind: Annotated[str, Field(examples=["visit"])]
    condition: Annotated[str | None, Field(description="null: both")] = None
    at: Annotated[datetime, Field(description="When it happened")]
    mode: str | None = None
    state: Annotated[str | None, Field(description="Of an override")] = None
    due: date | None = None
    reason: Annotated[str | None, Field(description="Of a closure")] = None
    withdraws: Annotated[UUID | None, Field(description="Record that it takes back")] = None
    author: str


class ReadingData(_Data):
    """That something was said of a reading; read it for the values."""

    reading_id: UUID
    reading_kind: Annotated[str, Field(examples=["blood_pressure"])]
    amendment_id: UUID
    amendment_kind: Annotated[str, Field(examples=["correction"])]
    resident_id: Annotated[str | None, Field(description="Who is concerned; null: nobody known")]
    centre_id: str | None = None
    fields: Annotated[list[str], Field(description="Which were corrected")] = []
    author: str


class ResidentData(_Data):
    """That a version of a resident was written; version 1 is a new one."""

    resident_id: Pseudonym
    version: int
    author: str


class ErasedData(_Data):
    """That name and ID number were erased: whoever keeps a copy destroys it."""

    resident_id: Pseudonym
    author: str


class MergedData(_Data):
    """That two pseudonyms are one person, or are not any more."""

    resident_id: Annotated[str, Field(description="Pseudonym that stays")]
    merged_resident_id: str
    author: str


class ContractData(_Data):
    """That a version of a contract was written; version 1 is a new one."""

    contract_id: str
    resident_id: Pseudonym
    version: int
    author: str


class _Envelope(BaseModel):
    """One event; `number` is its place in the feed."""

    number: int
    timestamp: Annotated[datetime, Field(description="When it became true")]


class AlertRaised(_Envelope):
    """There is a new alert."""

    type: Literal["alert.raised"]
    data: AlertData


class AlertChanged(_Envelope):
    """An alert was resolved or cancelled, is due otherwise, or has moved."""

    type: Literal["alert.changed"]
    data: MovedAlertData


class AlertActed(_Envelope):
    """Somebody acknowledged or snoozed an alert, or it went up the ladder."""

    type: Literal[
        "alert.acknowledged",
        "alert.acknowledgement_withdrawn",
        "alert.snoozed",
        "alert.snooze_ended",
        "alert.escalated",
    ]
    data: AlertActData


class CaseChanged(_Envelope):
    """A case is in another state, or its days are others."""

    type: Literal["case.changed"]
    data: CaseData


class RecordAdded(_Envelope):
    """A visit, a closure or the like was recorded."""

    type: Literal["record.added"]
    data: RecordData


class ReadingAmended(_Envelope):
    """A reading was corrected or retracted."""

    type: Literal["reading.corrected", "reading.retracted"]
    data: ReadingData


class ResidentChanged(_Envelope):
    """A resident was registered or changed."""

    type: Literal["resident.changed"]
    data: ResidentData


class ResidentErased(_Envelope):
    """Name and ID number of a resident were erased."""

    type: Literal["resident.erased"]
    data: ErasedData


class ResidentsMerged(_Envelope):
    """Two pseudonyms were merged, or parted again."""

    type: Literal["resident.merged", "resident.unmerged"]
    data: MergedData


class ContractChanged(_Envelope):
    """A contract was registered or changed."""

    type: Literal["contract.changed"]
    data: ContractData


FeedItem = Annotated[
    AlertRaised
    | AlertChanged
    | AlertActed
    | CaseChanged
    | RecordAdded
    | ReadingAmended
    | ResidentChanged
    | ResidentErased
    | ResidentsMerged
    | ContractChanged,
    Field(discriminator="type"),
]
FEED_ITEM: Final[TypeAdapter[Any]] = TypeAdapter(FeedItem)


class EventQuery(BaseModel):
    """What one can ask of ``GET /v1/events``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: Annotated[Number, Field(description="`next_after` of the page before")] = 0
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = 100
    wait_s: Annotated[
        int, Field(ge=0, le=WAIT_S_MAX, description="How long to wait if there is nothing yet")
    ] = 0
    type: Annotated[list[EventKind] | None, Field(description="Only these; else all")] = None


class EventPage(BaseModel):
    """One page, in order."""

    items: list[FeedItem]
    next_after: Annotated[
        int, Field(description="Pass it as `after`; it moves on where nothing is yours, too")
    ]
    head: Annotated[int, Field(description="The end of the feed: `next_after` will reach it")]
