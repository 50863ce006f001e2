"""Whether alerts were raised in time, by the ledger's clock and never by the system's own.

An alert may be raised when its ground is there: the reading has left a gateway that has a network,
the record was made, the due day is over. What was told later about the same person (a diagnosis, a
record, a correction, an older reading that had to wait, another of the same assessment) is a
ground, too. How long it may then take depends on its severity (``bounds_of``).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple, TypeAlias

from gateway.wire.times import parse_instant
from simulators.holdings import Raised
from simulators.ledger import Entry
from simulators.series import SHANGHAI

_SITTING: Final = timedelta(minutes=30)  # An emergency and what may have hidden it.
_ASSESSMENT: Final = timedelta(hours=25)  # Readings so far apart may be one assessment.
_SESSION_WAIT: Final = timedelta(minutes=10)  # Decision table 2.5: after a session's last reading.
_AT_LEAST: Final = timedelta(minutes=1)
_TIMED: Final = frozenset({"FOLLOWUP_OVERDUE", "REFERRAL_FOLLOWUP_OVERDUE", "ROUTINE_OVERDUE"})
Found: TypeAlias = Counter[tuple[str, str, str]]
"""Resident, code, and what is to be said of it."""


class Timing(NamedTuple):
    """What was not in time, and what rests on nothing."""

    emergencies: Found
    others: Found
    baseless: Found


def bounds_of(step: timedelta) -> dict[str, timedelta]:
    """How late after its ground an alert of each severity may be raised.

    Critical ones are raised as a reading is stored: by the end of the step in which it comes. All
    others, paging or not, wait until nothing more can come to the session: ten minutes after it is
    stored, and until the clock's next look.

    Args:
        step: How far a rehearsal's clock moves at a time.
    """
    look = max(step, _AT_LEAST)
    judged = _SESSION_WAIT + 2 * look
    return {"critical": look, "high": judged, "warn": judged, "info": judged}


class _Arrival(NamedTuple):
    measured_at: datetime
    at: datetime


class Grounds:
    """When each ground was there. Memory grows with the ledgers."""

    def __init__(
        self,
        entries: Iterable[Entry],
        lines: Sequence[tuple[datetime, bool, frozenset[str]]],
        acts_at: Mapping[str, datetime],
        told_at: Mapping[str, Sequence[datetime]],
    ) -> None:
        """Sort out when each ground was there.

        Args:
            entries: Of all ledgers.
            lines: When, whether the network came back, for which gateways; in order.
            acts_at: When a doctor said it, by record.
            told_at: When anything was said of a resident.
        """
        self._lines, self._told_at = lines, told_at
        self._at: dict[str, datetime] = dict(acts_at)
        self._measured_at: dict[str, datetime] = {}
        self._of: defaultdict[str, list[_Arrival]] = defaultdict(list)
        for entry in entries:
            if entry.sent_at is None or entry.reading_id is None:
                continue
            name, at = str(entry.reading_id), self._passes(entry.gateway_id, entry.sent_at)
            self._at[name] = at
            if entry.truth is not None:
                measured_at = parse_instant(entry.truth["measured_at"])
                self._measured_at[name] = measured_at
                if entry.truth["resident_id"] is not None:
                    self._of[entry.truth["resident_id"]].append(_Arrival(measured_at, at))

    def _passes(self, gateway_id: str, sent_at: datetime) -> datetime:
        """When what this gateway has can pass: at once, or when the network is back."""
        cut = False
        for at, back, gateways in self._lines:
            if gateway_id not in gateways:
                continue
            if at > sent_at and cut and back:
                return at
            if at > sent_at and not cut:
                break
            cut = not back
        return sent_at

    def compare(self, alerts: Iterable[Raised], bounds: Mapping[str, timedelta]) -> Timing:
        """Alerts raised later after their ground than they may; alerts without a ground.

        Args:
            alerts: As they stand.
            bounds: By severity.
        """
        timing = Timing(Found(), Found(), Found())
        for alert in alerts:
            at = self._at.get(str(alert.anchor_id))
            if alert.anchor_kind == "resident":  # By whom it is due who was never visited.
                at = min(self._told_at.get(alert.resident_id, ()), default=None)
            if at is None:
                timing.baseless[alert.resident_id, alert.code, str(alert.anchor_id)] += 1
                continue
            bound = bounds[alert.severity]
            if alert.raised_at - at > bound:
                waited = alert.raised_at - max(self._grounds_of(alert, at))
                if waited > bound:
                    late = timing.emergencies if alert.severity == "critical" else timing.others
                    late[alert.resident_id, alert.code, f"{waited} after its ground"] += 1
        return timing

    def _grounds_of(self, alert: Raised, at: datetime) -> Iterable[datetime]:
        """All that may have made it true, before it was raised; ``at`` is its anchor's."""
        yield at
        yield from alert.amended_at
        if alert.code in _TIMED and alert.due is not None:
            midnight = datetime.combine(alert.due + timedelta(days=1), time(), tzinfo=SHANGHAI)
            if midnight <= alert.raised_at:
                yield midnight
        for told_at in self._told_at.get(alert.resident_id, ()):
            if told_at <= alert.raised_at:
                yield told_at
        measured_at = self._measured_at.get(str(alert.anchor_id))
        apart = _SITTING if alert.severity == "critical" else _ASSESSMENT
        for arrival in self._of.get(alert.resident_id, ()):
            older = measured_at is not None and arrival.measured_at <= measured_at + apart
            if older and arrival.at <= alert.raised_at:
                yield arrival.at
