"""The judge process: due residents, all that is known of them, the rules, the difference.

Driven by time, not by arrival: a mark of new data, a session that closes and a due day that
passes are the same work. One transaction locks the residents, reads their marks, then their
history, and writes what the rules say differs from what is stored, with the events for the
feed; a judge killed anywhere leaves no trace and another one does the work again. What an
alert rests on is never rewritten: it is raised, changes status, or is cancelled (I5).
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import numpy as np
import structlog

from gateway.wire.times import Clock
from ingest.columns import as_timedelta
from ingest.db import (
    alerts,
    cases,
    contexts,
    contract_turns,
    due_work,
    history,
    indicator_years,
    merges,
    outbox,
    people,
    records,
)
from ingest.db.alerts import AlertRow
from ingest.db.connections import Connection, ProcessRole, connect
from ingest.db.errors import DatabaseUnavailableError, translated
from ingest.db.outbox import Event
from ingest.db.residents import NOBODY
from ingest.differences import compare_alerts, compare_cases
from ingest.histories import load_histories
from ingest.indicator_years import count_days, folded_until, keep_past
from ingest.metrics import JudgeMetrics
from ingest.profiles import Profiles
from ingest.settings import JudgeSettings
from ingest.unclaimed import settle_unclaimed
from ingest.verdicts import Verdict, reach_verdict

_LOG = structlog.get_logger()
_MEASURE_S = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one transaction did."""

    residents: list[str]  # Judged; of those asked for, the others were somebody else's.
    events: list[Event]  # For the feed: what was raised and what changed.
    verdict: Verdict | None = None  # On them, if there was anybody to judge.


