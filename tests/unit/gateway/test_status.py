"""The status says what an operator must know, soon enough, and survives a disk that is full."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.enrolment.folder import Identity
from gateway.errors import SpoolError
from gateway.fleet import DeviceSettings, Fleet
from gateway.spool_depth import SpoolDepth
from gateway.state_file import read_state, state_path, write_state
from gateway.status import Sources, StatusReporter
from gateway.wire.status import ClockStatus, Status, as_instant, parse_status
from gateway.wire.topics import Channel
from tests.unit.gateway.gateway_builders import NOON, HandClock, some_settings

EMPTY = SpoolDepth(gateway="g1", rows=0, bytes=0, oldest_captured_at=None, counters={"accepted": 0})
DEVICES = (
    DeviceSettings(id="cuff-1", calibrated_on=date(2026, 1, 1), calibration_interval_days=90),
    DeviceSettings(id="cuff-2"),
)


@dataclass
class Box:
    """A gateway's parts as far as the status asks them."""

    folder: Path
    clock: HandClock = field(default_factory=HandClock)
    depth: SpoolDepth = EMPTY
    refusing: str | None = None
    known: bool = True
    unheard: bool = False
    identity: Identity | None = None
    connected: bool = True
    broken: bool = False
    sent: list[Status] = field(default_factory=list)

    def publish(self, channel: Channel, payload: bytes, *, retain: bool = False) -> int | None:
        """Hear what is said."""
        assert channel == "status"
        assert retain
        self.sent.append(parse_status(payload))
        return 1

    def reporter(self, **settings: Any) -> StatusReporter:  # noqa: ANN401 - any setting
        """A reporter of this box."""

        async def depth() -> SpoolDepth:
            await asyncio.sleep(0)
            if self.broken:
                msg = "it cannot be read"
                raise SpoolError(msg)
            return self.depth

        fleet = Fleet(DEVICES)
        self.fleet = fleet
        sources = Sources(
            depth=depth,
            refusing=lambda: self.refusing,
            clock=lambda: ClockStatus(known=self.known, synchronised=self.known),
            unheard=lambda: self.unheard,
            identity=lambda: self.identity,
            results=list,
            fleet=fleet,
        )
        return StatusReporter(
            some_settings(self.folder, **settings),
            sources,
            self.clock,
            monotonic_s=self.clock.monotonic_s,
        )


async def until(box: Box, count: int) -> None:
    async with asyncio.timeout(20):
        while len(box.sent) < count:  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.01)


async def test_all_that_is_wrong_is_named(tmp_path: Path) -> None:
    box = Box(tmp_path, refusing="spool_full", known=False, unheard=True)
    box.depth = replace(EMPTY, rows=8, oldest_captured_at=NOON - timedelta(hours=5))
    reporter = box.reporter(spool_rows_max=10)
    box.fleet.seen("cuff-2", NOON, battery_percent=20)

    await reporter.report(box)

    (said,) = box.sent
    assert said.problems == [
        *("refusing", "spool_filling", "clock_unknown", "unheard", "battery_low"),
        "calibration_due",
    ]
    assert said.spool is not None
    assert (said.spool.rows, said.spool.oldest_age_s) == (8, 18_000)
    assert [d.id for d in said.devices] == ["cuff-1", "cuff-2"]


async def test_what_waits_too_long_and_what_a_disk_lost_are_named(tmp_path: Path) -> None:
    box = Box(tmp_path)
    waiting = replace(EMPTY, rows=1, oldest_captured_at=NOON - timedelta(hours=25))
    box.depth = replace(waiting, counters={"accepted": 3, "lost": 2})

    await box.reporter().report(box)
    await box.reporter(spool_warn_h=26).report(box)

    assert "spool_old" in box.sent[0].problems
    assert "readings_lost" in box.sent[0].problems
    assert "spool_old" not in box.sent[1].problems


@pytest.mark.parametrize(
    ("day", "problems"),
    [
        (date(2026, 3, 1), []),
        (date(2026, 3, 2), ["calibration_due"]),
        (date(2026, 4, 1), ["calibration_due"]),  # Due on this very day: still valid.
        (date(2026, 4, 2), ["calibration_overdue"]),
    ],
    ids=str,
)
async def test_a_calibration_is_told_before_it_ends_and_after(
    tmp_path: Path, day: date, problems: list[str]
) -> None:
    box = Box(tmp_path)
    box.clock.at = NOON.replace(year=day.year, month=day.month, day=day.day)

    await box.reporter().report(box)

    assert box.sent[0].problems == problems


