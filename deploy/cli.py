"""The ``suifang`` command: finds the process's own command and imports nothing else.

A wrong command line or setting is one line and exit 2.
"""

import os
import sys
from importlib.metadata import version
from typing import Annotated, ClassVar, Final

import typer
from pydantic import ValidationError

from deploy.credentials import CredentialError, read_credentials
from deploy.lazy import Command, LazyGroup

UsageError: Final[type[typer.BadParameter]] = typer.BadParameter.__mro__[1]  # Not exported.
_WRONG_USAGE: Final = 2
_INTERRUPTED: Final = 130


class Suifang(LazyGroup):
    """Everything ``suifang`` can do, in the order a newcomer needs it."""

    COMMANDS: ClassVar[dict[str, Command]] = {
        "demo": Command("deploy.demo.cli", "app", "Run the whole way on real readings."),
        "stack": Command(
            "deploy.embedded.cli", "app", "Private PostgreSQL + TimescaleDB and Mosquitto."
        ),
        "doctor": Command("deploy.doctor.cli", "app", "Look at an installation: what to mend."),
        "migrate": Command("ingest.cli", "migrate_app", "Bring the database's schema up to date."),
        "credentials": Command(
            "deploy.credentials_cli", "app", "Make, apply and rotate the passwords of a server."
        ),
        "load": Command("ingest.load_cli", "app", "Load people and places, or a register (CSV)."),
        "pki": Command("deploy.pki.cli", "app", "Certificates: authority, tokens, revocation."),
        "gateway": Command("gateway.cli", "app", "Run the edge process of a centre."),
        "command": Command("deploy.command_cli", "app", "Tell a gateway something, and wait."),
        "ingest": Command("ingest.cli", "app", "Store what gateways send."),
        "judge": Command("ingest.cli", "judge_app", "Judge due residents."),
        "dispatcher": Command("api.cli", "dispatcher_app", "Number the feed of events."),
        "deliver": Command("api.cli", "deliver_app", "Tell the feed to webhooks."),
        "notify": Command("api.cli", "notify_app", "Tell people about alerts that page."),
        "api": Command("api.cli", "app", "Serve the API and the console."),
        "api-key": Command("api.auth.cli", "app", "Keys of machines: create, rotate, revoke."),
        "audit": Command("api.audit.cli", "app", "Who saw or changed whom: verify, list."),
        "export": Command("api.exports.cli", "app", "Follow-ups with the national form's fields."),
        "indicators": Command("api.indicators.cli", "app", "Figures of a period, computed now."),
        "token": Command("deploy.embedded.token_cli", "app", "A token of the private stack."),
        "quarantine": Command(
            "ingest.quarantine_cli", "app", "List, show, replay or drop what cannot be judged."
        ),
        "keys": Command("ingest.keys_cli", "app", "Keys for names and ID numbers: new, rotate."),
        "pseudonyms": Command("ingest.pseudonyms_cli", "app", "A new pseudonym key: map, join."),
        "rules": Command("deploy.rules_cli", "app", "Evaluate, check, back-test, re-judge."),
        "retention": Command("ingest.retention_cli", "app", "Let old readings go, safely."),
        "tidy": Command("ingest.tidy_cli", "app", "Rewrite past months in reading order."),
        "backup": Command("deploy.backup.cli", "app", "Take, restore and rehearse backups."),
        "simulate": Command("deploy.simulate_cli", "app", "Scenarios, load, fleets, replays."),
        "reconcile": Command("simulators.cli", "reconcile_app", "Prove that nothing was lost."),
        "bench": Command("deploy.bench.cli", "app", "Measure speed, beside peers when asked for."),
    }


app = typer.Typer(
    cls=Suifang,
    name="suifang",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # A trace with locals would show passwords.
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"suifang {version('suifang')}\n")
        raise typer.Exit


@app.callback()
def root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Suifang (随访): from a reading at a terminal to a doctor's follow-up, none lost."""


def main() -> None:
    """Entry point of ``suifang``: a wrong command line or setting is one line and exit 2."""
    try:
        os.environ.update(read_credentials(os.environ))
    except CredentialError as error:
        sys.stderr.write(f"suifang: {error}\n")
        sys.exit(_WRONG_USAGE)
    try:
        code = app(prog_name="suifang", standalone_mode=False)
    except UsageError as error:
        if not error.format_message() or error.format_message().startswith("Usage:"):
            sys.stderr.write(error.format_message() + "\n")  # Called with nothing: that was help.
            sys.exit(_WRONG_USAGE)
        where = error.ctx.command_path if error.ctx is not None else "suifang"
        sys.stderr.write(f"{where}: {error.format_message()} (see {where} --help)\n")
        sys.exit(_WRONG_USAGE)
    except typer.Abort:
        sys.exit(_INTERRUPTED)
    except ValidationError as error:
        if not error.title.endswith("Settings"):
            raise
        prefix = error.title.removesuffix("Settings").upper()
        for problem in error.errors(include_url=False):
            name = "__".join([str(part).upper() for part in problem["loc"]])
            what = f"setting {prefix}_{name}: " if name else ""
            sys.stderr.write(f"suifang: {what}{problem['msg'].removeprefix('Value error, ')}\n")
        sys.exit(_WRONG_USAGE)
    sys.exit(code)
