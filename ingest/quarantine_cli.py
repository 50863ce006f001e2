"""Commands ``suifang quarantine list|show|replay|drop|reasons``: work on what cannot be judged.

Only ``show`` prints a payload: it is health data. All else may be pasted into a ticket.
"""

import asyncio
import json
import sys
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer

from gateway.wire.errors import Reason
from gateway.wire.times import parse_instant, utc_now
from ingest.cli import AsJson, Dsn, ProfileDirectory
from ingest.db import quarantine_items, readings
from ingest.db.connections import Connection, connect
from ingest.db.errors import DatabaseError, translated
from ingest.db.quarantine import Item
from ingest.db.quarantine_items import Group, Listed, Selection
from ingest.outcomes import Tally
from ingest.profiles import Profiles
from ingest.progress import progress_bar
from ingest.quarantine_display import (
    item_record,
    listed_record,
    print_groups,
    print_item,
    print_list,
    print_reasons,
    print_tally,
    summary_record,
)
from ingest.remedies import REMEDIES, as_markdown
from ingest.replay import Replayer
from ingest.sweep import drop_all, replay_all
from rules.errors import ProfileError

app = typer.Typer(
    no_args_is_help=True,
    help="What cannot be judged: list it, show it, replay it after a fix, or drop it.",
)
_Result = TypeVar("_Result")
_LIST_MAX: Final = 1_000
_TEXT_MAX: Final = 500
_NAME: Final = "suifang-quarantine"


def _parse_time(text: str | None) -> str | None:
    """Refuse early; options keep the text, for typer hands a callback's value on."""
    if text is not None:
        _to_instant(text)
    return text


def _to_instant(text: str) -> datetime:
    try:
        if len(text) == len("2026-03-02"):
            return datetime.combine(date.fromisoformat(text), time(0), UTC)
        return parse_instant(text)
    except ValueError as error:
        msg = f"{text!r} is neither a day (UTC) such as 2026-03-02 nor 2026-03-02T09:00:00+08:00"
        raise typer.BadParameter(msg) from error


def _parse_words(text: str) -> str:
    words = " ".join(text.split())
    if not 0 < len(words) <= _TEXT_MAX or not words.isprintable():
        msg = f"1 to {_TEXT_MAX} printable characters"
        raise typer.BadParameter(msg)
    return words


Reasons = Annotated[list[Reason] | None, typer.Option("--reason", help="May be repeated.")]
Gateway = Annotated[str | None, typer.Option("--gateway", help="Its id.")]
Centre = Annotated[str | None, typer.Option("--centre", help="Its id, as the topic says.")]
Device = Annotated[str | None, typer.Option("--device", help="device_id inside the payload.")]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", help="Received then or later: a day (UTC) or RFC 3339.", callback=_parse_time
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--until", help="Received before, written alike.", callback=_parse_time),
]
Settled = Annotated[
    bool | None,
    typer.Option(
        "--settled/--unsettled",
        help="Items that are their id's disposition; or conflicts, strangers', without id.",
    ),
]
Numbers = Annotated[
    list[int] | None, typer.Argument(min=1, help="Numbers of items.", show_default=False)
]
Everything = Annotated[bool, typer.Option("--everything", help="All open items, no filter.")]


