"""``suifang simulate``: the simulators' commands, and those that may bring a stack of their own."""

from deploy.load.cli import load
from deploy.rehearsal.cli import list_scenarios, run_scenario
from simulators.cli import app

app.command("load")(load)
app.command("run")(run_scenario)
app.command("list")(list_scenarios)

__all__ = ["app"]
