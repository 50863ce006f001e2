"""What the kernel knows of its own clock, read with ``adjtimex`` and never written.

Every program that follows a time server tells the kernel (systemd-timesyncd and ntpd always,
chronyd with ``rtcsync``, which its packages set). The bound of the error grows by 500 parts in a
million since the last word of the server; at 16 s, nearly nine hours, the kernel calls the clock
unsynchronised by itself. Source: adjtimex(2), linux/timex.h.
"""

import logging
from dataclasses import dataclass
from typing import Final

_LOG = logging.getLogger(__name__)
_UNSYNCHRONISED: Final = 0x0040  # STA_UNSYNC
_STRUCT_LONGS: Final = 64  # struct timex is 208 bytes on 64 bits; room to spare.
_MAXERROR: Final = 3  # Its members as longs: modes, offset, freq, maxerror, esterror, status.
_STATUS: Final = 5
_STATUS_BITS: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class KernelTime:
    """The kernel's word."""

    synchronised: bool
    error_s: float  # Upper bound.


def read_kernel_time() -> KernelTime:
    """Ask the kernel. Where it does not answer (a sandbox), nothing is synchronised."""
    import ctypes  # noqa: PLC0415 - only where the kernel is asked

    struct = (ctypes.c_long * _STRUCT_LONGS)()  # modes = 0: reads only.
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(struct)) < 0:
        return KernelTime(synchronised=False, error_s=float("inf"))
    status = struct[_STATUS] & _STATUS_BITS
    return KernelTime(not status & _UNSYNCHRONISED, struct[_MAXERROR] / 1_000_000)
