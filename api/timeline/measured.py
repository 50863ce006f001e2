"""Readings and sessions of a timeline, made by the judge's own code.

Loaded when first asked for, with numpy. Nothing is decided here: quality, units, clocks and
sittings are those of ``rules``. Invariant: a reading that the judge does not count is shown, and
says why.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from functools import cache
from importlib.resources.abc import Traversable
from types import SimpleNamespace
from typing import Any, Final, cast
from uuid import UUID

import numpy as np

from api.corrections.schemas import AmendmentOut
from api.timeline.schemas import ReadingItem, SessionItem
from ingest.columns import to_amendments, to_datetimes, to_reported, to_residents
from ingest.db.amendments import Said
from ingest.db.readings import ReadingRow
from ingest.db.residents import NOBODY
from ingest.db.words import MEAL_CODES, SETTING_CODES
from rules.columns import KIND_BLOOD_PRESSURE, MISSING, Periods, Readings, Records
from rules.limits import ProfileTable, tabulate
from rules.normalise import Normalised, normalise
from rules.profiles import load_versions
from rules.quality import Disposition
from rules.reported import amend
from rules.scene import set_scene
from rules.sessions import begin_sessions, sum_sessions
from rules.units import MMHG_E13_PER_MMHG, MMOL_L_E4_PER_MMOL_L

_CENT: Final = Decimal("0.01")
_SETTINGS: Final = {code: word for word, code in SETTING_CODES.items() if word}
_MEALS: Final = {code: word for word, code in MEAL_CODES.items() if word}


@dataclass(frozen=True, slots=True)
class Measured:
    """A resident's readings as the rules take them."""

    items: list[ReadingItem]
    normalised: Normalised


@cache
def find_limits(profile: str, directory: Traversable | None) -> ProfileTable:
    """A profile's limits. Read once. Raises ``ProfileError``: it is not there."""
    return tabulate([load_versions(profile, directory)])


def measure(
    rows: Sequence[Mapping[str, Any]],
    said: Sequence[Mapping[str, Any]],
    contexts: Sequence[Mapping[str, Any]],
) -> Measured:
    """What these readings say, with all that was said of them.

    Args:
        rows: Of one resident, as ``queries.list_readings`` gives them.
        said: Of them, by people, the oldest first; taken back or not.
        contexts: Of them, by meters.
    """
    reported = to_reported(
        [cast("ReadingRow", SimpleNamespace(**row)) for row in rows],
        {row["resident_id"]: 0 for row in rows},
    )
    places = {row["id"].bytes: place for place, row in enumerate(rows)}
    words = [
        Said(each["id"], each["reading_id"], each["kind"], each["changes"], each["received_at"])
        for each in said
        if not each["undone"] and each["kind"] != "undo"
    ]
    words += [
        Said(
            each["id"],
            each["reading_id"],
            "context",
            {"meal_context": each["meal_context"]},
            each["said_at"],
        )
        for each in contexts
    ]
    amendments = to_amendments(words, places, reported)
    normalised = normalise(reported, amendments, deduplicate=False)
    meals = amend(reported, amendments)[0].meal_context.tolist()
    return Measured(list(_items(rows, said, normalised, meals)), normalised)


def _items(
    rows: Sequence[Mapping[str, Any]],
    said: Sequence[Mapping[str, Any]],
    normalised: Normalised,
    meals: Sequence[int],
) -> Iterator[ReadingItem]:
    of: dict[UUID, list[AmendmentOut]] = {}
    for each in said:
        of.setdefault(each["reading_id"], []).append(AmendmentOut.model_validate(each))
    assayed = normalised.assayed
    columns = (
        assayed.disposition.tolist(),
        assayed.systolic_mmhg_e13.tolist(),
        assayed.diastolic_mmhg_e13.tolist(),
        assayed.glucose_mmol_l_e4.tolist(),
        normalised.time_suspect.tolist(),
        to_datetimes(normalised.effective_at),
        meals,
    )
    for row, quality, systolic, diastolic, glucose, suspect, taken_at, meal in zip(
        rows, *columns, strict=True
    ):
        yield ReadingItem.model_construct(
            at=row["effective_at"],
            id=str(row["id"]),
            measured=row["kind"],
            quality=Disposition(quality).name.lower(),
            taken_at=taken_at,
            time_suspect=suspect,
            systolic_mmhg=_pressure(systolic),
            diastolic_mmhg=_pressure(diastolic),
            glucose_mmol_l=None if glucose == MISSING else _exact(glucose, MMOL_L_E4_PER_MMOL_L),
            meal_context_judged=_MEALS.get(meal) if row["kind"] == "glucose" else None,
            amendments=of.get(row["id"], []),
            **{name: row[name] for name in _AS_REPORTED},
        )


_AS_REPORTED: Final = (
    *("device_id", "setting", "systolic", "diastolic", "pulse", "glucose", "unit"),
    *("meal_context", "status"),
)


def _pressure(value_e13: int) -> Decimal | None:
    """In mmHg as people are told it: cut, never rounded up over a limit."""
    return None if value_e13 == MISSING else _cut(value_e13, 1)


def _cut(sum_e13: int, count: int) -> Decimal:
    mean = Decimal(sum_e13) / count / MMHG_E13_PER_MMHG
    cut = mean.quantize(_CENT, rounding=ROUND_DOWN)
    return cut.normalize() if cut % 1 else cut.quantize(Decimal(1))


def _exact(value: int, scale: int) -> Decimal:
    exact = Decimal(value) / scale
    return exact.normalize() if exact % 1 else exact.quantize(Decimal(1))


def list_sessions(readings: Readings, limits: ProfileTable) -> list[SessionItem]:
    """The sittings into which these blood pressures fall, in each setting.

    Args:
        readings: Of one resident.
        limits: Of the profile that judges.
    """
    pressures = readings.take(
        np.flatnonzero((readings.kind == KIND_BLOOD_PRESSURE) & readings.countable)
    )
    if not len(pressures):
        return []
    nobody = to_residents([NOBODY], Periods.none(), Periods.none())
    scene = set_scene(pressures, Records.none(), nobody, limits)
    ordered = scene.ordered
    ids = [UUID(bytes=id_) for id_ in ordered.ids.view("V16").tolist()]
    times = to_datetimes(ordered.effective_at)
    found = []
    for setting in np.unique(ordered.setting).tolist():
        rows = np.flatnonzero(ordered.setting == setting)
        sessions = sum_sessions(scene, rows, begin_sessions(scene, rows))
        columns = [
            getattr(sessions, name).tolist()
            for name in ("first", "last", "systolic_sum", "diastolic_sum", "count")
        ]
        for first, last, systolic, diastolic, count in zip(*columns, strict=True):
            mine = rows[(rows >= first) & (rows <= last)].tolist()
            found.append(
                SessionItem(
                    at=times[last],
                    id=str(ids[last]),
                    setting=_SETTINGS[setting],
                    began_at=times[first],
                    reading_ids=[ids[row] for row in mine],
                    counted=count,
                    systolic_mmhg=_cut(systolic, count),
                    diastolic_mmhg=_cut(diastolic, count),
                    profile=limits.profiles[0].id,
                )
            )
    return found
