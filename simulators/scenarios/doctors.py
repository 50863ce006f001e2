"""What a town's teams do on a day about what the system says is due: visits, referrals' ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from gateway.wire.ids import new_id
from ingest.db.records import Record
from simulators.scenarios.drafts import Draft
from simulators.scenarios.happenings import Happening, Recorded
from simulators.scenarios.town import Town

_DOCTOR = "doctor"
_FIRST_HOUR, _LAST_HOUR = 9, 17
_RECORDED_LATER = timedelta(minutes=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One thing that a case asks for on this morning, by pseudonym."""

    resident_id: str
    condition: Literal["hypertension", "diabetes"]
    kind: Literal["second", "referral"]


def answer(
    town: Town,
    due: Sequence[Due],
    day: datetime,
    cards: Mapping[str, str],
    random: np.random.Generator,
) -> tuple[list[Happening], list[Draft]]:
    """A day's work: who comes is measured and seen, and gets more of the medicine.

    Args:
        town: Whose residents; what is due of others is left to their stories.
        due: All that is due; some of it is kept (``followed_up``).
        day: Its midnight.
        cards: Card by pseudonym.
        random: Of this day.
    """
    happenings: list[Happening] = []
    drafts: list[Draft] = []
    seen: set[str] = set()
    for each in due:
        row = town.rows.get(cards.get(each.resident_id, ""))
        kept = random.random() < town.plan.followed_up
        if row is None or not kept or each.resident_id in seen:
            continue
        seen.add(each.resident_id)
        at = day + timedelta(hours=float(random.uniform(_FIRST_HOUR, _LAST_HOUR)))
        later = at + _RECORDED_LATER
        town.treat(row, each.condition, day.date())
        if each.kind == "second":
            sugar = np.array([each.condition == "diabetes"])
            hour = (at - day).total_seconds() / 3_600
            measured = town.measure(np.array([row]), np.array([hour]), sugar, day, random)
            for draft in measured:
                if draft.kind == "glucose":
                    draft.values["meal_context"] = "fasting"
            drafts += measured
        record = Record(
            id=new_id(later),
            resident_id=each.resident_id,
            kind="visit" if each.kind == "second" else "referral_followup",
            at=later,
            author=_DOCTOR,
            condition=each.condition,
            outcome=None if each.kind == "second" else "seen at the hospital",
        )
        happenings.append(Recorded(at=later, record=record))
    return happenings, drafts
