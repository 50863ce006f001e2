"""What the contract system knows: places, staff, packages, people, contracts. Values only.

One definition for the loader, the API, bulk and CSV, so that all of them accept and refuse the
same. A resident is a pseudonym; ``Personal`` is the only part that names somebody, never appears
in a ``repr``, and is stored sealed (``ingest.db.personal``). ``content`` of each class is its
state as history keeps it: JSON types only, equal exactly if nothing has changed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Final, Literal, Protocol, TypeAlias, get_args

from pydantic import AfterValidator, StringConstraints

Content: TypeAlias = dict[str, Any]
"""JSON types only."""

_ID_NUMBER: Final = re.compile(r"\d{15}|\d{17}[\dXx]")


def _is_no_id_number(text: str) -> str:
    if _ID_NUMBER.fullmatch(text):
        msg = "looks like an ID number, which must not stand in addresses; send the pseudonym"
        raise ValueError(msg)
    return text


ID_PATTERN: Final = r"^[^\s\x00-\x20\x7f/?#%\\]{1,128}$"
ExternalId: TypeAlias = Annotated[
    str, StringConstraints(pattern=ID_PATTERN), AfterValidator(_is_no_id_number)
]
"""An id as the contract system calls it: no blanks and nothing that an address would change."""

Title: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=200)]
Sex: TypeAlias = Literal["female", "male"]
ConditionName: TypeAlias = Literal[
    "hypertension",
    "diabetes",  # Type 2.
    "pregnant",
    "lactating",
    "prediabetes",
    "tuberculosis",
    "severe_mental_disorder",
    "disability",
]
"""What changes the rules, and the other key groups that sign contracts first.

