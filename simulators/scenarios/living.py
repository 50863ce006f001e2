"""What a script asks of a town, however its people live: who they are, and a day of theirs.

``Town`` lets strangers come as a scenario's rates say; ``PractisingTown`` lets people measure by
their habits and teams work by plan. A town knows no rule: what the system asks of its teams is
told to it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, NamedTuple, Protocol

from ingest.db.residents import Population
from simulators.scenarios.drafts import Draft
from simulators.scenarios.happenings import Happening


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCase:
    """A case that asks its team for something, as the system has it on this morning.

    Attributes:
        resident_id: The pseudonym.
        state: Of the case, by its name in the database.
        second_due: Last day of the second follow-up; None: none is due.
        referral_due: Likewise of a referral's.
    """

    resident_id: str
    condition: Literal["hypertension", "diabetes"]
    state: str
    second_due: date | None
    referral_due: date | None


class Lived(NamedTuple):
    """A day: what happened, and what was measured."""

    happenings: list[Happening]
    drafts: list[Draft]


class Living(Protocol):
    """People by row; ``cards`` and ``names`` (pseudonyms) are of all of them.

    ``counts`` is what its teams did so far.
    """

    cards: list[str]
    names: list[str]
    counts: Counter[str]

    def population(self, rows: Sequence[int], today: date) -> Population:
        """These rows as the contract system knows them, with their contracts."""

    def pass_day(
        self, day: datetime, cases: Sequence[OpenCase], *, present: int, attendance: float
    ) -> Lived:
        """One local day; each once, in order.

        Args:
            day: Its midnight, aware.
            cases: All that ask for something.
            present: How many live there by its end: the first so many rows.
            attendance: How many times as many come as on an ordinary day.
        """
