"""What the contract system sends and gets, one body and one answer for each collection.

A body is the whole of it: what is left out is empty (``personal`` of a resident excepted: left
out, name and ID number stay as they are). The checks are those of ``ingest.db.entities``.
"""

from abc import abstractmethod
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from api.cursors import PageQuery
from api.instants import Day
from api.registry import examples
from ingest.db import entities
from ingest.db.entities import (
    ConditionName,
    EndReason,
    ExternalId,
    HospitalLevel,
    Sex,
    StaffRole,
    Title,
)

Profile = Annotated[
    Title | None, Field(description="Id of a profile; null: the centre's, else the deployment's")
]


class Content(BaseModel):
    """Base of all bodies. An unknown field is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def to_record(self, id_: str) -> Any:  # noqa: ANN401 - one class of ``entities`` each
        """As ``ingest.db`` takes it. Raises ``ValueError`` when its parts do not fit together."""

    def require_fit(self) -> None:
        """Raise ``ValueError`` when its parts do not fit together."""
        self.to_record("x")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self.require_fit()
        return self


class Versioned(BaseModel):
    """What every answer says beside its content."""

    id: ExternalId
    version: Annotated[int, Field(description="Also the ETag; 1, 2, 3, ...")]
    changed_at: Annotated[datetime | None, Field(description="null: before history was kept")]
    changed_by: Annotated[str, Field(description="Who wrote this version: a subject")]


class CentreIn(Content):
    """A community health centre."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CENTRE]})

    name: Title
    profile: Profile = None

    def to_record(self, id_: str) -> entities.Centre:
        """As ``ingest.db`` takes it."""
        return entities.Centre(id=id_, name=self.name, profile=self.profile)


class CentreOut(Versioned):
    """A community health centre."""

    name: str
    profile: str | None


class TeamIn(Content):
    """A family-doctor team of one centre."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TEAM]})

    name: Title
    centre_id: ExternalId

    def to_record(self, id_: str) -> entities.Team:
        """As ``ingest.db`` takes it."""
        return entities.Team(id=id_, name=self.name, centre_id=self.centre_id)


class TeamOut(Versioned):
    """A family-doctor team."""

    name: str
    centre_id: str


class StaffIn(Content):
    """Somebody who works at a centre. No name: that is with whoever gives out their accounts."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.STAFF]})

    centre_id: ExternalId
    role: StaffRole
    since: Day
    until: Annotated[Day | None, Field(description="Last day; null: still so")] = None
    team_ids: list[ExternalId] = []
    subject: Annotated[Title | None, Field(description="`sub` of their tokens")] = None

    def to_record(self, id_: str) -> entities.Staff:
        """As ``ingest.db`` takes it."""
        plain = {name: getattr(self, name) for name in StaffIn.model_fields}
        return entities.Staff(id=id_, **plain)


class StaffOut(Versioned):
    """Somebody who works at a centre."""

    centre_id: str
    role: StaffRole
    since: date
    until: date | None
    team_ids: list[str]
    subject: str | None


class PackageIn(Content):
    """What a contract buys. Its profile judges while the contract runs."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PACKAGE]})

    name: Title
    profile: Profile = None
    followups_per_year: Annotated[
        int | None, Field(ge=0, le=366, description="Promised; null: no number")
    ] = None

    def to_record(self, id_: str) -> entities.Package:
        """As ``ingest.db`` takes it."""
        return entities.Package(
            id=id_,
            name=self.name,
            profile=self.profile,
            followups_per_year=self.followups_per_year,
        )


class PackageOut(Versioned):
    """What a contract buys."""

    name: str
    profile: str | None
    followups_per_year: int | None


class ConditionIn(BaseModel):
    """A diagnosis or state. Days are local (Asia/Shanghai)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: Annotated[ConditionName, Field(description="`diabetes` is type 2")]
    since: Day
    until: Annotated[Day | None, Field(description="Last day; null: still so")] = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        entities.require_order(self.since, self.until)
        return self

    def to_record(self) -> entities.DatedCondition:
        """As ``ingest.db`` takes it."""
        return entities.DatedCondition(condition=self.condition, since=self.since, until=self.until)


