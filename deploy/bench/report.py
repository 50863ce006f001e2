"""The report as tables, for people."""

from typing import Any

from rich.console import Console
from rich.table import Table


def print_report(report: dict[str, Any]) -> None:
    """Rates, ratios and processor time; the rest is in the file."""
    console = Console(highlight=False)
    if "ordinary_day" in report:
        _print_figures(console, "gateway", report)
        return
    for step in ("rate", "batches", "workers"):
        figures = report if step == "rate" else report.get(step)
        if figures and figures.get("readings_per_s"):
            _print_rates(console, step, figures)
    for step in ("latency", "drain", "memory", "history"):
        if step in report:
            _print_figures(console, step, report[step])


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


def _print_figures(console: Console, title: str, figures: dict[str, Any]) -> None:
    """The short ones as they are; samples and turns are in the file."""
    table = Table(title=title, show_header=False)
    for name, value in figures.items():
        if isinstance(value, dict):
            text = ", ".join(f"{key} {number}" for key, number in value.items())
        else:
            text = f"{value:,}" if isinstance(value, int | float) else ""
        if text:
            table.add_row(name.replace("_", " "), text)
    console.print(table)
