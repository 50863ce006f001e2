"""What can be asked of ``/fhir``: parameters of FHIR, each checked, none ignored.

A date without a time is the local day, month or year (Asia/Shanghai); a time needs its offset.
Of several values of one parameter all must hold, as FHIR has it. A parameter or prefix that is
not known is refused: a filter that is silently dropped would show what was not asked for.

Source: FHIR R4, 3.1.1.4 (search), 2.24.0.1 (dateTime).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.cursors import CURSOR_CHARACTERS_MAX, PAGE_ROWS_MAX, Name
from api.errors import BadParameterError
from api.fhir import ids
from api.fhir.answers import Format
from api.fhir.codes import (
    ALERT_CODES,
    DEVICE_IDS,
    LOINC,
    PANEL,
    READING_IDS,
    RESIDENT_IDS,
    Sugar,
    sugars_of,
)
from api.local_days import LOCAL

VALUES_MAX: Final = 4  # Of one parameter: two bounds of each end are more than enough.
ALWAYS: Final = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
NOTHING: Final = UUID(int=0)
_NUMBER: Final = re.compile(r"[1-9]\d{0,17}", re.ASCII)
_DATE: Final = re.compile(
    r"(?P<prefix>[a-z]{2})?(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<time>\d\d:\d\d(?::\d\d(?:\.(?P<fraction>\d{1,6}))?)?)"
    r"(?P<offset>Z|[+-]\d\d:\d\d))?)?)?",
    re.ASCII,
)
_DATE_REMEDY: Final = (
    "write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ (a plus sign in an address is %2B),"
    " with eq, ge, gt, le, lt, sa or eb before it, or nothing"
)

Values = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=VALUES_MAX)]


class Span(NamedTuple):
    """Instants from ``since``, inclusive, to ``until``, exclusive."""

    since: datetime
    until: datetime


class SearchQuery(BaseModel):
    """What every search takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[Name | None, Field(alias="_id", description="Logical id")] = None
    count: Annotated[int, Field(alias="_count", ge=1, le=PAGE_ROWS_MAX)] = 100
    cursor: Annotated[
        str | None,
        Field(
            alias="_cursor",
            max_length=CURSOR_CHARACTERS_MAX,
            description="Only as the `next` link of the page before has it",
        ),
    ] = None
    format: Annotated[Format | None, Field(alias="_format", description="JSON only")] = None

    def require_bounds(self) -> None:
        """Refuse what would look at too much. Raises ``BadParameterError``."""


class DatedQuery(SearchQuery):
    """Of what knows when it was last changed."""

    last_updated: Annotated[
        Values,
        Field(alias="_lastUpdated", description="With a prefix, as `ge2026-03-01T00:00:00Z`"),
    ] = []

    @property
    def updated(self) -> Span:
        """When it was last changed. Raises ``BadParameterError``."""
        return read_span("_lastUpdated", self.last_updated)


class PatientQuery(DatedQuery):
    """Filters of ``GET /fhir/Patient``."""

    identifier: Annotated[
        Name | None, Field(description="`urn:suifang:resident|…`, the pseudonym; nothing else")
    ] = None

    @property
    def ids(self) -> list[str] | None:
        """Pseudonyms asked for; None: any."""
        return _meet(
            _logical(self.id),
            None if self.identifier is None else _token(self.identifier, RESIDENT_IDS),
        )


class DeviceQuery(SearchQuery):
    """Filters of ``GET /fhir/Device``."""

    identifier: Annotated[Name | None, Field(description="`urn:suifang:device|…`")] = None

    @property
    def ids(self) -> list[str] | None:
        """Devices asked for; None: any."""
        return _meet(
            _logical(self.id),
            None if self.identifier is None else _token(self.identifier, DEVICE_IDS),
        )


class OfPatientQuery(DatedQuery):
    """Of what is about a resident."""

    patient: Annotated[Name | None, Field(description="`Patient/{id}` or the id alone")] = None
    subject: Annotated[Name | None, Field(description="The same as `patient`")] = None

    @property
    def resident(self) -> str | None:
        """The pseudonym asked for. Raises ``BadParameterError``."""
        named = {
            text.removeprefix("Patient/")
            for text in (self.patient, self.subject)
            if text is not None
        }
        if len(named) > 1:
            raise BadParameterError(
                field="subject", value=self.subject or "", remedy="is another one than patient"
            )
        for text in named:
            return ids.from_fhir(text) or ""  # Nobody's.
        return None


class ObservationQuery(OfPatientQuery):
    """Filters of ``GET /fhir/Observation``; one of `patient`, `_id` and `identifier` is needed."""

    code: Annotated[
        str | None,
        Field(max_length=500, description="`http://loinc.org|85354-9`; several with commas"),
    ] = None
    date: Annotated[Values, Field(description="When it was taken, with a prefix")] = []
    identifier: Annotated[
        Name | None, Field(description="`system|value`, as the sender calls it, or ours")
    ] = None

    @property
    def taken(self) -> Span:
        """When it was taken. Raises ``BadParameterError``."""
        return read_span("date", self.date)

    @property
    def named(self) -> tuple[str, str] | None:
        """System and value asked for; None: any. Raises ``BadParameterError``."""
        return None if self.identifier is None else read_identifier("identifier", self.identifier)

    @property
    def kinds(self) -> "Kinds":
        """Which readings go out under the codes asked for."""
        return Kinds.of(self.code)

    def require_bounds(self) -> None:
        """Refuse to look at everybody's readings. Raises ``BadParameterError``."""
        if self.resident is None and self.id is None and self.identifier is None:
            raise BadParameterError(
                field="patient", value="", remedy="name a patient, an _id or an identifier"
            )


