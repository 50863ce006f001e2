"""Commands of ``suifang backup``: take, receive, watch, list, prune, restore, drill.

Exit codes: 0 done, 1 it failed (one line on stderr), 2 the command line is wrong.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.backup.checking import ask_progress, find_problems
from deploy.backup.drill import drill
from deploy.backup.errors import BackupError
from deploy.backup.restoring import restore
from deploy.backup.shelf import Shelf
from deploy.backup.taking import prune, receive, take
from deploy.backup.watching import watch
from deploy.embedded.errors import StackError
from gateway.wire.times import utc_now

app = typer.Typer(help="Back the database up, restore it, rehearse that.", no_args_is_help=True)


def _read_instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        msg = f"{text!r} is no instant with an offset; write 2026-11-30T17:15:00+08:00"
        raise typer.BadParameter(msg)
    return instant


Where = Annotated[
    Path,
    typer.Option("--shelf", envvar="SUIFANG_BACKUP_SHELF", help="Folder of the backups."),
]
Dsn = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="SUIFANG_BACKUP_DSN",
        help="PostgreSQL conninfo of a login with REPLICATION.",
    ),
]
MaybeDsn = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="SUIFANG_BACKUP_DSN",
        help="The same; the shelf's log is compared with this server's.",
    ),
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="INSTANT", help="Recover up to here; default: to the end."),
]
OfTimeline = Annotated[
    int | None,
    typer.Option("--timeline", metavar="N", min=1, help="Follow this one; default: the newest."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command("take")
def take_backup(shelf: Where, dsn: Dsn, *, as_json: AsJson = False) -> None:
    """Take a base backup of the whole server; progress on stderr."""
    with _failing_clearly():
        base = take(Shelf(shelf), dsn, utc_now, loud=sys.stderr.isatty())
    _say(
        base.as_dict(),
        f"{base.folder}: {base.bytes / 1e6:.1f} MB in {base.seconds} s",
        as_json=as_json,
    )


@app.command("receive")
def receive_log(shelf: Where, dsn: Dsn) -> None:
    """Receive the write-ahead log as it is written, until told to stop (run it by systemd)."""
    with _failing_clearly():
        receive(Shelf(shelf), dsn)


@app.command("watch")
def watch_shelf(
    shelf: Where,
    dsn: Dsn,
    *,
    host: Annotated[
        str, typer.Option(envvar="SUIFANG_BACKUP_METRICS_HOST", help="Where it listens.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="SUIFANG_BACKUP_METRICS_PORT", min=0, max=65_535)
    ] = 9467,
    every_s: Annotated[float, typer.Option(min=0.1, help="Seconds from look to look.")] = 30,
) -> None:
    """Tell Prometheus how the shelf is, until told to stop (run it by systemd)."""
    with _failing_clearly():
        watch(Shelf(shelf), dsn, host=host, port=port, every_s=every_s, report=_report)


@app.command("list")
def list_backups(
    shelf: Where,
    dsn: MaybeDsn = None,
    *,
    base_days_max: Annotated[
        int, typer.Option(min=1, help="The newest base backup may be so old.")
    ] = 8,
    as_json: AsJson = False,
) -> None:
    """Say what is there; exit 1 unless all of it is in order, up to the server's newest log."""
    with _failing_clearly():
        found = Shelf(shelf)
        bases, log = found.bases(), found.log()
        problems = find_problems(found, dsn, utc_now(), base_days_max=base_days_max)
    lines = [
        f"{base.folder.name}  {base.bytes / 1e6:10.1f} MB  ended {base.ended_at:%Y-%m-%dT%H:%M:%SZ}"
        for base in bases
    ]
    span = f", {log.segments[0]} to {log.segments[-1]}" if log.segments else ""
    lines.append(f"log: {len(log.segments)} segments, {log.bytes / 1e6:.1f} MB{span}")
    lines += [f"PROBLEM: {problem}" for problem in problems]
    lines += ["not compared with the server: name it with --database"] if dsn is None else []
    body = {
        "bases": [base.as_dict() for base in bases],
        "log": {"segments": len(log.segments), "bytes": log.bytes, "gaps": list(log.gaps)},
        "compared_with_server": dsn is not None,
        "problems": list(problems),
    }
    _say(body, "\n".join(lines), as_json=as_json)
    raise typer.Exit(1 if problems else 0)


