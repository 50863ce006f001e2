"""``suifang gateway selftest``: each step with what was found and what to do next.

Exit 0: nothing is bad; look at what is doubtful. 1: a step is bad. 2: the configuration is.
"""

import json
import os

import typer

from gateway.cli_options import ConfigOption, JsonOption, chosen_config
from gateway.wire.times import utc_now

_MARKS = {"good": "✓", "doubtful": "!", "bad": "✗", "untried": "-"}
_WRONG = 2


def run_selftest_command(
    context: typer.Context, *, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Try the whole chain on this box: disk, clock, spool, terminals, broker, rights."""
    from gateway.selftest import run_selftest  # noqa: PLC0415 - the running gateway needs none of it

    steps = []
    for step in run_selftest(os.environ, chosen_config(context, config), utc_now):
        steps.append(step)
        if not as_json:
            typer.echo(f"{_MARKS[step.verdict]} {step.name:15} {step.found}")
            if step.remedy:
                typer.echo(f"  {'':15} → {step.remedy}")
    bad = [step for step in steps if step.verdict == "bad"]
    if as_json:
        said = {"good": not bad, "steps": [step.as_dict() for step in steps]}
        typer.echo(json.dumps(said, ensure_ascii=False))
    if bad:
        raise typer.Exit(_WRONG if bad[0].name == "configuration" else 1)
