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


REGISTRY: Final[dict[str, Fault]] = {}


def fault(*targets: str, seconds: tuple[float, float] = (0.3, 3.0)) -> Callable[[Apply], Apply]:
    """Register a coroutine function as the fault of its name."""

    def register(apply: Apply) -> Apply:
        name = apply.__name__
        REGISTRY[name] = Fault(name, targets or ("",), seconds, apply)
        return apply

    return register
