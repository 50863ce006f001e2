"""What one sees while the demo runs: a live panel on a terminal, a line now and then elsewhere."""

import asyncio
import contextlib
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.demo.run import Progress
from deploy.demo.settings import DemoSettings

_LINE_EVERY_S: Final = 5.0
_PANEL_EVERY_S: Final = 0.25


class Display:
    """Reads ``Progress`` and never changes it. ``show`` runs beside the demo until ``finish``."""

    def __init__(self, progress: Progress, settings: DemoSettings, console: Console) -> None:
        self._progress = progress
        self._settings = settings
        self._console = console
        self.done = asyncio.Event()

    async def show(self) -> None:
        """Keep showing until ``finish``; what is printed afterwards stays below."""
        self._console.print(
            f"demo: sessions are judged {self._settings.session_wait_s:g} s after their last"
            " reading (10 minutes in production), so that one sees cases move",
            highlight=False,
        )
        if not self._console.is_terminal:
            while not await self._finished_within(_LINE_EVERY_S):
                self._console.out(self._line(), highlight=False)
            return
        with Live(console=self._console, transient=True, auto_refresh=False) as live:
            while not await self._finished_within(_PANEL_EVERY_S):
                live.update(self._panel(), refresh=True)

    async def _finished_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.done.wait()
        return self.done.is_set()

    def _panel(self) -> RenderableType:
        progress = self._progress
        numbers = Table.grid(padding=(0, 2))
        for name, value in (
            ("stored", progress.stored),
            ("quarantined", progress.quarantined),
            ("alerts", progress.alerts),
            ("open cases", progress.cases),
        ):
            numbers.add_row(name, f"{value:>9,}")
        replay, fleet = progress.replay, progress.fleet
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            "real readings",
            ProgressBar(total=replay.planned or 1, completed=replay.taken, width=40),
            f"{replay.taken:,} of {replay.planned or 0:,}",
        )
        bar.add_row("live fleet", "", f"{fleet.taken:,} taken")
        return Group(Text(f"{progress.step} …", style="bold"), bar, numbers, Text(progress.api))

    def _line(self) -> str:
        progress = self._progress
        return (
            f"{progress.step}: {progress.replay.taken:,} real and {progress.fleet.taken:,} live"
            f" readings taken; {progress.stored:,} stored, {progress.quarantined:,} quarantined,"
            f" {progress.alerts:,} alerts, {progress.cases:,} open cases"
        )
