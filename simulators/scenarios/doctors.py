"""What a town's teams do on a day about what the system says is due: visits, referrals' ends."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.wire.ids import new_id
from ingest.db.records import Record
from simulators.scenarios.drafts import Draft
from simulators.scenarios.happenings import Happening, Recorded
from simulators.scenarios.living import Lived, OpenCase

if TYPE_CHECKING:  # It asks for its doctors.
    from simulators.scenarios.town import Town

_DOCTOR = "doctor"
_FIRST_HOUR, _LAST_HOUR = 9, 17
_RECORDED_LATER = timedelta(minutes=20)
_SOON: Final = timedelta(days=2)


def answer(
    town: "Town", cases: Sequence[OpenCase], day: datetime, random: np.random.Generator
) -> Lived:
    """A day's work: who comes is measured and seen, and gets more of the medicine.

    Args:
        town: Whose residents; what is due of others is left to their stories.
        cases: All that is open; some of what is due soon is kept (``followed_up``). In whatever
            order: pseudonyms are chance, rows are not.
        day: Its midnight.
        random: Of this day.
    """
    happenings: list[Happening] = []
    drafts: list[Draft] = []
    seen: set[int] = set()
    rows = {name: row for row, name in enumerate(town.names)}
    mine = [(rows[case.resident_id], case) for case in cases if case.resident_id in rows]
    for row, case in sorted(mine, key=lambda each: (each[0], each[1].condition)):
        due = case.second_due or case.referral_due
        if due is None or due > (day + _SOON).date():
            continue
        kept = random.random() < town.plan.followed_up
        if not kept or row in seen:
            continue
        seen.add(row)
        at = day + timedelta(hours=float(random.uniform(_FIRST_HOUR, _LAST_HOUR)))
        later = at + _RECORDED_LATER
        town.treat(row, case.condition, day.date())
        second = case.second_due is not None
        if second:
            sugar = np.array([case.condition == "diabetes"])
            hour = (at - day).total_seconds() / 3_600
            measured = town.measure(np.array([row]), np.array([hour]), sugar, day, random)
            for draft in measured:
                if draft.kind == "glucose":
                    draft.values["meal_context"] = "fasting"
            drafts += measured
        town.counts["visits" if second else "referral_followups"] += 1
        record = Record(
            id=new_id(later),
            resident_id=case.resident_id,
            kind="visit" if second else "referral_followup",
            at=later,
            author=_DOCTOR,
            condition=case.condition,
            outcome=None if second else "seen at the hospital",
        )
        happenings.append(Recorded(at=later, record=record))
    return Lived(happenings, drafts)
