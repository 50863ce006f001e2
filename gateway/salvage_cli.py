"""``suifang gateway salvage``: read a ruined spool, or a copy of one, into a good one."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.cli_options import JsonOption
from gateway.counters import read_counters
from gateway.errors import GatewayError, SettingsError
from gateway.salvage import read_back
from gateway.spool import Spool

_ANY: Final = 2**62  # What was taken once is taken again, whatever the gateway's own limits.
_FREE_BYTES_MIN: Final = 33_554_432  # As the gateway's default.


def run_salvage(
    spool: Annotated[Path, typer.Option(help="The good spool (GATEWAY_SPOOL); made if absent.")],
    damaged: Annotated[Path, typer.Option(help="The ruined file; its -wal beside it.")],
    gateway: Annotated[str, typer.Option(help="Whose it is, when the spool is new.")] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """Read back what is whole in a ruined spool. Stop the gateway first."""
    try:
        if not gateway:
            if not spool.exists():
                msg = f"spool {spool} is not there yet: say whose it is to be with --gateway"
                raise SettingsError(msg)
            gateway = read_counters(spool).gateway
        limits = {"rows_max": _ANY, "bytes_max": _ANY, "free_bytes_min": _FREE_BYTES_MIN}
        with Spool(spool, gateway=gateway, **limits) as opened:
            found = read_back(opened, damaged)
    except GatewayError as error:
        typer.echo(f"suifang gateway salvage: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, SettingsError) else 1) from None
    if as_json:
        typer.echo(json.dumps(found.report(), ensure_ascii=False))
        return
    for name, value in found.report().items():
        typer.echo(f"{name:22} {value}")
