"""Many UUIDs of version 7 at once, as text: written one by one they were a tenth of a message."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

RANDOM_BYTES: Final = 10  # Of one identifier; the six bits of version and variant are put over.
_DASHES: Final = (8, 13, 18, 23)
_TEXT: Final = 36
_DIGITS: Final = np.delete(np.arange(_TEXT), _DASHES)  # Where they stand.


def write_identifiers(instants_ms: NDArray[np.int64], random: bytes) -> list[str]:
    """One UUIDv7 for each instant, in the same order.

    Args:
        instants_ms: Unix milliseconds, shape (n,).
        random: ``RANDOM_BYTES`` for each.

    Source: RFC 9562, section 5.7. Cost: O(n).
    """
    size = len(instants_ms)
    raw = np.empty((size, 16), np.uint8)
    raw[:, :6] = instants_ms.astype(">i8").view(np.uint8).reshape(size, 8)[:, 2:]
    raw[:, 6:] = np.frombuffer(random, np.uint8).reshape(size, RANDOM_BYTES)
    raw[:, 6] = raw[:, 6] & 0x0F | 0x70
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    text = np.full((size, _TEXT), ord("-"), np.uint8)
    text[:, _DIGITS] = np.frombuffer(raw.tobytes().hex().encode(), np.uint8).reshape(size, 32)
    written = text.tobytes().decode("ascii")
    return [written[at : at + _TEXT] for at in range(0, len(written), _TEXT)]
