"""The judge process: due residents, their history as columns, the rules, the difference.

Driven by time, not by arrival: a mark of new data, a session that closes and a due day that
passes are the same work. One transaction locks the residents, reads their marks, then their
history, and writes what the rules say differs from what is stored, with the events for the
feed; a judge killed anywhere leaves no trace and another one does the work again. What an
alert rests on is never rewritten: it is raised, changes status, or is cancelled (I5).
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import structlog

from gateway.wire.times import Clock
from ingest.alert_rows import day_or_none, judged_rows
from ingest.columns import as_timedelta, flag_pregnant, to_readings, to_residents
from ingest.db import alerts, cases, due_work, outbox, readings, residents
from ingest.db.alerts import AlertRow
from ingest.db.cases import CaseRow
from ingest.db.connections import Connection, connect
from ingest.db.errors import DatabaseUnavailableError, translated
from ingest.db.outbox import Event
from ingest.db.readings import HistoryRow
from ingest.db.residents import Person
from ingest.settings import JudgeSettings
from rules.codes import CaseState, Condition
from rules.engine import Judgement, judge
from rules.profile import Profile

_LOG = structlog.get_logger()
_NOBODY = Person(
    team_id=None,
    centre_id=None,
    birth_date=None,
    hypertension_since=None,
    diabetes_since=None,
    pregnancies=(),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of some residents, as rows; nothing has been compared yet."""

    cases: list[CaseRow]
    alerts: list[AlertRow]
    timers: list[tuple[str, datetime]]
    loaded: frozenset[bytes]  # Ids of the readings that were looked at.


class Judge:
    """Folds due residents until cancelled."""

    def __init__(self, settings: JudgeSettings, profile: Profile, clock: Clock) -> None:
        self._settings = settings
        self._profile = profile
        self._clock = clock
        self._wait = settings.session_wait or as_timedelta(profile.timing.session_wait)

    async def run(self) -> None:
        """Work while there is work, else look again every ``poll_ms``. Reconnects for ever."""
        failures = 0
        while True:
            try:
                dsn = self._settings.db_dsn.get_secret_value()
                async with await connect(
                    dsn, application_name="suifang-judge", autocommit=True
                ) as connection:
                    while True:
                        judged = await self.judge_once(connection)
                        failures = 0
                        if not judged:
                            await asyncio.sleep(self._settings.poll_ms / 1_000)
            except DatabaseUnavailableError as error:
                failures += 1
                wait = min(self._settings.database_retry_s_max, 0.05 * 2 ** min(failures, 10))
                wait *= random.uniform(0.5, 1)  # noqa: S311 - jitter
                _LOG.warning("database_unavailable", problem=str(error), retry_in_s=round(wait, 2))
                await asyncio.sleep(wait)

    async def judge_once(self, connection: Connection) -> int:
        """Judge what is due now, in one transaction; return how many residents that was."""
        now = self._clock()
        with translated():
            due = await due_work.find(
                connection,
                now=now,
                session_wait=self._wait,
                residents_max=self._settings.residents_max,
            )
            if not due:
                return 0
            async with connection.transaction():
                work = await due_work.claim(connection, due, now=now, session_wait=self._wait)
                if not work.residents:
                    return 0
                people = await residents.fetch_people(connection, work.residents)
                history = await readings.fetch_history(connection, work.residents)
                verdict = await asyncio.to_thread(
                    self.reach_verdict, work.residents, people, history, now
                )
                events = await _write_cases(connection, work.residents, verdict, people, now)
                events += await _write_alerts(connection, work.residents, verdict, people, now)
                await outbox.insert(connection, events, at=now)
                await due_work.finish(connection, work, now=now, timers=verdict.timers)
        return len(work.residents)

    def reach_verdict(
        self,
        ids: Sequence[str],
        people: Mapping[str, Person],
        history: Sequence[HistoryRow],
        now: datetime,
    ) -> Verdict:
        """Run the rules over these residents. Pure; takes milliseconds, so runs in a thread."""
        persons = [people.get(id_, _NOBODY) for id_ in ids]
        columns = to_readings(history, {id_: at for at, id_ in enumerate(ids)})
        judgement = judge(
            columns,
            to_residents(persons),
            self._profile,
            as_of=np.datetime64(now.replace(tzinfo=None), "us"),
            session_wait=np.timedelta64(self._wait, "us"),
            pregnant=flag_pregnant(history, people),  # As ingest saw it: every period counts.
        )
        return Verdict(
            cases=self._case_rows(judgement, ids, history, now),
            alerts=judged_rows(judgement.alerts, columns, history, ids, self._profile, at=now),
            timers=[
                (ids[at], _aware(judgement.next_tick[at]))
                for at in np.flatnonzero(~np.isnat(judgement.next_tick)).tolist()
            ],
            loaded=frozenset(row.id.bytes for row in history),
        )

    def _case_rows(
        self,
        judgement: Judgement,
        ids: Sequence[str],
        history: Sequence[HistoryRow],
        now: datetime,
    ) -> list[CaseRow]:
        found = judgement.cases
        return [
            CaseRow(
                resident_id=ids[found.resident[at]],
                condition=Condition(int(found.condition[at])).name.lower(),
                state=CaseState(int(found.state[at])).name.lower(),
                consecutive_unsatisfied=int(found.consecutive_unsatisfied[at]),
                second_followup_due=day_or_none(found.second_followup_due[at]),
                referral_followup_due=day_or_none(found.referral_followup_due[at]),
                next_routine_due=day_or_none(found.next_routine_due[at]),
                anchor_reading_id=(history[found.anchor[at]].id if found.anchor[at] >= 0 else None),
                profile=self._profile.id,
                profile_version=self._profile.version,
                updated_at=now,
            )
            for at in range(len(found.resident))
        ]


