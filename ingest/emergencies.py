"""Emergencies at once: from freshly inserted rows to alerts, inside their transaction.

Only rows that were really inserted come here, so a redelivery never alerts twice. The same
code is not raised again for a resident within the profile's repeat time; whatever order the
readings came in, the judge later makes the set of alerts exact. An unclaimed reading's
emergency goes to the centre (architecture 8.5). Everybody's emergencies are judged by the
deployment's profile, in the version of the reading's local day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import numpy as np

from ingest.columns import as_timedelta, to_datetimes, to_days, to_pregnancies, to_reported
from ingest.db import alerts, outbox, residents
from ingest.db.alerts import AlertRow, alert_id
from ingest.db.connections import Connection
from ingest.db.readings import ReadingRow
from ingest.db.residents import NOBODY, Pregnancy
from rules.codes import AlertCode, Condition
from rules.columns import BoolArray, Int64Array, Readings
from rules.emergencies import flag_emergencies
from rules.explain import limit_of, observed_text
from rules.limits import ProfileTable, rows_as_column
from rules.local_time import local_date
from rules.moments import choose_urgent_rows
from rules.normalise import normalise
from rules.profile import Profile
from rules.reported import Amendments, Reported

_CONDITIONS = {"blood_pressure": Condition.HYPERTENSION, "glucose": Condition.DIABETES}


class Measured(Protocol):
    """What an alert needs of the reading it is raised for."""

    @property
    def id(self) -> UUID:
        """The anchor."""
        ...

    @property
    def kind(self) -> str:
        """Blood pressure or glucose."""
        ...

    @property
    def resident_id(self) -> str | None:
        """Whose; None: nobody's."""
        ...

    @property
    def centre_id(self) -> str:
        """Where it was taken."""
        ...

    @property
    def received_at(self) -> datetime:
        """Server clock."""
        ...


