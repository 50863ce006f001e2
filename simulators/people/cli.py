"""Command: ``suifang simulate people``, what the made-up people are like."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from simulators.people.portrait import QUANTILES, Portrait, portray
from simulators.people.town import TownPlan, make_town

_FIRST_DAY: Final = datetime(2025, 1, 1)  # noqa: DTZ001 - a day
_RESIDENTS_MAX: Final = 1_000_000


def show_people(
    *,
    residents: Annotated[
        int, typer.Option(min=1, max=_RESIDENTS_MAX, help="Of all ages.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same people bit for bit.")] = 1,
    first_day: Annotated[
        datetime, typer.Option("--first-day", formats=["%Y-%m-%d"], help="Of the year.")
    ] = _FIRST_DAY,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on stdout.")] = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Also write the tables as a picture.")
    ] = None,
) -> None:
    """Make up a town, let a year pass without any pipeline, and print its distributions."""
    day: date = first_day.date()
    portrait = portray(make_town(TownPlan(residents=residents, first_day=day), seed))
    if as_json:
        typer.echo(json.dumps(portrait.as_dict(), indent=2))
    console = Console(quiet=as_json, record=svg is not None, width=88 if svg else None)
    console.print(f"{residents:,} residents, seed {seed}, {portrait.readings:,} readings in a year")
    for table in _tables(portrait):
        console.print(table)
    if svg is not None:
        console.save_svg(str(svg), title="suifang simulate people")


def _tables(portrait: Portrait) -> list[Table]:
    shares = Table("share", title_justify="left")
    for title in ("count", "of", "percent", "±"):
        shares.add_column(title, justify="right")
    for name, share in portrait.shares.items():
        shares.add_row(
            name.replace("_", " "),
            f"{share.count:,}",
            f"{share.of:,}",
            f"{share.percent:.1f}",
            f"{share.margin:.1f}",
        )
    quantiles = Table("of managed residents' readings")
    for quantile in QUANTILES:
        quantiles.add_column(f"{quantile} %", justify="right")
    for name, values in portrait.quantiles.items():
        quantiles.add_row(name, *(f"{value:g}" for value in values))
    others = Table("of managed residents")
    others.add_column("", justify="right")
    for name, value in (portrait.spreads | portrait.per_managed).items():
        others.add_row(name, f"{value:g}")
    return [shares, quantiles, others]
