"""``suifang gateway status``: how the gateway on this box is, running or not.

Exit 0: it runs and all is well. 1: it does not, or there is something to look at. 2: wrong
command line or configuration.
"""

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli_options import ConfigOption, JsonOption, chosen_config
from gateway.errors import SettingsError
from gateway.settings import settings_from
from gateway.status_report import BoxReport, Life, look_at_box
from gateway.wire.status import DeviceStatus, Status
from gateway.wire.times import utc_now

_INTERVAL_S = 60
_WRONG = 2
_LIVES = {
    Life.RUNNING: "it runs",
    Life.SILENT: "its process is there and has not reported for long: restart it",
    Life.DEAD: "it does not run; below is what it said last. systemctl start suifang-gateway",
    Life.NEVER: "it never reported beside this spool: was it started, is this its spool?",
}


def run_status(
    context: typer.Context,
    *,
    config: ConfigOption = None,
    spool: Annotated[Path | None, typer.Option(help="The spool's file, without settings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how the gateway of this box is, whether it runs or not."""
    interval_s = _INTERVAL_S
    if spool is None:
        try:
            settings = settings_from(os.environ, chosen_config(context, config))
        except SettingsError as error:
            typer.echo(f"suifang gateway status: {error}", err=True)
            raise typer.Exit(_WRONG) from None
        spool, interval_s = settings.spool, settings.status_interval_s
    report = look_at_box(spool, interval_s=interval_s, clock=utc_now)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        for line in _lines(report):
            typer.echo(line)
    if not report.healthy:
        raise typer.Exit(1)


def _lines(report: BoxReport) -> Iterator[str]:
    depth, state = report.depth, report.state
    name = depth.gateway if depth is not None else "gateway"
    said = "" if report.reported_at is None else f" (reported {_local(report.reported_at)})"
    yield f"{name}: {_LIVES[report.life]}{said}"
    if depth is None:
        yield f"spool         {report.spool_error}"
    else:
        oldest = depth.oldest_captured_at
        since = "" if oldest is None else f", the oldest of {_local(oldest)}"
        yield f"spool         {depth.rows:,} readings wait, {depth.bytes:,} bytes{since}"
        counted = ", ".join(f"{n} {v:,}" for n, v in sorted(depth.counters.items()) if v)
        yield f"counted       {counted or 'nothing yet'}"
    if state is not None:
        yield from _status_lines(state.status)


def _status_lines(status: Status) -> Iterator[str]:
    yield f"problems      {', '.join(status.problems) or 'none'}"
    yield f"broker        {'connected' if status.online else 'not connected'}"
    if status.refusing:
        yield f"terminals     are told busy: {status.refusing}"
    if status.clock is not None:
        clock = status.clock
        error = "" if clock.error_ms is None else f", at most {clock.error_ms} ms off"
        yield f"clock         {'known' if clock.known else 'not known'}{error}"
    if status.certificate_until is not None:
        yield f"certificate   good until {_local(status.certificate_until)}"
    yield f"version       {status.version}, up for {status.uptime_s} s at that time"
    for device in status.devices:
        yield f"device        {_device(device)}"
    if status.devices_unlisted:
        yield f"devices       {status.devices_unlisted} sightings of devices that are not listed"
    for result in status.commands:
        told = " ".join(filter(None, (result.outcome, result.code)))
        yield f"command       {_local(result.finished_at)} {result.command}: {told}"


def _device(device: DeviceStatus) -> str:
    seen = "never heard" if device.last_seen is None else f"heard {_local(device.last_seen)}"
    parts = [" ".join(filter(None, (device.id, device.name))), seen]
    if device.battery_percent is not None:
        parts.append(f"battery {device.battery_percent} %")
    if device.clock_offset_s is not None:
        parts.append(f"its clock {device.clock_offset_s:+d} s")
    if device.calibration_due is not None:
        parts.append(f"calibrated until {device.calibration_due}")
    return ", ".join(parts)


def _local(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
