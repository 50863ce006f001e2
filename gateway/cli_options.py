"""Options that several commands of ``suifang gateway`` share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", help="The TOML file; else GATEWAY_CONFIG names it."),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def chosen_config(context: typer.Context, given: Path | None) -> Path | None:
    """The file of this command, else the one given before it: ``gateway --config F check``."""
    before = context.parent.params.get("config") if context.parent is not None else None
    return given if given is not None else before
