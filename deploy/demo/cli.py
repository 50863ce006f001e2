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
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console

from deploy.demo.display import Display
from deploy.demo.errors import DemoError
from deploy.demo.report import blank_report, print_report, write_report
from deploy.demo.run import Demo
from deploy.demo.settings import DemoSettings
from deploy.embedded.errors import StackError
from deploy.embedded.folders import make_home
from deploy.embedded.stack import Stack
from gateway.errors import GatewayError
from gateway.wire.times import utc_now
from ingest.db.errors import DatabaseError
from simulators.errors import SimulatorError

app = typer.Typer(help="Run the whole way on real readings, and prove that none was lost.")
_console = Console(stderr=True)
_COMMAND: Final = Path(".venv/bin/suifang")
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells expect.


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
    settings = DemoSettings(home=stack.home, seconds=seconds, api_port=port)
    try:
        make_home(stack.home)
        with _only_one(stack.home):
            report = _run_on(stack, settings)
    except StackError as error:
        _fail(str(error))
    if as_json:
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
    if report["problem"] is not None:
        _fail(report["problem"])
    if not report["conserved"]:
        _fail("not conserved: see reconcile in demo.json")
    if report["interrupted"]:
        raise typer.Exit(_INTERRUPTED)


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    with (home / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _fail("another demo runs in this checkout; stop it with Ctrl-C first")
        yield


def _run_on(stack: Stack, settings: DemoSettings) -> dict[str, Any]:
    """Run with the stack up, and down again afterwards unless it was up before."""
    path = settings.home / "demo.json"
    write_report(path, blank_report("the demo did not come to its end"))
    was_up = stack.status().running
    try:
        stack.up(lambda step: _console.print(f"stack: {step}", style="dim", highlight=False))
        return _run(Demo(settings, stack, utc_now), path)
    except StackError as error:
        write_report(path, blank_report(str(error)))
        raise
    finally:
        if not was_up:
            stack.down()


def _run(run: Demo, path: Path) -> dict[str, Any]:
    """Run it and write ``demo.json`` whatever happens."""
    problem: str | None = None
    try:
        asyncio.run(_run_with_display(run, path))
    except (
        DemoError,
        StackError,
        DatabaseError,
        GatewayError,
        SimulatorError,
        TimeoutError,
    ) as error:
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
        if not stop.is_set() and not display.done.is_set():
            run.interrupted = True
            task.cancel()  # Once: told again, it is stopping already.
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
        _console.print(
            f"\nconsole: {api}/console/  (a doctor, a team leader, an operator)\n"
            f"API: {api}/v1/alerts  {api}/v1/cases  {api}/v1/alerts/stream\n"
            f'     curl -H "Authorization: Bearer $({_COMMAND} token)" {api}/v1/alerts',
            soft_wrap=True,
            highlight=False,
        )
        _console.print(f"report: {path}. Ctrl-C stops everything.")
        await stop.wait()


def _report(run: Demo, problem: str | None) -> dict[str, Any]:
    try:
        report = run.report()
    except Exception as error:  # noqa: BLE001 - the report is always written
        report = blank_report(f"{type(error).__name__}: {error}")
    if problem is not None:
        report["problem"] = problem
    return report


def _fail(problem: str, *, code: int = 1) -> NoReturn:
    sys.stderr.write(f"suifang demo: {problem}{os.linesep}")
    raise typer.Exit(code)
