"""One process of ours exactly as its command runs it, but on a clock that the harness can move.

``python -m tests.faults.process gateway|ingest|judge|dispatcher``; the clock's file is named by
``FAULTS_CLOCK``. The product itself has no such setting and must not get one.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

from tests.faults.clock import MovedClock

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Run one command with its settings from the environment; end when the harness ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    clock = MovedClock(Path(os.environ["FAULTS_CLOCK"]))
    name = sys.argv[1]
    if name == "gateway":
        from gateway import cli  # noqa: PLC0415 - each process imports only its own packages

        vars(cli)["utc_now"] = clock
        cli.app(args=[])
    elif name in {"ingest", "judge"}:
        from ingest import cli as ingest_cli  # noqa: PLC0415 - likewise

        vars(ingest_cli)["utc_now"] = clock
        (ingest_cli.app if name == "ingest" else ingest_cli.judge_app)(args=[])
    else:
        from api.cli import dispatcher_app  # noqa: PLC0415 - likewise; it has no clock

        dispatcher_app(args=[])


if __name__ == "__main__":
    main()
