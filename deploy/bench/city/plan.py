"""How large the city is, and how it is asked."""

from dataclasses import dataclass
from typing import Final

RESIDENTS_OF_TEAM: Final = 2_000  # A team of 2,000 signed residents is normal (README, scale).
TEAMS_OF_CENTRE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CityPlan:
    """What to fill in and how long to ask.

    Attributes:
        residents: All registered, each with a team.
        readings: Blood pressures of the last 24 months.
        cases: One each of so many residents.
        connections: Readers that ask at once, each again as soon as it was answered.
        seconds: Of the mixed reads; a third of it each, for every kind of read alone.
        listeners: On the live feed at once, each with a connection of its own.
        processes: API processes that share the address.
        keep: Leave the database for the next run, which then asks at once.
    """

    residents: int = 1_000_000
    readings: int = 50_000_000
    cases: int = 300_000
    connections: int = 16
    seconds: float = 30.0
    listeners: int = 2_000
    processes: int = 2
    keep: bool = False

    @property
    def teams(self) -> int:
        """At least one."""
        return -(-self.residents // RESIDENTS_OF_TEAM)

    @property
    def centres(self) -> int:
        """At least one."""
        return -(-self.teams // TEAMS_OF_CENTRE)

    @property
    def database(self) -> str:
        """Its name says what is in it."""
        return f"city_{self.residents}_{self.readings}_{self.cases}"
