"""Mutated messages through the decoder: never an exception, each reading of each one accounted for.

Where a batch can be opened at all every reading in it is one item, plain or careful; where not, the
message itself is one. A reading that the plain lane takes must be one the contract accepts.
"""

import json
import random
from typing import Final

from gateway.wire.batches import build_batch
from gateway.wire.ids import new_id
from ingest.blocks import Senders, decode_block
from ingest.deliveries import Delivery
from ingest.emergencies import EmergencyRaiser
from ingest.profiles import Profiles
from tests.builders import AT, a_batch, a_blood_pressure, a_glucose, to_bytes
from tests.fuzz.mutations import mutate

_BLOCK: Final = 500
_BYTES_MAX: Final = 262_144
_TOPICS: Final = (
    *("suifang/v1/east/gw-1/readings", "suifang/v1/east/gw-1/backlog"),
    *("suifang/v1/west/gw-1/readings", "suifang/v1/east/gw-9/readings", "\x00/nowhere", ""),
)


def seeds() -> list[bytes]:
    """Batches as gateways build them: of one reading, of several, and with what is unusual."""
    readings = [
        to_bytes(a_blood_pressure("182", pulse=72, arm="left", status=["irregular_pulse"])),
        to_bytes(a_blood_pressure("18.6", "11.2", unit="kPa", device_sequence=7, boot_id="b")),
        to_bytes(a_glucose("7.00", device_now="2026-03-02T01:00:00Z", stored_record=True)),
        to_bytes(a_glucose("126", unit="mg/dL", sample="control_solution", resident_id=None)),
        to_bytes({**a_glucose(), "glucose": None, "status": ["result_too_high"]}),
        to_bytes(a_glucose(status=["sensor_malfunction", "time_fault"])),
        to_bytes({**a_glucose(), "kind": "undecodable", "bytes": "0F03", "decode_offset": 2}),
        to_bytes({**a_glucose(), "note": {"deep": [1, {"x": "é\\u0000"}]}}),
    ]
    single = [build_batch(new_id(AT), AT, [raw]) for raw in readings]
    return [*single, build_batch(new_id(AT), AT, readings), a_batch(*[a_glucose()] * 3)]


class PayloadFuzz:
    """Decodes blocks of mutated messages; counts what became of them."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - repeatable
        self._seeds = seeds()
        self._senders = Senders({"gw-1": "east"})
        self._flag = EmergencyRaiser(Profiles("wuzhou").limits).flag
        self.messages = 0
        self.plain = 0
        self.accepted = 0
        self.refused = 0

    def run_block(self) -> None:
        """Decode one block. Raises ``AssertionError`` with the payload that went wrong."""
        dice = self._dice
        payloads = [mutate(dice, self._seeds, bytes_max=_BYTES_MAX) for _ in range(_BLOCK)]
        deliveries = [
            Delivery(dice.choice(_TOPICS[: dice.choice((1, 6))]), payload, place + 1, 1, False)  # noqa: FBT003
            for place, payload in enumerate(payloads)
        ]
        block = decode_block(deliveries, self._senders, self._flag, received_at=AT)
        items = [0] * len(deliveries)
        for owner in block.owners.tolist():
            items[owner] += 1
        for place, decoded in block.careful:
            items[place] += len(decoded.accepted) + len(decoded.refused)
            self.accepted += len(decoded.accepted)
            self.refused += len(decoded.refused)
            assert all(row.payload or not payloads[place] for row in decoded.refused)
        for payload, found, head in zip(payloads, items, block.heads, strict=True):
            _require_all(payload, found, answered=head is not None)
        for place, decoded in block.decode_rows(range(len(block.plain))):
            assert not decoded.refused, payloads[place]  # The plain lane took it: it is valid.
        self.messages += len(deliveries)
        self.plain += len(block.plain)


def _require_all(payload: bytes, items: int, *, answered: bool) -> None:
    """A message that gets a receipt has an item for each reading, any other one, or as many."""
    try:
        readings = json.loads(payload)["readings"]
        count = len(readings) if isinstance(readings, list) else 1
    except (ValueError, RecursionError, TypeError, KeyError):
        count = items  # Python's decoder cannot tell.
    assert items >= 1, payload
    assert items in ({count} if answered else {1, count}), payload
