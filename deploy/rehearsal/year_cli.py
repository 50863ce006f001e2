"""Command ``suifang simulate town-year``: a year of a town through the real parts.

Exit codes: 0 done, 1 it failed or a reading was lost, 2 the command line is wrong, 130 Ctrl-C (what
was played is reported).
"""

import asyncio
import json
import sys
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.clocks import NOT_BEFORE

if TYPE_CHECKING:  # Imported when a year is played: the other commands need none of it.
    from deploy.rehearsal.year import YearReport

_FIRST_DAY: Final = datetime(2027, 1, 1)  # noqa: DTZ001 - a day
_FIRST_DAY_MAX: Final = date(2199, 1, 1)
_DAYS_MAX: Final = 366
_INTERRUPTED: Final = 130


def play_year(
    *,
    residents: Annotated[int, typer.Option(min=1, max=100_000, help="Of all ages.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same people.")] = 1,
    first_day: Annotated[
        datetime, typer.Option("--first-day", formats=["%Y-%m-%d"], help="Figures: its year.")
    ] = _FIRST_DAY,
    days: Annotated[int, typer.Option(min=1, max=_DAYS_MAX, help="How many to play.")] = 365,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON on stdout.")] = False,
) -> None:
    """Play a year of a town in virtual time: terminals, doctors, contracts; then its figures."""
    from deploy.embedded.errors import StackError  # noqa: PLC0415
    from deploy.rehearsal.errors import RehearsalError  # noqa: PLC0415
    from deploy.rehearsal.stack import fresh_database, own_stack  # noqa: PLC0415
    from deploy.rehearsal.year import YearReport, rehearse_year  # noqa: PLC0415
    from ingest.db.errors import DatabaseError  # noqa: PLC0415

    if not NOT_BEFORE.date() < first_day.date() <= _FIRST_DAY_MAX:
        sys.stderr.write(
            f"suifang simulate town-year: --first-day {first_day:%Y-%m-%d}: gateways believe no"
            f" clock before {NOT_BEFORE:%Y-%m-%d}; name a day after it, to {_FIRST_DAY_MAX}\n"
        )
        raise typer.Exit(2)

    def say(step: str) -> None:
        if not as_json:
            typer.echo(step, err=True)

    report, interrupted = YearReport(residents=residents, seed=seed), False
    try:
        with (
            own_stack(say) as stack,
            fresh_database(stack) as dsn,
            tempfile.TemporaryDirectory(prefix="suifang-year-") as folder,
        ):
            asyncio.run(
                rehearse_year(
                    stack,
                    dsn,
                    Path(folder) / "rehearsal",
                    report,
                    first_day=first_day.date(),
                    days=days,
                    say=say,
                )
            )
    except (StackError, RehearsalError, DatabaseError) as error:
        sys.stderr.write(f"suifang simulate: {error}\n")
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        interrupted = True
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    else:
        _print(report)
    if interrupted:
        raise typer.Exit(_INTERRUPTED)
    if report.lost:
        raise typer.Exit(1)


def _print(report: "YearReport") -> None:
    from deploy.rehearsal.year import HEADLINES  # noqa: PLC0415

    counts = report.counts
    typer.echo(
        f"{report.residents:,} residents, {report.days} days in {report.seconds:.0f} s:"
        f" {counts.readings:,} readings, {counts.visits:,} visits,"
        f" {counts.referral_followups:,} referrals followed up,"
        f" {'not reconciled' if report.lost is None else f'{report.lost} lost or doubled'}"
    )
    items = report.figures.items if report.figures is not None else []
    for each in items:
        if each.code in HEADLINES:
            found = each.figures[0]
            share = f"{found.numerator}/{found.denominator}"
            typer.echo(f"  {each.code:28} {found.percent or '-':>7}  {share:>13}  {each.title_en}")
