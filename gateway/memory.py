"""A card number may be in memory for a moment: it must not reach a disk or another process.

Not guarded here: swap (the systemd unit forbids it) and who is root.
"""

import ctypes
import logging
import resource
import sys
from typing import Final

_LOG = logging.getLogger(__name__)
_PR_SET_DUMPABLE: Final = 4  # Source: linux/prctl.h.


def keep_private() -> None:
    """No core dumps; no other process of the same user may look into this one. Once, at the start.

    A debugger can be attached by root alone afterwards.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        if prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:  # A sandbox may forbid it.
            _LOG.warning("memory stays readable to processes of this user: prctl was refused")
