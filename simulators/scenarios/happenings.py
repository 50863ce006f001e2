"""What can happen in a rehearsal: one small class each, dated, in the order in which it happens.

Whoever plays them (``deploy.rehearsal``) moves the clock to ``at`` and does it; what stands here
is all that a script, a made-up town or a doctor has to know of the engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, TypeAlias

from ingest.db.amendments import Changes
from ingest.db.records import Record
from ingest.db.residents import Population
from simulators.ledger import Truth
from simulators.planned import PlannedReading
from simulators.sites import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A terminal sends a reading."""

    at: datetime
    reading: PlannedReading
    truth: Truth | None = None
    label: str | None = None  # By which a later word about it names it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The contract system says something: people, diagnoses, packages, contracts, places."""

    at: datetime
    population: Population


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A doctor records something; ``record.at`` may be earlier than ``at``."""

    at: datetime
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChecked:
    """A doctor says that these had their health check on this day."""

    at: datetime
    resident_ids: Sequence[str]
    on: date
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Amended:
    """Somebody says that a labelled reading was not so, or none; all of a label's readings."""

    at: datetime
    label: str
    author: str
    changes: Changes | None = None  # None: it is retracted.


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbled:
    """A broken gateway publishes bytes that are no batch."""

    at: datetime
    gateway_id: str
    payload: bytes
    channel: Literal["readings", "backlog"] = "readings"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayStarted:
    """A gateway is switched on, with a clock that may be wrong."""

    at: datetime
    site: Site
    clock_ahead: timedelta = timedelta()
    clock_trusted: bool = True  # Whether it believes its own clock.


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCut:
    """The network between these gateways and the broker is gone."""

    at: datetime
    gateway_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBack:
    """It is there again."""

    at: datetime
    gateway_ids: Sequence[str]


Happening: TypeAlias = (
    Measured
    | Enrolled
    | Recorded
    | HealthChecked
    | Amended
    | Garbled
    | GatewayStarted
    | LineCut
    | LineBack
)
