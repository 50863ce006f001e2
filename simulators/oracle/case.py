"""The plain evaluator's case: one resident's one condition while its events pass by (2.4, 2.5).

Every public method of ``Case`` is one kind of event; they are called in the order of time. What
the clock alone brings (overdue) is asked for at the end and changes nothing.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from simulators.oracle import shown
from simulators.oracle.alert import Alert, midnight_after
from simulators.oracle.normal import Act, Reading
from simulators.oracle.person import Profile, local_day
from simulators.oracle.shown import Limit
from simulators.oracle.sittings import Assessment

DAY: Final = timedelta(days=1)
FOURTEEN: Final = 14 * DAY
NINETY: Final = 90 * DAY
REFERRAL: Final = {"referral_recommended", "emergency_referral", "screening_referral"}
RESET: Final = {"none", "controlled", "referral_closed", "closed"}


@dataclass
class Case:
    """One resident's one condition."""

    condition: str
    profile: Profile
    state: str = "none"
    count: int = 0  # Unsatisfied assessments in a row.
    reactions: int = 0  # Visits in a row with an adverse reaction.
    due: date | None = None
    routine: date | None = None
    anchor: str = ""  # What opened the state, for an overdue alert.
    seen: frozenset[str] = frozenset()  # What that was, where no alert tells of it.
    asked_by: set[str] = field(default_factory=set)  # Who wants the open second follow-up.
    high_days: list[date] = field(default_factory=list)  # Screening: counted local days.
    last_high: date | None = None
    last_emergency: dict[str, datetime] = field(default_factory=dict)
    contract_ended: bool = False
    alerts: list[Alert] = field(default_factory=list)

    @property
    def short(self) -> str:
        """As in the alert codes."""
        return "BP" if self.condition == "hypertension" else "GLU"

    @property
    def is_closed(self) -> bool:
        """Nothing counts, but an emergency is still raised."""
        return self.contract_ended

    def on_emergency(self, reading: Reading, code: str) -> None:
        """E1 to E4: referral from any state; the same within 4 hours is the same."""
        before = self.last_emergency.get(code)
        if before is not None and reading.at - before <= timedelta(hours=4):
            return
        self.last_emergency[code] = reading.at
        on = local_day(reading.at)
        if not self.is_closed:
            self._open_referral("emergency_referral", reading.id, on)
        seen = frozenset({shown.of_reading(reading)})
        self._raise(
            *(code, "critical", reading.id, on + FOURTEEN, reading.at),
            seen=seen,
            limit=shown.EMERGENCIES[code],
        )

    def on_assessment(self, assessment: Assessment) -> None:
        """B1, G1 for the diagnosed; B3, G4 for those who are not."""
        if self.is_closed:
            return
        if assessment.verdict == "normal":
            self._on_normal(assessment)
        elif assessment.verdict == "high":
            self._on_high(assessment)
        else:
            self._end_screening(assessment)
            if assessment.verdict == "satisfied":
                self._on_satisfied(assessment)
            else:
                self._on_unsatisfied(assessment)

    def on_random_high(self, reading: Reading) -> None:
        """G4 not fasting: opens screening where nothing is open, and answers nothing."""
        if self.is_closed or self.state not in RESET:
            return
        self._move("screening", reading.id, None)
        self.last_high = local_day(reading.at)
        seen = frozenset({shown.of_reading(reading)})
        self._raise(
            *("SCREEN_GLU_HIGH", "info", reading.id, None, reading.at),
            seen=seen,
            limit=shown.RANDOM,
        )

    def on_visit(self, act: Act) -> None:
        """F1 and F2: first the reaction, then the complication."""
        if self.is_closed:
            return
        findings = set(act.told.get("findings") or [])
        if "adverse_drug_reaction" in findings:
            self._on_reaction(act)
        else:
            self._on_no_reaction(act)
        if findings & {"new_complication", "worse_complication"}:
            on = local_day(act.at)
            self._open_referral(self._recommended(), act.id, on)
            self._raise_by(act, "COMPLICATION", "high")

    def on_referral_followup(self, act: Act) -> None:
        """Somebody asked what became of the referral."""
        if self.is_closed or self.state not in REFERRAL:
            return
        on = local_day(act.at)
        self._note_overdue(on)
        self.last_emergency.clear()  # Somebody has dealt with it.
        self._begin_anew("referral_closed")
        self.routine = on + NINETY

    def on_override(self, act: Act) -> None:
        """A doctor says the state and the due day."""
        if self.contract_ended:
            return
        self._note_overdue(local_day(act.at))
        said, due = str(act.told["state"]), act.told.get("due")
        day = date.fromisoformat(due) if due else None
        if said in RESET:
            self.last_emergency.clear()
            self._begin_anew(said)
            if said in {"controlled", "referral_closed"}:
                self.routine = day or local_day(act.at) + NINETY
            return
        # Whether it is overdue is for the clock to say.
        named = {
            "second_followup_overdue": "second_followup_open",
            "referral_followup_overdue": "referral_recommended",
        }
        self._move(named.get(said, said), act.id, day, seen=frozenset({"override"}))
        if self.state == "second_followup_open":
            self.asked_by.add("doctor")

    def on_reschedule(self, act: Act) -> None:
        """Another day was agreed on for what the case asks for; where it stands stays."""
        if self.contract_ended:
            return
        day = date.fromisoformat(str(act.told["due"]))
        if self.state in RESET:
            self.routine = self.routine and day
        elif self.due is not None:
            self._note_overdue(local_day(act.at))
            self._move(self.state, act.id, day, seen=frozenset({"reschedule"}))

    def on_closure(self, act: Act) -> None:
        """Death, moved away, contract ended."""
        if self.contract_ended:
            return
        self._note_overdue(local_day(act.at))
        self._begin_anew("none" if self.state == "none" else "closed")
        self.contract_ended = True

    def on_reopening(self) -> None:
        """A new contract: the case begins anew."""
        if self.is_closed:
            self.contract_ended = False
            self.state = "none"

    def _on_satisfied(self, assessment: Assessment) -> None:
        self.count = 0
        if self.state in REFERRAL:
            return
        on = local_day(assessment.anchor.at)
        self._resolve(f"{self.short}_UNSATISFIED_1")
        self.asked_by -= {"value", "doctor"}
        if self.asked_by:  # An adverse reaction: no reading answers that.
            return
        self._note_overdue(on)
        self._move("controlled", assessment.anchor.id, None)
        self.routine = on + NINETY

    def _on_unsatisfied(self, assessment: Assessment) -> None:
        if self.state in REFERRAL:
            self.count += 1 if assessment.holds_emergency else 0
            return
        anchor, on = assessment.anchor, local_day(assessment.anchor.at)
        self.count += 1
        if self.count == 1:
            self._note_overdue(on)
            self._move("second_followup_open", anchor.id, on + FOURTEEN)
            self.asked_by.add("value")
            self._raise_of(assessment, f"{self.short}_UNSATISFIED_1", "warn", self.due)
        else:
            self._open_referral("referral_recommended", anchor.id, on)
            self._raise_of(assessment, f"{self.short}_UNSATISFIED_2", "high", self.due)

    def _on_reaction(self, act: Act) -> None:
        on = local_day(act.at)
        self.reactions += 1
        referred = self.state in REFERRAL
        if self.reactions == 2 or (self.reactions > 2 and not referred):
            self._open_referral(self._recommended(), act.id, on)
            self._raise_by(act, "ADR_2", "high")
        elif not referred:
            self._note_overdue(on)
            self._move("second_followup_open", act.id, on + FOURTEEN)
            self.asked_by.add("reaction")
            self._raise_by(act, "ADR_1", "warn")

    def _on_no_reaction(self, act: Act) -> None:
        self.reactions = 0
        self._resolve("ADR_1")
        if self.asked_by == {"reaction"}:
            on = local_day(act.at)
            self._note_overdue(on)
            self._move("controlled", act.id, None)
            self.routine = on + NINETY
        self.asked_by.discard("reaction")

    def _on_high(self, assessment: Assessment) -> None:
        anchor, on = assessment.anchor, local_day(assessment.anchor.at)
        counted = bool(self.high_days) and assessment.decided_on <= self.high_days[-1]
        if self.state in REFERRAL or counted:
            return
        days = [*self.high_days, assessment.decided_on]
        self.high_days, self.last_high = days, days[-1]
        if self.short == "BP" and len(days) >= 3 and days[-1] - days[-3] <= NINETY:
            self._open_referral("screening_referral", anchor.id, on)
            limit = shown.suspected(self.profile)
            self._raise_of(assessment, "SCREEN_HTN_SUSPECTED", "warn", self.due, limit=limit)
            return
        wait = self.profile.recheck_days
        due = on + wait * DAY if wait else None
        if not self.asked_by:
            self._note_overdue(on)
            self._move("screening", anchor.id, due, seen=assessment.seen)
        if len(days) == 1:
            severity = self.profile.screen_severity
            self._raise_of(assessment, f"SCREEN_{self.short}_HIGH", severity, due)

    def _on_normal(self, assessment: Assessment) -> None:
        on = local_day(assessment.anchor.at)
        if self.last_high is not None and assessment.decided_on <= self.last_high:
            return
        self._resolve(f"SCREEN_{self.short}_HIGH")
        self.high_days, self.last_high = [], None
        asked = bool(self.asked_by)
        self.asked_by -= {"value", "doctor"}
        answered = asked and not self.asked_by
        if answered or self.state == "screening":
            self._note_overdue(on)
            self._move("none", assessment.anchor.id, None)

    def _end_screening(self, assessment: Assessment) -> None:
        """The diagnosis is on record: what screening asked for is no longer open."""
        codes = (f"SCREEN_{self.short}_HIGH", "SCREEN_HTN_SUSPECTED")
        self._resolve(*codes)
        self.high_days, self.last_high = [], None
        if self.state in {"screening", "screening_referral"}:
            self._note_overdue(local_day(assessment.anchor.at))
            self._move("none", assessment.anchor.id, None)

    def _recommended(self) -> str:
        """What a visit refers to: an open emergency referral stays one."""
        kept = self.state == "emergency_referral"
        return "emergency_referral" if kept else "referral_recommended"

    def _open_referral(self, state: str, anchor: str, on: date) -> None:
        self._note_overdue(on)
        self._resolve(f"{self.short}_UNSATISFIED_1", "ADR_1")
        self._move(state, anchor, on + FOURTEEN)

    def _begin_anew(self, state: str) -> None:
        for alert in self.alerts:
            alert.status = "resolved"
        self.count = self.reactions = 0
        self.high_days, self.last_high = [], None
        self._move(state, "", None)

    def _move(
        self, state: str, anchor: str, due: date | None, *, seen: frozenset[str] = frozenset()
    ) -> None:
        self.state, self.anchor, self.due, self.routine = state, anchor, due, None
        self.seen = seen
        if state != "second_followup_open":
            self.asked_by.clear()

    def _raise_of(
        self,
        assessment: Assessment,
        code: str,
        severity: str,
        due: date | None,
        *,
        limit: Limit | None = None,
    ) -> None:
        anchor = assessment.anchor
        self._raise(
            *(code, severity, anchor.id, due, anchor.at),
            seen=assessment.seen,
            limit=limit or assessment.limit,
        )

    def _raise_by(self, act: Act, code: str, severity: str) -> None:
        self._raise(
            *(code, severity, act.id, self.due, act.at),
            seen=frozenset({act.kind}),
            limit=shown.RECORDED[code],
        )

    def _raise(
        self,
        code: str,
        severity: str,
        anchor: str,
        due: date | None,
        since: datetime,
        *,
        seen: frozenset[str],
        limit: Limit,
    ) -> None:
        self._resolve(code)  # One of a code is active.
        self.alerts.append(Alert(self.condition, code, severity, anchor, due, since, seen, limit))

    def _resolve(self, *codes: str) -> None:
        for alert in self.alerts:
            if alert.code in codes:
                alert.status = "resolved"

    def _note_overdue(self, on: date) -> None:
        """Something answers or moves the due day: if too late, that was overdue until now."""
        alert = self.overdue(on)
        if alert is not None:
            alert.status = "resolved"
            self.alerts.append(alert)

    def overdue(self, on: date) -> Alert | None:
        """What stands on that day because the due day was missed."""
        if self.due is None or on <= self.due:
            return None
        referred = self.state in REFERRAL
        seen, limit = self._opener(referred=referred)
        return Alert(
            self.condition,
            "REFERRAL_FOLLOWUP_OVERDUE" if referred else "FOLLOWUP_OVERDUE",
            "high",
            self.anchor,
            self.due,
            since=midnight_after(self.due),
            seen=seen,
            limit=limit,
            overdue_days=(on - self.due).days,
        )

    def _opener(self, *, referred: bool) -> tuple[frozenset[str], Limit]:
        """What an overdue alert shows: what asked for an answer, and how long it gave."""
        assert self.due is not None
        first = {f"{self.short}_UNSATISFIED_1", f"SCREEN_{self.short}_HIGH", "ADR_1"}
        openers = [
            alert
            for alert in self.alerts
            if alert.anchor == self.anchor
            and not alert.code.endswith("_OVERDUE")
            and (alert.code in first) is not referred
        ]
        if openers:
            opener = openers[-1]
            days = (self.due - local_day(opener.since)).days
            return opener.seen, shown.within(days, opener.code, opener.limit, self.profile)
        if self.seen <= {"override", "reschedule"}:
            return self.seen, shown.BY_DOCTOR
        code = f"SCREEN_{self.short}_HIGH"  # High again: no alert tells of it.
        again = shown.in_office(self.profile, diagnosed=False, elderly=False)
        days = self.profile.recheck_days or 0
        return self.seen, shown.within(days, code, again, self.profile)

    def tell(self, on: date) -> dict[str, object]:
        """The case as the worked cases write it, on that day."""
        referred = self.state in REFERRAL
        overdue = "referral_followup_overdue" if referred else "second_followup_overdue"
        due = self.due.isoformat() if self.due else None
        return {
            "state": overdue if self.overdue(on) else self.state,
            "consecutive_unsatisfied": self.count,
            "second_followup_due": None if referred else due,
            "referral_followup_due": due if referred else None,
            "next_routine_due": self.routine.isoformat() if self.routine else None,
        }
