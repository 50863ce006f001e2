"""A live fleet: N centres times M terminals, residents at random, at a given total rate.

Open loop: each terminal's send times are drawn beforehand (a Poisson process) and do not wait
for answers, so a slow gateway shows up as lateness and latency and never as less load. The
numbers are seeded; device times are the clock's. A cuff and a meter alternate among terminals.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from gateway.identity import pseudonym
from gateway.wire.times import Clock
from ingest.db.residents import DeviceRecord, Population
from simulators.ledger import Ledger
from simulators.people.columns import (
    FASTING,
    MEALS,
    NO_GLUCOSE,
    POSTPRANDIAL,
    RANDOM,
    DayReadings,
    Sittings,
)
from simulators.people.population import list_residents
from simulators.people.town import Town, TownPlan, make_town
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
_GROWN_UP_YEARS: Final = 35
_BLOCK: Final = 64  # Readings drawn at once.
_FASTING_HOURS: Final = (5.0, 10.0)


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
    town: Town
    rows: Sequence[int]
    random: np.random.Generator


def build_fleet_population(
    plan: FleetPlan, sites: Sequence[Site], *, key: bytes, today: date
) -> Population:
    """The fleet's places and people for the loader, as they are on the day."""
    town = _make_town(plan, today)
    cards = town.traits.card_numbers
    places = build_places(sites)
    benches = _benches(plan, sites, today)
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
        residents=list_residents(
            town,
            today,
            name_of=lambda row: pseudonym(key, str(cards[row])),
            team_of=lambda row: team_of(str(cards[row]), sites),
        ),
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
    benches = _benches(plan, sites, clock().astimezone(SHANGHAI).date())
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


def _make_town(plan: FleetPlan, today: date) -> Town:
    return make_town(
        TownPlan(
            residents=plan.terminals * RESIDENTS_PER_TERMINAL,
            first_day=today,
            age_years_min=_GROWN_UP_YEARS,
            card_prefix=f"SIM-{plan.seed:x}",
        ),
        plan.seed,
    )


def _benches(plan: FleetPlan, sites: Sequence[Site], today: date) -> list[_Bench]:
    town = _make_town(plan, today)
    at_site: dict[Site, list[int]] = {site: [] for site in sites}
    for row, card in enumerate(town.traits.card_numbers):
        at_site[site_of(str(card), sites)].append(row)
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
                town=town,
                rows=at_site[site],
                random=np.random.default_rng(seed),
            )
        )
    return benches


def _plan_terminal(
    bench: _Bench, plan: FleetPlan, terminals: int, clock: Clock
) -> Iterator[PlannedReading]:
    """Lazily plan one terminal's readings, a block at a time.

    The feeder asks for the next reading right after the last was offered, so the device time
    is set from the due time and not from the moment of asking.
    """
    mean_gap_s = terminals / plan.rate_per_s
    started = clock()
    due_s, sequence = 0.0, 0
    while bench.rows:
        dues = due_s + np.cumsum(bench.random.exponential(mean_gap_s, _BLOCK))
        times = [(started + timedelta(seconds=each)).astimezone(SHANGHAI) for each in dues]
        readings = _draw_readings(bench, times, plan.emergency_rate)
        for index, (due_s, measured_at) in enumerate(zip(dues.tolist(), times, strict=True)):
            if due_s >= plan.duration_s:
                return
            sequence += 1
            card = str(bench.town.traits.card_numbers[readings.row[index]])
            line = encode_line(
                {
                    "device_id": bench.device_id,
                    "device_sequence": sequence,
                    "boot_id": f"fleet-{plan.rehearsal}",
                    "card_number": card,
                    "kind": bench.kind,
                    "measured_at": measured_at.isoformat(timespec="milliseconds"),
                    "setting": "office",
                }
                | _values(readings, index)
            )
            yield PlannedReading(
                gateway_id=bench.site.gateway_id,
                device_id=bench.device_id,
                card_number=card,
                line=line,
                expected=Expected.STORED,
                due_s=due_s,
            )


def _draw_readings(bench: _Bench, times: Sequence[datetime], emergency_rate: float) -> DayReadings:
    """One reading of somebody at each time. The people are as of the day the fleet began."""
    size, random, is_meter = len(times), bench.random, bench.kind == "glucose"
    hour = np.array([at.hour + at.minute / 60 for at in times])
    fasting = (hour >= _FASTING_HOURS[0]) & (hour < _FASTING_HOURS[1])
    later = np.where(random.random(size) < 0.5, POSTPRANDIAL, RANDOM)  # noqa: PLR2004 - half
    sittings = Sittings(
        row=np.array(bench.rows)[random.integers(len(bench.rows), size=size)],
        hour=hour,
        office=np.ones(size, np.bool_),
        pressures=np.full(size, 0 if is_meter else 1),
        meal=np.where(fasting, FASTING, later) if is_meter else np.full(size, NO_GLUCOSE),
        manual=np.zeros(size, np.bool_),
    )
    day = bench.town.plan.first_day
    return bench.town.measure(sittings, day, random=random, severe_share=emergency_rate)


def _values(readings: DayReadings, index: int) -> dict[str, object]:
    meal = int(readings.meal[index])
    if meal != NO_GLUCOSE:
        value = Decimal(int(readings.glucose_tenths[index])).scaleb(-1)
        return {"glucose": Numeral(value), "unit": "mmol/L", "meal_context": MEALS[meal]}
    systolic, diastolic = readings.systolic_mmhg[index], readings.diastolic_mmhg[index]
    return {"systolic": int(systolic), "diastolic": int(diastolic), "unit": "mmHg"}
