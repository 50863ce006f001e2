"""The resource types of ``/fhir`` that are read and searched in the same way, as one table.

Routes, the CapabilityStatement and the tests go through it, so that none promises what another
does not do.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from pydantic import AwareDatetime, TypeAdapter

from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import Cursor, Name, Number
from api.fhir import ids, judged_queries, queries
from api.fhir.codes import Json
from api.fhir.resources import (
    detected_issue,
    device,
    flag,
    observation,
    patient,
    provenance,
    service_request,
    task,
)
from api.fhir.searches import (
    DetectedIssueQuery,
    DeviceQuery,
    FlagQuery,
    ObservationQuery,
    OfPatientQuery,
    PatientQuery,
    ProvenanceQuery,
    SearchQuery,
)

Row: TypeAlias = Mapping[str, Any]
Find: TypeAlias = Callable[..., Awaitable[list[DictRow]]]


def about(row: Row) -> list[str]:
    """The residents that a row is about, for the audit log."""
    found = row.get("resident_id")
    return [] if found is None else [found]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """One type of resource that can be read and searched.

    Attributes:
        name: As FHIR calls it.
        permission: What reading and searching need.
        query: Parameters of the search.
        find: Rows after a key: ``find(connection, query, after=…, rows=…)``.
        key: Of a row, for the cursor.
        build: The resource of a row, as this reader may see it.
        cursor: Writes and reads keys.
        says: One sentence for the documents.
        whom: The residents that a row is about.
    """

    name: str
    permission: Permission
    query: type[SearchQuery]
    find: Find
    key: Callable[[Row], Any]
    build: Callable[[Row, Principal], Json]
    cursor: Cursor[Any]
    says: str
    whom: Callable[[Row], list[str]] = about

    async def list_rows(
        self, connection: AsyncConnection[DictRow], query: SearchQuery, *, after: object, rows: int
    ) -> list[DictRow]:
        """Rows of a page."""
        return await self.find(connection, query, after=after, rows=rows)

    async def fetch_row(self, connection: AsyncConnection[DictRow], id_: str) -> DictRow | None:
        """The row of one logical id; None: not there, or not to be seen."""
        if ids.from_fhir(id_) is None:
            return None
        query = self.query.model_validate({"_id": id_})
        found: Sequence[DictRow] = await self.find(connection, query, after=None, rows=1)
        return found[0] if found else None


def _see_patient(row: Row, principal: Principal) -> Json:
    return patient.build(row, whole=principal.may(Permission.RESIDENTS_READ))


_BY_NUMBER: Final[TypeAdapter[Any]] = TypeAdapter(Number)
_BY_ID: Final[TypeAdapter[Any]] = TypeAdapter(Name)

PATIENT: Final = ResourceType(
    name="Patient",
    permission=Permission.CASES_READ,
    query=PatientQuery,
    find=queries.list_patients,
    key=lambda row: row["id"],
    build=_see_patient,
    cursor=Cursor("Patient", _BY_ID),
    says="A resident; name and ID number only where one is read, with `residents:read`",
    whom=lambda row: [row["id"]],
)
DEVICE: Final = ResourceType(
    name="Device",
    permission=Permission.REGISTER_READ,
    query=DeviceQuery,
    find=queries.list_devices,
    key=lambda row: row["id"],
    build=lambda row, _: device.build(row),
    cursor=Cursor("Device", _BY_ID),
    says="A measuring terminal and its gateway",
    whom=lambda _: [],
)
OBSERVATION: Final = ResourceType(
    name="Observation",
    permission=Permission.READINGS_READ,
    query=ObservationQuery,
    find=queries.list_readings,
    key=lambda row: (row["effective_at"], row["captured_at"], row["id"]),
    build=lambda row, _: observation.build(row),
    cursor=Cursor("Observation", TypeAdapter(tuple[AwareDatetime, AwareDatetime, UUID])),
    says="A reading as it stands: a blood pressure with its components, or a glucose value",
)
DETECTED_ISSUE: Final = ResourceType(
    name="DetectedIssue",
    permission=Permission.ALERTS_READ,
    query=DetectedIssueQuery,
    find=judged_queries.list_alerts,
    key=lambda row: row["number"],
    build=lambda row, _: detected_issue.build(row),
    cursor=Cursor("DetectedIssue", _BY_NUMBER),
    says="An alert: what was seen, against which limit, by whose rule",
)
FLAG: Final = ResourceType(
    name="Flag",
    permission=Permission.CASES_READ,
    query=FlagQuery,
    find=judged_queries.list_cases,
    key=lambda row: row["number"],
    build=lambda row, _: flag.build(row),
    cursor=Cursor("Flag", _BY_NUMBER),
    says="A case: the standing state of one condition of a resident",
)
TASK: Final = ResourceType(
    name="Task",
    permission=Permission.FOLLOWUPS_READ,
    query=OfPatientQuery,
    find=judged_queries.list_tasks,
    key=lambda row: (row["number"], row["kind"]),
    build=lambda row, _: task.build(row),
    cursor=Cursor("Task", TypeAdapter(tuple[Number, Name])),
    says="A follow-up that is due, and by which local day",
)
SERVICE_REQUEST: Final = ResourceType(
    name="ServiceRequest",
    permission=Permission.FOLLOWUPS_READ,
    query=OfPatientQuery,
    find=judged_queries.list_referrals,
    key=lambda row: row["number"],
    build=lambda row, _: service_request.build(row),
    cursor=Cursor("ServiceRequest", _BY_NUMBER),
    says="A referral that the rules proposed, or a person ordered",
)
PROVENANCE: Final = ResourceType(
    name="Provenance",
    permission=Permission.READINGS_READ,
    query=ProvenanceQuery,
    find=judged_queries.list_provenance,
    key=lambda row: (row["received_at"], row["id"]),
    build=lambda row, _: provenance.build(row),
    cursor=Cursor("Provenance", TypeAdapter(tuple[AwareDatetime, UUID])),
    says="Where a reading comes from, and who changed what stands of it",
)

RESOURCE_TYPES: Final = (
    PATIENT,
    DEVICE,
    OBSERVATION,
    DETECTED_ISSUE,
    FLAG,
    TASK,
    SERVICE_REQUEST,
    PROVENANCE,
)
