"""Takes base backups, keeps so many, and receives the write-ahead log as it is written.

It changes nothing at the server but one replication slot. An acknowledged reading is on the shelf
as soon as its log is: at once where the server waits for it (``synchronous_standby_names``), else
about a second later.
"""

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from deploy.backup.errors import BackupError
from deploy.backup.shelf import (
    SEGMENT_BYTES,
    Base,
    Shelf,
    first_segment_of,
    next_number,
    segment_name,
    write_record,
)
from deploy.backup.tools import (
    RECEIVER,
    TAKER,
    Slot,
    Tools,
    ask_server,
    ask_slot,
    environment,
    make_slot,
    without_password,
)
from gateway.wire.times import Clock


def take(shelf: Shelf, dsn: str, clock: Clock, *, loud: bool) -> Base:
    """Take a base backup of the running server. It holds the log it needs to be whole by itself.

    Args:
        shelf: Where to.
        dsn: Of a login with REPLICATION.
        clock: For its name, and for which instants it serves.
        loud: Progress goes to stderr.

    Raises:
        BackupError: The server cannot be reached, or the shelf is of another server.
    """
    server = ask_server(dsn)
    tools = Tools.of_major(server.major)
    strangers = {base.system for base in shelf.bases()} - {server.system}
    if strangers:
        msg = f"{shelf.root} holds backups of another server ({strangers.pop()}): name a new folder"
        raise BackupError(msg)
    _make_folders(shelf, tools, shelf.base_folder)
    began_at, began_s = clock(), time.monotonic()
    place = shelf.place_for(began_at)
    making = place.with_name(f".{place.name}")
    try:
        tools.run(
            tools.command(
                *("pg_basebackup", "--dbname", without_password(dsn, TAKER), "--pgdata", making),
                *("--format=tar", "--compress=client-gzip:1", "--wal-method=stream"),
                *("--checkpoint=fast", "--label", f"suifang {place.name}", "--no-password"),
                *(["--progress"] if loud else []),
            ),
            dsn=dsn,
            loud=loud,
        )
        others = {path.name for path in making.glob("*.tar.gz")} - {"base.tar.gz", "pg_wal.tar.gz"}
        if others:
            msg = "the server has tablespaces, which no restore of ours puts back: do without them"
            raise BackupError(msg)
        base = Base(
            folder=place,
            system=server.system,
            major=server.major,
            began_at=began_at,
            ended_at=clock(),
            seconds=round(time.monotonic() - began_s, 1),
            bytes=sum(path.stat().st_size for path in making.iterdir()),
            first_segment=first_segment_of(making / "backup_manifest"),
        )
        write_record(making, base)
        tools.own(making / "backup.json")
        making.rename(place)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return base


def prune(shelf: Shelf, keep: int) -> Sequence[Base]:
    """Let go all base backups but the newest so many, and the log that only they needed.

    Returns:
        What went.

    Raises:
        BackupError: There is nothing to keep.
    """
    bases = shelf.bases()
    kept, gone = bases[-keep:], bases[:-keep]
    if not kept:
        msg = f"{shelf.base_folder} holds no base backup: take one first"
        raise BackupError(msg)
    for base in gone:
        dying = base.folder.with_name(f".{base.folder.name}")
        base.folder.rename(dying)  # At once no backup any more, whatever happens now.
        shutil.rmtree(dying)
    first = kept[0].first_segment
    tools = Tools.of_major(kept[0].major)
    for folder in shelf.log_folders():
        if folder.name[:8] <= first[:8]:
            tools.run(tools.command("pg_archivecleanup", folder, first))
    return gone


def receive(shelf: Shelf, dsn: str) -> NoReturn:
    """Become PostgreSQL's own receiver of the log, until a signal or until the server goes.

    It ends with the server, and whoever supervises it starts it again: after a restore the log is
    of another timeline and goes into another folder.

    Raises:
        BackupError: The server cannot be reached, or it let go of log that was not received yet:
            said once, then the log begins anew behind the gap.
    """
    server = ask_server(dsn)
    tools = Tools.of_major(server.major)
    folder = shelf.timeline(server.timeline)
    _make_folders(shelf, tools, folder)
    address = without_password(dsn, RECEIVER)
    own = tools.command("pg_receivewal", "--dbname", address, "--no-password")
    slot = [*own, "--slot", RECEIVER]
    found = ask_slot(dsn)
    if found.exists and found.received is None:
        tools.run([*slot, "--drop-slot"], dsn=dsn)
    if found.received is None:
        make_slot(dsn)
    _begin_behind_gap(shelf, tools, folder, ask_slot(dsn))
    if tools.account.dropped:
        os.setgroups([])
        os.setgid(tools.account.gid)
        os.setuid(tools.account.uid)
    os.umask(0o077)
    command = [*slot, "--directory", str(folder), "--synchronous", "--no-loop"]
    os.execve(command[0], command, dict(environment(dsn)))  # noqa: S606 - no shell is wanted


def _begin_behind_gap(shelf: Shelf, tools: Tools, folder: Path, slot: Slot) -> None:
    """The receiver goes on behind its folder's newest segment; is that one still kept for it?"""
    kept_from = (slot.received or 0) // SEGMENT_BYTES
    wanted = next_number(folder)
    if wanted is None or wanted >= kept_from:
        return
    timeline = int(folder.name[:8], 16)
    fresh = shelf.behind_gap(segment_name(timeline, kept_from))
    _make_folders(shelf, tools, fresh)
    msg = (
        f"the server kept the log no longer that was not received yet: it lacks "
        f"{segment_name(timeline, wanted)} to {segment_name(timeline, kept_from - 1)} for ever and "
        f"begins anew in {fresh}. Start this again, then take a base backup at once"
    )
    raise BackupError(msg)


def _make_folders(shelf: Shelf, tools: Tools, folder: Path) -> None:
    """Make a folder of the shelf, the account's own, closed to others."""
    shelf.root.parent.mkdir(parents=True, exist_ok=True)
    for each in dict.fromkeys((shelf.root, *reversed(folder.parents), folder)):
        if each == shelf.root or shelf.root in each.parents:
            try:
                each.mkdir(mode=0o700)
                tools.own(each)
            except FileExistsError:
                continue
            except PermissionError as error:
                msg = f"{each} cannot be made: give {shelf.root.parent} to whoever runs this"
                raise BackupError(msg) from error
