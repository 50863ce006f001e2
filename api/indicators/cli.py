"""``suifang indicators``: figures as the API gives them, for whoever runs the database.

As its owner, past row-level security: everybody's residents. Nobody is named.
"""

import json
from typing import Annotated, Final

import typer
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.errors import BadParameterError
from api.indicators import tables
from api.indicators.computing import compute_for_owner
from api.indicators.schemas import By, FiguresOut, matching
from api.operator import Dsn, Json, fail, print_line, run_in_transaction
from gateway.wire.times import utc_now

app: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_COMMAND: Final = "indicators"
Period = Annotated[str, typer.Option(help="2026, 2026-H1, 2026-Q3 or 2026-11.")]
ByOption = Annotated[str, typer.Option("--by", help="team, centre or city.")]
Code = Annotated[str | None, typer.Option(help="One, or all that begin so: signing.")]
Csv = Annotated[bool, typer.Option("--csv", help="A table instead of lines.")]


@app.callback(invoke_without_command=True)
def print_indicators(
    *,
    database: Dsn,
    period: Period,
    by: ByOption = "centre",
    code: Code = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Indicators over a period, by team, centre or for the whole city, computed now."""
    wanted = matching(code)
    choices: dict[str, By] = {"team": "team", "centre": "centre", "city": "city"}
    if by not in choices:
        fail(_COMMAND, f"--by {by!r}: team, centre or city", code=2)
    if not wanted:
        fail(_COMMAND, f"--code {code!r} names no indicator; leave it out for all", code=2)

    async def compute(connection: AsyncConnection[DictRow]) -> FiguresOut:
        return await compute_for_owner(connection, period, choices[by], wanted, at=utc_now())

    try:
        found = run_in_transaction(_COMMAND, database, compute)
    except (BadParameterError, ValueError) as error:
        fail(_COMMAND, f"--period {period!r}: {error}", code=2)
    if as_json:
        print_line(json.dumps(found.model_dump(mode="json"), ensure_ascii=False))
    elif as_csv:
        print_line(tables.to_csv(found).rstrip("\r\n"))
    else:
        _print(found)


def _print(found: FiguresOut) -> None:
    known = f"{found.period.first} to {found.period.known_until}"
    print_line(f"{found.period.name} ({known}), computed at {found.computed_at:%Y-%m-%d %H:%M} UTC")
    for item in found.items:
        print_line(f"{item.code} v{item.version}: {item.title_zh} ({item.title_en})")
        for each in item.figures:
            place = each.team_id or each.centre_id or "all"
            below = "-" if each.denominator is None else each.denominator
            share = each.percent or each.ratio or "-"
            print_line(f"  {place}: {each.numerator}/{below} = {share}")
