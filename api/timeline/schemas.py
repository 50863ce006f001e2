"""What a resident's timeline holds: typed items, each with its time and its id."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.corrections.schemas import AmendmentOut
from api.cursors import PageQuery
from api.instants import Instant
from api.readings.schemas import Exact, Kind
from ingest.db.attention import Act, Reason

ItemKind = Literal[
    "reading", "session", "case", "alert", "notification", "attention", "record", "contract"
]
_UPWARDS: Final = (
    *("contract", "reading", "session", "record", "alert", "case"),
    *("notification", "attention"),
)
RANKS: Final[dict[str, int]] = {kind: rank for rank, kind in enumerate(_UPWARDS)}
"""At one instant: what was measured stands below what was made of it, and of that what was done."""


class TimelineQuery(PageQuery):
    """Which part of it. A plus sign in an address must be written ``%2B``."""

    since: Annotated[Instant | None, Field(alias="from", description="Inclusive")] = None
    until: Annotated[Instant | None, Field(alias="to", description="Exclusive")] = None
    kind: Annotated[list[ItemKind] | None, Field(description="Only these; else all")] = None


class _Item(BaseModel):
    """What every item has."""

    at: Annotated[datetime, Field(description="Where it stands in the list")]
    id: Annotated[str, Field(description="Unique among items of its kind")]


class ReadingItem(_Item):
    """One reading: as it came, as the rules take it, what was said of it. `at`: effective time."""

    kind: Literal["reading"] = "reading"
    measured: Kind
    device_id: str
    setting: str
    systolic: Annotated[Exact | None, Field(description="As reported, in `unit`")]
    diastolic: Exact | None
    pulse: Exact | None
    glucose: Exact | None
    unit: str | None
    meal_context: str | None
    status: list[str]
    quality: Annotated[
        str,
        Field(
            description="`accepted`, or why it is judged by nobody, corrections counted",
            examples=["accepted", "retracted", "quarantined_device_status"],
        ),
    ]
    taken_at: Annotated[datetime, Field(description="With corrections and clocks counted")]
    time_suspect: bool
    systolic_mmhg: Annotated[
        Exact | None, Field(description="With corrections counted, in the unit of the limits")
    ]
    diastolic_mmhg: Exact | None
    glucose_mmol_l: Exact | None
    meal_context_judged: str | None
    amendments: list[AmendmentOut]


class SessionItem(_Item):
    """Blood pressures of one sitting, and their mean. `at`: its last reading."""

    kind: Literal["session"] = "session"
    setting: str
    began_at: datetime
    reading_ids: list[UUID]
    counted: Annotated[int, Field(description="Readings in the mean: of the arm that counts")]
    systolic_mmhg: Annotated[Exact, Field(description="Mean, cut at two decimals")]
    diastolic_mmhg: Exact
    profile: str


class CaseItem(_Item):
    """A case went from one state to another. `at`: when it was judged."""

    kind: Literal["case"] = "case"
    condition: str
    from_state: str
    to_state: str
    cause: str | None
    threshold: str | None
    author: Annotated[str, Field(description="`judge`, or whose word it was")]
    profile: str
    profile_version: str
    reading_ids: Annotated[list[UUID], Field(description="The readings that decided")]
    explanation: Annotated[dict[str, Any] | None, Field(description="`record`, `zh`, `en`")]


class AlertItem(_Item):
    """An alert, as it stands. `at`: when it was raised."""

    kind: Literal["alert"] = "alert"
    condition: str
    code: str
    severity: str
    status: str
    observed: str
    threshold: str
    source: str
    due: date | None
    overdue_days: int
    anchor_id: UUID
    anchor_kind: str
    effective_at: datetime
    updated_at: datetime
    explanation: dict[str, Any] | None


class NotificationItem(_Item):
    """Somebody was told of an alert: a message was taken. `at`: when."""

    kind: Literal["notification"] = "notification"
    alert_id: UUID
    condition: str
    code: str
    severity: str
    rung: Annotated[str, Field(description="As what: doctor, team_leader, centre")]
    step: Annotated[int, Field(description="Of the ladder")]
    held: Annotated[bool, Field(description="It had waited for the end of quiet hours")]
    staff_id: str
    channel: str
    message_kind: Annotated[str, Field(description="`page`, or `notice`: of several alerts")]
    planned_at: datetime


class AttentionItem(_Item):
    """What somebody did about an alert: took it, put it aside, or gave it back."""

    kind: Literal["attention"] = "attention"
    alert_id: UUID
    condition: str
    code: str
    severity: str
    what: Act
    author: Annotated[str, Field(description="A subject; `judge`, `notify`: by itself")]
    reason: Reason | None
    note: str | None
    until: Annotated[datetime | None, Field(description="Of a snooze")]


class RecordItem(_Item):
    """What somebody recorded: a visit, a referral, a closure. `at`: when it happened."""

    kind: Literal["record"] = "record"
    recorded: Annotated[str, Field(examples=["visit"])]
    condition: str | None
    mode: str
    findings: list[str]
    state: str | None
    due: date | None
    reason: str | None
    outcome: str | None
    note: str | None
    author: str
    received_at: datetime
    replaces: Annotated[UUID | None, Field(description="The record that was a mistake")]
    withdrawn_by: Annotated[UUID | None, Field(description="null: it stands")]


class ContractItem(_Item):
    """A contract. `at`: the beginning of its first local day."""

    kind: Literal["contract"] = "contract"
    package_id: str
    since: date
    until: date | None
    signed_on: date | None
    ended_on: date | None
    end_reason: str | None


Item = Annotated[
    ReadingItem
    | SessionItem
    | CaseItem
    | AlertItem
    | NotificationItem
    | AttentionItem
    | RecordItem
    | ContractItem,
    Field(discriminator="kind"),
]


class TimelinePage(BaseModel):
    """One page, the newest first."""

    items: list[Item]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]
    retained_since: Annotated[
        datetime | None,
        Field(description="Older readings may have been let go; null: all are kept"),
    ]
