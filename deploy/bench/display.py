"""What one sees meanwhile: a bar on a terminal, a line a turn elsewhere. On standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.bench.lap import Progress as Report


class Display:
    """Says what goes on."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(f"bench: {text}", markup=False, soft_wrap=True)

    @contextmanager
    def lap(self, title: str) -> Iterator[Report]:
        """Yield what is told how many readings of how many are visible."""
        if not self._console.is_terminal:
            yield lambda _seen, _of: None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda seen, of: bar.update(task, completed=seen, total=of)
