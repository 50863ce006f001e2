"""What a visit to a device needs to know and keep: who it is, its clock, what goes up.

One ``Instrument`` lives as long as its device is served, over many connections. Counters are
for the log and the status; nothing decides by them.
"""

import logging
from dataclasses import dataclass, field
from typing import Final

from gateway.devices import MarkedCapture, Surroundings
from gateway.devices.ble_clock import DeviceClock
from gateway.devices.ble_outbox import Outbox
from gateway.devices.ble_settings import BleSettings, KnownDevice
from gateway.devices.gatt.date_time import DateTime
from gateway.devices.gatt.errors import DecodeError
from gateway.devices.gatt.glucose_context import GlucoseContext
from gateway.devices.gatt.lines import Origin, undecodable_line

_LOG = logging.getLogger(__name__)
_REPORTS_MAX: Final = 256
_TOLD_MAX: Final = 256


@dataclass(slots=True)
class Counts:
    """Of one device since the gateway started."""

    visits: int = 0
    breaks: int = 0
    records: int = 0  # Of its memory, newly taken.
    known: int = 0  # Of its memory, sent again and passed over.
    measurements: int = 0  # Indicated by a cuff.
    late_contexts: int = 0
    malformed: int = 0
    clock_set: int = 0


@dataclass(slots=True, kw_only=True)
class Instrument:
    """One device and everything of it that outlives a connection."""

    known: KnownDevice
    settings: BleSettings
    around: Surroundings
    capture: MarkedCapture
    clock: DeviceClock = field(init=False)
    outbox: Outbox = field(init=False)
    counts: Counts = field(default_factory=Counts)
    described: bool = False
    _reported: dict[bytes, None] = field(default_factory=dict)
    _told: dict[int, GlucoseContext] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = DeviceClock(self.known.id, self.known.timezone, self.around.clock)
        self.outbox = Outbox(self.known.id, self.capture, self.settings)

    @property
    def id(self) -> str:
        """``device_id`` of its readings."""
        return self.known.id

    def origin(self, said: DateTime | None = None, boot_id: str | None = None) -> Origin:
        """Whose measurement it is that says this time."""
        return Origin(
            device_id=self.known.id,
            utc_offset=self.clock.utc_offset(said),
            boot_id=boot_id,
            device_now=self.clock.shows(),
            setting=self.known.setting,
        )

    def note_told(self, context: GlucoseContext) -> bool:
        """Remember that this context goes up; False when it has gone already.

        The last record comes again at each visit, its context with it.
        """
        if self._told.get(context.sequence) == context:
            return False
        if len(self._told) >= _TOLD_MAX:
            self._told.pop(next(iter(self._told)))
        self._told[context.sequence] = context
        return True

    def report_malformed(self, characteristic: int, value: bytes, error: DecodeError) -> None:
        """Bytes that are no measurement: they go up as they are, once, and the visit goes on."""
        self.counts.malformed += 1
        _LOG.warning("device %s: 0x%04X is unreadable: %s", self.id, characteristic, error)
        if value in self._reported:
            return  # A memory's record comes again at each visit.
        if len(self._reported) >= _REPORTS_MAX:
            self._reported.pop(next(iter(self._reported)))
        self._reported[value] = None
        self.outbox.offer(undecodable_line(f"{characteristic:04X}", value, error, self.origin()))
