"""A fleet keeps its rate whatever the gateway does, and sends only what the wire accepts."""

import json
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

from gateway.identity import pseudonym
from simulators.fleet import FleetPlan, build_fleet_population, run_fleet
from simulators.ledger import Ledger, read_ledger
from simulators.planned import refusal_of
from simulators.settings import TerminalLimits
from simulators.sites import sites_of
from tests.unit.simulators.gateways import UnreliableGateway

PLAN = FleetPlan(terminals=6, rate_per_s=200, duration_s=1.0, seed=5, rehearsal="t")
SITES = sites_of(["gateway-1", "gateway-2"])
KEY = b"k" * 32


def clock() -> datetime:
    return datetime(2026, 11, 23, 2, tzinfo=UTC)


async def test_the_planned_rate_is_sent_and_all_of_it_is_well_formed(tmp_path: Path) -> None:
    async with UnreliableGateway().listening() as gateway:
        with Ledger(tmp_path / "ledger") as book:
            tally = await run_fleet(
                PLAN,
                SITES,
                {site.gateway_id: gateway.address for site in SITES},
                book,
                clock=clock,
            )

    lines = [json.loads(line) for _, line in gateway.accepted]
    population = build_fleet_population(PLAN, SITES, key=KEY, today=date(2026, 11, 23))
    assert 140 < tally.taken < 270
    assert tally.taken == len(read_ledger(tmp_path / "ledger"))
    assert all(refusal_of(line) is None for _, line in gateway.accepted)
    assert {line["device_id"] for line in lines} == {
        f"gateway-{gateway}-live-{terminal}" for gateway in (1, 2) for terminal in (1, 2, 3)
    }
    assert Counter(line["kind"] for line in lines).keys() == {"blood_pressure", "glucose"}
    known = {resident.id for resident in population.residents}
    assert {pseudonym(KEY, line["card_number"]) for line in lines} <= known
    assert {line["device_id"] for line in lines} <= {d.id for d in population.devices}


async def test_the_same_seed_sends_the_same_values(tmp_path: Path) -> None:
    values: list[Counter[str]] = []
    for run in ("a", "b"):
        async with UnreliableGateway().listening() as gateway:
            with Ledger(tmp_path / run) as book:
                await run_fleet(
                    PLAN,
                    SITES,
                    {site.gateway_id: gateway.address for site in SITES},
                    book,
                    clock=clock,
                    limits=TerminalLimits(window_max=1_000),
                )
        sent = [line.decode() for _, line in gateway.accepted]
        # What is due near the end is not sent when the machine is late.
        early = [line for line in sent if json.loads(line)["measured_at"] < "2026-11-23T10:00:00.5"]
        values.append(Counter(early))

    assert values[0].total() > 50
    assert values[0] == values[1]
