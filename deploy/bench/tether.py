"""``python tether.py PARENT COMMAND...`` becomes the command; the kernel ends it with its parent.

The parent's thread that started it must be one that lives as long as the process (the kernel
watches the thread): ``Program`` sees to that. Standard library only, and little of it: it runs
before every child of the benchmark. Source: prctl(2), PR_SET_PDEATHSIG; it outlives execve(2).
"""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Never returns: what it stands for has begun, or its parent is gone already."""
    parent, *command = sys.argv[1:]
    # For good: nobody is left who would wait for a gentle end.
    rest = [ctypes.c_ulong(value) for value in (signal.SIGKILL, 0, 0, 0)]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, *rest)
    if os.getppid() == int(parent):
        os.execv(command[0], command)  # noqa: S606 - an absolute path of ours


if __name__ == "__main__":
    main()
