"""Where measurements come from: a device is one file here and one test.

The seam is one callable. A device is anything that calls ``capture(raw)`` once for each
measurement, ``raw`` being one JSON object with the wire's field names in the very words of
the instrument (``7.00`` stays ``7.00``). The future resolves to the reading's id when the
spool has it on disk; only then may the device's own copy be forgotten. It fails with
``BusyError`` (keep it, try again) while ``RefusedError`` is raised at once (never offer it
again). Readings of one caller keep their order. Whether a value is plausible is not a
device's business: what was measured is sent, and ingest judges it.

``Device`` is what the gateway runs; ``registry`` knows which there are; ``docs/devices.md``
tells how to add one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias
from uuid import UUID

from gateway.fetched import Mark
from gateway.wire.times import Clock

Capture: TypeAlias = Callable[[bytes], asyncio.Future[UUID]]
"""Take one measurement. Raises ``RefusedError`` or ``BusyError``; never waits by itself."""


class MarkedCapture(Protocol):
    """``Capture`` for a device with a memory: ``mark`` is stored with the reading, or neither."""

    def __call__(self, raw: bytes, *, mark: Mark | None = None) -> asyncio.Future[UUID]:
        """Take one measurement. Raises ``RefusedError`` or ``BusyError``; never waits."""


class Seen(Protocol):
    """Note that a device was heard, for the status; never waits, never fails."""

    def __call__(
        self,
        device_id: str,
        at: datetime,
        *,
        battery_percent: int | None = None,
        clock_offset_s: int | None = None,
    ) -> None:
        """``clock_offset_s``: the device's clock minus the gateway's, whole seconds."""


class Device(Protocol):
    """One way in: a listener, a radio, a serial line. It may stand for many instruments.

    Invariants:
        It forgets nothing that an instrument gave away before ``capture``'s future resolved.
        Every wait on the world has a limit; every queue has one.
        An instrument that misbehaves costs its own readings at most, never those of others.
        It logs no value and nothing of a resident.
    """

    @property
    def name(self) -> str:
        """For logs; unique within the gateway."""

    async def run(self, capture: MarkedCapture) -> None:
        """Hand over what is measured until cancelled; then let go within a few seconds.

        Returning means that there is nothing more to come, which is no fault. Raises
        ``GatewayError`` when the gateway had better end, be restarted and be looked at.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the gateway offers to a device besides ``capture``.

    Attributes:
        clock: The gateway's.
        clock_known: Whether that is the time, and not a guess after a start without a network.
        recall: The marks of one device's memory, oldest first. Raises ``SpoolError``.
        seen: For the status.
    """

    clock: Clock
    clock_known: Callable[[], bool]
    recall: Callable[[str], Awaitable[list[Mark]]]
    seen: Seen
