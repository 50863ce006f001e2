"""What a person sees of a load meanwhile: a table on a terminal, a line now and then elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from simulators.load.counts import Sample
from simulators.load.fleet import LoadRun

_LINE_EVERY_S: Final = 5.0


class LoadDisplay:
    """Shows samples on standard error."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console = console
        self._live = live
        self._title = "load"
        self._told_s = 0.0

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(f"load: {text}", markup=False, soft_wrap=True)

    def begin(self, title: str) -> None:
        """What comes now."""
        self._title, self._told_s = title, 0.0
        if self._live is None:
            self.say(title)

    def show(self, run: LoadRun) -> None:
        """The second that just ended, and everything so far."""
        if not run.samples:
            return
        sample = run.samples[-1]
        if self._live is not None:
            self._live.update(_table(self._title, run, sample))
        elif sample.at_s - self._told_s >= _LINE_EVERY_S:
            self._told_s = sample.at_s
            self.say(
                f"{sample.at_s:.0f} s: {sample.sent_per_s:,.0f}/s sent,"
                f" {sample.receipted_per_s:,.0f}/s receipted, p99 {_ms(sample.stored_p99_ms)},"
                f" lag {sample.lag_s:.1f} s, {sample.waiting:,} waiting"
            )


@contextmanager
def load_display() -> Iterator[LoadDisplay]:
    """A living table when standard error is a terminal."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield LoadDisplay(console, None)
        return
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        yield LoadDisplay(console, live)


def _table(title: str, run: LoadRun, sample: Sample) -> Table:
    counts = run.counts
    parts = (counts.stored, counts.duplicate, counts.quarantined, counts.waiting)
    law = " + ".join(f"{part:,}" for part in parts)
    rates = (sample.sent_per_s, sample.acknowledged_per_s, sample.receipted_per_s)
    table = Table(title=f"{title}: {sample.at_s:.0f} s", show_header=False, min_width=64)
    table.add_column(style="dim")
    table.add_column(justify="right")
    rows: list[tuple[str, str]] = [
        ("readings/s sent, PUBACK, receipt", "  ".join(f"{rate:,.0f}" for rate in rates)),
        (
            "PUBACK p50, p99",
            f"{_ms(sample.acknowledged_p50_ms)}  {_ms(sample.acknowledged_p99_ms)}",
        ),
        ("stored p50, p99", f"{_ms(sample.stored_p50_ms)}  {_ms(sample.stored_p99_ms)}"),
        ("lag (the oldest without a receipt)", f"{sample.lag_s:.1f} s"),
        ("late ourselves, p99", _ms(sample.lateness_p99_ms)),
        ("sent = stored + duplicate + quarantined + waiting", f"{counts.sent:,} = {law}"),
        ("cores", "  ".join(f"{name} {cores:.2f}" for name, cores in sample.cores.items())),
    ]
    if counts.broken:
        rows.append(("lines broken, readings sent again", f"{counts.broken:,}  {counts.again:,}"))
    for row in rows:
        table.add_row(*row)
    return table


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} ms"


Progress = Callable[[int], None]


def opening(display: LoadDisplay, gateways: int) -> Progress:
    """Says now and then how many gateways are connected."""
    step = max(gateways // 5, 1)

    def tell(number: int) -> None:
        if number % step == 0 or number == gateways:
            display.say(f"{number:,} of {gateways:,} gateways connected")

    return tell
