"""``suifang gateway check``: one line for each thing that is wrong, with its place.

Exit 0: the gateway would start; there may be warnings. Exit 2: it would not.
"""

import json
import os

import typer

from gateway.check import Report, check
from gateway.cli_options import ConfigOption, JsonOption, chosen_config

_WRONG: int = 2


def run_check(
    context: typer.Context, *, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Validate the configuration: every value, file and permission, all errors at once."""
    report = check(os.environ, chosen_config(context, config))
    if as_json:
        found = [finding.as_dict() for finding in report.findings]
        said = {"good": report.good, "file": _file_of(report), "findings": found}
        typer.echo(json.dumps(said, ensure_ascii=False))
    else:
        for finding in report.findings:
            typer.echo(f"{finding.level}: {finding.problem}", err=finding.level == "error")
        if report.good:
            typer.echo(f"good: {_file_of(report) or 'the environment'}")
    if not report.good:
        raise typer.Exit(_WRONG)


def _file_of(report: Report) -> str | None:
    return None if report.file is None else str(report.file)
