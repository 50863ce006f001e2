"""The whole chain step by step, on the box, before and after it is left alone.

No reading is sent: the contract has none that would not be judged as a resident's. What a
reading needs is tried instead: the disk with a spool of its own that is thrown away, the broker
with this gateway's own status. A gateway that runs is not disturbed: at the broker two of one
name would throw each other out, so its own word is taken for those steps.
"""

import os
import socket
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from gateway.check import check
from gateway.errors import SpoolError
from gateway.kernel_time import read_kernel_time
from gateway.selftest_broker import try_broker
from gateway.settings import ClockTrust, GatewaySettings
from gateway.spool import Spool
from gateway.spooled import SpooledReading
from gateway.status_report import BoxReport, Life, look_at_box
from gateway.wire.ids import new_id
from gateway.wire.times import Clock

_SYNCS: Final = 20
_SLOW_S: Final = 0.2  # A terminal waits for one fsync; half of them slower is felt.
_FILE_PER_READING: Final = 1.3  # Bytes of the file for a byte of readings, with its log.
_WRITE: Final = b"x" * 4_096
_RADIOS: Final = Path("/sys/class/bluetooth")
_BUS: Final = Path("/run/dbus/system_bus_socket")


class Verdict(StrEnum):
    """How a step went."""

    GOOD = "good"
    DOUBTFUL = "doubtful"  # It will work; look at it.
    BAD = "bad"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what was found, and what to do about it."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {
            "step": self.name,
            "verdict": str(self.verdict),
            "found": self.found,
            "remedy": self.remedy,
        }


def run_selftest(environment: Mapping[str, str], file: Path | None, clock: Clock) -> Iterator[Step]:
    """Try everything, in the order in which one thing needs the other; tell each at once."""
    report = check(environment, file)
    errors = [finding for finding in report.findings if finding.level == "error"]
    warnings = [str(finding.problem) for finding in report.findings if finding not in errors]
    if errors:
        found = "; ".join(str(finding.problem) for finding in errors)
        yield Step(
            "configuration", Verdict.BAD, found, "suifang gateway check lists them one by one"
        )
    elif warnings:
        yield Step("configuration", Verdict.DOUBTFUL, "; ".join(warnings))
    else:
        yield Step("configuration", Verdict.GOOD, f"{report.file or 'the environment'}")
    settings = report.settings
    if settings is None:
        yield Step("everything else", Verdict.UNTRIED, "needs a configuration")
        return
    box = look_at_box(settings.spool, interval_s=settings.status_interval_s, clock=clock)
    yield _try_process(box)
    yield from _try_disk(settings)
    yield _try_clock(settings)
    yield _try_spool(settings, clock)
    yield _try_own_spool(settings, box)
    yield _try_listener(settings, box)
    if settings.ble.enabled:
        yield _try_radio(settings)
    yield from (
        Step(name, Verdict(verdict), found, remedy)
        for name, verdict, found, remedy in try_broker(settings, box, clock)
    )


def _try_process(box: BoxReport) -> Step:
    if box.life is Life.RUNNING:
        pid = box.state.process.pid if box.state is not None else 0
        return Step("gateway", Verdict.GOOD, f"runs as process {pid}")
    if box.life is Life.SILENT:
        return Step(
            "gateway",
            Verdict.BAD,
            "its process is there and has not reported for long",
            "systemctl restart suifang-gateway; the spool keeps everything",
        )
    return Step("gateway", Verdict.UNTRIED, "does not run; its part is played by this test")


