"""A block: what one transaction will store, most of it by columns, the rest with care.

Every reading of every delivery is plain or careful, none is missing. Knows no database and no
clock; the same bytes always give the same block.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import compress
from operator import attrgetter
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
import numpy as np

from gateway.wire import limits
from gateway.wire.readings import parse_reading
from gateway.wire.topics import Topic, parse_topic
from ingest.db.readings import ReadingRow
from ingest.decoder import decode, decode_some
from ingest.deliveries import Block, Delivery, Head, Parts, ReceiptTopic
from ingest.plain import Sender, take_plain
from ingest.plain_instants import parse_ids
from ingest.plain_shapes import Memory
from ingest.rows import build_rows
from rules.columns import Int64Array
from rules.reported import Reported

FlagUrgent: TypeAlias = Callable[[Reported], tuple[Int64Array, Int64Array]]
"""Which readings are emergencies, and which are if their resident is pregnant."""


class _PlainEnvelope(msgspec.Struct, gc=False):
    """A batch whose receipt can quote it as it is written; any other is decoded with care."""

    batch: str
    schema: Literal[1]
    readings: Annotated[
        list[msgspec.Raw],
        msgspec.Meta(min_length=1, max_length=limits.READINGS_PER_BATCH_MAX),
    ]


_plain_envelope = msgspec.json.Decoder(_PlainEnvelope)
_is_redelivered: Final = attrgetter("redelivered")


class Senders:
    """Topics of enrolled gateways, each looked up once. Made anew with every register."""

    def __init__(self, gateways: Mapping[str, str]) -> None:
        self.gateways = gateways
        self.known: Memory[str, tuple[Sender, ReceiptTopic] | None] = Memory(self._look_up)
        """By topic: the gateway behind it and its receipts' topic; None: not enrolled there."""

    def _look_up(self, text: str) -> tuple[Sender, ReceiptTopic] | None:
        topic = parse_topic(text)
        if topic is None or self.gateways.get(topic.gateway) != topic.centre:
            return None
        return Sender.of(topic.centre, topic.gateway), ReceiptTopic.of(topic)


def decode_block(
    deliveries: Sequence[Delivery], senders: Senders, flag: FlagUrgent, *, received_at: datetime
) -> Block:
    """Decode what one transaction will store: most of it by columns, the rest with care.

    Args:
        deliveries: In order of arrival.
        senders: Every enrolled gateway.
        flag: Says which of the plain rows are emergencies.
        received_at: Ingest's clock, aware.
    """
    answers: list[Head | None] = [None] * len(deliveries)
    careful: Parts = []

    def take_care(place: int) -> None:
        decoded = decode(deliveries[place], senders.gateways, received_at=received_at)
        careful.append((place, decoded))
        answers[place] = decoded.head

    places, envelopes, gateways = _open_plain(deliveries, senders, take_care, answers)
    raws = [bytes(raw) for envelope in envelopes for raw in envelope.readings]
    counts = [len(envelope.readings) for envelope in envelopes]
    owners = np.repeat(np.array(places, np.int64), counts).tolist()
    of = [sender for sender, count in zip(gateways, counts, strict=True) for _ in range(count)]
    taken = take_plain(raws, of, received_at=received_at)

    def decode_places(places: Sequence[int]) -> Parts:
        mine: defaultdict[int, list[bytes]] = defaultdict(list)
        for at in places:
            mine[owners[at]].append(raws[at])
        return [
            (place, decode_some(deliveries[place], answers[place], some, received_at))
            for place, some in sorted(mine.items())
        ]

    chosen = taken.places.tolist()

    def build(rows: Sequence[int]) -> list[ReadingRow]:
        mine = [chosen[row] for row in rows]
        some = [raws[at] for at in mine]
        topics = [Topic(of[at].centre, of[at].gateway, "readings") for at in mine]
        readings = [parse_reading(raw) for raw in some]
        return build_rows(readings, some, topics, received_at=received_at)

    urgent, urgent_if_pregnant = flag(taken.reported)
    return Block(
        deliveries=tuple(deliveries),
        heads=tuple(answers),
        redelivered=any(map(_is_redelivered, deliveries)),
        plain=taken.rows,
        owners=np.array(owners, np.int64)[taken.places],
        urgent=urgent,
        urgent_if_pregnant=urgent_if_pregnant,
        careful=careful + decode_places(taken.left),
        decode_rows=lambda rows: decode_places([chosen[row] for row in rows]),
        build_rows=build,
    )


def _open_plain(
    deliveries: Sequence[Delivery],
    senders: Senders,
    take_care: Callable[[int], None],
    answers: list[Head | None],
) -> tuple[list[int], list[_PlainEnvelope], list[Sender]]:
    """Open what enrolled gateways sent as they send it; care is taken of everything else.

    Returns:
        Places, envelopes and senders of what was opened, aligned.
    """
    places: list[int] = []
    envelopes: list[_PlainEnvelope] = []
    known: list[tuple[Sender, ReceiptTopic]] = []
    look_up, opened = senders.known, _plain_envelope.decode
    for place, delivery in enumerate(deliveries):
        sender = look_up[delivery.topic]
        if sender is not None:
            try:
                envelopes.append(opened(delivery.payload))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                take_care(place)
            else:
                places.append(place)
                known.append(sender)
        else:
            take_care(place)
    _, _, can_be_quoted = parse_ids([envelope.batch for envelope in envelopes])
    kept = can_be_quoted.tolist()
    for place in compress(places, (~can_be_quoted).tolist()):
        take_care(place)
    places = list(compress(places, kept))
    envelopes = list(compress(envelopes, kept))
    known = list(compress(known, kept))
    for place, envelope, (_, to) in zip(places, envelopes, known, strict=True):
        answers[place] = Head(to, envelope.batch)
    return places, envelopes, [sender for sender, _ in known]
