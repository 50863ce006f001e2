"""Command ``suifang tidy``: past months in the order they are read in, so that reads stay fast."""

import asyncio
import json
import sys
import time
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import typer

from gateway.wire.times import utc_now
from ingest.cli import AsJson, Dsn
from ingest.db.connections import Connection, ProcessRole, connect
from ingest.db.errors import DatabaseError, translated
from ingest.db.retention import chunks_kept
from ingest.db.tidying import UntidyChunk, list_untidy, tidy
from ingest.progress import progress_bar

app = typer.Typer(help="Rewrite past months in reading order.", invoke_without_command=True)

_SETTLED: Final = timedelta(days=14)
"""After a month's end most of what gateways held back has come; later rows stay unordered."""
_MEGABYTE: Final = 1_000_000


@app.callback()
def run(
    dsn: Dsn,
    lock_wait_s: Annotated[
        int, typer.Option("--lock-wait-s", min=1, max=60, help="Give up on a busy month after.")
    ] = 2,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be rewritten.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Rewrite each month that ended two weeks ago or more, once.

    For the quiet hours: who asks for a resident's past waits while one month is rewritten; new
    readings and their emergencies do not. Killed anywhere it is simply run again.
    """
    try:
        record = asyncio.run(_tidy(dsn, utc_now() - _SETTLED, lock_wait_s, dry_run=dry_run))
    except DatabaseError as error:
        sys.stderr.write(
            f"suifang: {' '.join(str(error).split())}\n"
            "suifang: months rewritten so far stay so; run it again in a quieter hour\n"
        )
        raise typer.Exit(1) from None
    if as_json:
        sys.stdout.write(json.dumps(record) + "\n")
        return
    would = "would be" if dry_run else "were"
    for month in record["months"]:
        took = f" in {month['took_s']:.1f} s" if "took_s" in month else ""
        sys.stdout.write(f"{month['begins_at'][:10]} {month['size_mb']:>8,} MB{took}\n")
    sys.stdout.write(f"{len(record['months'])} months {would} rewritten\n")


async def _tidy(dsn: str, before: datetime, lock_wait_s: int, *, dry_run: bool) -> dict[str, Any]:
    async with await connect(
        dsn, application_name="suifang-tidy", autocommit=True, role=ProcessRole.MAINTENANCE
    ) as opened:
        with translated():
            await opened.execute(f"SET lock_timeout = '{lock_wait_s}s'")
            await opened.execute("SET statement_timeout = '1h'")
            await opened.execute("SET maintenance_work_mem = '256MB'")
            async with chunks_kept(opened):
                untidy = await list_untidy(opened, before)
                if dry_run:
                    return {"months": [_as_record(chunk) for chunk in untidy]}
                return {"months": await _tidy_each(opened, untidy)}


async def _tidy_each(opened: Connection, untidy: list[UntidyChunk]) -> list[dict[str, Any]]:
    months: list[dict[str, Any]] = []
    with progress_bar("months", len(untidy)) as advance:
        for chunk in untidy:
            began = time.monotonic()
            await tidy(opened, chunk)
            took_s = round(time.monotonic() - began, 2)
            months.append({**_as_record(chunk), "took_s": took_s})
            advance(1)
    return months


def _as_record(chunk: UntidyChunk) -> dict[str, Any]:
    return {
        "begins_at": chunk.begins_at.isoformat(),
        "size_mb": round(chunk.size_bytes / _MEGABYTE),
    }
