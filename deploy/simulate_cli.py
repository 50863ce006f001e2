"""``suifang simulate``: the simulators' commands, and those that may bring a stack of their own."""

from deploy.load.cli import load
from simulators.cli import app

app.command("load")(load)

__all__ = ["app"]
