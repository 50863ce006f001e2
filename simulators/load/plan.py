"""What a load is: how many gateways and terminals, how many readings a second, for how long."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from simulators.sites import Site

GATEWAYS_PER_CENTRE: Final = 20  # Where no list of gateways says otherwise.
_METER_EVERY: Final = 3  # Each third terminal is a meter, as in the live fleet.


class Outgoing(NamedTuple):
    """One message of one gateway.

    Attributes:
        gateway: Its position among the sites.
        due_s: When it is due, seconds after the start; None: as soon as there is room.
        batch: The envelope's id.
        payload: The envelope.
        entries: What the ledger writes down of each reading in it, as JSON.
    """

    gateway: int
    due_s: float | None
    batch: str
    payload: bytes
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A steady load.

    Attributes:
        gateways: One connection each.
        terminals: In all; dealt to the gateways in turn. Each third of a gateway is a meter.
        rate_per_s: Readings a second of all terminals together, one a message, as live ones are.
        duration_s: For how long.
        residents: Measured at random, each at any terminal.
        seed: Makes people, times and values.
        rehearsal: Distinguishes runs that share a database: part of ids and boot ids.
        emergency_rate: Share of readings that are emergencies (assumption, not epidemiology).
    """

    gateways: int = 100
    terminals: int = 400
    rate_per_s: float = 500.0
    duration_s: float = 30.0
    residents: int = 20_000
    seed: int = 1
    rehearsal: str = "rehearsal"
    emergency_rate: float = 0.01

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def list_terminals(plan: LoadPlan, sites: Sequence[Site]) -> list[tuple[str, bool]]:
    """Name of each terminal, and whether it is a meter; number n stands at site n modulo sites."""
    found = []
    for number in range(plan.terminals):
        place, index = number % len(sites), number // len(sites)
        is_meter = index % _METER_EVERY == _METER_EVERY - 1
        kind = "glu" if is_meter else "bp"
        found.append((f"{sites[place].gateway_id}-{kind}-{index + 1}", is_meter))
    return found