async def _write_cases(
    connection: Connection,
    ids: Sequence[str],
    verdict: Verdict,
    people: Mapping[str, Person],
    now: datetime,
) -> list[Event]:
    """Upsert the cases that differ; a case the rules no longer see goes back to none."""
    stored = {
        (case.resident_id, case.condition): case for case in await cases.fetch(connection, ids)
    }
    wanted = {(case.resident_id, case.condition): case for case in verdict.cases}
    for key, case in stored.items():
        if key not in wanted and case.state != "none":
            wanted[key] = _emptied(case, now)
    changed = [
        case
        for key, case in wanted.items()
        if key not in stored or stored[key]._replace(updated_at=case.updated_at) != case
    ]
    before = {key: case.state for key, case in stored.items()}
    moved = [
        (before.get((case.resident_id, case.condition), "none"), case)
        for case in changed
        if before.get((case.resident_id, case.condition), "none") != case.state
    ]
    await cases.upsert(connection, changed)
    await cases.insert_transitions(connection, moved)
    return [
        Event(
            "case.changed",
            case.as_event(
                before.get((case.resident_id, case.condition), "none"),
                people.get(case.resident_id, _NOBODY).team_id,
                people.get(case.resident_id, _NOBODY).centre_id,
            ),
        )
        for case in changed
    ]


def _emptied(case: CaseRow, now: datetime) -> CaseRow:
    return case._replace(
        state="none",
        consecutive_unsatisfied=0,
        second_followup_due=None,
        referral_followup_due=None,
        next_routine_due=None,
        anchor_reading_id=None,
        updated_at=now,
    )


async def _write_alerts(
    connection: Connection,
    ids: Sequence[str],
    verdict: Verdict,
    people: Mapping[str, Person],
    now: datetime,
) -> list[Event]:
    """Raise what is new, move what changed, cancel what lost its ground."""
    stored = {alert.id: alert for alert in await alerts.fetch_for_update(connection, ids)}
    wanted = {alert.id: alert for alert in verdict.alerts}
    raised = [alert for alert in wanted.values() if alert.id not in stored]
    changed = []
    for id_, alert in stored.items():
        now_wanted = wanted.get(id_)
        if now_wanted is not None:
            moved = alert._replace(
                severity=now_wanted.severity,
                status=now_wanted.status,
                due=now_wanted.due,
                overdue_days=now_wanted.overdue_days,
                escalation=now_wanted.escalation,
            )
        elif alert.status != "cancelled" and alert.anchor_reading_id.bytes in verdict.loaded:
            moved = alert._replace(status="cancelled")
        else:
            continue
        if moved != alert:
            changed.append(moved._replace(updated_at=now))
    new = await alerts.insert_new(connection, raised)  # Ingest may have raised it meanwhile.
    raised = [alert for alert in raised if alert.id in new]
    await alerts.update(connection, changed)

    def tell(kind: outbox.EventKind, rows: Sequence[AlertRow]) -> list[Event]:
        return [
            Event(kind, row.as_event(people.get(row.resident_id or "", _NOBODY).team_id))
            for row in rows
        ]

    return tell("alert.raised", raised) + tell("alert.changed", changed)


def _aware(at: np.datetime64) -> datetime:
    moment: datetime = at.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
