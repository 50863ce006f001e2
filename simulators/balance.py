"""What reconcile finds: the law for each gateway, and each thing that does not add up."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

WAITING: Final = "waiting"
RETIRED: Final = "retired"
UNSETTLING: Final = "unsettling"
DISPOSITIONS: Final = ("stored", "duplicate", "quarantined")


class Kind(StrEnum):
    """What can differ. All but the last five break the law."""

    LOST = "lost"  # Taken by a gateway, and nowhere now.
    DOUBLED = "doubled"  # More than one disposition, or one id given to two readings.
    UNKNOWN = "unknown"  # Held somewhere, sent by nobody.
    COUNTER = "counter"  # A gateway's counters do not match the ids.
    TOTALS = "totals"  # gateway_day does not match the rows.
    UNEXPECTED = "unexpected"  # Kept, but not as the ledger foretold.
    ALTERED = "altered"  # Kept, but as another's, or otherwise than it was truly measured.
    MISJUDGED = "misjudged"  # An alert or a case is not what the true readings ask for.
    MISTOLD = "mistold"  # An alert shows another value, limit or source than stands behind it.
    LATE = "late"  # An alert was told later after its ground than its severity allows.


_LAWFUL: Final = frozenset({Kind.UNEXPECTED, Kind.ALTERED, Kind.MISJUDGED, Kind.MISTOLD, Kind.LATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that does not add up; ``examples`` are at most 20."""

    kind: Kind
    gateway_id: str
    count: int
    detail: str
    examples: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class GatewayBalance:
    """The law for one gateway, in distinct ids. ``accepted`` is None without its spool."""

    gateway_id: str
    accepted: int | None = None
    waiting: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    retired: int = 0  # Stored once, and let go by retention.
    unsettling: int = 0  # Quarantined items that settle no id: beside the law.
    redelivered: int = 0  # Beside the law.

    @property
    def known(self) -> int:
        """The right side of the law."""
        return self.waiting + self.stored + self.duplicate + self.quarantined + self.retired


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What reconcile found."""

    sent: int
    taken: int
    refused: int
    unanswered: int
    echoes: int
    gateways: Sequence[GatewayBalance]
    differences: Sequence[Difference] = field(default_factory=tuple)
    judged: int = 0  # Residents whose true readings were judged once more.

    @property
    def conserved(self) -> bool:
        """Whether the law holds: nothing lost, doubled, unknown or miscounted."""
        return all(difference.kind in _LAWFUL for difference in self.differences)

    @property
    def agrees(self) -> bool:
        """Whether the law holds and everything became what the ledger foretold."""
        return not self.differences

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        names = ("accepted", WAITING, *DISPOSITIONS, RETIRED, UNSETTLING, "redelivered")
        return {
            "conserved": self.conserved,
            "agrees": self.agrees,
            "sent": self.sent,
            "taken": self.taken,
            "refused": self.refused,
            "unanswered": self.unanswered,
            "echoes": self.echoes,
            "judged": self.judged,
            "gateways": {
                line.gateway_id: {name: getattr(line, name) for name in names}
                for line in self.gateways
            },
            "differences": [
                {
                    "kind": difference.kind.value,
                    "gateway": difference.gateway_id,
                    "count": difference.count,
                    "detail": difference.detail,
                    "examples": list(difference.examples),
                }
                for difference in self.differences
            ],
        }
