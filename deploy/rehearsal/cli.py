"""Commands ``suifang simulate run`` and ``list``, beside the simulators' own.

Exit codes: 0 done (``--check``: everything as expected), 1 it failed or an expectation is not met,
2 the scenario or the command line is wrong, 130 Ctrl-C (what was played is reported).
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from deploy.rehearsal.errors import RehearsalError
from simulators.scenarios.errors import ScenarioError
from simulators.scenarios.reader import find, list_builtin, read_scenario
from simulators.scenarios.scenario import Scenario

if TYPE_CHECKING:  # Imported when a scenario is played: the other commands need none of it.
    from deploy.rehearsal.run import Run

_INTERRUPTED = 130
AsJson = Annotated[bool, typer.Option("--json", help="The report as JSON on stdout.")]


def list_scenarios(*, as_json: AsJson = False) -> None:
    """Name the scenarios that ship."""
    found = []
    for name, path in list_builtin().items():
        scenario = read_scenario(path)
        found.append(
            {
                "name": name,
                "title": scenario.title,
                "days": scenario.days,
                "residents": scenario.town.residents + len(scenario.persons),
                "expectations": len(scenario.expectations),
                "file": str(path),
            }
        )
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for each in found:
        size = f"{each['days']} days, {each['residents']} residents"
        typer.echo(f"{each['name']:26} {each['title']} ({size})")


def run_scenario(
    name: Annotated[str, typer.Argument(help="A name of `simulate list`, or a TOML file.")],
    *,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if an expectation fails.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="In place of the file's.")] = None,
    short: Annotated[bool, typer.Option("--short", help="The file's shorter version.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="New folder for report, ledger and spools.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database, to look at it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Play a scenario in virtual time through the real parts, and judge what came of it."""
    scenario = _read(name, short=short, seed=seed)
    if report is not None:
        _require_new(report)
    folder = report or Path(tempfile.mkdtemp(prefix="suifang-rehearsal-"))
    from deploy.rehearsal.playing import play  # noqa: PLC0415

    def say(step: str) -> None:
        if not as_json:
            typer.echo(step, err=True)

    try:
        run = play(scenario, folder, short=short, keep=keep, say=say)
    except RehearsalError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted before anything was played", code=_INTERRUPTED)
    _print(run, as_json=as_json)
    if report is None and run.passed:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        say(f"report: {folder / 'report.html'}; ledger and spools beside it")
    if run.problem is not None:
        _fail(run.problem, code=_INTERRUPTED if run.problem == "interrupted" else 1)
    if check and not run.passed:
        raise typer.Exit(1)


def _require_new(report: Path) -> None:
    """Before anything is started. Ends the command with what to do."""
    try:
        report.mkdir(parents=True, exist_ok=True)
        is_empty = not any(report.iterdir())
    except OSError as error:
        _fail(f"--report {report}: {error.strerror}; name a new folder", code=2)
    if not is_empty:
        _fail(f"--report {report} is not empty: a report is one run, name a new folder", code=2)


def _read(name: str, *, short: bool, seed: int | None) -> Scenario:
    try:
        return read_scenario(find(name), short=short, seed=seed)
    except ScenarioError as error:
        _fail(str(error), code=2)


def _print(run: "Run", *, as_json: bool) -> None:
    found = run.report()
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    typer.echo(
        f"{found['scenario']}: {found['days_played']} of {found['days']} days in"
        f" {found['seconds']} s, {found['readings']} readings, seed {found['seed']}"
    )
    for verdict in run.verdicts:
        mark = "ok  " if verdict.met else "FAIL"
        typer.echo(f"{mark} {verdict.expected}; seen {verdict.seen}")
        if not verdict.met:
            typer.echo(f"     {verdict.where}; look at: {verdict.look}")


def _fail(problem: str, *, code: int = 1) -> NoReturn:
    sys.stderr.write(f"suifang simulate: {problem}\n")
    raise typer.Exit(code)