@app.command("list")
def list_items(
    dsn: Dsn,
    *,
    reason: Reasons = None,
    gateway: Gateway = None,
    centre: Centre = None,
    device: Device = None,
    since: Since = None,
    until: Until = None,
    settled: Settled = None,
    all_: Annotated[bool, typer.Option("--all", help="Also what was replayed or dropped.")] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Count by reason and gateway instead.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=_LIST_MAX)] = 50,
    after: Annotated[int, typer.Option(min=0, help="Go on behind this number.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List items, the oldest first. Nothing of a resident, no payload."""
    selection = replace(
        _select(
            reason=reason,
            gateway=gateway,
            centre=centre,
            device=device,
            since=since,
            until=until,
            settled=settled,
        ),
        scope="all" if all_ else "open",
    )
    if summary:
        groups = _run(_summarise(dsn, selection))
        if as_json:
            _write_json(summary_record(groups))
        else:
            print_groups(groups)
        return
    found, more = _run(_list(dsn, selection, after=after, limit=limit))
    next_after = found[-1].number if more else None
    if as_json:
        _write_json({"items": [listed_record(line) for line in found], "next_after": next_after})
    else:
        print_list(found, next_after)


@app.command()
def show(
    dsn: Dsn,
    number: Annotated[int, typer.Argument(min=1, help="Of the item.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one item with its payload (health data), what its reason means and what to do."""
    found = _run(_show(dsn, number))
    if found is None:
        _fail(f"no item has the number {number}; `suifang quarantine list` shows them")
    item, disposition = found
    if as_json:
        _write_json(item_record(item, disposition))
    else:
        print_item(item, disposition)


@app.command()
def replay(
    dsn: Dsn,
    numbers: Numbers = None,
    *,
    reason: Reasons = None,
    gateway: Gateway = None,
    centre: Centre = None,
    device: Device = None,
    since: Since = None,
    until: Until = None,
    settled: Settled = None,
    everything: Everything = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")
    ] = False,
    profile: Annotated[
        str, typer.Option("--profile", envvar="INGEST_PROFILE", help="The deployment's.")
    ] = "wuzhou",
    directory: ProfileDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Take items through ingest's normal path again, after the cause is gone.

    Numbers also reach items that were dropped; filters do not.
    """
    selection = replace(
        _select(
            reason=reason,
            gateway=gateway,
            centre=centre,
            device=device,
            since=since,
            until=until,
            settled=settled,
            numbers=numbers,
        ),
        scope="unreplayed" if numbers else "open",
    )
    _require_some(selection, everything=everything)
    try:
        limits = Profiles(profile, directory).limits
    except ProfileError as error:
        _fail(str(error), code=2)
    tally = _run(_replay(dsn, selection, Replayer(limits, utc_now), dry_run=dry_run))
    if as_json:
        _write_json({"dry_run": dry_run, **tally.as_record()})
    else:
        print_tally(tally, dry_run=dry_run)


@app.command()
def drop(
    dsn: Dsn,
    numbers: Numbers = None,
    *,
    author: Annotated[str, typer.Option("--author", help="Who decides.", callback=_parse_words)],
    reason_text: Annotated[str, typer.Option("--reason-text", help="Why.", callback=_parse_words)],
    reason: Reasons = None,
    gateway: Gateway = None,
    centre: Centre = None,
    device: Device = None,
    since: Since = None,
    until: Until = None,
    settled: Settled = None,
    everything: Everything = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many; change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say that these items will not be replayed. Deletes nothing; the law still counts them."""
    selection = _select(
        reason=reason,
        gateway=gateway,
        centre=centre,
        device=device,
        since=since,
        until=until,
        settled=settled,
        numbers=numbers,
    )
    _require_some(selection, everything=everything)
    dropped = _run(_drop(dsn, selection, author=author, because=reason_text, dry_run=dry_run))
    if as_json:
        _write_json({"dry_run": dry_run, "dropped": dropped})
    else:
        sys.stdout.write(f"{'would be ' if dry_run else ''}dropped: {dropped:,}\n")


@app.command()
def reasons(
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/quarantine.md.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what each reason means and what to do. Needs no database."""
    if as_json:
        _write_json({reason.value: each._asdict() for reason, each in REMEDIES.items()})
    elif markdown:
        sys.stdout.write(as_markdown())
    else:
        print_reasons()


def _select(
    *,
    reason: list[Reason] | None,
    gateway: str | None,
    centre: str | None,
    device: str | None,
    since: str | None,
    until: str | None,
    settled: bool | None,
    numbers: list[int] | None = None,
) -> Selection:
    filters = Selection(
        reasons=[each.value for each in reason or ()],
        gateway=gateway,
        centre=centre,
        device=device,
        since=None if since is None else _to_instant(since),
        until=None if until is None else _to_instant(until),
        settles=settled,
    )
    if not numbers:
        return filters
    if filters.names_something:
        _fail("give numbers or filters, not both", code=2)
    return Selection(numbers=sorted(set(numbers)))


def _require_some(selection: Selection, *, everything: bool) -> None:
    if selection.names_something is everything:
        _fail("say which items: their numbers, or filters, or --everything; one of them", code=2)


async def _summarise(dsn: str, selection: Selection) -> list[Group]:
    async with await connect(dsn, application_name=_NAME, autocommit=True) as opened:
        with translated():
            return await quarantine_items.count_by_group(opened, selection)


async def _list(
    dsn: str, selection: Selection, *, after: int, limit: int
) -> tuple[list[Listed], bool]:
    async with await connect(dsn, application_name=_NAME, autocommit=True) as opened:
        with translated():
            found = await quarantine_items.list_after(
                opened, selection, after=after, limit=limit + 1
            )
    return found[:limit], len(found) > limit


async def _show(dsn: str, number: int) -> tuple[Item, str | None] | None:
    async with await connect(dsn, application_name=_NAME, autocommit=True) as opened:
        with translated():
            item = await quarantine_items.fetch(opened, number)
            if item is None or item.reading_id is None:
                return None if item is None else (item, None)
            known = await quarantine_items.fetch_dispositions(opened, [item.reading_id])
    now = known.get(item.reading_id)
    return item, None if now is None else now.disposition


async def _replay(dsn: str, selection: Selection, replayer: Replayer, *, dry_run: bool) -> Tally:
    async with await connect(dsn, application_name=_NAME, autocommit=True) as opened:
        total = await _count(opened, selection)
        with translated():
            await readings.prepare(opened)
        with progress_bar("replaying", total) as progress:
            return await replay_all(opened, replayer, selection, progress, dry_run=dry_run)


async def _drop(dsn: str, selection: Selection, *, author: str, because: str, dry_run: bool) -> int:
    async with await connect(dsn, application_name=_NAME, autocommit=True) as opened:
        total = await _count(opened, selection)
        if dry_run:
            return total
        with progress_bar("dropping", total) as progress:
            return await drop_all(
                opened, selection, progress, author=author, because=because, at=utc_now()
            )


async def _count(connection: Connection, selection: Selection) -> int:
    """How many items these are; ends the command where a number is nobody's."""
    with translated():
        missing = await quarantine_items.find_missing(connection, selection.numbers)
        total, _ = await quarantine_items.measure(connection, selection)
    if missing:
        numbers = ", ".join(map(str, missing[:20]))
        _fail(f"no item has the number {numbers}; `suifang quarantine list --all` shows them")
    return total


def _run(work: Coroutine[Any, Any, _Result]) -> _Result:
    try:
        return asyncio.run(work)
    except DatabaseError as error:
        _fail(f"{error}; what was done stays done: run the same command again")


def _write_json(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")


def _fail(problem: str, *, code: int = 1) -> NoReturn:
    sys.stderr.write(f"suifang: {' '.join(problem.split())}\n")
    raise typer.Exit(code)
