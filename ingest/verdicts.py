"""From what is known of some residents to what the rules say, as rows of the database. Pure.

Nothing is compared with what is stored: ``differences`` does that. Rows are made column by
column, and what only a new alert or a changed case needs is made for those alone.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import numpy as np

from ingest.anchors import Anchors
from ingest.checkpoints import Facts
from ingest.columns import as_timedelta, to_datetimes, to_days, to_instants
from ingest.db.alerts import AlertRow, Standing, alert_id
from ingest.db.cases import CaseRow, TransitionRow
from ingest.db.residents import NOBODY
from ingest.histories import Loaded
from rules.codes import AlertCode, AlertStatus, CaseState, Condition, Severity
from rules.columns import BoolArray, Int64Array
from rules.engine import judge
from rules.explain import explain_alert, explain_case
from rules.explain.explanation import Answered, Explanation
from rules.explain.judged import Judged
from rules.explain.sentences import sentence
from rules.machine import Action
from rules.normalise import normalise

_CONDITIONS: Final = {int(condition): condition.name.lower() for condition in Condition}
_CODES: Final = {int(code): code.name for code in AlertCode}
_SEVERITIES: Final = {int(severity): severity.name.lower() for severity in Severity}
_STATUSES: Final = {int(status): status.name.lower() for status in AlertStatus}
_STATES: Final = {int(state): state.name.lower() for state in CaseState}
_CAUSES: Final = {int(action): action.name.lower() for action in Action}
_SEVERITY_OF_STATE: Final[dict[int, int]] = {
    CaseState.SCREENING: Severity.INFO,
    CaseState.SCREENING_REFERRAL: Severity.WARN,
    CaseState.SECOND_FOLLOWUP_OPEN: Severity.WARN,
    CaseState.SECOND_FOLLOWUP_OVERDUE: Severity.WARN,
    CaseState.REFERRAL_RECOMMENDED: Severity.HIGH,
    CaseState.REFERRAL_FOLLOWUP_OVERDUE: Severity.HIGH,
    CaseState.EMERGENCY_REFERRAL: Severity.CRITICAL,
}
"""A doctor's word can give a state that no alert tells of. Source: decision table 2.3."""
_BY_WORD: Final = frozenset({"overridden_open", "overridden_quiet", "closed", "rescheduled"})
_OVERDUE: Final = frozenset({"second_followup_overdue", "referral_followup_overdue"})


