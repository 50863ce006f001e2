"""A stack for one command alone: up for it, down with it, whatever ends the command.

Two loads or two rehearsals at once would take each other's readings and databases, so one command
at a time has such a home, by a lock that the kernel frees. ``kill -9`` and the kernel's own killer
leave a command no time to clean up: a keeper, a process that does nothing but wait, then does it.
It holds the same lock, so nobody starts here what the keeper is about to stop.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.embedded.folders import Report, hold_lock, make_home
from deploy.embedded.keeper import DONE
from deploy.embedded.stack import Stack

_WAIT_S: Final = 3.0  # For a keeper at work; whoever is alive has it for longer.
_LOCK: Final = "sole.lock"
_LOG: Final = "keeper.log"


@contextmanager
def sole_stack(
    home: Path, *, checkout: Path, report: Report, afresh: bool = False
) -> Iterator[Stack]:
    """The stack below ``home``, up; stopped afterwards, unless it ran before.

    Args:
        home: Its folder; its parent need not exist.
        checkout: Home of the stack whose unpacked programs it shares.
        report: Told each step.
        afresh: Stop what runs there first, so that it is stopped afterwards in any case.

    Raises:
        StackError: It cannot be started, or another command has it (``BusyError``).
    """
    os.environ["SUIFANG_PACKAGES"] = str(Stack.of_checkout(checkout).fetch(report))
    stack = Stack.of_checkout(home)
    make_home(stack.home)
    with hold_lock(stack.home / _LOCK, report, _WAIT_S) as lock:
        if afresh:
            stack.down()
        if stack.status().running:
            yield stack
            return
        with _kept(stack, lock):
            stack.up(report)
            yield stack


@contextmanager
def _kept(stack: Stack, lock: int) -> Iterator[None]:
    """Stopped at the end: by us, or by a keeper when we are killed."""
    with (
        (stack.home / _LOG).open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "deploy.embedded.keeper", stack.home],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd="/",
            pass_fds=[lock],
            start_new_session=True,  # Ctrl-C is the command's to handle.
        ) as keeper,
    ):
        try:
            yield
        finally:
            stack.down()
            if keeper.stdin is not None and keeper.poll() is None:
                keeper.stdin.write(DONE)
