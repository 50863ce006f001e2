"""The plain evaluator's case: one resident's one condition while its events pass by."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from tests.unit.rules.rules_builders import LOCAL, Row

DAY = timedelta(days=1)
FOURTEEN = timedelta(days=14)
REFERRAL = {"referral_recommended", "emergency_referral", "screening_referral"}


@dataclass(frozen=True)
class Numbers:
    """Where the two profiles differ."""

    strict: bool  # wuzhou: B1, B3, G1 and fasting G4 are strictly above.
    elderly: bool  # A tier of 150/90 from 65 years in B1.
    screen_bp_age: int
    screen_glucose_age: int
    screen_severity: str
    screen_due: timedelta | None


WUZHOU = Numbers(True, False, 18, 18, "warn", FOURTEEN)  # noqa: FBT003 - a table
NATIONAL = Numbers(False, True, 35, 0, "info", None)  # noqa: FBT003 - a table


def local_day(at: datetime) -> date:
    return at.astimezone(LOCAL).date()


@dataclass
class Alert:
    """Raised once, perhaps resolved."""

    code: str
    severity: str
    anchor: Row
    due: date | None
    status: str = "active"
    overdue_days: int = 0


@dataclass
class Case:
    """One resident's one condition while its events pass by."""

    condition: str
    numbers: Numbers
    state: str = "none"
    count: int = 0
    due: date | None = None
    routine: date | None = None
    anchor: Row | None = None
    alerts: list[Alert] = field(default_factory=list)
    high_days: list[date] = field(default_factory=list)
    last_emergency: dict[str, datetime] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """As in the alert codes."""
        return "BP" if self.condition == "hypertension" else "GLU"

    def resolve(self, *codes: str) -> None:
        """Alerts of these codes have been dealt with."""
        for alert in self.alerts:
            if alert.code in codes:
                alert.status = "resolved"

    def answer(self, on: date) -> None:
        """Somebody came: if too late, there was an overdue alert, and now it is resolved."""
        if self.due is not None and on > self.due:
            self.overdue(on, "resolved")

    def overdue(self, on: date, status: str) -> None:
        """The due day was missed."""
        assert self.due is not None
        assert self.anchor is not None
        kind = "REFERRAL_FOLLOWUP_OVERDUE" if self.state in REFERRAL else "FOLLOWUP_OVERDUE"
        days = (on - self.due).days
        self.alerts.append(Alert(kind, "high", self.anchor, self.due, status, days))

    def move(self, state: str, anchor: Row, due: date | None) -> None:
        """Into a state, because of a reading."""
        self.state, self.anchor, self.due, self.routine = state, anchor, due, None

    def on_emergency(self, row: Row, code: str) -> None:
        """E1 to E4."""
        before = self.last_emergency.get(code)
        if before is not None and row.at - before <= timedelta(hours=4):
            return
        self.last_emergency[code] = row.at
        on = local_day(row.at)
        self.answer(on)
        first = [alert for alert in self.alerts if alert.code.endswith("UNSATISFIED_1")]
        for alert in first:
            alert.status = "resolved"
        self.resolve(code)
        self.move("emergency_referral", row, on + FOURTEEN)
        self.alerts.append(Alert(code, "critical", row, self.due))

    def on_assessment(self, verdict: str, anchor: Row, decided: date, *, emergency: bool) -> None:
        """The group of findings that ``anchor`` began, judged by its latest."""
        if verdict == "normal":
            self.on_normal(anchor, decided)
        elif verdict == "high":
            self.on_high(anchor, decided)
        else:
            self.on_diagnosed(anchor, bad=verdict == "unsatisfied", emergency=emergency)

    def on_diagnosed(self, anchor: Row, *, bad: bool, emergency: bool) -> None:
        """B1 and G1: satisfied or not."""
        on = local_day(anchor.at)
        self.resolve("SCREEN_BP_HIGH", "SCREEN_GLU_HIGH", "SCREEN_HTN_SUSPECTED")
        self.high_days = []
        if self.state in {"screening", "screening_referral"}:
            self.answer(on)
            self.state, self.due = "none", None
        if self.state in REFERRAL:
            self.count = self.count + emergency if bad else 0
            return
        self.answer(on)
        self.resolve(f"{self.short}_UNSATISFIED_1")
        if not bad:
            self.count = 0
            self.move("controlled", anchor, None)
            self.routine = on + 90 * DAY
            return
        self.count += 1
        code = f"{self.short}_UNSATISFIED_{1 if self.count == 1 else 2}"
        state = "second_followup_open" if self.count == 1 else "referral_recommended"
        self.move(state, anchor, on + FOURTEEN)
        self.alerts.append(Alert(code, "warn" if self.count == 1 else "high", anchor, self.due))

    def on_normal(self, anchor: Row, decided: date) -> None:
        """Screening ends with a normal value on a later day."""
        if self.high_days and decided > self.high_days[-1]:
            self.resolve("SCREEN_BP_HIGH", "SCREEN_GLU_HIGH")
            self.high_days = []
            if self.state not in REFERRAL:
                self.answer(local_day(anchor.at))
                self.state, self.due, self.anchor = "none", None, None

    def on_high(self, anchor: Row, decided: date) -> None:
        """B3 and G4: high without the diagnosis."""
        days, on = self.high_days, local_day(anchor.at)
        if self.state in REFERRAL or (days and decided <= days[-1]):
            return
        self.answer(on)
        days.append(decided)
        if self.short == "BP" and len(days) >= 3 and days[-1] - days[-3] <= 90 * DAY:
            self.move("screening_referral", anchor, on + FOURTEEN)
            self.alerts.append(Alert("SCREEN_HTN_SUSPECTED", "warn", anchor, self.due))
            return
        wait = self.numbers.screen_due
        self.move("screening", anchor, on + wait if wait else None)
        if len(days) == 1:
            severity = self.numbers.screen_severity
            self.alerts.append(Alert(f"SCREEN_{self.short}_HIGH", severity, anchor, self.due))