def reach_verdict(
    loaded: Loaded, *, at: datetime, session_wait: np.timedelta64 | None = None
) -> "Verdict":
    """Run the rules over these residents, as the clock stands at ``at``.

    Args:
        loaded: From ``load_histories``.
        at: Aware UTC.
        session_wait: Instead of the profiles', for demonstrations.

    Cost: milliseconds for hundreds of residents; run it in a thread.
    """
    readings = normalise(loaded.reported, loaded.amendments, deduplicate=False).readings
    start = None if loaded.pasts is None else loaded.pasts.carried
    anchors = Anchors(
        ids=loaded.ids,
        readings=readings,
        records=loaded.records,
        residents=loaded.residents,
        utc_offset=loaded.limits.utc_offset,
        carried=start,
    )
    judgement = judge(
        readings,
        loaded.records,
        loaded.residents,
        loaded.limits,
        as_of=np.datetime64(at.replace(tzinfo=None), "us"),
        session_wait=session_wait,
        start=start,
    )
    return Verdict(
        loaded=loaded,
        anchors=anchors,
        carried_alerts=anchors.is_carried(judgement.alerts.anchor),
        carried_cases=anchors.is_carried(judgement.cases.anchor),
        judged=Judged(
            readings=readings,
            records=loaded.records,
            residents=loaded.residents,
            limits=loaded.limits,
            judgement=anchors.settle(judgement),
        ),
        at=at,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """What the rules say of some residents."""

    loaded: Loaded
    judged: Judged
    at: datetime
    anchors: Anchors
    carried_alerts: BoolArray  # Those of ``judged`` that hang on something folded already.
    carried_cases: BoolArray

    @cached_property
    def cases(self) -> dict[tuple[str, str], CaseRow]:
        """Cases whose state is not none, by resident and condition."""
        found, profiles = self.judged.judgement.cases, self.judged.limits.profiles
        judged_by = [profiles[row] for row in found.row.tolist()]
        columns = (
            self._pseudonyms(found.resident),
            _words(_CONDITIONS, found.condition),
            _words(_STATES, found.state),
            found.consecutive_unsatisfied.tolist(),
            to_days(found.second_followup_due),
            to_days(found.referral_followup_due),
            to_days(found.next_routine_due),
            self.anchors.ids_of(found.anchor),
            [profile.id for profile in judged_by],
            [profile.version for profile in judged_by],
            [self.at] * len(found),
            self.anchors.kinds_of(found.anchor),
            _words(_CAUSES, found.cause),
            self._severities_of_cases(),
        )
        rows = map(CaseRow._make, zip(*columns, strict=True))
        return {(row.resident_id, row.condition): row for row in rows}

    def _severities_of_cases(self) -> list[str | None]:
        """Of each case the worst of its open alerts and of what its state means by itself."""
        found, cases = self.judged.judgement.alerts, self.judged.judgement.cases
        worst: dict[tuple[int, int], int] = {}
        for row in np.flatnonzero(found.status == AlertStatus.ACTIVE).tolist():
            key = (int(found.resident[row]), int(found.condition[row]))
            worst[key] = max(worst.get(key, 0), int(found.severity[row]))
        keys = zip(cases.resident.tolist(), cases.condition.tolist(), strict=True)
        return [
            _SEVERITIES.get(max(worst.get(key, 0), _SEVERITY_OF_STATE.get(state, 0)))
            for key, state in zip(keys, cases.state.tolist(), strict=True)
        ]

    @cached_property
    def alerts(self) -> dict[UUID, Standing]:
        """Active and resolved alerts as they stand, by the id that each would be raised under."""
        return {id_: row for id_, row, _ in self._numbered}

    @cached_property
    def _numbered(self) -> list[tuple[UUID, Standing, int]]:
        """Alerts with their ids and their rows of the judgement."""
        found = self.judged.judgement.alerts
        columns = (
            self._pseudonyms(found.resident),
            _words(_CONDITIONS, found.condition),
            _words(_CODES, found.code),
            self.anchors.ids_of(found.anchor),
            self.anchors.kinds_of(found.anchor),
            to_datetimes(self.anchors.times[found.anchor]),
            _words(_SEVERITIES, found.severity),
            _words(_STATUSES, found.status),
            to_days(found.due),
            found.overdue_days.tolist(),
            found.escalation.tolist(),
        )
        rows = map(Standing._make, zip(*columns, strict=True))
        return [(alert_id(*row[:4]), row, number) for number, row in enumerate(rows)]

    @property
    def timers(self) -> list[tuple[str, datetime]]:
        """Residents for whom time alone will change something, and when."""
        ticks = self.judged.judgement.next_tick
        rows = np.flatnonzero(~np.isnat(ticks))
        return list(zip(self._pseudonyms(rows), to_datetimes(ticks[rows]), strict=True))

    @property
    def high_normal_on(self) -> list[date | None]:
        """Of each resident, the latest day with a high-normal session."""
        return to_days(self.judged.judgement.high_normal_on)

    def alert_row(self, id_: UUID, centres: dict[UUID, str]) -> AlertRow:
        """A new alert whole.

        Args:
            id_: One of ``alerts``.
            centres: Of readings that are anchors.
        """
        number = self._alert_numbers[id_]
        standing, found = self.alerts[id_], self.judged.judgement.alerts
        profile = self.judged.limits.profiles[found.row[number]]
        (became_true_at,) = to_datetimes(found.became_true_at[number : number + 1])
        known_late = self.at - became_true_at > as_timedelta(profile.timing.late_after)
        explanation = self._explain(number)
        person = self.loaded.people.get(standing.resident_id or "", NOBODY)
        return AlertRow(
            id=id_,
            centre_id=centres.get(standing.anchor_id, person.centre_id),
            raised_at=self.at,
            page=bool(found.page[number]) and not known_late,
            late=bool(found.late[number]) or known_late,
            observed=explanation.session_mean
            or explanation.observed
            or explanation.decided.what.value,
            threshold=explanation.limit.threshold,
            source=explanation.limit.source,
            profile=profile.id,
            profile_version=profile.version,
            raised_by="judge",
            updated_at=self.at,
            explanation=tell(explanation),
            **standing._asdict(),
        )

    def explain(self, id_: UUID) -> Any:  # noqa: ANN401 - JSON
        """Why there is one of ``alerts``."""
        return tell(self._explain(self._alert_numbers[id_]))

    def transition_row(
        self, from_state: str, case: CaseRow, authors: dict[UUID, str]
    ) -> TransitionRow:
        """How a case came to its state.

        Args:
            from_state: It was in before.
            case: As it is now: one of ``cases``, or one that the rules see no longer.
            authors: Of records that give a state by word alone.
        """
        told = self._tell_case(case)
        by_word = case.cause in _BY_WORD and case.state not in _OVERDUE
        return TransitionRow(
            resident_id=case.resident_id,
            condition=case.condition,
            from_state=from_state,
            to_state=case.state,
            at=self.at,
            profile=case.profile,
            profile_version=case.profile_version,
            anchor_id=case.anchor_id,
            author=authors[case.anchor_id] if by_word and case.anchor_id else "judge",
            anchor_kind=case.anchor_kind,
            cause=case.cause,
            threshold=told["record"]["limit"]["threshold"] if told else None,
            input_ids=[UUID(used["id"]) for used in told["record"]["readings"]] if told else [],
            explanation=told,
        )

    def _tell_case(self, case: CaseRow) -> dict[str, Any] | None:
        """Why a case stands where it stands; what was folded was explained when it was."""
        number = self._case_numbers.get((case.resident_id, case.condition))
        if number is None:
            return None
        facts = self._facts_of(int(self.judged.judgement.cases.resident[number]))
        if self.carried_cases[number] and facts is not None:
            kept: dict[str, Any] = facts.cases[case.condition]
            return kept
        return tell(explain_case(self.judged, number))

    def _explain(self, number: int) -> Explanation:
        """Why there is an alert; what a folded visit answered was noted when it was folded."""
        explanation = explain_alert(self.judged, number)
        facts = self._facts_of(int(self.judged.judgement.alerts.resident[number]))
        if not self.carried_alerts[number] or facts is None:
            return explanation
        answered = facts.answered.get(explanation.condition.name.lower(), ())
        return replace(
            explanation,
            answered=tuple(
                Answered(code=AlertCode[code], on=date.fromisoformat(on)) for code, on in answered
            ),
        )

    def _facts_of(self, resident: int) -> Facts | None:
        pasts = self.loaded.pasts
        return None if pasts is None else pasts.facts[resident]

    def assessed_at(self, reading: UUID) -> UUID | None:
        """Anchor of the assessment to which a reading belongs; None: it counts in none."""
        row = self._reading_rows.get(reading.bytes)
        group = -1 if row is None else self.judged.judgement.trace.group[row]
        return self.anchors.id_of(int(group))

    def was_seen(self, standing: Standing) -> bool:
        """Whether what an alert rests on was among what was loaded; only readings can be new.

        What was answered before a checkpoint is settled: nobody looks at it again.
        """
        if self._is_settled(standing):
            return False
        return standing.anchor_kind != "reading" or standing.anchor_id.bytes in self._seen

    def _pseudonyms(self, rows: Int64Array) -> list[str]:
        ids = self.loaded.ids
        return [ids[row] for row in rows.tolist()]

    def _is_settled(self, standing: Standing) -> bool:
        """Of the time before a checkpoint; a routine visit counts from the last one of then."""
        pasts = self.loaded.pasts
        row = self._rows.get(standing.resident_id or "")
        if pasts is None or row is None:
            return False
        (at,) = to_instants([standing.effective_at])
        if at >= pasts.carried.until[row]:
            return False
        return (row, standing.condition, standing.anchor_id) not in self._last_visits or (
            standing.code != AlertCode.ROUTINE_OVERDUE.name
        )

    @cached_property
    def _last_visits(self) -> set[tuple[int, str, UUID | None]]:
        """Resident, condition and anchor from which a folded past counts the routine visit.

        Nobody counts for whom a closure was recorded: it answered what was overdue then.
        """
        pasts = self.loaded.pasts
        if pasts is None:
            return set()
        lanes = pasts.carried.lanes
        lanes = lanes.take(np.flatnonzero(lanes.closed == 0))
        return set(
            zip(
                lanes.resident.tolist(),
                _words(_CONDITIONS, lanes.condition),
                self.anchors.carried_ids_of(lanes.visit_anchor),
                strict=True,
            )
        )

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id_: row for row, id_ in enumerate(self.loaded.ids)}

    @cached_property
    def _alert_numbers(self) -> dict[UUID, int]:
        return {id_: number for id_, _, number in self._numbered}

    @cached_property
    def _case_numbers(self) -> dict[tuple[str, str], int]:
        return {key: number for number, key in enumerate(self.cases)}

    @cached_property
    def _reading_rows(self) -> dict[bytes, int]:
        ids = self.judged.readings.ids.view("V16").tolist()
        return {id_: row for row, id_ in enumerate(ids)}

    @cached_property
    def _seen(self) -> frozenset[bytes]:
        return frozenset(self.loaded.seen.view("V16").tolist())


def _words(names: dict[int, str], codes: Any) -> list[str]:  # noqa: ANN401 - a column of codes
    return [names[code] for code in codes.tolist()]


def tell(explanation: Explanation) -> dict[str, Any]:
    """As stored: the facts, and sentences for people. A row of a judgement means nothing later."""
    record = {k: v for k, v in explanation.as_record().items() if k != "resident"}
    return {
        "record": record,
        "zh": sentence(explanation, "zh"),
        "en": sentence(explanation, "en"),
    }
