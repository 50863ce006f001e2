"""The figures of a step as people read them.

Medians first. A ratio is by how many times another contender took longer than the first; MB is
the peak of its process, with the readings and the library in it.
"""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table

_MB: Final = 1e6
_UNITS: Final = {
    "ns_per_reading": "ns a reading",
    "seconds": "s",
    "peak_bytes": "bytes at the peak",
}


def show(name: str, figures: Mapping[str, Any], console: Console) -> None:
    """Print one step: a line a contender, then the targets."""
    size = f"{figures['residents']:,} residents, {figures['readings']:,} readings"
    console.print(f"[bold]{name}[/bold]: {figures['title']} ({size})", highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("", min_width=15, no_wrap=True)
    for heading in ("seconds", "(least", "most)", "ns/reading", "ratio", "(least", "most)", "MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for contender, mine in figures["contenders"].items():
        ratio = figures["ratios"].get(contender)
        table.add_row(
            contender,
            *_three(mine["seconds"], ".4f"),
            f"{mine['ns_per_reading']['median']:.1f}",
            *(("", "", "") if ratio is None else _three(ratio, ".2f")),
            f"{mine['peak_bytes'] / _MB:,.0f}",
        )
    console.print(table)
    for target in figures["targets"]:
        word = "reached" if target["reached"] else "NOT reached"
        unit = _UNITS[target["figure"]]
        console.print(
            f"{word}: {target['found']:,.4g} {unit}, to be at most {target['at_most']:,.4g}"
        )
    console.print()


def _three(values: Mapping[str, float], form: str) -> tuple[str, str, str]:
    middle, least, most = (format(values[key], form) for key in ("median", "min", "max"))
    return middle, least, most
