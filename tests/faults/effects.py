"""What our processes said of what befell them: a fault that nobody felt shows nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

SIGNS: Final[Mapping[str, bytes]] = {
    "broker lost": b'"event": "broker_lost"',
    "broker unreachable": b'"event": "broker_unreachable"',
    "database unavailable": b'"event": "database_unavailable"',
    "disk full": b"No space left on device",
    "deadlock": b"deadlock detected",
    "lock timeout": b"lock timeout",
    "serialization failure": b"could not serialize access",
    "statement timeout": b"statement timeout",
    "idle in transaction": b"idle-in-transaction timeout",
    "connections refused": b"not currently accepting connections",
    "crash recovery": b"in recovery mode",
    "postmaster gone": b"unexpected postmaster exit",
    "batch sent again": b"is sent again",
    "nobody reads": b"nobody reads the batches",
    "receipt not believed": b"not believed",
    "unknown receipt": b"which does not wait; ignored",
}


def count_signs(logs: Iterable[Path]) -> Counter[str]:
    """How often each sign stands in these logs; those that do not are left out."""
    found: Counter[str] = Counter()
    for log in logs:
        text = log.read_bytes()
        found += Counter({name: text.count(sign) for name, sign in SIGNS.items()})
    return found
