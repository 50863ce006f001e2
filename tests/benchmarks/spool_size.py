"""A million readings in the spool: room on the disk, time to open, speed of every operation.

``python -m tests.benchmarks.spool_size [--readings N] [--folder DIR]`` prints one JSON object. The
file is filled as the gateway fills it (groups that share an fsync), left as ``kill -9`` leaves
it, opened by a fresh process, and drained batch by batch. Exit 1 when a limit is broken.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.freezer import Stamp, freeze_reading
from gateway.identity import pseudonym
from gateway.spool import Spool
from gateway.spooled import SpooledReading
from gateway.wire.ids import new_id
from tests.benchmarks.machine import describe_machine

FILE_BYTES_MAX: Final = 600_000_000  # Of a million readings; the issue of the real gateway.
OPEN_S_MAX: Final = 2.0  # The same.
_AT: Final = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
_GROUP: Final = 1_000
_KEY: Final = b"k" * 32
_OPEN: Final = """
import resource, sys, time
from pathlib import Path
begun = time.perf_counter()
from datetime import UTC, datetime
from gateway.spool import Spool
from gateway.wire.ids import new_id
loaded = time.perf_counter()
with Spool(Path(sys.argv[1]), gateway="bench", rows_max=10**7, bytes_max=10**10) as spool:
    opened = time.perf_counter()
    rows = spool.waiting_rows
    batch = spool.take_batch(new_id(datetime.now(UTC)), datetime.now(UTC))
    first = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(loaded - begun, opened - loaded, first - opened, rows, peak)
"""


def main() -> int:
    """Measure; returns the exit code."""
    options = _parse(sys.argv[1:])
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="suifang-spool-") as folder:
        path = Path(folder) / "spool.db"
        found = {"machine": describe_machine(), "readings": options.readings}
        found |= _fill(path, options.readings)
        found |= _open(path)
        found |= _drain(path, min(options.readings, 100_000))
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    per_million = 1_000_000 / options.readings
    small = found["file_bytes"] * per_million <= FILE_BYTES_MAX
    return int(not small or found["open_s"] > OPEN_S_MAX)


def a_reading(number: int) -> SpooledReading:
    """As a centre's terminal sends it: claimed, with sequence, boot and both clocks."""
    at = _AT + timedelta(milliseconds=number)
    line = json.dumps(
        {
            "kind": "blood_pressure",
            "device_id": f"cuff-{number % 12}",
            "device_sequence": number,
            "boot_id": "b-20260302",
            "resident_id": pseudonym(_KEY, str(number % 5_000)),
            "measured_at": "2026-03-02T09:00:00+08:00",
            "device_now": "2026-03-02T09:00:04+08:00",
            "setting": "office",
            "systolic": 120 + number % 60,
            "diastolic": 70 + number % 30,
            "pulse": 72,
            "unit": "mmHg",
            "arm": "left",
            "posture": "sitting",
        },
        separators=(",", ":"),
    )
    stamp = Stamp(new_id(at), at, clock_synchronised=True)
    raw = freeze_reading(line.encode(), stamp, key=None)
    return SpooledReading(stamp.id, at, raw, clock_known=True)


def _fill(path: Path, readings: int) -> dict[str, Any]:
    """Fill the file in a process that ends without closing it."""
    child = os.fork()
    if child == 0:
        spool = Spool(path, gateway="bench", rows_max=10**7, bytes_max=10**10)
        for first in range(0, readings, _GROUP):
            group = [a_reading(n) for n in range(first, min(readings, first + _GROUP))]
            spool.put(group)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit("the file could not be filled")
    sizes = {file.name: file.stat().st_size for file in path.parent.iterdir()}
    raw = len(a_reading(readings - 1).raw)
    return {
        "reading_bytes": raw,
        "file_bytes": sum(sizes.values()),
        "files": sizes,
        "file_to_readings": round(sum(sizes.values()) / (raw * readings), 3),
    }


def _open(path: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", _OPEN, str(path)]
    rounds = []
    for _ in range(3):
        _forget_cache(path)
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rounds.append([float(word) for word in said.split()])
    loaded, opened, first, rows, peak = (max(column) for column in zip(*rounds, strict=True))
    return {
        "import_s": round(loaded, 3),
        "open_s": round(opened, 3),
        "first_batch_s": round(first, 4),
        "waiting": int(rows),
        "peak_bytes": int(peak),
    }


def _forget_cache(path: Path) -> None:
    """Have the file read from the disk again."""
    for file in path.parent.iterdir():
        opened = os.open(file, os.O_RDONLY)
        try:
            os.fsync(opened)
            os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(opened)


def _drain(path: Path, readings: int) -> dict[str, Any]:
    """Batch by batch with its confirmation; and single readings put, each with its fsync."""
    with Spool(path, gateway="bench", rows_max=10**7, bytes_max=10**10) as spool:
        begun, processor, drained = time.perf_counter(), time.process_time(), 0
        for batch in spool.unreceipted():
            spool.confirm(batch.id, stored=batch.readings, duplicate=0, quarantined=0)
        while drained < readings:
            found = spool.take_batch(new_id(_AT), _AT)
            if found is None:
                break
            spool.confirm(found.id, stored=found.readings, duplicate=0, quarantined=0)
            drained += found.readings
        took, spent = time.perf_counter() - begun, time.process_time() - processor
        singles = [a_reading(number) for number in range(500)]
        begun = time.perf_counter()
        for each in singles:
            spool.put([each])
        lone = (time.perf_counter() - begun) / len(singles)
        groups = [[a_reading(n) for n in range(_GROUP)] for _ in range(50)]
        begun = time.perf_counter()
        for group in groups:
            spool.put(group)
        together = time.perf_counter() - begun
    return {
        "drain_per_s": round(drained / took),
        "drain_cpu_us_each": round(spent / drained * 1e6, 1),
        "put_alone_ms": round(lone * 1_000, 2),
        "put_grouped_per_s": round(len(groups) * _GROUP / together),
    }


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.spool_size")
    parser.add_argument("--readings", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: TMPDIR)")
    options = parser.parse_args(arguments)
    if options.readings < 1:
        parser.error("--readings must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
