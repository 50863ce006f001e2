"""``suifang gateway``: run the gateway, or look at its spool.

Settings come from a TOML file and the environment (``GATEWAY_*``, see ``settings``): a password
on a command line would be in every process list. Exit 2: wrong command line or setting; exit 1:
it could not go on. Nothing of a resident is ever logged.
"""

import asyncio
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gateway.check_cli import run_check
from gateway.cli_options import ConfigOption
from gateway.counters import read_counters
from gateway.decode_cli import decode
from gateway.enrolment_cli import run_enroll, run_renew
from gateway.errors import GatewayError, SettingsError
from gateway.logs import open_log
from gateway.memory import keep_private
from gateway.runtime import run_gateway
from gateway.salvage_cli import run_salvage
from gateway.selftest_cli import run_selftest_command
from gateway.settings import settings_from
from gateway.status_cli import run_status
from gateway.wire.times import utc_now

app = typer.Typer(name="gateway", help="The edge process between terminals and the broker.")
app.command("check")(run_check)
app.command("status")(run_status)
app.command("selftest")(run_selftest_command)
app.command("decode")(decode)
app.command("salvage")(run_salvage)
app.command("enroll")(run_enroll)
app.command("renew")(run_renew)


@app.callback(invoke_without_command=True)
def run(context: typer.Context, config: ConfigOption = None) -> None:
    """Run the gateway until SIGTERM; settings from a TOML file, GATEWAY_* variables win."""
    if context.invoked_subcommand is not None:
        return
    keep_private()
    try:
        settings = settings_from(os.environ, config)
        with open_log(settings) as log:
            asyncio.run(run_gateway(settings, utc_now, _announce, log=log))
    except SettingsError as error:
        _fail(error, 2)
    except GatewayError as error:
        _fail(error, 1)


@app.command()
def counters(
    spool: Annotated[Path, typer.Option(help="The spool's file (GATEWAY_SPOOL).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print what a spool has accepted, confirmed and still holds; the gateway may be running."""
    try:
        found = read_counters(spool)
    except GatewayError as error:
        _fail(error, 1)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found) | {"conserved": found.conserved}))
        return
    for name, value in dataclasses.asdict(found).items():
        typer.echo(f"{name:22} {value}")
    typer.echo(f"{'conserved':22} {'yes' if found.conserved else 'NO'}")


def _announce(address: str) -> None:
    sys.stdout.write(json.dumps({"listening": address}) + "\n")
    sys.stdout.flush()


def _fail(error: GatewayError, code: int) -> NoReturn:
    typer.echo(f"suifang gateway: {error}", err=True)
    raise typer.Exit(code)


if __name__ == "__main__":
    app()
