"""The group ``suifang rules``: files without a database, histories with one."""

from typing import ClassVar

import typer

from deploy.lazy import Command, LazyGroup


class RulesGroup(LazyGroup):
    """What can be done with the rules from the command line."""

    COMMANDS: ClassVar[dict[str, Command]] = {
        "evaluate": Command("rules.cli", "evaluate_app", "Judge a file of worked cases."),
        "check": Command("rules.cli", "check_app", "Validate a profile, line by line."),
        "show": Command("rules.cli", "show_app", "List profiles and their numbers."),
        "backtest": Command(
            "ingest.rules_cli", "backtest_app", "Compare two profiles on stored history."
        ),
        "rejudge": Command("ingest.rules_cli", "rejudge_app", "Recompute all cases from history."),
    }


app = typer.Typer(
    cls=RulesGroup,
    help="The clinical rules.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def rules() -> None:
    """The clinical rules: evaluate cases, check profiles, back-test, re-judge."""
