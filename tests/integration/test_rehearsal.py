"""The engine of rehearsals: the real parts, one clock that is moved, nothing left behind."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from deploy.embedded.stack import Stack
from deploy.rehearsal.world import LEDGER, Setting, World, running
from gateway.identity import load_key, pseudonym
from gateway.wire.ids import new_id
from ingest.db.records import Record
from ingest.db.residents import DatedCondition, Population, Resident
from simulators.ledger import Truth
from simulators.planned import Expected, PlannedReading, encode_line
from simulators.reconcile import reconcile
from simulators.residents import build_places, team_id
from simulators.scenarios.happenings import (
    Enrolled,
    Garbled,
    GatewayStarted,
    Happening,
    LineBack,
    LineCut,
    Measured,
    Recorded,
)
from simulators.series import SHANGHAI
from simulators.sites import device_name, sites_of
from tests.fix_db import Database

BEGIN: Final = datetime(2026, 3, 2, tzinfo=SHANGHAI)
SITES: Final = sites_of(["gateway-1", "gateway-2"], 1)
CARD: Final = "REHEARSAL-1"


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return BEGIN + timedelta(days=day, hours=hour, minutes=minute)


def pressure(
    key: bytes, when: datetime, systolic: int, *, number: int, gateway: int = 1
) -> Measured:
    device = device_name(f"gateway-{gateway}", "blood_pressure", 0, counts=True)
    fields = {
        "device_id": device,
        "device_sequence": number,
        "boot_id": "rehearsal",
        "card_number": CARD,
        "kind": "blood_pressure",
        "measured_at": when.isoformat(),
        "systolic": systolic,
        "diastolic": 80,
        "unit": "mmHg",
        "setting": "office",
    }
    reading = PlannedReading(
        gateway_id=f"gateway-{gateway}",
        device_id=device,
        card_number=CARD,
        line=encode_line(fields),
        expected=Expected.STORED,
    )
    values = {name: fields[name] for name in ("systolic", "diastolic", "unit", "setting")}
    truth = Truth(resident_id=pseudonym(key, CARD), measured_at=when, fields=values)
    return Measured(at=when, reading=reading, truth=truth)


def somebody(key: bytes) -> Enrolled:
    places = build_places(SITES)
    since = date(2024, 1, 1)
    resident = Resident(
        id=pseudonym(key, CARD),
        team_id=team_id("centre-1", 0),
        birth_date=date(1970, 1, 1),
        conditions=[DatedCondition(condition="hypertension", since=since)],
    )
    return Enrolled(
        at=BEGIN,
        population=Population(
            centres=places.centres,
            teams=places.teams,
            gateways=places.gateways,
            devices=places.devices,
            residents=[resident],
        ),
    )


def a_fortnight(key: bytes) -> Iterator[Happening]:
    yield somebody(key)
    for site in SITES:
        yield GatewayStarted(at=BEGIN, site=site)
    yield pressure(key, at(0, 9), 152, number=1)
    yield LineCut(at=at(1, 8), gateway_ids=["gateway-2"])
    yield pressure(key, at(1, 10), 188, number=1, gateway=2)  # Known when the network is back.
    yield Garbled(at=at(1, 11), gateway_id="gateway-1", payload=b"\x00no batch")
    yield LineBack(at=at(1, 16), gateway_ids=["gateway-2"])
    visit = Record(
        id=new_id(at(2, 9)),
        resident_id=pseudonym(key, CARD),
        kind="referral_followup",
        at=at(2, 9),
        author="doctor",
        outcome="seen at the hospital",
    )
    yield Recorded(at=at(2, 9), record=visit)


async def rows(world: World, statement: str) -> list[tuple[object, ...]]:
    return await (await world.connection.execute(statement.encode())).fetchall()


async def test_a_fortnight_passes_in_virtual_time(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    setting = Setting(
        stack=stack, dsn=database.dsn, folder=tmp_path, begins_at=BEGIN, step=timedelta(minutes=15)
    )
    async with running(setting) as world:
        key = load_key(tmp_path / "pseudonym.key")
        await world.play(a_fortnight(key), until=at(14, 0))
        world.end_day()

        alerts = await rows(
            world,
            "SELECT code, status, raised_at FROM alert ORDER BY effective_at, code",
        )
        states = await rows(world, "SELECT state FROM resident_case WHERE state <> 'none'")
        quarantined = await rows(world, "SELECT reason FROM quarantine")
        spools = world.gateways.spools
    report = await asyncio.to_thread(reconcile, [tmp_path / LEDGER], spools, database.dsn)

    first, emergency = alerts
    assert first[:2] == ("BP_UNSATISFIED_1", "resolved")
    assert first[2] == at(0, 9, 15)
    assert emergency[:2] == ("BP_EMERGENCY", "resolved")
    assert isinstance(emergency[2], datetime)
    assert at(1, 16) <= emergency[2] <= at(1, 16, 15)
    assert states == [("referral_closed",)]
    assert quarantined == [("malformed_json",)]
    assert report.agrees, report.differences
    assert report.sent == report.taken == 2
    left = [thread.name for thread in threading.enumerate() if "gateway" in thread.name]
    assert not left
