"""The people behind a replay and a fleet, as records for ``ingest.db.residents.load``.

Nothing here is a real identity: a card number is the recording's own opaque code. How dates
follow the moved readings, so that people are what they were when measured:

- a birth date moves with the resident's last reading (nobody turns 120 by a replay); where the
  source tells an age instead, it is the age at the first reading;
- a condition of unknown date holds since the day before the first reading;
- a pregnancy ends with the last reading;
- ``diabetes_insulin_treated`` (UCI's patients, type unknown) and ``diabetes_t2`` become
  ``diabetes``; ``prediabetes`` keeps its name and no rule reads it.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal

from gateway.identity import pseudonym
from ingest.db.entities import ConditionName
from ingest.db.residents import (
    Centre,
    DatedCondition,
    DeviceRecord,
    GatewayRecord,
    Population,
    Resident,
    Team,
)
from simulators import data
from simulators.recordings import RecordedReading, builtin_recording
from simulators.replay import move_recording
from simulators.series import yesterday
from simulators.sites import PAIRS_PER_GATEWAY, Kind, Site, device_name, site_of, stable_index

TEAMS_PER_CENTRE: Final = 4
_CONDITIONS: Final[dict[str, ConditionName]] = {
    "hypertension": "hypertension",
    "diabetes_insulin_treated": "diabetes",
    "diabetes_t2": "diabetes",
    "prediabetes": "prediabetes",
    "pregnant": "pregnant",
}
_SEXES: Final[dict[str, Literal["female", "male"]]] = {"female": "female", "male": "male"}
_MODELS: Final = {True: "virtual", False: "virtual, without a counter"}
_KINDS: Final[tuple[Kind, Kind]] = ("blood_pressure", "glucose")


def build_places(sites: Sequence[Site]) -> Population:
    """Centres, teams, gateways and the terminals a replay uses; no residents."""
    centres = sorted({site.centre_id for site in sites})
    return Population(
        centres=[Centre(id=centre_id, name=centre_id) for centre_id in centres],
        teams=[
            Team(id=team_id(centre_id, index), centre_id=centre_id, name=f"team {index + 1}")
            for centre_id in centres
            for index in range(TEAMS_PER_CENTRE)
        ],
        gateways=[GatewayRecord(id=site.gateway_id, centre_id=site.centre_id) for site in sites],
        devices=[
            DeviceRecord(
                id=device_name(site.gateway_id, kind, pair, counts=counts),
                gateway_id=site.gateway_id,
                kind=kind,
                model=_MODELS[counts],
            )
            for site in sites
            for kind in _KINDS
            for pair in range(PAIRS_PER_GATEWAY)
            for counts in (True, False)
        ],
    )


def team_id(centre_id: str, index: int) -> str:
    """Name of one team of a centre, counted from 0."""
    return f"{centre_id}-team-{index + 1}"


def team_of(card_number: str, sites: Sequence[Site]) -> str:
    """The team of this resident, at the centre where the resident measures."""
    centre_id = site_of(card_number, sites).centre_id
    return team_id(centre_id, stable_index(card_number, "team", TEAMS_PER_CENTRE))


def build_population(
    now: datetime,
    sites: Sequence[Site],
    *,
    key: bytes,
    recording: Sequence[RecordedReading] | None = None,
) -> Population:
    """Places and the 1,917 residents of ``real_residents``, as of a replay at ``now``.

    Args:
        now: The clock, aware; the same local day as the replay's.
        sites: The same as the replay's.
        key: The deployment's pseudonym key.
        recording: The built-in one unless given (so that it need not be read twice).
    """
    recording = builtin_recording() if recording is None else recording
    spans = _spans(recording, yesterday(now))
    places = build_places(sites)
    return Population(
        centres=places.centres,
        teams=places.teams,
        gateways=places.gateways,
        devices=places.devices,
        residents=list(_residents(spans, sites, lambda card: pseudonym(key, card))),
    )


class _Span:
    """First and last moved day of a resident, and the last day as recorded."""

    __slots__ = ("first", "last", "recorded_last")

    def __init__(self, first: date) -> None:
        self.first = first
        self.last = first
        self.recorded_last = date.min


def _spans(recording: Sequence[RecordedReading], last_day: date) -> dict[str, _Span]:
    spans: dict[str, _Span] = {}
    for at, reading in move_recording(recording, last_day):
        if at is None:
            continue
        span = spans.setdefault(reading.card_number, _Span(at.date()))
        span.last = at.date()
        if reading.at is not None:
            span.recorded_last = max(span.recorded_last, reading.at.date())
    return spans


def _residents(
    spans: dict[str, _Span], sites: Sequence[Site], name_of: Callable[[str], str]
) -> Iterable[Resident]:
    for row in data.read_rows("real_residents"):
        card = row["resident"]
        span = spans.get(card)
        if span is None:
            continue
        yield Resident(
            id=name_of(card),
            team_id=team_of(card, sites),
            birth_date=_birth_date(row["birth_date"], row["age"], span),
            sex=_SEXES.get(row["sex"]),
            conditions=_conditions(row["conditions"], span),
        )


def _birth_date(text: str, age: str, span: _Span) -> date | None:
    if text:
        return date.fromisoformat(text) + (span.last - span.recorded_last)
    if age:
        years = int(float(age))
        # The first of that month: the age is right, and 29 February needs no rule.
        return date(span.first.year - years, span.first.month, 1)
    return None


def _conditions(text: str, span: _Span) -> list[DatedCondition]:
    names = {_CONDITIONS[name] for name in text.split(";") if name}
    return [
        DatedCondition(
            condition=name,
            since=span.first - timedelta(days=1),
            until=span.last if name == "pregnant" else None,
        )
        for name in sorted(names)
    ]
