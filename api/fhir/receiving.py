"""Receives what other systems send, in one transaction: residents, identifiers, readings.

    as the principal   residents that are new; whether subjects are theirs to write about
    as ingest          identifiers claimed, then readings through ``ingest.reception``

The sender is an enrolled gateway by the name of the credential, so that where readings come from,
who may send, and the conservation law are as for every other sender. It must never map a value:
that is ``incoming``. Invariants: an identifier stands for one reading of one sender for ever; an
entry that is refused is told with its path; of a strict Bundle all is stored, or nothing.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from api.auth.principal import Principal, Reach
from api.auth.session import become_intake
from api.errors import ForbiddenError
from api.fhir import ids, intake_queries
from api.fhir.codes import Json
from api.fhir.incoming.elements import Unmappable
from api.fhir.incoming.entries import Entry, describe, issues_of
from api.fhir.incoming.observation import Draft, map_observation
from api.fhir.newcomers import Newcomers
from api.registry.writing import as_tuples
from api.services import Services
from gateway.wire.topics import NAME_PATTERN, Topic
from ingest.db.connections import Connection

_NAME: Final = re.compile(NAME_PATTERN)
_MACHINE: Final = "client:"


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one entry."""

    status: int
    type: str = ""
    id: str | None = None  # Logical.
    issues: list[Json] = field(default_factory=list)

    @property
    def is_refused(self) -> bool:
        """Nothing of it is stored."""
        return self.status >= HTTPStatus.BAD_REQUEST


