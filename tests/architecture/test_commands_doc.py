"""``docs/commands.md`` has every command there is, and none there is not."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import typer

from deploy.cli import Suifang

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
_ROW = re.compile(r"\| `suifang ([^`]+)` \|")
_WORD = re.compile(r"[a-z][a-z-]*")


def _commands() -> Iterator[str]:
    for name, command in Suifang.COMMANDS.items():
        app = getattr(importlib.import_module(command.module), command.attribute)
        group = typer.main.get_command(app)
        below = group.list_commands(typer.Context(group)) if hasattr(group, "list_commands") else []
        yield from (f"{name} {key}" for key in below)
        if not below or getattr(group, "invoke_without_command", False):
            yield name


def _listed() -> Iterator[str]:
    r"""``pki init\|server`` stands for two; what is in capitals, or an option, is an argument."""
    for row in _ROW.findall(PAGE.read_text("utf-8")):
        name, *rest = row.replace("\\|", "|").split(" ")
        choices = rest[0].split("|") if rest else []
        words = [each for each in choices if _WORD.fullmatch(each)]
        yield from (f"{name} {each}" for each in words) if words else (name,)


def test_every_command_has_its_row_once() -> None:
    assert sorted(_listed()) == sorted(_commands())
