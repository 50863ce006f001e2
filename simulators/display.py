"""What a person sees: a live line while it runs, tables at the end. Only on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from simulators.balance import Report
from simulators.tally import Tally


@contextmanager
def live_line(title: str) -> Iterator[Callable[[Tally], None] | None]:
    """Yield what shows progress on stderr, or None when nobody watches."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield lambda tally: live.update(Text(f"{title}: {describe(tally)}"))


def describe(tally: Tally) -> str:
    """One line about a run."""
    of = "" if tally.planned is None else f" of {tally.planned}"
    rate = tally.taken / tally.elapsed_s if tally.elapsed_s else 0.0
    latency = tally.taken_latency.as_dict()
    parts = [
        f"{tally.taken}{of} taken in {tally.elapsed_s:.1f} s ({rate:.0f}/s)",
        f"p50 {latency['p50_ms'] or 0:.1f} ms, p99 {latency['p99_ms'] or 0:.1f} ms",
    ]
    troubles = ("refused", "busy", "again", "broken", "unanswered")
    parts += [f"{getattr(tally, name)} {name}" for name in troubles if getattr(tally, name)]
    return ", ".join(parts)


def print_report(report: Report) -> None:
    """The law as a table on stdout, then each difference."""
    console = Console()
    names = ["accepted", "waiting", "stored", "duplicate", "quarantined"]
    if any(line.retired for line in report.gateways):
        names.append("retired")
    table = Table(title=f"accepted = {' + '.join(names[1:])} (distinct ids)")
    table.add_column("gateway")
    for name in names:
        table.add_column(name, justify="right")
    for line in report.gateways:
        values = [getattr(line, name) for name in names]
        cells = ["?" if value is None else str(value) for value in values]
        table.add_row(line.gateway_id or "(none)", *cells)
    console.print(table)
    redelivered = sum(line.redelivered for line in report.gateways)
    unsettling = sum(line.unsettling for line in report.gateways)
    console.print(f"beside the law: {redelivered} redelivered, {unsettling} unsettling items")
    console.print(
        f"ledger: {report.sent} sent, {report.taken} taken, {report.refused} refused, "
        f"{report.unanswered} unanswered; {report.echoes} echoes of lost answers"
    )
    for difference in report.differences:
        console.print(
            f"{difference.kind.upper()} {difference.gateway_id or '-'}: {difference.count}, "
            f"{difference.detail}",
            style="bold red",
            markup=False,
        )
        for example in difference.examples:
            console.print(f"    {example}", markup=False)
    if report.judged:
        console.print(f"{report.judged} residents judged once more, by what was truly measured")
    console.print("conserved" if report.conserved else "NOT conserved")
