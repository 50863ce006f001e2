"""How the C library's allocator treats a process that judges one batch after the other.

It gives large arrays back to the kernel as soon as they are free, and the next batch faults the
same pages in again: a fifth of the time of a live batch (``make bench``). Kept instead, they cost
at most ``KEPT_BYTES`` more between batches. Never needed for a right answer.
"""

import ctypes
from typing import Final

KEPT_BYTES: Final = 128 << 20
"""A batch of 5,000 residents with 75 readings each needs about 100 MB."""
_MMAP_THRESHOLD_BYTES: Final = 32 << 20  # The most that mallopt(3) takes on 64 bits.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keep_memory() -> bool:
    """Let this process keep freed memory for its next batch; False where only glibc can."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wishes = ((_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES), (_M_TRIM_THRESHOLD, KEPT_BYTES))
    return all(mallopt(option, wanted) == 1 for option, wanted in wishes)
