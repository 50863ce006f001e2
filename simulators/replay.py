"""Plays a recording through virtual terminals: who sends what, when it was measured.

Only times move, never values: every value literal goes through unchanged. How times move:

- **All**: a resident's readings keep their order and intervals, but a gap above 90 days becomes
  90 days, and the last falls on the local day before the clock's (Asia/Shanghai), at its own
  time of day. Sent as RFC 3339 with the local offset.
- **Ghana** (``P0M``, ``P6M``, ``P12M`` after enrolment): months of 30 days, at 09:00.
- **Pregnancy** (day, and minutes since the series began): 09:00 of that day plus the minutes.
  The 470 booking readings have no day: 90 days before the first dated reading.
- **UCI** (wall clock without an offset): taken as Shanghai wall clock.
- **Synthea** (instants): wall clock at UTC+8. Its terminals do not number their readings, so
  its 49 exact duplicates meet the rule (device, device time, values). All others number them.
- **Dirty rows**: a date that can be read moves with the resident's clean readings; one that
  cannot goes as the text it is. They belong to the series whether they are sent or not.

What the recording calls mm[Hg] is mmHg; meals: see ``recordings``. The setting is office.
Deterministic: the same recording, clock day and gateways give the same lines in the same order.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import count
from typing import Final

from gateway.wire.times import Clock
from simulators.ledger import Ledger
from simulators.planned import Expected, PlannedReading, encode_line, refusal_of
from simulators.recordings import RecordedReading
from simulators.series import SHANGHAI, move_series, yesterday
from simulators.settings import TerminalLimits
from simulators.sites import Site, device_of, site_of
from simulators.tally import Tally
from simulators.terminals.tcp import Address
from simulators.traffic import Traffic, run_terminals

BOOT: Final = "replay"  # Plus the day, so that tomorrow's replay is another one.


def move_recording(
    recording: Sequence[RecordedReading], last_day: date
) -> list[tuple[datetime | None, RecordedReading]]:
    """Give every reading its moved time, in order of it; None where the time is unreadable.

    Unreadable times are ordered as the beginning of the last day; ties by row.
    """
    by_resident: defaultdict[str, list[RecordedReading]] = defaultdict(list)
    for reading in recording:
        by_resident[reading.card_number].append(reading)
    moved: list[tuple[datetime | None, RecordedReading]] = []
    for readings in by_resident.values():
        series = [reading for reading in readings if reading.unreadable_time is None]
        times = move_series([reading.at for reading in series], last_day)
        moved += zip(times, series, strict=True)
        moved += [(None, reading) for reading in readings if reading.unreadable_time is not None]
    start = datetime.combine(last_day, datetime.min.time(), tzinfo=SHANGHAI)
    return sorted(moved, key=lambda item: (item[0] or start, item[1].row))


def plan_replay(
    now: datetime,
    recording: Sequence[RecordedReading],
    sites: Sequence[Site],
    *,
    dirty: bool = True,
    limit: int | None = None,
    rate_per_s: float | None = None,
    speed: float | None = None,
) -> list[PlannedReading]:
    """Plan every line of a replay, in the order in which it was measured.

    Args:
        now: The clock, aware; only its local day matters.
        recording: See ``recordings``.
        sites: The gateways there are; each resident measures at one of them.
        dirty: Whether dirty rows are sent.
        limit: Send that many, the oldest first.
        rate_per_s: Readings a second in all; with neither: as fast as they are taken.
        speed: So many times as fast as they were measured; 1 is the original pace.
    """
    last_day = yesterday(now)
    boot = f"{BOOT}-{last_day.isoformat()}"
    sequences: defaultdict[str, count[int]] = defaultdict(lambda: count(1))
    seen: dict[bytes, int] = {}  # Line of a terminal that does not count -> index in the plan.
    plan: list[PlannedReading] = []
    began: datetime | None = None
    latest_s = 0.0
    for at, reading in move_recording(recording, last_day):
        if limit is not None and len(plan) >= limit:
            break
        if reading.dirty and not dirty:
            continue
        planned = _plan_one(at, reading, sites, boot, sequences)
        if planned.line in seen:
            first = seen[planned.line]
            twins = f"twins-{first}"
            plan[first] = replace(plan[first], twins=twins)
            planned = replace(planned, expected=Expected.DUPLICATE, twins=twins)
        elif not reading.counts:
            seen[planned.line] = len(plan)
        if began is None:
            began = at
        due_s = len(plan) / rate_per_s if rate_per_s else None
        if speed is not None:
            # One without a time goes with the one before.
            gone = (at - began).total_seconds() / speed if at and began else 0.0
            due_s = latest_s = max(gone, latest_s)
        plan.append(replace(planned, due_s=due_s))
    return plan


def _plan_one(
    at: datetime | None,
    reading: RecordedReading,
    sites: Sequence[Site],
    boot: str,
    sequences: Mapping[str, "count[int]"],
) -> PlannedReading:
    card, kind = reading.card_number, reading.kind
    site = site_of(card, sites)
    device_id = device_of(card, kind, site.gateway_id, counts=reading.counts)
    fields: dict[str, object] = {"device_id": device_id}
    if reading.counts:
        fields |= {"device_sequence": next(sequences[device_id]), "boot_id": boot}
    fields |= {
        "card_number": card,
        "kind": kind,
        "measured_at": at.isoformat() if at else reading.unreadable_time,
    }
    line = encode_line(fields | dict(reading.values))
    return PlannedReading(
        gateway_id=site.gateway_id,
        device_id=device_id,
        card_number=card,
        line=line,
        expected=Expected.QUARANTINED if refusal_of(line) else Expected.STORED,
    )


async def run_replay(
    plan: Iterable[PlannedReading],
    gateways: Mapping[str, Address],
    ledger: Ledger,
    *,
    clock: Clock,
    stop_after_s: float | None = None,
    on_progress: Callable[[Tally], None] | None = None,
    limits: TerminalLimits | None = None,
) -> Tally:
    """Send a plan, each terminal its own part in order, all at once.

    What is not sent after ``stop_after_s`` is not sent; answers still owed are waited for, at
    most ``drain_s_max``. Cancelled, it closes its connections; the ledger says what was sent.

    Raises:
        TerminalError: A gateway stays unreachable, or does not speak the protocol.
        LedgerError: The ledger cannot be written.
    """
    by_device: defaultdict[str, list[PlannedReading]] = defaultdict(list)
    for reading in plan:
        by_device[reading.device_id].append(reading)
    traffic = [
        Traffic(device_id=device_id, address=gateways[part[0].gateway_id], readings=part)
        for device_id, part in by_device.items()
    ]
    return await run_terminals(
        traffic,
        ledger,
        stop_at=None if stop_after_s is None else asyncio.get_running_loop().time() + stop_after_s,
        planned=sum(len(part) for part in by_device.values()),
        on_progress=on_progress,
        clock=clock,
        limits=limits or TerminalLimits(),
    )
