"""A process that works for another one: asked by a line, telling lines, ending with its parent.

It must never outlive whoever asked: when standard input ends, so does the process.
"""

import json
import os
import signal
import sys
import threading
from typing import Any, Final

_NICER: Final = 10


def hear_asked() -> dict[str, Any]:
    """What is asked, one line of JSON; from then on this process is nice, and ends with its parent.

    Raises:
        ValueError: That is no JSON.
    """
    os.nice(_NICER)
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()
    return asked


def tell(**said: object) -> None:
    """One line to whoever asked."""
    sys.stdout.write(json.dumps(said, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    sys.stdin.read()  # Nothing more is said; it ends when the parent does.
    os.kill(os.getpid(), signal.SIGTERM)
