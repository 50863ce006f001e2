"""What a person sees of a load meanwhile: a table on a terminal, a line now and then elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.box import SIMPLE
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from simulators.load.counts import Counts, Sample
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
            self._live.update(render_sample(self._title, run, sample))
        elif sample.at_s - self._told_s >= _LINE_EVERY_S:
            self._told_s = sample.at_s
            done = f"{sample.receipted_per_s:,.0f}/s receipted, p99 {_ms(sample.stored_p99_ms)}"
            if not run.counts.with_receipts:
                done = f"{sample.acknowledged_per_s:,.0f}/s PUBACK"
                done += f", p99 {_ms(sample.acknowledged_p99_ms)}"
            self.say(
                f"{sample.at_s:.0f} s: {sample.sent_per_s:,.0f}/s sent, {done},"
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


def render_sample(title: str, run: LoadRun, sample: Sample) -> Group:
    """The last second as a table, everything so far below it; fits a terminal of 24 lines."""
    with_receipts = run.counts.with_receipts
    table = Table(title=f"{title}: {sample.at_s:.0f} s", title_justify="left", box=SIMPLE)
    table.add_column("", style="dim", min_width=26)
    for name in ("readings/s", "p50", "p99"):
        table.add_column(name, justify="right", min_width=12)
    late = _ms(sample.lateness_p99_ms)
    table.add_row("sent (late by ourselves)", _count(sample.sent_per_s), "", late)
    answered, stored = _count(sample.acknowledged_per_s), _count(sample.receipted_per_s)
    p50, p99 = _ms(sample.acknowledged_p50_ms), _ms(sample.acknowledged_p99_ms)
    table.add_row("PUBACK", answered, p50, p99)
    if with_receipts:
        table.add_row("stored", stored, _ms(sample.stored_p50_ms), _ms(sample.stored_p99_ms))
    return Group(table, *(f" {line}" for line in _totals(run.counts, sample)))


def _totals(counts: Counts, sample: Sample) -> Iterator[str]:
    parts = {"acknowledged": counts.acknowledged, "waiting": counts.waiting}
    if counts.with_receipts:
        names = ("stored", "duplicate", "quarantined", "waiting")
        parts = {name: getattr(counts, name) for name in names}
    law = " + ".join(f"{name} {_count(number)}" for name, number in parts.items())
    yield f"sent {_count(counts.sent)} = {law}"
    yield f"oldest without an answer {sample.lag_s:.1f} s"
    if counts.broken:
        yield f"lines broken {_count(counts.broken)}, readings sent again {_count(counts.again)}"
    yield "cores: " + ", ".join(f"{name} {cores:.2f}" for name, cores in sample.cores.items())
    yield f"memory of the simulator {sample.resident_mb:,.0f} MB"


def _count(value: float) -> str:
    return f"{value:,.0f}"


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