class _TakenBackError(Exception):
    """All is rolled back: something of a strict Bundle was refused."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """An Observation on its way to ingest."""

    place: int
    draft: Draft
    id: UUID
    raw: bytes


def sender_of(principal: Principal) -> str:
    """The gateway that a credential sends as. Raises ``ForbiddenError``."""
    name = principal.subject.removeprefix(_MACHINE)
    if not _NAME.fullmatch(name):
        msg = f"{name!r} cannot be a gateway's name, so nothing is received of it"
        raise ForbiddenError(msg)
    return name


@lru_cache(maxsize=4)
def _profiles(profile: str, directory: Any) -> Any:  # noqa: ANN401 - loaded only when needed
    from ingest.reception import Profiles  # noqa: PLC0415 - with numpy

    return Profiles(profile, directory)


async def receive(
    running: Services, principal: Principal, entries: Sequence[Entry], *, strict: bool
) -> list[Outcome]:
    """Store entries of one sender, and say what became of each, in their order.

    Args:
        running: The process.
        principal: The sender.
        entries: As ``incoming.entries`` has read them.
        strict: If one is refused, nothing is stored.

    Raises:
        ForbiddenError: The sender is not enrolled, or of another centre.
        UnavailableError: Sending the same again is safe.
    """
    settings = running.settings
    profiles = await asyncio.to_thread(_profiles, settings.fhir.profile, settings.profile_directory)
    at = running.clock()
    receiver = _Receiver(principal, sender_of(principal), entries, at)
    try:
        async with running.database.writing(principal, at=at) as connection:
            with as_tuples(connection) as tuples:
                await receiver.run(tuples, profiles)
            if strict:
                receiver.require_all()
    except _TakenBackError:
        pass  # The outcomes say why.
    return receiver.outcomes


class _Receiver:
    """One transaction."""

    def __init__(
        self, principal: Principal, gateway: str, entries: Sequence[Entry], at: datetime
    ) -> None:
        self._principal = principal
        self._gateway = gateway
        self._entries = entries
        self._at = at
        self.outcomes = [Outcome(status=422, type=entry.type) for entry in entries]

    async def run(self, connection: Connection, profiles: Any) -> None:  # noqa: ANN401 - ingest's
        for entry, outcome in zip(self._entries, self.outcomes, strict=True):
            if entry.problem is not None:
                outcome.issues += issues_of(entry.problem)
        await self._write_residents(connection)
        ready = await self._map(connection)
        await become_intake(connection)
        topic = await self._topic(connection)
        ready = await self._claim(connection, ready)
        await self._store(connection, ready, topic, profiles)

    def require_all(self) -> None:
        """Take everything back unless all of it is stored."""
        if any(outcome.is_refused for outcome in self.outcomes):
            raise _TakenBackError

    async def _write_residents(self, connection: Connection) -> None:
        """Who is not there yet; whoever is stays as they are."""
        newcomers = Newcomers(self._principal, self._at)
        for entry, outcome in zip(self._entries, self.outcomes, strict=True):
            if entry.person is None or entry.problem is not None:
                continue
            try:
                outcome.status = await newcomers.write(connection, entry.resource, entry.person)
            except Unmappable as problem:
                outcome.issues += issues_of(problem)
                continue
            outcome.id = ids.to_fhir(entry.person.resident.id)
            if outcome.status == HTTPStatus.CREATED and entry.person.not_kept:
                said = f"not kept: {', '.join(entry.person.not_kept)}"
                outcome.issues.append(
                    describe(
                        entry.resource.path, said, severity="information", code="informational"
                    )
                )

    @staticmethod
    def _refuse(outcome: Outcome, path: str, said: str, code: str = "value") -> None:
        outcome.issues.append(describe(path, said, code=code))
        outcome.id = None

    async def _map(self, connection: Connection) -> list[_Ready]:
        named = {entry.resident_id for entry in self._entries if entry.resident_id is not None}
        seen = await intake_queries.find_seen(connection, sorted(named))
        ready = []
        for place, entry in enumerate(self._entries):
            if entry.resident_id is None or entry.problem is not None:
                continue
            try:
                if entry.resident_id not in seen:
                    path = f"{entry.resource.path}.subject"
                    raise Unmappable(path=path, value="", remedy="no such resident, or not yours")  # noqa: TRY301
                draft = map_observation(
                    entry.resource,
                    resident_id=entry.resident_id,
                    gateway=self._gateway,
                    now=self._at,
                )
            except Unmappable as problem:
                self.outcomes[place].issues += issues_of(problem)
                continue
            ready.append(_Ready(place, draft, *draft.seal(self._gateway)))
        return ready

    async def _topic(self, connection: Connection) -> Topic:
        centre = await intake_queries.find_centre(connection, self._gateway)
        principal = self._principal
        if centre is None:
            msg = f"{self._gateway} is not enrolled as a gateway; the operator does: suifang load"
            raise ForbiddenError(msg)
        if principal.reach is not Reach.ALL and centre not in principal.seen_centre_ids:
            msg = f"the gateway {self._gateway} is of another centre than yours"
            raise ForbiddenError(msg)
        return Topic(centre=centre, gateway=self._gateway, channel="readings")

    async def _claim(self, connection: Connection, ready: Sequence[_Ready]) -> list[_Ready]:
        """Of an identifier that stands for another content nothing is stored.

        Nor do the other identifiers of the same entry stand for it then.
        """
        claims = {name: one.id for one in ready for name in one.draft.identifiers}
        stands, new = await intake_queries.claim(connection, self._gateway, claims, at=self._at)
        kept = []
        for one in ready:
            taken = [n for n in one.draft.identifiers if stands[n] != one.id]
            if taken:
                outcome = self.outcomes[one.place]
                outcome.status = 409
                path = f"{self._entries[one.place].resource.path}.identifier"
                said = f"{'|'.join(taken[0])!r} stands for an Observation with other content"
                self._refuse(outcome, path, said, "conflict")
            else:
                kept.append(one)
                new -= set(one.draft.identifiers)
        await intake_queries.release(connection, self._gateway, new)
        return kept

    async def _store(
        self,
        connection: Connection,
        ready: Sequence[_Ready],
        topic: Topic,
        profiles: Any,  # noqa: ANN401 - ingest's
    ) -> None:
        if not ready:
            return
        from ingest.reception import Item, receive  # noqa: PLC0415 - with numpy

        before = await intake_queries.find_known(connection, [one.id for one in ready])
        items = [Item(id=one.id, raw=one.raw) for one in ready]
        received = await receive(connection, topic, items, profiles, at=self._at)
        stored, refused = {}, []
        for one, what in zip(ready, received, strict=True):
            outcome = self.outcomes[one.place]
            if what.disposition == "refused":
                path = f"{self._entries[one.place].resource.path}{_PATHS.get(what.field, '')}"
                self._refuse(outcome, path, f"{what.reason}: {what.detail}", "business-rule")
                refused.append(one.id)
                continue
            new = what.disposition == "stored" and one.id not in before
            before.add(one.id)  # The same twice in one Bundle.
            outcome.status = 201 if new else 200
            outcome.id = str(what.reading_id)
            stored[one.id] = what.reading_id
        residents = {self._entries[one.place].resident_id for one in ready}
        await intake_queries.settle_claims(connection, self._gateway, stored, refused)
        await intake_queries.note(
            connection,
            self._principal.subject,
            sorted(each for each in residents if each is not None),
            sorted({str(id_) for id_ in stored.values()}),
            at=self._at,
        )


_PATHS: Final = {
    "systolic": ".component",
    "diastolic": ".component",
    "pulse": ".component",
    "glucose": ".valueQuantity.value",
    "unit": ".valueQuantity.code",
    "meal_context": ".component",
    "setting": ".component",
    "measured_at": ".effectiveDateTime",
    "id": ".effectiveDateTime",
}
"""Where the fields of the wire come from."""
