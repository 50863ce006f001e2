"""What became of replayed items, and the sum of it: bounded by reasons, not by items."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from ingest.db.quarantine_items import hide_values

NUMBERS_SHOWN_MAX: Final = 20


class Outcome(StrEnum):
    """What became of one item."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    KNOWN = "known"  # Its id was stored, or a duplicate, with these very bytes: nothing to do.
    SPLIT = "split"  # A whole message: its readings have their own dispositions now.
    REFUSED = "refused"  # Stays in quarantine, under the reason of today.
    SKIPPED = "skipped"  # Replayed or dropped meanwhile, or in the hands of another replay.


@dataclass(frozen=True, slots=True)
class Replayed:
    """One item after its replay; the last three where it was refused."""

    number: int
    outcome: Outcome
    reason: str = ""
    field: str = ""
    detail: str = ""


@dataclass(slots=True)
class _Group:
    items: int = 0
    numbers: list[int] = field(default_factory=list)  # The first ones.
    example: Replayed | None = None


class Tally:
    """Counts by outcome and reason, with the first numbers of each."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Outcome, str], _Group] = {}

    def add(self, done: Iterable[Replayed]) -> None:
        """Count one portion."""
        for one in done:
            group = self._groups.setdefault((one.outcome, one.reason), _Group())
            group.items += 1
            group.example = group.example or one
            if len(group.numbers) < NUMBERS_SHOWN_MAX:
                group.numbers.append(one.number)

    def count(self, outcome: Outcome) -> int:
        """How many items became this."""
        return sum(group.items for (of, _), group in self._groups.items() if of is outcome)

    def refusals(self) -> Iterator[dict[str, Any]]:
        """Each reason for which items stay, the most frequent first. Nothing of a resident."""
        refused = [
            (reason, group)
            for (outcome, reason), group in self._groups.items()
            if outcome is Outcome.REFUSED
        ]
        for reason, group in sorted(refused, key=lambda item: (-item[1].items, item[0])):
            example = group.example
            yield {
                "reason": reason,
                "items": group.items,
                "numbers": group.numbers,
                "example": hide_values(reason, example.detail) if example else "",
            }

    def as_record(self) -> dict[str, Any]:
        """JSON types only."""
        counts = {outcome.value: self.count(outcome) for outcome in Outcome}
        items = sum(counts.values())
        return {"items": items, **counts, "refusals": list(self.refusals())}
