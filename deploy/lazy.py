"""A command group whose commands are imported when they are called.

A gateway box that has only the gateway's packages runs ``suifang gateway``; a sub-command
whose packages are missing says which extra to install.
"""

import importlib
import sys
from typing import Any, ClassVar, Final, NamedTuple

import typer
import typer.main
from typer.core import TyperGroup

_OURS: Final = ("gateway", "ingest", "rules", "api", "simulators", "deploy")
_WRONG_USAGE: Final = 2


class Command(NamedTuple):
    """Where a command is found, and the first line of its help."""

    module: str
    attribute: str
    help: str


class LazyGroup(TyperGroup):
    """Names are known, modules are not loaded. Subclasses list ``COMMANDS``."""

    COMMANDS: ClassVar[dict[str, Command]] = {}

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002 - the signature of typer
        """Names in the order a newcomer needs them."""
        return list(self.COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ANN401, ARG002
        """Import one command; say what to install when its packages are missing."""
        if cmd_name not in self.COMMANDS:
            return None
        module, attribute, _ = self.COMMANDS[cmd_name]
        try:
            found = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] in _OURS:
                raise
            sys.stderr.write(
                f"suifang: {cmd_name} needs the package {error.name}:"
                " pip install 'suifang[server,simulators,embedded]'\n"
            )
            raise typer.Exit(_WRONG_USAGE) from error
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ANN401, ARG002
        """List commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in self.COMMANDS.items()])
