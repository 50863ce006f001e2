"""The report as tables, for people."""

from typing import Any

from rich.console import Console
from rich.table import Table


def print_report(report: dict[str, Any]) -> None:
    """Rates, ratios and processor time; the rest is in the file."""
    console = Console(highlight=False)
    for step in ("rate", "batches", "workers"):
        figures = report if step == "rate" else report.get(step)
        if figures and figures.get("readings_per_s"):
            _print_rates(console, step, figures)


def _print_rates(console: Console, title: str, figures: dict[str, Any]) -> None:
    table = Table(
        "contender",
        "readings/s",
        "min",
        "max",
        "ours is faster by",
        "µs of CPU a reading",
        title=title,
    )
    for name, rate in figures["readings_per_s"].items():
        ratio = figures["ratios"].get(name)
        cpu = figures["cpu_us_per_reading"][name]
        table.add_row(
            name,
            *(f"{rate[which]:,.0f}" for which in ("median", "min", "max")),
            f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})" if ratio else "",
            ", ".join(f"{process} {us:.1f}" for process, us in cpu.items()),
        )
    console.print(table)