def _try_disk(settings: GatewaySettings) -> Iterator[Step]:
    folder = _existing(settings.spool.parent)
    try:
        stats = os.statvfs(folder)
        took_s = sorted(_time_syncs(folder))
    except OSError as error:
        found = f"{folder}: {error.strerror}"
        yield Step("disk", Verdict.BAD, found, "mend or change the disk, check the folder's owner")
        return
    free = stats.f_bavail * stats.f_frsize
    used = sum(p.stat().st_size for p in folder.glob(f"{settings.spool.name}*") if p.is_file())
    needed = int(settings.spool_bytes_max * _FILE_PER_READING) + settings.spool_free_bytes_min
    said = f"{free:,} bytes free, {needed:,} needed for a full spool"
    if free + used < settings.spool_free_bytes_min:
        yield Step("disk space", Verdict.BAD, said, "free the disk: terminals are told busy")
    elif free + used < needed:
        remedy = "free the disk, or lower [spool] bytes_max to what it can hold"
        yield Step("disk space", Verdict.DOUBTFUL, said, remedy)
    else:
        yield Step("disk space", Verdict.GOOD, said)
    middle_s, worst_s = took_s[_SYNCS // 2], took_s[-1]
    said = f"{middle_s * 1_000:.1f} ms a write in the middle, {worst_s * 1_000:.1f} ms at worst"
    slow = middle_s > _SLOW_S
    remedy = "each reading waits for one: use a faster disk, or one that is not worn out"
    yield Step(
        "disk speed", Verdict.DOUBTFUL if slow else Verdict.GOOD, said, remedy if slow else ""
    )


def _time_syncs(folder: Path) -> Iterator[float]:
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            began_s = time.monotonic()
            os.write(file.fileno(), _WRITE)
            os.fsync(file.fileno())
            yield time.monotonic() - began_s


def _try_clock(settings: GatewaySettings) -> Step:
    if settings.clock_synchronised is not ClockTrust.AUTO:
        said = f"[clock] synchronised = {settings.clock_synchronised}: the operator's word"
        good = settings.clock_synchronised is ClockTrust.YES
        remedy = "" if good else "set it to auto where the box follows a time server"
        return Step("clock", Verdict.GOOD if good else Verdict.DOUBTFUL, said, remedy)
    kernel = read_kernel_time()
    if kernel.synchronised:
        return Step("clock", Verdict.GOOD, f"follows a time server, ±{kernel.error_s:.3f} s")
    return Step(
        "clock",
        Verdict.DOUBTFUL,
        "the kernel says that no time server is followed",
        "timedatectl set-ntp true, or install chrony; readings are sent as not synchronised",
    )


def _try_spool(settings: GatewaySettings, clock: Clock) -> Step:
    """A spool of its own on the same disk: put, frozen, closed, opened, confirmed, empty."""
    folder = _existing(settings.spool.parent)
    at = clock()
    raw = b'{"note":"selftest, never sent"}'
    try:
        with tempfile.TemporaryDirectory(prefix="selftest-", dir=folder) as place:
            path = Path(place) / "spool.db"
            with Spool(path, gateway=settings.id, rows_max=10, bytes_max=10_000) as spool:
                put = spool.put([SpooledReading(new_id(at), at, raw)])
                batch = spool.take_batch(new_id(at), at)
            with Spool(path, gateway=settings.id, rows_max=10, bytes_max=10_000) as spool:
                kept = spool.unreceipted()
                same = batch is not None and [b.payload for b in kept] == [batch.payload]
                for each in kept:
                    spool.confirm(each.id, stored=1, duplicate=0, quarantined=0)
                good = put == 1 and same and spool.waiting_rows == 0
    except (SpoolError, OSError, sqlite3.Error) as error:
        return Step("spool", Verdict.BAD, str(error), "check the disk and the folder's owner")
    if not good:
        found = "what was written is not what was read"
        return Step("spool", Verdict.BAD, found, "do not use this disk")
    return Step("spool", Verdict.GOOD, "a reading survives closing, and leaves on its receipt")


def _try_own_spool(settings: GatewaySettings, box: BoxReport) -> Step:
    if box.depth is None:
        if not settings.spool.exists():
            return Step("readings", Verdict.UNTRIED, "no spool yet: it is made at the first start")
        return Step("readings", Verdict.BAD, box.spool_error, "docs/gateway-spool.md")
    if box.depth.gateway != settings.id:
        found = f"the spool is that of gateway {box.depth.gateway}"
        return Step("readings", Verdict.BAD, found, "set [gateway] id or [spool] file")
    counters = box.depth.counters
    confirmed = sum(v for name, v in counters.items() if name.startswith("confirmed_"))
    lost = counters.get("lost", 0)
    said = f"{box.depth.rows:,} wait, {confirmed:,} were confirmed by ingest"
    if lost:
        remedy = "the disk did not keep what it said it kept: docs/gateway-spool.md"
        return Step("readings", Verdict.DOUBTFUL, f"{said}, {lost:,} lost", remedy)
    if not confirmed:
        remedy = "if readings wait for long: docs/runbooks/gateway-silent.md"
        return Step("readings", Verdict.GOOD, f"{said} so far", remedy if box.depth.rows else "")
    return Step("readings", Verdict.GOOD, said)


def _try_listener(settings: GatewaySettings, box: BoxReport) -> Step:
    host, port = settings.listen_host, settings.listen_port
    where = f"{host}:{port}"
    if box.life is Life.RUNNING:
        if port == 0:
            return Step("terminals", Verdict.UNTRIED, "any free port: the log says which one it is")
        try:
            socket.create_connection((host, port), timeout=settings.connect_s_max).close()
        except OSError as error:
            remedy = "systemctl status suifang-gateway; is it this configuration that it runs with?"
            return Step("terminals", Verdict.BAD, f"{where}: {error.strerror or error}", remedy)
        return Step("terminals", Verdict.GOOD, f"the gateway listens on {where}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # As asyncio's server does.
            door.bind(address)
    except OSError as error:
        remedy = "set [terminals] listen_host and listen_port, or stop what has that port"
        return Step("terminals", Verdict.BAD, f"{where}: {error.strerror or error}", remedy)
    return Step("terminals", Verdict.GOOD, f"{where} can be listened on")


def _try_radio(settings: GatewaySettings) -> Step:
    if settings.ble.backend:
        return Step("bluetooth", Verdict.UNTRIED, f"another radio: {settings.ble.backend}")
    radios = sorted(path.name for path in _RADIOS.glob("hci*"))
    if not radios:
        remedy = "plug one in, load its driver; in a container, hand /sys and D-Bus through"
        return Step("bluetooth", Verdict.BAD, "the kernel knows no Bluetooth radio", remedy)
    if not _BUS.exists():
        remedy = "apt install bluez dbus; systemctl start bluetooth"
        return Step("bluetooth", Verdict.BAD, f"{', '.join(radios)}, but no {_BUS}", remedy)
    return Step("bluetooth", Verdict.GOOD, f"{', '.join(radios)}; who is in reach shows the status")


def _existing(folder: Path) -> Path:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return there