class PersonalIn(BaseModel):
    """Who a resident is; kept sealed under a key of the resident's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[SecretStr | None, Field(max_length=200)] = None
    id_number: Annotated[
        SecretStr | None, Field(max_length=40, description="GB 11643, 18 characters; checked")
    ] = None


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


class ResidentIn(Content):
    """A resident by pseudonym, with all conditions that are known, past ones too."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RESIDENT]})

    team_id: Annotated[ExternalId | None, Field(description="Who cares for the resident")] = None
    birth_date: Annotated[Day | None, Field(description="null: unknown, counts as adult")] = None
    sex: Sex | None = None
    enrolled_on: Annotated[
        Day | None, Field(description="Managed from that day; null: owes no routine visit")
    ] = None
    conditions: Annotated[list[ConditionIn], Field(max_length=entities.CONDITIONS_MAX)] = []
    personal: Annotated[PersonalIn | None, Field(description="Left out or null: unchanged")] = None

    def require_fit(self) -> None:
        """Bulk takes thousands a second, so no record is made for this."""
        entities.require_distinct(self.conditions)

    def to_record(self, id_: str) -> entities.Resident:
        """As ``ingest.db`` takes it."""
        who = self.personal
        return entities.Resident(
            id=id_,
            team_id=self.team_id,
            birth_date=self.birth_date,
            sex=self.sex,
            enrolled_on=self.enrolled_on,
            conditions=[each.to_record() for each in self.conditions],
            personal=None
            if who is None
            else entities.Personal(name=_reveal(who.name), id_number=_reveal(who.id_number)),
        )


class ResidentOut(Versioned):
    """A resident without name and ID number: those are at `/personal-data`, one at a time."""

    team_id: str | None
    birth_date: date | None
    sex: Sex | None
    enrolled_on: date | None
    conditions: list[ConditionIn]
    personal_data: Annotated[
        Literal["none", "sealed", "erased"], Field(description="Whether a name is known")
    ]


class HospitalIn(BaseModel):
    """Where a resident is referred to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: ExternalId
    name: Title
    level: HospitalLevel


class ContractIn(Content):
    """One resident's package. `until` only runs out; an end with its reason closes the cases."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CONTRACT]})

    resident_id: ExternalId
    package_id: ExternalId
    signed_on: Day | None = None
    since: Day
    until: Annotated[Day | None, Field(description="Last day; null: open")] = None
    follows: Annotated[ExternalId | None, Field(description="The contract before it")] = None
    followed_as: Literal["renewal", "switch"] | None = None
    ended_on: Annotated[
        Day | None, Field(description="From that day it runs no more; needs `end_reason`")
    ] = None
    end_reason: EndReason | None = None
    referral_hospitals: Annotated[
        list[HospitalIn], Field(max_length=entities.HOSPITALS_MAX, description="Preferred first")
    ] = []

    def to_record(self, id_: str) -> entities.Contract:
        """As ``ingest.db`` takes it."""
        plain = {name: getattr(self, name) for name in ContractIn.model_fields}
        hospitals = [
            entities.Hospital(id=each.id, name=each.name, level=each.level)
            for each in self.referral_hospitals
        ]
        return entities.Contract(id=id_, **{**plain, "referral_hospitals": hospitals})


class ContractOut(Versioned):
    """One resident's package, from when to when, and how it ended."""

    resident_id: str
    package_id: str
    signed_on: date | None
    since: date
    until: date | None
    follows: str | None
    followed_as: Literal["renewal", "switch"] | None
    ended_on: date | None
    end_reason: EndReason | None
    referral_hospitals: list[HospitalIn]


class VersionOut(BaseModel):
    """One version, as it was written."""

    version: int
    at: Annotated[datetime | None, Field(description="null: before history was kept")]
    author: str
    content: Annotated[
        dict[str, Any],
        Field(description="Whole; `personal` of a resident counts the names, it shows none"),
    ]


class HistoryPage(BaseModel):
    """Versions, the newest first."""

    items: list[VersionOut]
    next_cursor: Annotated[str | None, Field(description="null: this is the last page")]


class PersonalOut(BaseModel):
    """Name and ID number of one resident."""

    resident_id: str
    name: str | None
    id_number: str | None
    erased_at: datetime | None


class RegistryQuery(PageQuery):
    """Centres and packages can only be paged."""


class TeamQuery(PageQuery):
    """Filters of teams."""

    centre: ExternalId | None = None


class StaffQuery(PageQuery):
    """Filters of staff; all that are given must hold."""

    centre: ExternalId | None = None
    team: ExternalId | None = None


class ResidentQuery(PageQuery):
    """Filters of residents; all that are given must hold."""

    team: Annotated[ExternalId | None, Field(description="Team that has them now")] = None
    centre: Annotated[ExternalId | None, Field(description="Centre of that team")] = None


class ContractQuery(PageQuery):
    """Filters of contracts; all that are given must hold."""

    resident: Annotated[ExternalId | None, Field(description="Pseudonym")] = None
    package: ExternalId | None = None
