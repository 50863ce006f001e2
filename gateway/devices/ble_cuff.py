"""A blood-pressure cuff (0x1810): every indication of 0x2A35 is a measurement, stored or live.

0x2A36, the pressure while the cuff deflates, is never subscribed to; should a device send one
under a subscription of ours, its characteristic says so and it is not looked at. Which
measurement was stored and which is live is not told by this service and not guessed: the
device's own time says when it was.

The confirmation of an indication is sent by the operating system, before we see it: from then
on the cuff may forget. So the line goes to the outbox at once, in the callback.
"""

import logging
from typing import Final

from gateway.devices.ble_instrument import Instrument
from gateway.devices.ble_link import Link
from gateway.devices.gatt.blood_pressure import decode_blood_pressure
from gateway.devices.gatt.errors import DecodeError
from gateway.devices.gatt.lines import blood_pressure_line

SERVICE: Final = 0x1810
MEASUREMENT: Final = 0x2A35
_LOG = logging.getLogger(__name__)


async def listen_to_cuff(instrument: Instrument, link: Link) -> None:
    """Subscribe; from now on measurements flow by themselves. Raises ``LinkBrokenError``."""

    def take(value: bytes) -> None:
        take_measurement(instrument, value)
        if instrument.outbox.is_full:
            _LOG.warning("device %s: no room for more; hanging up", instrument.id)
            link.give_up()

    await link.subscribe(MEASUREMENT, take)


def take_measurement(instrument: Instrument, value: bytes) -> None:
    """One indication of 0x2A35 -> one line, or a report that it is unreadable."""
    try:
        measurement = decode_blood_pressure(value)
    except DecodeError as error:
        instrument.report_malformed(MEASUREMENT, value, error)
        return
    instrument.counts.measurements += 1
    origin = instrument.origin(measurement.timestamp)
    instrument.outbox.offer(blood_pressure_line(measurement, origin))