class DetectedIssueQuery(OfPatientQuery):
    """Filters of ``GET /fhir/DetectedIssue``."""

    code: Annotated[
        Name | None, Field(description="`urn:suifang:alert-code|BP_EMERGENCY` or the code alone")
    ] = None
    status: Annotated[Literal["final", "cancelled"] | None, Field(description="Of FHIR")] = None
    identified: Annotated[Values, Field(description="When it was raised, with a prefix")] = []

    @property
    def raised(self) -> Span:
        """When it was raised. Raises ``BadParameterError``."""
        return read_span("identified", self.identified)

    @property
    def alert_code(self) -> str | None:
        """The code asked for; one of nobody's where its system is not ours."""
        if self.code is None:
            return None
        return next(iter(_token(self.code, ALERT_CODES)), "")


class FlagQuery(OfPatientQuery):
    """Filters of ``GET /fhir/Flag``."""

    status: Annotated[
        Literal["active", "inactive"] | None, Field(description="Inactive: nothing is asked")
    ] = None


class ProvenanceQuery(SearchQuery):
    """Filters of ``GET /fhir/Provenance``; one of `target` and `_id` is needed."""

    target: Annotated[Name | None, Field(description="`Observation/{id}`")] = None

    @property
    def reading(self) -> str | None:
        """The reading asked for; None: any."""
        return None if self.target is None else self.target.removeprefix("Observation/")

    def require_bounds(self) -> None:
        """Refuse to look at everybody's readings. Raises ``BadParameterError``."""
        if self.target is None and self.id is None:
            raise BadParameterError(field="target", value="", remedy="name a target or an _id")


class Kinds(NamedTuple):
    """Which readings: pressures, and kinds of glucose readings."""

    pressure: bool
    sugars: list[Sugar] | None  # None: any.

    @classmethod
    def of(cls, code: str | None) -> "Kinds":
        """From the parameter ``code``."""
        if code is None:
            return cls(pressure=True, sugars=None)
        wanted = set()
        for token in code.split(","):
            system, bar, value = token.rpartition("|")
            if not bar or system == LOINC:
                wanted.add(value)
        sugars = [sugar for value in sorted(wanted) for sugar in sugars_of(value)]
        return cls(pressure=PANEL in wanted, sugars=sugars)


def as_uuid(text: str | None) -> UUID | None:
    """The id that is written so; None for none, and an id of nothing for what is no id."""
    if text is None:
        return None
    try:
        found = UUID(text)
    except ValueError:
        return NOTHING
    return found if str(found) == text else NOTHING


def as_number(text: str | None) -> int | None:
    """The number that is written so; None for none, and -1 for what is none of ours."""
    if text is None:
        return None
    return int(text) if _NUMBER.fullmatch(text) else -1


def read_identifier(field: str, text: str) -> tuple[str, str]:
    """System and value of a token. Raises ``BadParameterError``."""
    system, bar, value = text.rpartition("|")
    if not (bar and system and value):
        raise BadParameterError(field=field, value=text, remedy="write system|value")
    return system, value


def own_reading(named: tuple[str, str]) -> str | None:
    """The reading that our own identifier names."""
    system, value = named
    return value if system == READING_IDS else None


def read_span(field: str, values: Sequence[str]) -> Span:
    """Where all of these hold at once; it may be empty. Raises ``BadParameterError``."""
    since, until = ALWAYS
    for text in values:
        prefix, start, end = _read_date(field, text)
        low, high = {
            "eq": (start, end),
            "ge": (start, until),
            "gt": (end, until),
            "sa": (end, until),
            "le": (since, end),
            "lt": (since, start),
            "eb": (since, start),
        }[prefix]
        since, until = max(since, low), min(until, high)
    return Span(since, until)


def _read_date(field: str, text: str) -> tuple[str, datetime, datetime]:
    """Prefix, first instant, and the first one after. Raises ``BadParameterError``."""
    found = _DATE.fullmatch(text)
    prefix = (found and found["prefix"]) or "eq"
    if found is None or prefix not in ("eq", "ge", "gt", "le", "lt", "sa", "eb"):
        raise BadParameterError(field=field, value=text, remedy=_DATE_REMEDY)
    try:
        start, end = _whole_period(found)
        return prefix, start.astimezone(UTC), end.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadParameterError(field=field, value=text, remedy=_DATE_REMEDY) from error


def _whole_period(found: re.Match[str]) -> tuple[datetime, datetime]:
    if found["time"] is not None:
        text = f"{found['year']}-{found['month']}-{found['day']}T{found['time']}{found['offset']}"
        start = datetime.fromisoformat(text)
        if found["fraction"] is not None:
            return start, start + timedelta(microseconds=10 ** (6 - len(found["fraction"])))
        has_seconds = found["time"].count(":") > 1
        return start, start + (timedelta(seconds=1) if has_seconds else timedelta(minutes=1))
    year, month, day = (int(found[part] or 1) for part in ("year", "month", "day"))
    start = datetime(year, month, day, tzinfo=LOCAL)
    if found["day"] is not None:
        return start, start + timedelta(days=1)
    if found["month"] is not None:
        return start, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=LOCAL)
    return start, datetime(year + 1, 1, 1, tzinfo=LOCAL)


def _logical(text: str | None) -> list[str] | None:
    """The id that is spelled so; none at all where nothing can be."""
    if text is None:
        return None
    found = ids.from_fhir(text)
    return [] if found is None else [found]


def _token(text: str, system: str) -> list[str]:
    asked, bar, value = text.rpartition("|")
    return [value] if not bar or asked == system else []


def _meet(left: list[str] | None, right: list[str] | None) -> list[str] | None:
    if left is None or right is None:
        return right if left is None else left
    return [one for one in left if one in right]
