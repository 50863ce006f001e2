"""The client's part for those who care: alerts, cases, what was recorded, corrections."""

from collections.abc import Iterator
from typing import Final, Literal
from uuid import UUID

from api.alerts.schemas import (
    AcknowledgementIn,
    AlertHistory,
    AlertOut,
    AttentionOut,
    SnoozeIn,
)
from api.cases.schemas import CaseCounts, CaseDetail, TransitionOut
from api.client.asking import Asking, at
from api.corrections.schemas import (
    ClaimIn,
    CorrectionIn,
    ReadingVersions,
    RetractionIn,
    UndoIn,
)
from api.followups import schemas as followups
from api.followups.schemas import RecordOut
from api.indicators.health_checks import HealthCheckIn, HealthCheckOut
from api.merges.schemas import MergeIn, MergeOut
from api.notify.schemas import Notifications
from api.readings.schemas import MeasuredOut
from api.timeline.schemas import Item

_RECORDS: Final[dict[type[followups.Body], str]] = {
    followups.VisitIn: "visits",
    followups.ReferralIn: "referrals",
    followups.ReferralFollowupIn: "referral-followups",
    followups.ContactAttemptIn: "contact-attempts",
    followups.RescheduleIn: "reschedules",
    followups.OverrideIn: "overrides",
    followups.ClosureIn: "closures",
    followups.ReturnIn: "returns",
    followups.WithdrawalIn: "withdrawals",
}


class CareCalls(Asking):
    """Alerts, cases, records and corrections. Every ``put`` may be sent as often as you like."""

    # --- alerts ---------------------------------------------------------------------------------

    def get_alert(self, alert: UUID) -> AlertOut:
        """One alert as it stands."""
        return self._read(at("alerts", alert), AlertOut)

    def get_alert_history(self, alert: UUID) -> AlertHistory:
        """Who did what about it."""
        return self._read(at("alerts", alert, "history"), AlertHistory)

    def get_notifications(self, alert: UUID) -> Notifications:
        """Who was to be told about it, and what came of each attempt."""
        return self._read(at("alerts", alert, "notifications"), Notifications)

    def acknowledge(self, alert: UUID, content: AcknowledgementIn) -> AttentionOut:
        """Take it, with a reason."""
        return self._write("PUT", at("alerts", alert, "acknowledgement"), AttentionOut, content)

    def withdraw_acknowledgement(self, alert: UUID) -> AttentionOut:
        """It was a slip: the alert asks for somebody again."""
        return self._write("DELETE", at("alerts", alert, "acknowledgement"), AttentionOut)

    def snooze(self, alert: UUID, content: SnoozeIn) -> AttentionOut:
        """Put it aside for a while."""
        return self._write("PUT", at("alerts", alert, "snooze"), AttentionOut, content)

    def withdraw_snooze(self, alert: UUID) -> AttentionOut:
        """Take it up again before its time."""
        return self._write("DELETE", at("alerts", alert, "snooze"), AttentionOut)

    # --- cases ----------------------------------------------------------------------------------

    def count_cases(self, **filters: str | None) -> CaseCounts:
        """What is due today, overdue and waiting, for an overview."""
        return self._read(at("cases", "counts"), CaseCounts, filters)

    def print_worklist(self, **filters: str | None) -> str:
        """A team's list to print, as CSV."""
        return self._ask.ask("GET", at("cases", "worklist"), query=filters).text

    def get_case(self, number: int) -> CaseDetail:
        """One case with its explanation."""
        return self._read(at("cases", number), CaseDetail)

    def list_transitions(self, number: int) -> Iterator[TransitionOut]:
        """What a case went through, in order."""
        return self._pages(at("cases", number, "transitions"), TransitionOut, {})

    # --- what people record -----------------------------------------------------------------------

    def put_record(self, resident: str, record: UUID, content: followups.Body) -> RecordOut:
        """Record a visit, a referral, its outcome, an attempt, another day, a word, an end.

        Args:
            resident: Whom it is about.
            record: An id that you make, so that sending it twice records it once.
            content: Its type says what it is.
        """
        path = at("residents", resident, _RECORDS[type(content)], record)
        return self._write("PUT", path, RecordOut, content)

    def get_record(self, resident: str, record: UUID) -> RecordOut:
        """One of them."""
        return self._read(at("residents", resident, "followups", record), RecordOut)

    def list_records(self, resident: str, **filters: str | None) -> Iterator[RecordOut]:
        """What was recorded of a resident."""
        return self._pages(at("residents", resident, "followups"), RecordOut, filters)

    def put_health_check(self, resident: str, day: str, content: HealthCheckIn) -> HealthCheckOut:
        """Say that a yearly health check was done, or was not, on a day (2026-03-16)."""
        path = at("residents", resident, "health-checks", day)
        return self._write("PUT", path, HealthCheckOut, content)

    def read_timeline(self, resident: str, **filters: str | None) -> Iterator[Item]:
        """Everything about one resident, the newest first."""
        return self._pages(at("residents", resident, "timeline"), Item, filters)

    # --- readings and whose they are --------------------------------------------------------------

    def list_unclaimed(self, **filters: str | None) -> Iterator[MeasuredOut]:
        """Readings that were measured of nobody known."""
        return self._pages(at("readings", "unclaimed"), MeasuredOut, filters)

    def get_reading(self, reading: UUID) -> ReadingVersions:
        """One reading with all that was said of it."""
        return self._read(at("readings", reading), ReadingVersions)

    def amend(
        self, reading: UUID, content: CorrectionIn | RetractionIn | ClaimIn
    ) -> ReadingVersions:
        """Correct a reading, retract it, or say whose it is."""
        words: dict[type, Literal["correction", "retraction", "claim"]] = {
            CorrectionIn: "correction",
            RetractionIn: "retraction",
            ClaimIn: "claim",
        }
        path = at("readings", reading, words[type(content)])
        return self._write("PUT", path, ReadingVersions, content)

    def give_back(self, reading: UUID) -> None:
        """Take a claim back."""
        self._delete(at("readings", reading, "claim"))

    def undo_amendment(
        self, reading: UUID, amendment: UUID, content: UndoIn
    ) -> ReadingVersions | None:
        """Take a word about a reading back; None: the reading is none of one's own any more."""
        path = at("readings", reading, "amendments", amendment, "undo")
        answer = self._ask.ask(
            "PUT", path, body=content.model_dump(mode="json", exclude_unset=True)
        )
        return ReadingVersions.model_validate_json(answer.content) if answer.content else None

    def merge(self, resident: str, content: MergeIn) -> MergeOut:
        """Say that two pseudonyms are one person."""
        return self._write("PUT", at("residents", resident, "merge"), MergeOut, content)

    def unmerge(self, resident: str) -> None:
        """They are two, after all."""
        self._delete(at("residents", resident, "merge"))
