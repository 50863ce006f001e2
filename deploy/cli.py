"""The ``suifang`` command: finds the process's own command and imports nothing else.

A gateway box that has only the gateway's packages runs ``suifang gateway``; a sub-command
whose packages are missing says which extra to install. A wrong setting is one line and exit 2.
"""

import importlib
import sys
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
import typer.main
from pydantic import ValidationError
from typer.core import TyperGroup

UsageError: Final[type[typer.BadParameter]] = typer.BadParameter.__mro__[1]  # Not exported.
_WRONG_USAGE: Final = 2
_INTERRUPTED: Final = 130
OURS: Final = ("gateway", "ingest", "rules", "api", "simulators", "deploy")
# name: (module, attribute, first line of help)
COMMANDS: Final = {
    "demo": ("deploy.demo.cli", "app", "Run the whole way on real readings."),
    "stack": ("deploy.embedded.cli", "app", "Private PostgreSQL + TimescaleDB and Mosquitto."),
    "migrate": ("ingest.cli", "migrate_app", "Bring the database's schema up to date."),
    "load": ("ingest.cli", "load_app", "Load people and places."),
    "gateway": ("gateway.cli", "app", "Run the edge process of a centre."),
    "ingest": ("ingest.cli", "app", "Store what gateways send."),
    "judge": ("ingest.cli", "judge_app", "Judge due residents."),
    "dispatcher": ("api.cli", "dispatcher_app", "Number the feed of events."),
    "api": ("api.cli", "app", "Serve cases, alerts and readings."),
    "simulate": ("simulators.cli", "app", "Virtual terminals: a fleet, or a replay."),
    "reconcile": ("simulators.cli", "reconcile_app", "Prove that nothing was lost."),
}


class LazyGroup(TyperGroup):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002 - the signature of typer
        """Names in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ANN401, ARG002
        """Import one command; say what to install when its packages are missing."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        try:
            found = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] in OURS:
                raise
            sys.stderr.write(
                f"suifang: {cmd_name} needs the package {error.name}:"
                " pip install 'suifang[server,simulators,embedded]'\n"
            )
            raise typer.Exit(2) from error
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ANN401, ARG002
        """List commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


app = typer.Typer(
    cls=LazyGroup,
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
