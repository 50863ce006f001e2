"""From what is known of some residents to what the rules say, as rows of the database. Pure.

Nothing is compared with what is stored: ``differences`` does that. Rows are made column by
column, and what only a new alert or a changed case needs is made for those alone.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import numpy as np

from ingest.columns import as_timedelta, to_datetimes, to_days
from ingest.db.alerts import AlertRow, Standing, alert_id, resident_anchor
from ingest.db.cases import CaseRow, TransitionRow
from ingest.db.residents import NOBODY
from ingest.histories import Loaded
from rules.codes import AlertCode, AlertStatus, CaseState, Condition, Severity
from rules.columns import Int64Array
from rules.engine import judge
from rules.explain import explain_alert, explain_case
from rules.explain.explanation import Explanation
from rules.explain.judged import Judged
from rules.explain.sentences import sentence
from rules.local_time import local_midnight
from rules.machine import Action
from rules.normalise import normalise

_CONDITIONS: Final = {int(condition): condition.name.lower() for condition in Condition}
_CODES: Final = {int(code): code.name for code in AlertCode}
_SEVERITIES: Final = {int(severity): severity.name.lower() for severity in Severity}
_STATUSES: Final = {int(status): status.name.lower() for status in AlertStatus}
_STATES: Final = {int(state): state.name.lower() for state in CaseState}
_CAUSES: Final = {int(action): action.name.lower() for action in Action}
_BY_WORD: Final = frozenset({"overridden_open", "overridden_quiet", "closed"})
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
    judgement = judge(
        readings,
        loaded.records,
        loaded.residents,
        loaded.limits,
        as_of=np.datetime64(at.replace(tzinfo=None), "us"),
        session_wait=session_wait,
    )
    return Verdict(
        loaded=loaded,
        judged=Judged(
            readings=readings,
            records=loaded.records,
            residents=loaded.residents,
            limits=loaded.limits,
            judgement=judgement,
        ),
        at=at,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """What the rules say of some residents."""

    loaded: Loaded
    judged: Judged
    at: datetime

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
            self._anchor_ids(found.anchor),
            [profile.id for profile in judged_by],
            [profile.version for profile in judged_by],
            [self.at] * len(found),
            self._anchor_kinds(found.anchor),
            _words(_CAUSES, found.cause),
        )
        rows = map(CaseRow._make, zip(*columns, strict=True))
        return {(row.resident_id, row.condition): row for row in rows}

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
            self._anchor_ids(found.anchor),
            self._anchor_kinds(found.anchor),
            to_datetimes(self._anchor_times[found.anchor]),
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
        explanation = explain_alert(self.judged, number)
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
            explanation=_told(explanation),
            **standing._asdict(),
        )

    def explain(self, id_: UUID) -> Any:  # noqa: ANN401 - JSON
        """Why there is one of ``alerts``."""
        return _told(explain_alert(self.judged, self._alert_numbers[id_]))

    def transition_row(
        self, from_state: str, case: CaseRow, authors: dict[UUID, str]
    ) -> TransitionRow:
        """How a case came to its state.

        Args:
            from_state: It was in before.
            case: As it is now: one of ``cases``, or one that the rules see no longer.
            authors: Of records that give a state by word alone.
        """
        number = self._case_numbers.get((case.resident_id, case.condition))
        explanation = None if number is None else explain_case(self.judged, number)
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
            threshold=explanation.limit.threshold if explanation else None,
            input_ids=[UUID(used.id) for used in explanation.readings] if explanation else [],
            explanation=_told(explanation) if explanation else None,
        )

    def assessed_at(self, reading: UUID) -> UUID | None:
        """Anchor of the assessment to which a reading belongs; None: it counts in none."""
        row = self._reading_rows.get(reading.bytes)
        group = -1 if row is None else self.judged.judgement.trace.group[row]
        return None if group < 0 else self._anchor_ids(np.array([group]))[0]

    def was_seen(self, standing: Standing) -> bool:
        """Whether what an alert rests on was among what was loaded; only readings can be new."""
        return standing.anchor_kind != "reading" or standing.anchor_id.bytes in self._seen

    def _pseudonyms(self, rows: Int64Array) -> list[str]:
        ids = self.loaded.ids
        return [ids[row] for row in rows.tolist()]

    def _anchor_ids(self, anchors: Int64Array) -> list[UUID | None]:
        known = len(self._raw_ids)
        near = np.minimum(anchors, known - 1)
        raw = self._raw_ids[near].tolist() if known else [b""] * len(anchors)
        return [
            None
            if anchor < 0
            else UUID(bytes=id_)
            if anchor < known
            else resident_anchor(self.loaded.ids[anchor - known])
            for anchor, id_ in zip(anchors.tolist(), raw, strict=True)
        ]

    def _anchor_kinds(self, anchors: Int64Array) -> list[str | None]:
        bounds = np.array([0, len(self.judged.readings), len(self._raw_ids)])
        kinds = (None, "reading", "record", "resident")
        return [kinds[place] for place in np.searchsorted(bounds, anchors, side="right").tolist()]

    @cached_property
    def _raw_ids(self) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
        """Of readings, then records. As void: a column of bytes drops trailing zeros."""
        ids = np.concatenate((self.judged.readings.ids, self.judged.records.ids))
        return ids.view("V16")

    @cached_property
    def _anchor_times(self) -> "np.ndarray[tuple[int], np.dtype[np.datetime64]]":
        judged = self.judged
        enrolled = local_midnight(judged.residents.enrolled_on, judged.limits.utc_offset)
        return np.concatenate((judged.readings.effective_at, judged.records.at, enrolled))

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


def _told(explanation: Explanation) -> dict[str, Any]:
    """As stored: the facts, and sentences for people. A row of a judgement means nothing later."""
    record = {k: v for k, v in explanation.as_record().items() if k != "resident"}
    return {
        "record": record,
        "zh": sentence(explanation, "zh"),
        "en": sentence(explanation, "en"),
    }
