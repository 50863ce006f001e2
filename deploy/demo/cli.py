"""``suifang demo``. Exit 0: ran and conserved; 1: it did not; 2: wrong command line."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from deploy.demo.display import Display
from deploy.demo.errors import DemoError
from deploy.demo.report import print_report, write_report
from deploy.demo.run import Demo
from deploy.demo.settings import DemoSettings
from deploy.embedded.errors import StackError
from deploy.embedded.stack import Stack
from gateway.wire.times import utc_now
from ingest.db.errors import DatabaseError
from simulators.errors import SimulatorError

app = typer.Typer(help="Run the whole way on real readings, and prove that none was lost.")
_console = Console(stderr=True)


@app.callback(invoke_without_command=True)
def demo(
    *,
    seconds: Annotated[
        float | None,
        typer.Option(
            envvar="DEMO_SECONDS",
            help="Stop sending so long after the first message, drain, report, exit.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of the API; 0: any free.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The report on stdout.")] = False,
) -> None:
    """Start everything on this machine, replay 27,830 real readings, then stay up."""
    if seconds is not None and not 0 < seconds < float("inf"):
        _fail("--seconds (DEMO_SECONDS) must be above 0", code=2)
    stack = Stack.of_checkout()
    was_up = stack.status().running
    try:
        stack.up(lambda step: _console.print(f"stack: {step}", style="dim", highlight=False))
    except StackError as error:
        _fail(str(error))
    try:
        with _only_one(stack.home):
            settings = DemoSettings(home=stack.home, seconds=seconds, api_port=port)
            report = _run(Demo(settings, stack, utc_now))
    finally:
        if not was_up:
            stack.down()
    if as_json:
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
    if not report["conserved"]:
        _fail(f"not conserved: {report.get('problem', 'see reconcile in demo.json')}")


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    with (home / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _fail("another demo runs in this checkout; stop it with Ctrl-C first")
        yield


def _run(run: Demo) -> dict[str, Any]:
    """Run it and write ``demo.json`` whatever happens."""
    path = run.settings.home / "demo.json"
    problem: str | None = None
    try:
        asyncio.run(_run_with_display(run, path))
    except (DemoError, StackError, DatabaseError, SimulatorError, TimeoutError) as error:
        problem = str(error) or type(error).__name__
    report = _report(run, problem)
    write_report(path, report)
    _console.print(f"report: {path}; logs: {run.folder}", highlight=False)
    return report


async def _run_with_display(run: Demo, path: Path) -> None:
    """Run until done or told to stop by Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    display = Display(run.progress, run.settings, _console)
    task = asyncio.create_task(run.run(lambda: _stay(run, path, display, stop)), name="demo")
    shown = asyncio.create_task(display.show(), name="display")

    def interrupt() -> None:
        if stop.is_set() or not display.done.is_set():
            task.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        display.done.set()
        await shown


async def _stay(run: Demo, path: Path, display: Display, stop: asyncio.Event) -> None:
    """Report; then, unless the time was given, leave the API up until Ctrl-C."""
    report = await asyncio.to_thread(_report, run, None)
    write_report(path, report)
    display.done.set()
    print_report(report, _console)
    if run.settings.seconds is None:
        api = run.progress.api
        _console.print(f"\nAPI: {api}/v1/alerts  {api}/v1/cases  {api}/v1/alerts/stream")
        _console.print(f"report: {path}. Ctrl-C stops everything.")
        await stop.wait()


def _report(run: Demo, problem: str | None) -> dict[str, Any]:
    try:
        report = run.report()
    except Exception as error:  # noqa: BLE001 - the report is always written
        report = {"conserved": False, "problem": f"{type(error).__name__}: {error}"}
    if problem is not None:
        report |= {"conserved": False, "problem": problem}
    return report


def _fail(problem: str, *, code: int = 1) -> None:
    sys.stderr.write(f"suifang demo: {problem}{os.linesep}")
    raise typer.Exit(code)
