"""A reading before it is sent: what it is, what it will say, whom it is said to be of.

Disturbances change drafts; ``Terminals`` numbers them and writes the lines.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from simulators.ledger import Truth
from simulators.oracle.dispositions import why_put_aside
from simulators.planned import Expected, Numeral, PlannedReading, encode_line
from simulators.scenarios.happenings import Measured
from simulators.sites import Kind, device_of

_COPIES_APART = timedelta(seconds=2)


@dataclass(slots=True, kw_only=True)
class Draft:
    """One measurement, taken at ``at``; ``card`` and ``measured_at`` are what its terminal says.

    ``true_card`` is whose body it was; None: nobody's, the device makes it up.
    """

    at: datetime
    card: str
    gateway_id: str
    kind: Kind
    values: dict[str, Any]
    true_card: str | None
    measured_at: datetime | None = None
    device_now: datetime | None = None
    device_id: str | None = None  # None: the one that this card is measured at.
    label: str | None = None
    copies: int = 0  # Sent so many times more, the same measurement.
    spoilt_before: bool = False  # Its line is broken the first time.

    @classmethod
    def honest(
        cls, at: datetime, card: str, gateway_id: str, kind: Kind, values: dict[str, Any]
    ) -> "Draft":
        """What a terminal that is right says of a person who is who the card says."""
        return cls(
            at=at,
            card=card,
            gateway_id=gateway_id,
            kind=kind,
            values=values,
            true_card=card,
            measured_at=at,
        )


class Terminals:
    """Numbers readings by device, from 1, and writes them as a terminal does."""

    def __init__(self, boot: str, names: Mapping[str, str]) -> None:
        self._boot, self._names = boot, names
        self._numbers: defaultdict[str, int] = defaultdict(int)

    def send(self, draft: Draft) -> Iterator[Measured]:
        """The happenings of one draft: one, or more where it is sent again."""
        device = draft.device_id or device_of(draft.card, draft.kind, draft.gateway_id, counts=True)
        self._numbers[device] += 1
        number = self._numbers[device]
        fields: dict[str, Any] = {
            "device_id": device,
            "device_sequence": number,
            "boot_id": self._boot,
            "card_number": draft.card,
            "kind": draft.kind,
        }
        if draft.measured_at is not None:
            fields["measured_at"] = draft.measured_at.isoformat(timespec="milliseconds")
        if draft.device_now is not None:
            fields["device_now"] = draft.device_now.isoformat(timespec="milliseconds")
        line = encode_line(fields | draft.values)
        twins = f"{device}-{number}" if draft.copies else None
        reason = why_put_aside(draft.kind, _as_numbers(draft.values))
        expected = Expected.STORED if reason is None else Expected.QUARANTINED
        if draft.spoilt_before:
            broken = PlannedReading(
                gateway_id=draft.gateway_id,
                device_id=device,
                card_number=draft.card,
                line=line[: len(line) // 2] + b"\xff\xfe",
                expected=Expected.REFUSED,
                broken=True,
            )
            yield Measured(at=draft.at, reading=broken)
        mine = None if draft.true_card is None else self._names[draft.true_card]
        truth = Truth(resident_id=mine, measured_at=draft.at, fields=draft.values)
        for copy in range(draft.copies + 1):
            yield Measured(
                at=draft.at + copy * _COPIES_APART,
                reading=PlannedReading(
                    gateway_id=draft.gateway_id,
                    device_id=device,
                    card_number=draft.card,
                    line=line,
                    expected=Expected.DUPLICATE if copy and reason is None else expected,
                    reason=reason,
                    twins=twins,
                ),
                truth=truth if not copy else None,
                label=draft.label if not copy else None,
            )


def _as_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """As the wire reads them: digits that go bare are a number."""
    return {
        name: Decimal(value) if isinstance(value, Numeral) else value
        for name, value in values.items()
    }
