"""Limits of the simulators. Built once in the command and passed down."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

GAP_MAX: Final = timedelta(days=90)  # A replay shortens longer gaps to this.
REPORTED_IDS_MAX: Final = 20  # Ids shown for one kind of difference; all are counted.
STRANGERS_MAX: Final = 100_000  # Ids in no ledger that reconcile looks at one by one.


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalLimits:
    """How far one virtual terminal goes before it waits, tries again, or gives up."""

    window_max: int = 64  # Readings sent and not yet answered.
    answer_bytes_max: int = 4_096
    connect_s_max: float = 5.0
    answer_s_max: float = 30.0  # Then the link counts as broken.
    busy_pause_s: float = 0.2
    backoff_s_min: float = 0.05
    backoff_s_max: float = 2.0
    unreachable_s_max: float = 60.0  # Without one connection for so long: TerminalError.
    drain_s_max: float = 30.0  # After the stop, for answers still owed.