class Judge:
    """Folds due residents until cancelled."""

    def __init__(self, settings: JudgeSettings, profiles: Profiles, clock: Clock) -> None:
        self._settings = settings
        self._profiles = profiles
        self.clock = clock
        waits = [as_timedelta(p.timing.session_wait) for p in profiles.limits.profiles]
        self._wait = settings.session_wait or min(waits)
        self.metrics = JudgeMetrics()
        self._measured_s = float("-inf")
        self._database_problem = "the database has not been reached yet"

    def find_problems(self) -> list[str]:
        """Why nobody is judged at the moment; for ``/readyz``."""
        return [self._database_problem] if self._database_problem else []

    async def run(self) -> None:
        """Work while there is work, else look again every ``poll_ms``. Reconnects for ever."""
        failures = 0
        while True:
            try:
                dsn = self._settings.db_dsn.get_secret_value()
                async with await connect(
                    dsn,
                    application_name="suifang-judge",
                    autocommit=True,
                    role=ProcessRole.JUDGE,
                ) as connection:
                    while True:
                        judged = await self._judge_due(connection)
                        _tell(judged.events)
                        await self._measure(connection)
                        failures, self._database_problem = 0, ""
                        if not judged.residents:
                            await asyncio.sleep(self._settings.poll_ms / 1_000)
            except DatabaseUnavailableError as error:
                failures += 1
                self.metrics.database_failures.inc()
                self._database_problem = f"database: {error}"
                wait = min(self._settings.database_retry_s_max, 0.05 * 2 ** min(failures, 10))
                wait *= random.uniform(0.5, 1)  # noqa: S311 - jitter
                _LOG.warning("database_unavailable", problem=str(error), retry_in_s=round(wait, 2))
                await asyncio.sleep(wait)

    async def _measure(self, connection: Connection) -> None:
        """Tell how much is due, every few seconds."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._measured_s < _MEASURE_S:
            return
        self._measured_s = now_s
        with translated():
            found = await due_work.measure(connection, now=self.clock(), session_wait=self._wait)
        self.metrics.due_batches.set(found.batches)
        self.metrics.due_marks.set(found.marks)
        self.metrics.overdue_seconds.set(found.overdue_s)

    async def judge_once(self, connection: Connection) -> int:
        """Judge what is due now, in one transaction; return how many residents that was."""
        return len((await self._judge_due(connection)).residents)

    async def _judge_due(self, connection: Connection) -> Outcome:
        with translated():
            await contexts.spread(connection, now=self.clock())
            await contract_turns.settle_due(connection, now=self.clock())
            await settle_unclaimed(connection, self._profiles.limits, now=self.clock())
            await people.settle(connection)
            due = await due_work.find(
                connection,
                now=self.clock(),
                session_wait=self._wait,
                residents_max=self._settings.residents_max,
            )
        if not due:
            return Outcome([], [])
        with self.metrics.judge_seconds.time():
            outcome = await self.judge_residents(connection, due)
        self.metrics.judged.inc(len(outcome.residents))
        return outcome

    async def judge_residents(self, connection: Connection, ids: Sequence[str]) -> Outcome:
        """Judge these residents, due or not, in one transaction.

        Who is being judged by somebody else is left out: ask again for those. Who was ever merged
        with one of them is judged along.

        Args:
            connection: In autocommit mode, outside a transaction (or in one to be taken back).
            ids: Pseudonyms, each once.

        Raises:
            DatabaseUnavailableError: Nothing is known to be committed; try the same again.
            ProfileError: A centre, a package or a checkpoint names a profile that is not there.
        """
        now = self.clock()
        with translated():
            ids = await merges.expand(connection, ids)
            await due_work.ensure(connection, ids)
            async with connection.transaction():
                work = await due_work.claim(connection, ids, now=now, session_wait=self._wait)
                if not work.residents:
                    return Outcome([], [])
                loaded = await load_histories(connection, work.residents, self._profiles)
                verdict = await asyncio.to_thread(
                    reach_verdict, loaded, at=now, session_wait=self._session_wait()
                )
                events = await _write_cases(connection, verdict)
                events += await _write_alerts(connection, verdict)
                await _write_years(connection, verdict)
                await outbox.insert(connection, events, at=now)
                await due_work.finish(
                    connection,
                    work,
                    now=now,
                    timers=verdict.timers,
                    high_normal_on=verdict.high_normal_on,
                )
        return Outcome(work.residents, events, verdict)

    def _session_wait(self) -> np.timedelta64 | None:
        """The one for demonstrations, where it is set; else each profile has its own."""
        wait = self._settings.session_wait
        return None if wait is None else np.timedelta64(wait // timedelta(microseconds=1), "us")


def _tell(events: Sequence[Event]) -> None:
    """Which alerts were raised, and by which readings, for whoever follows one."""
    for event in events:
        reading = event.payload.get("anchor_reading_id")
        if event.kind == "alert.raised" and reading is not None:
            trace = UUID(reading).hex
            _LOG.info("alert_raised", alert=event.payload["alert_id"], trace=trace)


async def _write_cases(connection: Connection, verdict: Verdict) -> list[Event]:
    """Upsert the cases that differ, and tell how each change of state came about."""
    ids, people = verdict.loaded.ids, verdict.loaded.people
    stored = {
        (case.resident_id, case.condition): case for case in await cases.fetch(connection, ids)
    }
    changed = compare_cases(stored, verdict.cases, at=verdict.at)
    moved = [(before, case) for before, case in changed if before != case.state]
    kin = verdict.loaded.kin.ever
    concerned = {case.resident_id for _, case in moved}
    concerned |= {other for id_ in concerned for other in kin.get(id_, ())}
    authors = await records.fetch_authors(connection, sorted(concerned))
    await cases.upsert(connection, [case for _, case in changed])
    await cases.insert_transitions(
        connection, [verdict.transition_row(before, case, authors) for before, case in moved]
    )
    persons = [people.get(case.resident_id, NOBODY) for _, case in changed]
    return [
        Event("case.changed", case.as_event(before, person.team_id, person.centre_id))
        for (before, case), person in zip(changed, persons, strict=True)
    ]


async def _write_alerts(connection: Connection, verdict: Verdict) -> list[Event]:
    """Raise what is new, move what changed, cancel what lost its ground."""
    loaded = verdict.loaded
    stored = await alerts.fetch_for_update(connection, loaded.ids, loaded.claimed)
    difference = compare_alerts(
        {row.id: row.standing for row in stored},
        verdict.alerts,
        assessed_at=verdict.assessed_at,
        was_seen=verdict.was_seen,
        kin=loaded.kin.ever,
    )
    raised = await _raise(connection, verdict, difference.raised)
    anchors = {row.id: row.standing.anchor_id for row in stored}
    moved = [
        standing.anchor_id
        for id_, standing in difference.changed.items()
        if standing.anchor_kind == "reading" and standing.anchor_id != anchors[id_]
    ]
    centres = await history.fetch_centres(connection, moved)
    changed = await alerts.update(connection, difference.changed, centres=centres, at=verdict.at)
    outdated = {row.id for row in stored if not row.explained} | difference.changed.keys()
    again = {id_: difference.kept[id_] for id_ in sorted(outdated & difference.kept.keys())}
    await alerts.explain(
        connection, {id_: verdict.explain(wanted) for id_, wanted in again.items()}
    )

    def tell(kind: outbox.EventKind, rows: Sequence[AlertRow]) -> list[Event]:
        return [
            Event(kind, row.as_event(loaded.people.get(row.resident_id or "", NOBODY).team_id))
            for row in rows
        ]

    return tell("alert.raised", raised) + tell("alert.changed", changed)


async def _raise(connection: Connection, verdict: Verdict, ids: list[UUID]) -> list[AlertRow]:
    """Insert new alerts; those that ingest has raised meanwhile are left to it."""
    standings = [verdict.alerts[id_] for id_ in ids]
    anchors = [each.anchor_id for each in standings if each.anchor_kind == "reading"]
    centres = await history.fetch_centres(connection, anchors)
    rows = [verdict.alert_row(id_, centres) for id_ in ids]
    new = await alerts.insert_new(connection, rows)
    return [row for row in rows if row.id in new]


async def _write_years(connection: Connection, verdict: Verdict) -> None:
    """Keep what indicators count as it is judged now."""
    told = await asyncio.to_thread(count_days, verdict)
    until, limits = folded_until(verdict), verdict.judged.limits
    if until:
        stored = await indicator_years.fetch(connection, list(until))
        shortest = int(min(limits.second_days.min(), limits.referral_days.min()))
        told = keep_past(told, stored, until, due_days=shortest)
    await indicator_years.replace_rows(connection, told, verdict.loaded.ids)