@pytest.mark.parametrize(
    ("days_left", "problems"),
    [(91, []), (30, []), (15.1, []), (15, ["certificate_ending"]), (0, ["certificate_ended"])],
)
async def test_a_certificate_that_is_not_renewed_is_told_before_it_ends(
    tmp_path: Path, days_left: float, problems: list[str]
) -> None:
    until = NOON + timedelta(days=days_left)
    box = Box(tmp_path)
    box.identity = Identity(
        gateway_id="g1",
        centre_id="c1",
        serial="1",
        valid_from=until - timedelta(days=90),
        valid_until=until,
    )
    box.clock.at = NOON
    reporter = box.reporter(calibration_warn_days=1)

    await reporter.report(box)

    assert box.sent[0].problems == problems
    assert box.sent[0].certificate_until == as_instant(until)


async def test_it_is_told_at_once_when_it_matters_and_otherwise_at_its_interval(
    tmp_path: Path,
) -> None:
    box = Box(tmp_path)
    reporter = box.reporter(status_interval_s=3_600)
    running = asyncio.create_task(reporter.run(box))
    await until(box, 1)

    for number, change in enumerate(("refusing", "known", "unheard"), start=2):
        setattr(box, change, "spool_full" if change == "refusing" else change == "unheard")
        await until(box, number)
    reporter.wake()
    await until(box, 5)
    box.clock.advance(3_599)
    await asyncio.sleep(1.2)  # Longer than a look: nothing may come of it.
    assert len(box.sent) == 5
    box.clock.advance(1)
    await until(box, 6)
    running.cancel()

    assert box.sent[-1].uptime_s == 3_600
    assert [s.refusing for s in box.sent[:2]] == [None, "spool_full"]


async def test_without_a_connection_it_is_kept_on_the_box_alone(tmp_path: Path) -> None:
    box = Box(tmp_path, connected=False)

    await box.reporter().report(box)

    assert box.sent == []
    state = read_state(state_path(tmp_path / "spool.db"))
    assert state is not None
    assert (state.status.online, state.process.alive) == (False, True)


async def test_the_will_says_offline_alone_and_the_farewell_says_the_rest(tmp_path: Path) -> None:
    box = Box(tmp_path)
    reporter = box.reporter()
    will = parse_status(reporter.describe_offline())
    await reporter.report(box)
    farewell = parse_status(reporter.describe_offline())

    assert will == Status(online=False)
    assert farewell == box.sent[0].model_copy(update={"online": False})


async def test_a_spool_that_cannot_be_read_from_beside_is_told_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    box = Box(tmp_path)
    reporter = box.reporter()
    box.broken = True
    for _ in range(3):
        await reporter.report(box)
    box.broken = False
    await reporter.report(box)

    assert [s.problems for s in box.sent] == [["spool_unreadable", "calibration_due"]] * 3 + [
        ["calibration_due"]
    ]
    assert len(caplog.records) == 1


async def test_a_state_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    box = Box(tmp_path)
    state_path(tmp_path / "spool.db").mkdir()
    reporter = box.reporter()

    for _ in range(3):
        await reporter.report(box)

    assert len(box.sent) == 3
    assert len(caplog.records) == 1


def test_a_state_is_whole_or_the_one_before_and_rubbish_is_none(tmp_path: Path) -> None:
    path = state_path(tmp_path / "spool.db")
    assert read_state(path) is None

    write_state(path, Status(online=True))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600

    whole = path.read_text()
    for cut in range(len(whole)):
        path.write_text(whole[:cut])
        assert read_state(path) is None
    for rubbish in ("[]", "{}", '{"process":{},"status":{}}', '{"process":1,"status":1}', "null"):
        path.write_text(rubbish)
        assert read_state(path) is None


def test_a_process_that_is_gone_is_not_taken_for_one_with_its_number(tmp_path: Path) -> None:
    path = state_path(tmp_path / "spool.db")
    write_state(path, Status(online=True))
    said = json.loads(path.read_text())

    for change in ({"started": "1"}, {"boot": "another"}, {"pid": 2**22 + 1}, {"started": ""}):
        path.write_text(json.dumps(said | {"process": said["process"] | change}))
        state = read_state(path)
        assert state is not None
        assert not state.process.alive
