"""What can be played, and to whom: the fixed scenarios, and the gateways that the demo has written.

Nothing of what a browser sends becomes part of a command but a name of this table and a number.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One of them. Rates are assumptions of rehearsals, not epidemiology."""

    kind: Literal["fleet", "replay"]
    rate_per_s: float
    emergency_rate: float = 0.01


SCENARIOS: Final[dict[str, Scenario]] = {
    "calm": Scenario(kind="fleet", rate_per_s=5),
    "morning": Scenario(kind="fleet", rate_per_s=120),
    "emergencies": Scenario(kind="fleet", rate_per_s=10, emergency_rate=0.2),
    "real": Scenario(kind="replay", rate_per_s=200),
}
SECONDS_MIN: Final = 10
SECONDS_MAX: Final = 3_600
DRAIN_S: Final = 120
"""After its time a scenario waits for the answers it is owed."""


def read_stack(file: Path) -> dict[str, Any]:
    """The gateways to play to, by name, with what else a scenario needs; none: not up yet.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not what the demo writes.
    """
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found
