"""A glucose value and its meal context, joined by sequence number; neither waits for long.

A context comes behind its value, before it, much later, or never. A value whose meter promised
a context waits ``context_ms_max`` for it; values keep their order, so one that waits holds up
those behind it, at most ``contexts_waiting_max`` of them. A context that comes after its value
has left is *late* and goes up by itself. One lost link forgets all that waits here: none of it
was taken, so all of it is asked for again.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from gateway.devices.ble_settings import BleSettings
from gateway.devices.gatt.exact_json import write_json
from gateway.devices.gatt.glucose import GlucoseMeasurement
from gateway.devices.gatt.glucose_context import GlucoseContext
from gateway.devices.gatt.lines import meal_context_of
from gateway.fetched import Mark


@dataclass(slots=True)
class Held:
    """A record on its way: with the mark that goes to the spool with it."""

    record: GlucoseMeasurement
    mark: Mark
    context: GlucoseContext | None = None
    until: float = field(default=0.0)  # Loop time.


class Waiting:
    """Values that wait for a context, contexts that wait for a value. Event loop only."""

    def __init__(self, settings: BleSettings) -> None:
        self._settings = settings
        self._held: deque[Held] = deque()
        self._early: dict[int, GlucoseContext] = {}
        self._late: deque[GlucoseContext] = deque()
        self._taken: set[int] = set()  # In this visit.

    def hold(self, held: Held) -> None:
        """One more record, behind the others."""
        held.context = self._early.pop(held.record.sequence, None)
        held.until = asyncio.get_running_loop().time() + self._settings.context_ms_max / 1_000
        self._held.append(held)

    def join(self, context: GlucoseContext) -> None:
        """A context has come: to its value, to wait for it, or too late."""
        for held in self._held:
            if held.record.sequence == context.sequence and held.context is None:
                held.context = context
                return
        if context.sequence in self._taken:
            self._late.append(context)
            return
        while len(self._early) >= self._settings.contexts_waiting_max:
            self._late.append(self._early.pop(next(iter(self._early))))
        self._early[context.sequence] = context

    def take_ready(self) -> Held | None:
        """The first record, if it need not wait any longer."""
        if not self._held:
            return None
        first = self._held[0]
        waits = first.record.context_follows and first.context is None
        crowded = len(self._held) > self._settings.contexts_waiting_max
        if waits and not crowded and asyncio.get_running_loop().time() < first.until:
            return None
        return self._held.popleft()

    def take_first(self) -> Held | None:
        """The first record, whether its context has come or not."""
        return self._held.popleft() if self._held else None

    def patience_s(self) -> float | None:
        """How long the first record may still wait; None: none waits."""
        if not self._held:
            return None
        return max(self._held[0].until - asyncio.get_running_loop().time(), 0.001)

    def note_taken(self, sequence: int) -> None:
        """The record is in the spool: a context that comes now is late."""
        self._taken.add(sequence)

    def forget_context(self, sequence: int) -> None:
        """The record was taken in an earlier visit, with what was known then."""
        self._taken.add(sequence)
        context = self._early.pop(sequence, None)
        if context is not None:
            self._late.append(context)

    def give_up_contexts(self) -> None:
        """The transfer is over: contexts without a value in it are those of earlier values."""
        self._late.extend(self._early.values())
        self._early.clear()

    def take_late(self) -> list[GlucoseContext]:
        """The contexts that go up by themselves."""
        late = list(self._late)
        self._late.clear()
        return late

    def clear(self) -> None:
        """Forget all that waits: it will be asked for again."""
        self._held.clear()
        self._early.clear()


def context_line(context: GlucoseContext, device_id: str, boot_id: str | None) -> bytes:
    """A late context as a line of its own: it names the value by device, boot and sequence."""
    members = {
        "kind": "glucose_context",
        "device_id": device_id,
        "boot_id": boot_id,
        "device_sequence": context.sequence,
        "meal_context": meal_context_of(context),
        "meal": context.meal,
    }
    return write_json({name: part for name, part in members.items() if part is not None}).encode()
