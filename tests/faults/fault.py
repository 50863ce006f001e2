"""What a fault is: a name, what it may befall, how long it lasts, and how it is done.

``apply`` breaks something for ``duration_s`` and mends it itself, whatever happens meanwhile;
what it saw of its own effect it appends to ``world.seen``.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.faults.world import World

Apply: TypeAlias = Callable[[World, str, float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind."""

    name: str
    targets: Sequence[str]
    seconds: tuple[float, float]  # Shortest and longest.
    apply: Apply
    each: bool  # Whether every class of target must be covered, not just the kind.

    def classes(self) -> list[list[str]]:
        """Targets of one class each: gateways, workers, ...; all in one where that will do."""
        if not self.each:
            return [list(self.targets)]
        found: dict[str, list[str]] = {}
        for target in self.targets:
            found.setdefault(target.rstrip("-0123456789"), []).append(target)
        return list(found.values())


REGISTRY: Final[dict[str, Fault]] = {}


def fault(
    *targets: str, seconds: tuple[float, float] = (0.3, 3.0), each: bool = False
) -> Callable[[Apply], Apply]:
    """Register a coroutine function as the fault of its name."""

    def register(apply: Apply) -> Apply:
        name = apply.__name__
        REGISTRY[name] = Fault(name, targets or ("",), seconds, apply, each)
        return apply

    return register
