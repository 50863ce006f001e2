"""The client itself: lists are iterators, what is written is written as often as you like."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Self, TypeVar

import httpx
from pydantic import BaseModel

from api.alerts.schemas import AlertOut
from api.cases.schemas import CaseOut
from api.client.asking import at, plain
from api.client.care import CareCalls
from api.client.errors import UnreachableError
from api.client.events import Told, follow
from api.client.offices import OfficeCalls
from api.client.transport import Patience, Transport, require_success
from api.readings.schemas import ReadingOut
from api.registry import schemas
from api.registry.lines import (
    AnyLine,
    CentreLine,
    ContractLine,
    PackageLine,
    ResidentLine,
    StaffLine,
    TeamLine,
)

ModelT = TypeVar("ModelT", bound=BaseModel)
VersionedT = TypeVar("VersionedT", bound=schemas.Versioned)
_OUT: Final[dict[type[schemas.Content], tuple[str, type[schemas.Versioned]]]] = {
    schemas.CentreIn: ("centres", schemas.CentreOut),
    schemas.TeamIn: ("teams", schemas.TeamOut),
    schemas.StaffIn: ("staff", schemas.StaffOut),
    schemas.PackageIn: ("packages", schemas.PackageOut),
    schemas.ContractIn: ("contracts", schemas.ContractOut),
}
_PATHS: Final[dict[type[schemas.Versioned], str]] = {
    schemas.ResidentOut: "residents",
    **{out: path for path, out in _OUT.values()},
}


class Suifang(CareCalls, OfficeCalls):
    """A client. A context manager; not for several threads at once.

    Every method raises ``ProblemError`` when the API refuses and ``UnreachableError`` when it does
    not answer, however often it was asked (``patience``).

    Args:
        address: Of the API, such as ``https://suifang.example``.
        credential: A token, or an API key.
        patience: How often and how long to try.
        transport: Of httpx; for tests and proxies.
    """

    def __init__(
        self,
        address: str,
        credential: str,
        *,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(
            Transport(address, credential, patience=patience or Patience(), transport=transport)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._ask.client.close()

    # --- the register ----------------------------------------------------------------------------

    def put(
        self, id_: str, content: schemas.Content, *, version: int | None = None
    ) -> schemas.Versioned:
        """Write a centre, a team, staff, a package or a contract, whole, under your own id.

        Args:
            id_: As you call it.
            content: What it shall be.
            version: The one it replaces, if that matters; 0: there is none yet.
        """
        path, out = _OUT[type(content)]
        return self._put(path, id_, content, version, out)

    def put_resident(
        self, id_: str, content: schemas.ResidentIn, *, version: int | None = None
    ) -> schemas.ResidentOut:
        """Write a resident, whole; ``personal`` stays as it is when it is None."""
        return self._put("residents", id_, content, version, schemas.ResidentOut)

    def _put(
        self, path: str, id_: str, content: BaseModel, version: int | None, out: type[ModelT]
    ) -> ModelT:
        headers = {}
        if version is not None:
            headers = {"If-Match": f'"{version}"'} if version else {"If-None-Match": "*"}
        return self._write("PUT", at(path, id_), out, content, headers)

    def get(self, id_: str, out: type[VersionedT]) -> VersionedT:
        """One of them as it stands: ``get("c-1", CentreOut)``."""
        return self._read(at(_PATHS[out], id_), out)

    def list_all(self, out: type[VersionedT], **filters: str | None) -> Iterator[VersionedT]:
        """All of a kind in order of id: ``list_all(TeamOut, centre="c-1")``."""
        return self._pages(at(_PATHS[out]), out, filters)

    def list_history(self, id_: str, out: type[schemas.Versioned]) -> Iterator[schemas.VersionOut]:
        """Every version that there ever was."""
        return self._pages(at(_PATHS[out], id_, "history"), schemas.VersionOut, {})

    def read_personal_data(self, id_: str) -> schemas.PersonalOut:
        """Name and ID number of a resident, for who may see them. On record."""
        return self._read(at("residents", id_, "personal-data"), schemas.PersonalOut)

    def erase_personal_data(self, id_: str) -> None:
        """Destroy the key to a resident's name and ID number, for good."""
        self._delete(at("residents", id_, "personal-data"))

    def get_resident(self, id_: str) -> schemas.ResidentOut:
        """One resident as it stands."""
        return self._read(at("residents", id_), schemas.ResidentOut)

    def list_residents(self, **filters: str | None) -> Iterator[schemas.ResidentOut]:
        """Residents in order of id; ``team``, ``centre``."""
        return self._pages("/v1/residents", schemas.ResidentOut, filters)

    def write_residents(self, lines: Iterable[ResidentLine]) -> Iterator[dict[str, Any]]:
        """Write many; an outcome for each line, in order, at last the counts.

        Nothing is held: lines are taken as they are sent. It is not tried again by itself; do, with
        the same lines: what stands already is ``unchanged``. Raises ``UnreachableError`` also when
        the answer ends before the counts.
        """
        return self._write_lines("/v1/residents/bulk", lines)

    def write_contracts(self, lines: Iterable[ContractLine]) -> Iterator[dict[str, Any]]:
        """The same of contracts, whose residents and packages must be there."""
        return self._write_lines("/v1/contracts/bulk", lines)

    def write_centres(self, lines: Iterable[CentreLine]) -> Iterator[dict[str, Any]]:
        """The same of centres."""
        return self._write_lines("/v1/centres/bulk", lines)

    def write_teams(self, lines: Iterable[TeamLine]) -> Iterator[dict[str, Any]]:
        """The same of teams, whose centres must be there."""
        return self._write_lines("/v1/teams/bulk", lines)

    def write_staff(self, lines: Iterable[StaffLine]) -> Iterator[dict[str, Any]]:
        """The same of staff, whose centres and teams must be there."""
        return self._write_lines("/v1/staff/bulk", lines)

    def write_packages(self, lines: Iterable[PackageLine]) -> Iterator[dict[str, Any]]:
        """The same of packages."""
        return self._write_lines("/v1/packages/bulk", lines)

    def _write_lines(self, path: str, lines: Iterable[AnyLine]) -> Iterator[dict[str, Any]]:
        content = (json.dumps({**plain(line), "id": line.id}).encode() + b"\n" for line in lines)
        counted = False
        kind = {"Content-Type": "application/x-ndjson"}
        try:
            with self._ask.client.stream("POST", path, content=content, headers=kind) as answer:
                for line in require_success(answer).iter_lines():
                    outcome: dict[str, Any] = json.loads(line)
                    counted = "lines" in outcome
                    yield outcome
        except httpx.TransportError as error:
            msg = f"{path}: {type(error).__name__}: {error}"
            raise UnreachableError(msg) from error
        if not counted:
            msg = f"{path}: the answer ended before the counts; send the same again"
            raise UnreachableError(msg)

    # --- what is to be done ---------------------------------------------------------------------

    def list_cases(self, **filters: str | bool | None) -> Iterator[CaseOut]:
        """Cases; ``team``, ``condition``, ``state``, ``overdue``, ``sort`` and the like."""
        return self._pages("/v1/cases", CaseOut, filters)

    def list_alerts(self, **filters: str | None) -> Iterator[AlertOut]:
        """Alerts, newest first; ``team``, ``status``, ``severity`` and the like."""
        return self._pages("/v1/alerts", AlertOut, filters)

    def list_readings(
        self, resident_id: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[ReadingOut]:
        """Readings of one resident by time; values are exact."""
        filters = {"from": since and since.isoformat(), "to": until and until.isoformat()}
        return self._pages(at("residents", resident_id, "readings"), ReadingOut, filters)

    # --- the feed -------------------------------------------------------------------------------

    def follow(
        self, after: int, *, types: Sequence[str] = (), until_head: bool = False
    ) -> Iterator[Told]:
        """Everything that was told above ``after``, in order; then waits for more.

        Args:
            after: The last ``Told.next_after`` that you have dealt with; 0: from the beginning.
            types: Only these, such as ``case.changed``.
            until_head: End where the feed ends now.
        """
        return follow(self._ask, after=after, types=types, until_head=until_head)