Source: product brief (key-group signing); the groups beyond the first four are recalled from the
family-doctor guidance and change no judgement.
"""
CONDITIONS: Final[tuple[str, ...]] = get_args(ConditionName)
StaffRole: TypeAlias = Literal["doctor", "nurse", "public_health", "pharmacist", "assistant"]
EndReason: TypeAlias = Literal[
    "death", "moved", "switched", "resident_request", "team_request", "other"
]
HospitalLevel: TypeAlias = Literal["community", "district", "city", "province"]
CONDITIONS_MAX: Final = 50  # Of one resident, past ones too.
HOSPITALS_MAX: Final = 9
TEAMS_MAX: Final = 50


def require_order(since: date, until: date | None) -> None:
    """Raise ``ValueError`` for what ends before it begins."""
    if until is not None and until < since:
        msg = f"until: {until} is before since ({since})"
        raise ValueError(msg)


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """A community health centre."""

    id: ExternalId
    name: Title
    profile: str | None = None  # Of its residents; None: the deployment's.

    def content(self) -> Content:
        """As history keeps it."""
        return {"name": self.name, "profile": self.profile}


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A family-doctor team of one centre."""

    id: ExternalId
    centre_id: ExternalId
    name: Title

    def content(self) -> Content:
        """As history keeps it."""
        return {"name": self.name, "centre_id": self.centre_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """Somebody who works at a centre, with or without teams; no name. Dates are local."""

    id: ExternalId
    centre_id: ExternalId
    role: StaffRole
    since: date
    until: date | None = None  # Inclusive; None: still so.
    team_ids: Sequence[ExternalId] = field(default_factory=tuple)
    subject: Title | None = None  # `sub` of their tokens.

    def __post_init__(self) -> None:
        require_order(self.since, self.until)
        if len(self.team_ids) > TEAMS_MAX:
            msg = f"team_ids: {len(self.team_ids)} are more than {TEAMS_MAX}"
            raise ValueError(msg)

    def content(self) -> Content:
        """As history keeps it."""
        return {
            "centre_id": self.centre_id,
            "role": self.role,
            "since": self.since.isoformat(),
            "until": _day(self.until),
            "team_ids": sorted({*self.team_ids}),
            "subject": self.subject,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What a contract buys."""

    id: ExternalId
    name: Title
    profile: str | None = None  # None: the centre's, else the deployment's.
    followups_per_year: int | None = None  # None: it promises no number.

    def __post_init__(self) -> None:
        if self.followups_per_year is not None and not 0 <= self.followups_per_year <= 366:  # noqa: PLR2004 - one a day
            msg = f"followups_per_year: {self.followups_per_year} is not within 0 to 366"
            raise ValueError(msg)

    def content(self) -> Content:
        """As history keeps it."""
        return {
            "name": self.name,
            "profile": self.profile,
            "followups_per_year": self.followups_per_year,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedCondition:
    """A diagnosis or state with its local dates; ``until`` is inclusive, None means still so."""

    condition: ConditionName
    since: date
    until: date | None = None

    def __post_init__(self) -> None:
        require_order(self.since, self.until)


class Dated(Protocol):
    """A condition with its beginning, in whatever class."""

    @property
    def condition(self) -> str:
        """Which."""
        ...

    @property
    def since(self) -> date:
        """First day."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """Who a resident is. Never logged, never in history, sealed before it is stored."""

    name: Title | None = field(default=None, repr=False)
    id_number: Title | None = field(default=None, repr=False)  # GB 11643, 18 characters.


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A resident by pseudonym. An unknown birth date counts as adult."""

    id: ExternalId
    team_id: ExternalId | None = None
    birth_date: date | None = None
    sex: Sex | None = None
    enrolled_on: date | None = None  # Managed from that local day; None: owes no routine visit.
    conditions: Sequence[DatedCondition] = field(default_factory=tuple)
    personal: Personal | None = None  # None: stays as it is.

    def __post_init__(self) -> None:
        require_distinct(self.conditions)

    def content(self, personal: int | str | None = None) -> Content:
        """As history keeps it.

        Args:
            personal: The generation of the sealed name and ID number, or that they are erased.
        """
        found = [(c.condition, c.since.isoformat(), _day(c.until)) for c in self.conditions]
        return {
            "team_id": self.team_id,
            "birth_date": _day(self.birth_date),
            "sex": self.sex,
            "enrolled_on": _day(self.enrolled_on),
            "personal": personal,
            "conditions": [
                {"condition": condition, "since": since, "until": until}
                for condition, since, until in sorted(found, key=lambda row: row[:2])
            ],
        }


def require_distinct(conditions: Sequence[Dated]) -> None:
    """Raise ``ValueError`` where one condition begins twice on a day, or for too many."""
    if len(conditions) > CONDITIONS_MAX:
        msg = f"conditions: {len(conditions)} are more than {CONDITIONS_MAX}"
        raise ValueError(msg)
    begun = {(each.condition, each.since) for each in conditions}
    if len(begun) < len(conditions):
        msg = "conditions: one condition begins twice on the same day"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """Where a resident is referred to, as agreed in the contract."""

    id: ExternalId
    name: Title
    level: HospitalLevel

    def content(self) -> Content:
        """As history keeps it."""
        return {"id": self.id, "name": self.name, "level": self.level}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One resident's package, with local dates; ``until`` is inclusive, None means open."""

    id: ExternalId
    resident_id: ExternalId
    package_id: ExternalId
    since: date
    until: date | None = None
    signed_on: date | None = None
    follows: ExternalId | None = None  # The contract before it; may be one we never saw.
    followed_as: Literal["renewal", "switch"] | None = None
    ended_on: date | None = None  # From that day it runs no more, whatever ``until`` says.
    end_reason: EndReason | None = None
    referral_hospitals: Sequence[Hospital] = field(default_factory=tuple)  # Preferred one first.

    def __post_init__(self) -> None:
        require_order(self.since, self.until)
        for one, other in (("ended_on", "end_reason"), ("follows", "followed_as")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                lacking = one if getattr(self, one) is None else other
                msg = f"{lacking}: {one} and {other} belong together, give both or neither"
                raise ValueError(msg)
        if len(self.referral_hospitals) > HOSPITALS_MAX:
            msg = f"referral_hospitals: {len(self.referral_hospitals)} are more than 9"
            raise ValueError(msg)

    def content(self) -> Content:
        """As history keeps it."""
        return {
            "resident_id": self.resident_id,
            "package_id": self.package_id,
            "signed_on": _day(self.signed_on),
            "since": self.since.isoformat(),
            "until": _day(self.until),
            "follows": self.follows,
            "followed_as": self.followed_as,
            "ended_on": _day(self.ended_on),
            "end_reason": self.end_reason,
            "referral_hospitals": [each.content() for each in self.referral_hospitals],
        }
