"""``suifang simulate``: the simulators' commands, and those that may bring a stack of their own."""

from deploy.load.cli import load
from deploy.rehearsal.cli import list_scenarios, run_scenario
from deploy.rehearsal.year_cli import play_year
from simulators.cli import app

app.command("load")(load)
app.command("run")(run_scenario)
app.command("list")(list_scenarios)
app.command("town-year")(play_year)

__all__ = ["app"]