RowT = TypeVar("RowT", bound=Measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency(Generic[RowT]):
    """One reading that cannot wait."""

    row: RowT
    effective_at: datetime
    code: AlertCode
    profile: Profile  # The version of that day.
    observed: str
    due: date | None  # Last day, inclusive, for following the referral up.


def find_emergencies(
    rows: Sequence[ReadingRow], pregnancies: Sequence[Pregnancy], limits: ProfileTable
) -> list[Emergency[ReadingRow]]:
    """The emergencies among readings, each judged alone. Pure.

    Args:
        rows: Just inserted; what was said of a reading before it came is left to the judge.
        pregnancies: Of their residents.
        limits: The deployment's profile is choice 0.
    """
    owners: dict[str | None, int] = {}
    for row in rows:
        owners.setdefault(row.resident_id, len(owners))
    normalised = normalise(to_reported(rows, owners), Amendments.none(), deduplicate=False)
    readings = normalised.readings
    known = {id_: owner for id_, owner in owners.items() if id_ is not None}
    days = local_date(readings.effective_at, limits.utc_offset)
    pregnant = to_pregnancies(pregnancies, known).value_on(readings.resident, days) != 0
    return judge_alone([rows[at] for at in normalised.rows], readings, pregnant, limits)


def judge_alone(
    rows: Sequence[RowT], readings: Readings, pregnant: BoolArray, limits: ProfileTable
) -> list[Emergency[RowT]]:
    """The emergencies among readings, each by itself. Pure.

    Args:
        rows: What they are, aligned with ``readings``.
        readings: Of whomever.
        pregnant: Whose resident was pregnant or lactating that day.
        limits: The deployment's profile is choice 0.
    """
    days = local_date(readings.effective_at, limits.utc_offset)
    versions = choose_urgent_rows(limits, days)
    codes = flag_emergencies(readings, pregnant, limits, versions)
    found = np.flatnonzero(codes)
    version = rows_as_column(versions, len(codes))
    given = limits.referral_days[version[found]].astype("timedelta64[D]")
    return [
        Emergency(
            row=rows[at],
            effective_at=effective_at,
            code=AlertCode(int(codes[at])),
            profile=limits.profiles[version[at]],
            observed=observed_text(
                systolic_mmhg_e13=int(readings.systolic_mmhg_e13[at]),
                diastolic_mmhg_e13=int(readings.diastolic_mmhg_e13[at]),
                glucose_mmol_l_e4=int(readings.glucose_mmol_l_e4[at]),
                range_status=int(readings.range_status[at]),
            ),
            due=due,
        )
        for at, effective_at, due in zip(
            found.tolist(),
            to_datetimes(readings.effective_at[found]),
            to_days(days[found] + given),
            strict=True,
        )
    ]


class EmergencyRaiser:
    """Judges inserted rows one by one, statelessly, and raises what cannot wait."""

    def __init__(self, limits: ProfileTable) -> None:
        self._limits = limits

    def flag(self, reported: Reported) -> tuple[Int64Array, Int64Array]:
        """Rows that are emergencies, and rows that are if their resident is pregnant.

        A sieve for whole columns: what stays in it is judged again, one by one, by ``__call__``.
        """
        normalised = normalise(reported, Amendments.none(), deduplicate=False)
        readings, rows = normalised.readings, normalised.rows
        versions = choose_urgent_rows(
            self._limits, local_date(readings.effective_at, self._limits.utc_offset)
        )
        never, always = (np.full(len(rows), one, np.bool_) for one in (False, True))
        urgent = flag_emergencies(readings, never, self._limits, versions) != 0
        at_most = flag_emergencies(readings, always, self._limits, versions) != 0
        return rows[urgent], rows[at_most & ~urgent]

    async def __call__(
        self, connection: Connection, inserted: Sequence[ReadingRow], at: datetime
    ) -> list[ReadingRow]:
        """Raise alerts for the emergencies among ``inserted``, and return those. Never commits.

        Returned is also one whose alert would repeat another.
        """
        if not inserted:
            return []
        ids = sorted({row.resident_id for row in inserted if row.resident_id is not None})
        pregnancies = await residents.fetch_pregnancies(connection, ids)
        found = find_emergencies(inserted, pregnancies, self._limits)
        if not found:
            return []
        fresh = await _without_repeats(connection, found)
        wanted = [alert_row(emergency, at) for emergency in fresh]
        new = await alerts.insert_new(connection, wanted)
        raised = [alert for alert in wanted if alert.id in new]
        ids = sorted({alert.resident_id for alert in raised if alert.resident_id})
        await residents.insert_stubs(connection, ids, at=at)  # An alert names somebody on record.
        people = await residents.fetch_people(connection, ids)
        events = [
            outbox.Event(
                "alert.raised",
                alert.as_event(people.get(alert.resident_id or "", NOBODY).team_id),
            )
            for alert in raised
        ]
        await outbox.insert(connection, events, at=at)
        return [each.row for each in found]


async def _without_repeats(
    connection: Connection, found: Sequence[Emergency[RowT]]
) -> list[Emergency[RowT]]:
    """Leave out a code that this resident has had within the repeat time before.

    Only *before*: of readings that come in the wrong order each one pages, and the judge
    takes back what was too much.
    """
    active = await alerts.fetch_active_times(
        connection,
        sorted({each.row.resident_id for each in found if each.row.resident_id is not None}),
        sorted({each.code.name for each in found}),
    )
    seen: dict[tuple[str | None, str], list[datetime]] = {}
    for resident, code_name, effective_at in active:
        seen.setdefault((resident, code_name), []).append(effective_at)
    fresh = []
    for each in sorted(found, key=lambda item: (item.effective_at, item.row.id)):
        times = seen.setdefault((each.row.resident_id, each.code.name), [])
        repeat = as_timedelta(each.profile.timing.emergency_repeat)
        since = [each.effective_at - at for at in times]
        if each.row.resident_id and any(timedelta(0) <= span <= repeat for span in since):
            continue
        times.append(each.effective_at)
        fresh.append(each)
    return fresh


def alert_row(emergency: Emergency[RowT], at: datetime) -> AlertRow:
    """The alert of one emergency reading, as ingest raises it at once.

    The judge works out the same id, due day and lateness from the stored reading, and says why.
    """
    row, code, profile = emergency.row, emergency.code, emergency.profile
    condition = _CONDITIONS[row.kind].name.lower()
    late = row.received_at - emergency.effective_at > as_timedelta(profile.timing.late_after)
    limit = limit_of(profile, code)
    return AlertRow(
        id=alert_id(row.resident_id, condition, code.name, row.id),
        resident_id=row.resident_id,
        centre_id=row.centre_id,
        condition=condition,
        code=code.name,
        severity=profile.severity(code).name.lower(),
        status="active",
        anchor_id=row.id,
        effective_at=emergency.effective_at,
        raised_at=at,
        due=emergency.due,
        page=not late,
        late=late,
        overdue_days=0,
        escalation=0,
        observed=emergency.observed,
        threshold=limit.threshold,
        source=limit.source,
        profile=profile.id,
        profile_version=profile.version,
        raised_by="ingest",
        updated_at=at,
        anchor_kind="reading",
        explanation=None,
    )
