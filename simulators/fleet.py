"""A live fleet: N centres times M terminals, residents at random, at a given total rate.

Open loop: each terminal's send times are drawn beforehand (a Poisson process) and do not wait
for answers, so a slow gateway shows up as lateness and latency and never as less load. The
numbers are seeded; device times are the clock's. A cuff and a meter alternate among terminals.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from gateway.identity import pseudonym
from gateway.wire.times import Clock
from ingest.db.entities import ConditionName
from ingest.db.residents import DatedCondition, DeviceRecord, Population, Resident
from simulators.ledger import Ledger
from simulators.physiology import People, draw_blood_pressure, draw_glucose, make_people
from simulators.planned import Expected, Numeral, PlannedReading, encode_line
from simulators.residents import build_places, team_of
from simulators.series import SHANGHAI
from simulators.settings import TerminalLimits
from simulators.sites import Kind, Site, site_of
from simulators.tally import Tally
from simulators.terminals.tcp import Address
from simulators.traffic import Traffic, run_terminals

RESIDENTS_PER_TERMINAL: Final = 50
_GLUCOSE_EVERY: Final = 3  # Each third terminal is a meter.
_DIAGNOSES: Final[tuple[ConditionName, ...]] = ("hypertension", "diabetes")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """What a fleet does.

    Attributes:
        terminals: In all; dealt to the sites in turn.
        rate_per_s: Readings a second of all terminals together.
        duration_s: For how long.
        seed: Makes people, times and values.
        emergency_rate: Share of readings that are emergencies (assumption, not epidemiology).
        rehearsal: Distinguishes runs that share a database: part of boot ids.
    """

    terminals: int
    rate_per_s: float
    duration_s: float
    seed: int
    emergency_rate: float = 0.01
    rehearsal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """One terminal, its residents and its random numbers."""

    site: Site
    device_id: str
    kind: Kind
    cards: Sequence[str]
    people: People
    rows: Sequence[int]
    random: np.random.Generator


def card_numbers(plan: FleetPlan) -> list[str]:
    """The opaque card codes of the fleet's residents, in the order of its people."""
    size = plan.terminals * RESIDENTS_PER_TERMINAL
    return [f"SIM-{plan.seed:x}-{index:06x}" for index in range(size)]


def build_fleet_population(
    plan: FleetPlan, sites: Sequence[Site], *, key: bytes, today: date
) -> Population:
    """The fleet's places and people for the loader: birth dates, sex, diagnoses since a year."""
    cards, people = card_numbers(plan), _people(plan)
    places = build_places(sites)
    benches = _benches(plan, sites)
    a_year_ago = today - timedelta(days=365)
    return Population(
        centres=places.centres,
        teams=places.teams,
        gateways=places.gateways,
        devices=[
            DeviceRecord(
                id=bench.device_id,
                gateway_id=bench.site.gateway_id,
                kind=bench.kind,
                model="virtual",
            )
            for bench in benches
        ],
        residents=[
            Resident(
                id=pseudonym(key, card),
                team_id=team_of(card, sites),
                birth_date=today - timedelta(days=int(people.age_years[row] * 365.25)),
                sex="female" if people.female[row] else "male",
                conditions=[
                    DatedCondition(condition=name, since=a_year_ago)
                    for name in _DIAGNOSES
                    if getattr(people, name)[row]
                ],
            )
            for row, card in enumerate(cards)
        ],
    )


async def run_fleet(
    plan: FleetPlan,
    sites: Sequence[Site],
    gateways: Mapping[str, Address],
    ledger: Ledger,
    *,
    clock: Clock,
    on_progress: Callable[[Tally], None] | None = None,
    limits: TerminalLimits | None = None,
) -> Tally:
    """Run the fleet for its duration, then wait for the answers owed. Memory stays bounded.

    Raises:
        TerminalError: A gateway stays unreachable, or does not speak the protocol.
        LedgerError: The ledger cannot be written.
    """
    benches = _benches(plan, sites)
    return await run_terminals(
        [
            Traffic(
                device_id=bench.device_id,
                address=gateways[bench.site.gateway_id],
                readings=_plan_terminal(bench, plan, len(benches), clock),
            )
            for bench in benches
        ],
        ledger,
        clock=clock,
        stop_at=asyncio.get_running_loop().time() + plan.duration_s,
        on_progress=on_progress,
        limits=limits or TerminalLimits(),
    )


def _people(plan: FleetPlan) -> People:
    size = len(card_numbers(plan))
    return make_people(size, np.random.default_rng(plan.seed))


def _benches(plan: FleetPlan, sites: Sequence[Site]) -> list[_Bench]:
    cards, people = card_numbers(plan), _people(plan)
    at_site: dict[Site, list[int]] = {site: [] for site in sites}
    for row, card in enumerate(cards):
        at_site[site_of(card, sites)].append(row)
    seeds = np.random.SeedSequence([plan.seed, 1]).spawn(plan.terminals)
    benches = []
    for number, seed in enumerate(seeds):
        site, index = sites[number % len(sites)], number // len(sites)
        is_meter = index % _GLUCOSE_EVERY == _GLUCOSE_EVERY - 1
        benches.append(
            _Bench(
                site=site,
                device_id=f"{site.gateway_id}-live-{index + 1}",
                kind="glucose" if is_meter else "blood_pressure",
                cards=cards,
                people=people,
                rows=at_site[site],
                random=np.random.default_rng(seed),
            )
        )
    return benches


def _plan_terminal(
    bench: _Bench, plan: FleetPlan, terminals: int, clock: Clock
) -> Iterator[PlannedReading]:
    """Lazily plan one terminal's readings: due times first, values when they come up.

    The feeder asks for the next reading right after the last was offered, so the device time
    is set from the due time and not from the moment of asking.
    """
    mean_gap_s = terminals / plan.rate_per_s
    started = clock()
    due_s = float(bench.random.exponential(mean_gap_s))
    sequence = 0
    while due_s < plan.duration_s and bench.rows:
        sequence += 1
        measured_at = (started + timedelta(seconds=due_s)).astimezone(SHANGHAI)
        row = bench.rows[int(bench.random.integers(len(bench.rows)))]
        line = encode_line(
            {
                "device_id": bench.device_id,
                "device_sequence": sequence,
                "boot_id": f"fleet-{plan.rehearsal}",
                "card_number": bench.cards[row],
                "kind": bench.kind,
                "measured_at": measured_at.isoformat(timespec="milliseconds"),
                "setting": "office",
            }
            | _draw_values(bench, row, measured_at, plan.emergency_rate)
        )
        yield PlannedReading(
            gateway_id=bench.site.gateway_id,
            device_id=bench.device_id,
            card_number=bench.cards[row],
            line=line,
            expected=Expected.STORED,
            due_s=due_s,
        )
        due_s += float(bench.random.exponential(mean_gap_s))


def _draw_values(
    bench: _Bench, row: int, measured_at: datetime, emergency_rate: float
) -> dict[str, object]:
    hour = measured_at.hour + measured_at.minute / 60
    people, random = bench.people, bench.random
    if bench.kind == "glucose":
        value, context = draw_glucose(people, row, hour, random, emergency_rate=emergency_rate)
        return {"glucose": Numeral(value), "unit": "mmol/L", "meal_context": context}
    systolic, diastolic = draw_blood_pressure(
        people, row, hour, random, emergency_rate=emergency_rate
    )
    return {"systolic": systolic, "diastolic": diastolic, "unit": "mmHg"}
