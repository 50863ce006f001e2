"""``python -m tests.faults``: many schedules, a summary, exit 1 when one of them went wrong."""

import argparse
import json
import secrets
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.run import Result, Runner
from tests.faults.schedule import draw_schedule
from tests.faults.stack import a_stack


def main() -> int:
    """Run; returns the exit code."""
    options = _parse(sys.argv[1:])
    console = Console(stderr=True)
    seed = options.seed if options.seed is not None else secrets.randbelow(1_000_000)
    folder = Path(tempfile.mkdtemp(prefix="suifang-faults-"))
    console.print(f"seed {seed}, {options.schedules} schedules, logs in {folder}")
    results: list[Result] = []
    with a_stack() as stack:
        runner = Runner(stack, folder)
        for number in range(options.schedules):
            schedule = draw_schedule(seed + number)
            console.print(f"{number + 1}/{options.schedules} schedule {schedule.seed}")
            for planned in schedule.faults:
                console.print(f"    {planned}", highlight=False)
            result = runner.run(schedule)
            results.append(result)
            _tell(console, result)
    if options.json:
        whole = {"seed": seed, "schedules": [each.as_dict() for each in results]}
        sys.stdout.write(json.dumps(whole, indent=1) + "\n")
    console.print(_summary(results))
    console.print(
        f"{len(results)} schedules, {sum(each.kills for each in results)} kills, "
        f"{sum(each.report.taken for each in results if each.report)} readings, "
        f"lost {sum(each.lost for each in results)}, "
        f"doubled {sum(each.doubled for each in results)}, "
        f"{sum(bool(each.problems) for each in results)} schedules wrong; seed {seed}"
    )
    return int(any(each.problems for each in results))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first schedule; without it, a random one")
    parser.add_argument("--schedules", type=int, default=30, help="how many (default: 30)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args(arguments)
    if options.schedules < 1:
        parser.error("--schedules must be at least 1")
    return options


def _tell(console: Console, result: Result) -> None:
    schedule = result.schedule
    for line in (
        *result.seen,
        *(f"{name} exited: {codes}" for name, codes in result.exits.items()),
    ):
        console.print(f"    saw {line}", highlight=False)
    felt = ", ".join(f"{name} {count}" for name, count in sorted(result.felt.items()))
    console.print(f"    felt {felt}", highlight=False)
    verdict = "[red]WRONG[/red]" if result.problems else "ok"
    console.print(f"    {verdict}, {result.seconds:.0f} s")
    for problem in result.problems[:40]:
        console.print(f"    [red]{problem}[/red]", highlight=False)
    if result.problems:
        again = f"python -m tests.faults --seed {schedule.seed} --schedules 1"
        console.print(f"    logs in {result.folder}; again: {again}", highlight=False)


def _summary(results: list[Result]) -> Table:
    table = Table(title="Schedules")
    for name in ("seed", "faults", "kills", "readings", "lost", "doubled", "problems", "seconds"):
        table.add_column(name, justify="right" if name != "faults" else "left")
    for each in results:
        table.add_row(
            str(each.schedule.seed),
            ", ".join(f"{p.name} {p.target}".strip() for p in each.schedule.faults),
            str(each.kills),
            str(each.report.taken if each.report else 0),
            str(each.lost),
            str(each.doubled),
            str(len(each.problems)),
            f"{each.seconds:.0f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
