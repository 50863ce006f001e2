"""A schedule: which faults, when, for how long, drawn from a seed; the same seed, the same one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Final

from tests.faults import broker_faults, database_faults, network_faults, process_faults
from tests.faults.fault import REGISTRY, Fault
from tests.faults.workload import SENDING_S

WORKLOADS: Final = 3
_FIRST_S: Final = 0.3
_FAULTS: Final = (3, 7)
KINDS: Final = tuple(sorted(REGISTRY))
_SOURCES: Final = (broker_faults, database_faults, network_faults, process_faults)


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One fault of a schedule."""

    at_s: float
    name: str
    target: str
    duration_s: float

    def __str__(self) -> str:
        """As the summary shows it."""
        target = f" {self.target}" if self.target else ""
        return f"{self.name}{target} at {self.at_s:.1f} for {self.duration_s:.1f} s"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that is random in a run."""

    seed: int
    workload_seed: int
    faults: Sequence[PlannedFault] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def draw_schedule(seed: int) -> Schedule:
    """A few faults at once and after each other."""
    random = Random(f"schedule {seed}")  # noqa: S311 - faults, not secrets
    number = random.randint(*_FAULTS)
    planned = [_place(random, REGISTRY[random.choice(KINDS)]) for _ in range(number)]
    return _schedule(seed, planned)


def draw_covering(seed: int, number: int) -> list[Schedule]:
    """So many schedules in which every kind of fault befalls every class of target."""
    random = Random(f"covering {seed}")  # noqa: S311 - likewise
    wanted = [(kind, some) for kind in REGISTRY.values() for some in kind.classes()]
    random.shuffle(wanted)
    return [
        _schedule(seed + at, [_place(random, *each) for each in wanted[at::number]])
        for at in range(number)
    ]


def _schedule(seed: int, planned: list[PlannedFault]) -> Schedule:
    return Schedule(seed, seed % WORKLOADS, sorted(planned, key=lambda each: each.at_s))


def _place(random: Random, kind: Fault, targets: Sequence[str] = ()) -> PlannedFault:
    duration_s = round(random.uniform(*kind.seconds), 2)
    latest_s = max(SENDING_S - duration_s, _FIRST_S)  # While there is something to lose.
    at_s = round(random.uniform(_FIRST_S, latest_s), 2)
    return PlannedFault(at_s, kind.name, random.choice(list(targets or kind.targets)), duration_s)
