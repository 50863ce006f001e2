"""A small fleet for the operators' pages: what is silent, what is due, and what nobody could judge.

Two centres. Statuses go in as ingest stores them, readings through its writer.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from api.local_days import LOCAL
from deploy.embedded.stack import Stack
from gateway.wire.status import ClockStatus, DeviceStatus, SpoolStatus, Status
from gateway.wire.times import utc_now
from ingest.db import gateway_status
from ingest.db.connections import Connection, connect
from ingest.db.residents import (
    Centre,
    DeviceRecord,
    GatewayRecord,
    Population,
    Resident,
    Team,
    load,
)
from tests.builders import a_batch, a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import cloned
from tests.integration.console_bench import Console, a_console
from tests.integration.judge_bench import HYPERTENSION, JudgeBench
from tests.roles import prepare_ingest

RESIDENT: Final = "r-5ec4e75ec4e75ec4e75ec4e7"
SECRET_VALUE: Final = "173"
ONLINE, SILENT, OFFLINE, UNHEARD = "gw-1", "gw-3", "gw-2", "sender"
CENTRES: Final = {ONLINE: "east", SILENT: "east", OFFLINE: "west", UNHEARD: "west"}
TERMINALS: Final = ("cuff-silent", "cuff-fine", "meter-unseen")


def a_status(now: datetime, *, online: bool = True, accepted: int = 0, rows: int = 0) -> Status:
    """What a gateway with three terminals says."""
    return Status(
        online=online,
        at=now,
        version="1.4.0",
        problems=["battery_low"] if online else [],
        spool=SpoolStatus(
            rows=rows,
            bytes=rows * 300,
            rows_max=1_000,
            bytes_max=10**6,
            oldest_captured_at=now - timedelta(minutes=4) if rows else None,
        ),
        clock=ClockStatus(known=True, synchronised=True, error_ms=8, offset_ms=-12),
        certificate_until=now + timedelta(days=200),
        counters={"accepted": accepted},
        devices=[
            DeviceStatus(
                id="cuff-fine",
                name="一楼血压计",
                last_seen=now - timedelta(minutes=2),
                battery_percent=14,
                clock_offset_s=-42,
                calibration_due=now.astimezone(LOCAL).date() + timedelta(days=9),
            ),
            DeviceStatus(id="cuff-silent", last_seen=now - timedelta(days=3), battery_percent=80),
        ],
    )


async def build_fleet(connection: Connection, now: datetime) -> None:
    """Places, boxes, and what they said."""
    await load(
        connection,
        Population(
            centres=[Centre(id="east", name="东街中心"), Centre(id="west", name="西门中心")],
            teams=[Team(id="east-1", centre_id="east", name="Team 1")],
            gateways=[GatewayRecord(id=name, centre_id=at) for name, at in CENTRES.items()],
            devices=[DeviceRecord(id="meter-unseen", gateway_id=ONLINE, kind="glucose")],
            residents=[Resident(id=RESIDENT, team_id="east-1", conditions=[HYPERTENSION])],
        ),
        at=now - timedelta(days=20),
    )
    await connection.execute("DELETE FROM due_mark")
    statuses: tuple[tuple[str, Status, datetime], ...] = (
        (ONLINE, a_status(now, accepted=9, rows=2), now + timedelta(hours=1)),  # For long tests.
        (SILENT, a_status(now - timedelta(hours=5)), now - timedelta(hours=5)),
        (OFFLINE, a_status(now - timedelta(hours=2)), now - timedelta(hours=2)),
        (OFFLINE, Status(online=False), now - timedelta(hours=1)),
    )
    for name, status, at in statuses:
        assert await gateway_status.put(connection, name, CENTRES[name], status, heard_at=at)


def a_reading(at: datetime, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of any type
    """A pressure of the one resident."""
    return a_blood_pressure(SECRET_VALUE, "95", at=at, resident_id=RESIDENT, **fields)


async def send(world: JudgeBench, now: datetime) -> None:
    """Of the first gateway five that are stored, one again, two that cannot be judged."""
    good = [a_reading(now - timedelta(minutes=n, hours=1)) for n in range(4)]
    good.append(a_glucose("6.1", at=now - timedelta(hours=2), resident_id=RESIDENT))
    again = {**good[0], "id": a_reading(now)["id"]}
    bad = [a_reading(now, unit="stone"), a_reading(now - timedelta(minutes=1), unit="stone")]
    await world.store(a_batch(*good), at=now)
    await world.store(a_batch(again, *bad), at=now)


@asynccontextmanager
async def an_operators_console(
    stack: Stack, template: str, **settings: str
) -> AsyncIterator[Console]:
    """The console before this fleet."""
    now = utc_now()
    with cloned(stack, template) as database:
        async with await connect(
            database.dsn, application_name="test", autocommit=True
        ) as connection:
            await build_fleet(connection, now)
            await prepare_ingest(connection)
            world = JudgeBench(connection, database, TestClock(now))
            await send(world, now)
            settings["API_OPERATIONS__BACKTEST_DSN"] = database.dsn_of("backtest")
            async with a_console(stack, database, world, **settings) as running:
                yield running