@app.command("prune")
def prune_backups(
    shelf: Where,
    *,
    keep: Annotated[int, typer.Option(min=2, help="Base backups that stay.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Let old base backups go, and the log that only they needed."""
    with _failing_clearly():
        gone = [base.folder.name for base in prune(Shelf(shelf), keep)]
    _say({"gone": gone}, f"gone: {', '.join(gone) or 'nothing'}", as_json=as_json)


@app.command("restore")
def restore_backup(
    data: Annotated[Path, typer.Argument(help="The server's data folder: empty or absent.")],
    shelf: Where,
    *,
    at: At = None,
    timeline: OfTimeline = None,
    accept_loss: Annotated[
        bool,
        typer.Option("--accept-loss", help="As far as the log goes, though some is missing."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup into an empty data folder; the server's next start recovers it."""
    instant = _read_instant(at)
    if accept_loss and instant is not None:
        msg = "--accept-loss recovers as far as the log goes: leave --at out"
        raise typer.BadParameter(msg)
    with _failing_clearly():
        done = restore(
            *(Shelf(shelf), data, instant),
            report=_report,
            timeline=timeline,
            accept_loss=accept_loss,
            loud=sys.stderr.isatty(),
        )
    body = {
        "base": done.base.folder.name,
        "data": str(done.data),
        "bytes": done.bytes,
        "extract_seconds": done.extract_seconds,
        "verify_seconds": done.verify_seconds,
        "instant": done.instant.isoformat() if done.instant else None,
        "timeline": done.timeline,
    }
    text = (
        f"{done.base.folder.name} is in {data}, every file as it was backed up. Start the server: "
        f"it recovers to {at or 'the end of the log'} of timeline {done.timeline}. "
        "Then take a new base backup at once"
    )
    _say(body, text, as_json=as_json)


@app.command("drill")
def rehearse(
    shelf: Where,
    dsn: MaybeDsn = None,
    *,
    at: At = None,
    timeline: OfTimeline = None,
    scratch: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Has room for the whole database."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Restore into a folder of its own, start, look, verify, throw away. Changes no server."""
    instant = _read_instant(at)
    with _failing_clearly():
        behind = [] if dsn is None or instant else ask_progress(Shelf(shelf), dsn).problems
        if behind:
            raise BackupError(behind[0])
        done = drill(Shelf(shelf), instant, scratch=scratch, report=_report, timeline=timeline)
    lines = [
        f"{found.database}: revision {found.revision}, {found.readings} readings, newest "
        f"{found.newest_received_at or 'none'}, {'adds up' if found.conserved else 'DIFFERS'}"
        for found in done.databases
    ]
    body = done.as_dict()
    lines.append(
        f"{body['base']}: {body['base_bytes'] / 1e6:.1f} MB taken in {body['take_seconds']} s, "
        f"unpacked in {body['extract_seconds']} s, verified in {body['verify_seconds']} s, "
        f"recovered in {body['recover_seconds']} s; "
        f"log on the shelf {body['log_bytes'] / 1e6:.1f} MB"
    )
    _say(body, "\n".join(lines), as_json=as_json)
    raise typer.Exit(0 if all(found.conserved for found in done.databases) else 1)


def _report(step: str) -> None:
    typer.echo(f"suifang backup: {step}", err=True)


def _say(body: dict[str, Any], text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(body, indent=2) if as_json else text)


@contextmanager
def _failing_clearly() -> Iterator[None]:
    try:
        yield
    except (BackupError, StackError) as error:
        typer.echo(f"suifang backup: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(1) from error
