"""A recording as messages of a light fleet: each line frozen by the gateway's own code.

As fast as possible, readings go in batches of each gateway, as a backlog does after an outage; with
due times one by one, as live ones do. Order within a gateway is kept. What the gateway would refuse
is not sent, and counted.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from gateway.errors import RefusedError
from gateway.freezer import Stamp, freeze_reading
from gateway.wire.batches import build_batch
from gateway.wire.ids import new_id
from gateway.wire.times import Clock
from simulators.load.plan import Outgoing
from simulators.planned import PlannedReading
from simulators.sites import Site

BATCH_READINGS = 100


class RecordedTraffic:
    """Generates the messages of a planned replay, once. ``refused`` is right after the last."""

    def __init__(
        self, plan: Sequence[PlannedReading], sites: Sequence[Site], *, key: bytes, clock: Clock
    ) -> None:
        self._plan = plan
        self._places = {site.gateway_id: place for place, site in enumerate(sites)}
        self._key = key
        self._clock = clock
        self.refused = 0

    def messages(self) -> Iterator[Outgoing]:
        """All messages, in the order of the plan."""
        waiting: defaultdict[str, list[PlannedReading]] = defaultdict(list)
        for reading in self._plan:
            group = waiting[reading.gateway_id]
            group.append(reading)
            if reading.due_s is not None or len(group) == BATCH_READINGS:
                yield from self._write(waiting.pop(reading.gateway_id))
        for group in waiting.values():
            yield from self._write(group)

    def _write(self, group: Sequence[PlannedReading]) -> Iterator[Outgoing]:
        now = self._clock()
        frozen: list[bytes] = []
        entries: list[str] = []
        for reading in group:
            stamp = Stamp(new_id(now), now, clock_synchronised=True)
            try:
                frozen.append(freeze_reading(reading.line, stamp, key=self._key))
            except RefusedError:
                self.refused += 1
                continue
            entries.append(_entry(reading, stamp))
        if frozen:
            batch = new_id(now)
            yield Outgoing(
                gateway=self._places[group[0].gateway_id],
                due_s=group[0].due_s,
                batch=str(batch),
                payload=build_batch(batch, now, frozen),
                entries=tuple(entries),
            )


def _entry(reading: PlannedReading, stamp: Stamp) -> str:
    """What the ledger writes down; the reading is the very line, so literals stay as sent."""
    said: Mapping[str, object] = {
        "gateway": reading.gateway_id,
        "id": str(stamp.id),
        "expected": reading.expected,
        "twins": reading.twins,
    }
    head = json.dumps(said, separators=(",", ":"))[:-1]
    return f'{head},"reading":{reading.line.decode()}}}'
