"""A full disk is an answer: busy, nothing lost, and everything goes on when there is room.

Where a small file system can be mounted it really is full, to the last byte; elsewhere SQLite
is told that its file may not grow, which it reports in the same way.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

from gateway.counters import read_counters
from gateway.errors import Busy
from gateway.spool import Spool
from tests.unit.gateway.gateway_builders import a_measurement, a_reading, open_door, some_settings
from tests.unit.gateway.test_publisher import at_work, until


class Disk(Protocol):
    """Something that can be full."""

    folder: Path

    def fill(self, spool: Spool) -> None:
        """Leave no room for the spool."""

    def free(self, spool: Spool) -> None:
        """Make room again."""


class SmallDisk:
    """A file system of three megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, _spool: Spool) -> None:
        """To the last byte."""
        file = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with suppress(OSError):
            while os.write(file, bytes(4_096)):
                pass
        os.close(file)

    def free(self, _spool: Spool) -> None:
        """Somebody cleans up."""
        self._ballast.unlink()


class TiedFile:
    """A file that may not grow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, spool: Spool) -> None:
        """No page more."""
        connection = spool._file.connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def free(self, spool: Spool) -> None:
        """As many as it likes."""
        spool._file.connection.execute("PRAGMA max_page_count = 1000000")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(command, capture_output=True, check=False).returncode
    )
    yield SmallDisk(folder) if mounted else TiedFile(folder)
    if mounted:
        subprocess.run(["umount", folder], check=True)


async def test_terminals_are_told_busy_and_taken_again_when_there_is_room(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    settings = some_settings(disk.folder, spool_free_bytes_min=1)
    async with open_door(settings) as door, door.terminal() as terminal:
        (first,) = await terminal.say(a_measurement())
        disk.fill(door.spool.spool)
        replies = await terminal.say(*[a_measurement(note="x" * 3_000)] * 400)
        disk.free(door.spool.spool)
        (last,) = await terminal.say(a_measurement())

    busy = [reply for reply in replies if "busy" in reply]
    assert busy
    assert {reply["busy"] for reply in busy} == {"disk_full"}
    assert "taken" in first
    assert "taken" in last
    counters = read_counters(settings.spool)
    assert counters.conserved
    assert counters.waiting == 2 + len(replies) - len(busy)
    assert "the disk is full: free it" in caplog.text
    assert "room again" in caplog.text


async def test_receipts_wait_for_room_and_are_not_lost(disk: Disk) -> None:
    async with at_work(disk.folder, spool_free_bytes_min=1) as bench:
        await bench.put(400)
        await until(lambda: bench.batches == [400])
        disk.fill(bench.spool.spool)
        taken = 400
        while count := await bench.spool.run(bench.spool.spool.put, [a_reading()] * 20):
            taken += count
        assert bench.spool.spool.shortage is Busy.DISK_FULL
        bench.publisher.on_taken()
        bench.broker.receipt(bench.payloads[0])

        disk.free(bench.spool.spool)

        answered = 1
        while bench.spool.waiting_rows:
            await bench.wait(0.1)
            for payload in bench.payloads[answered:]:
                bench.broker.receipt(payload)
                answered += 1
        await until(lambda: len(bench.broker.acknowledged) == answered)

    counters = read_counters(bench.settings.spool)
    assert (counters.confirmed_stored, counters.accepted, counters.waiting) == (taken, taken, 0)


async def test_a_full_disk_at_the_start_is_told(disk: Disk) -> None:
    with Spool(disk.folder / "spool.db", gateway="g1", rows_max=10, bytes_max=10**6) as spool:
        assert spool.put([a_reading()]) == 1
        disk.fill(spool)

    with Spool(
        disk.folder / "spool.db", gateway="g1", rows_max=10, bytes_max=10**6, free_bytes_min=2**62
    ) as spool:
        assert spool.put([a_reading()]) == 0
        assert spool.shortage is Busy.DISK_FULL
        assert spool.waiting_rows == 1
