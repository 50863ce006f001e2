"""Bytes to rows, or to a quarantine row with a reason: nothing in between, nothing missing.

A message yields one item per reading. One bad reading never takes its neighbours along: each
is validated on its own bytes. A message that cannot even be split is one item. The decoder
knows no database and no clock; the same bytes always give the same items.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from gateway.wire import limits
from gateway.wire.batches import SCHEMA_VERSION
from gateway.wire.errors import Reason, WireError
from gateway.wire.items import GlucoseContext, Item, parse_item
from gateway.wire.readings import Reading
from gateway.wire.topics import Topic, parse_topic
from ingest.db.quarantine import QuarantineRow
from ingest.deliveries import Accepted, Decoded, Delivery, Head
from ingest.rows import build_context_row, build_rows, content_hash

_DETAIL_CHARACTERS_MAX: Final = 300


class _Envelope(msgspec.Struct):
    """A batch with its readings still as the bytes the gateway froze."""

    batch: UUID
    readings: list[msgspec.Raw]
    schema: int = 0


class _Version(msgspec.Struct):
    schema: int | None = None


class _Id(msgspec.Struct):
    id: UUID | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_version = msgspec.json.Decoder(_Version)
_id = msgspec.json.Decoder(_Id)
_any = msgspec.json.Decoder()


def decode(delivery: Delivery, gateways: Mapping[str, str], *, received_at: datetime) -> Decoded:
    """Decode one message.

    Args:
        delivery: The message as the broker delivered it.
        gateways: Every enrolled gateway and its centre.
        received_at: Ingest's clock, aware.
    """
    work = _Message(delivery, received_at)
    try:
        envelope = work.open()
    except WireError as error:
        work.refuse(delivery.payload, error, reading_id=None)
        return work.done()
    try:
        work.check_sender(gateways)
    except WireError as error:
        for raw in work.raw_readings(envelope):
            work.refuse(raw, error, reading_id=_lenient_id(raw))
        return work.done_unsettled()
    work.take(work.raw_readings(envelope))
    return work.done()


def decode_some(
    delivery: Delivery, head: Head | None, raws: Sequence[bytes], received_at: datetime
) -> Decoded:
    """Some readings of a batch that was opened already and whose sender is known."""
    work = _Message(delivery, received_at, None if head is None else UUID(head.batch))
    work.take(raws)
    return work.done()


class _Message:
    """One delivery on its way through the decoder."""

    def __init__(
        self, delivery: Delivery, received_at: datetime, batch_id: UUID | None = None
    ) -> None:
        self._delivery = delivery
        self._received_at = received_at
        self._topic = parse_topic(delivery.topic)
        self._batch_id = batch_id
        self._accepted: list[Accepted] = []
        self._refused: list[QuarantineRow] = []

    def open(self) -> _Envelope:
        """Split the batch into the bytes of its readings. Raises ``WireError``."""
        payload = self._delivery.payload
        try:
            version = _version.decode(payload).schema
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            envelope = _split_as_built(payload)  # One odd reading must not hold the others up.
            if envelope is None:
                raise WireError(_json_or_shape(payload), str(error)) from error
            self._batch_id = envelope.batch
            return envelope
        if version != SCHEMA_VERSION:
            detail = f"schema is {version}, this program speaks {SCHEMA_VERSION}: update ingest"
            raise WireError(Reason.UNKNOWN_SCHEMA, detail, field="schema")
        try:
            envelope = _envelope.decode(payload)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise WireError(Reason.INVALID_ENVELOPE, str(error)) from error
        if not 1 <= len(envelope.readings) <= limits.READINGS_PER_BATCH_MAX:
            detail = f"{len(envelope.readings)} readings, 1 to {limits.READINGS_PER_BATCH_MAX}"
            raise WireError(Reason.INVALID_ENVELOPE, detail, field="readings")
        self._batch_id = (
            envelope.batch
        )  # From here on every reading has an item: a receipt adds up.
        return envelope

    def raw_readings(self, envelope: _Envelope) -> list[bytes]:
        """The frozen bytes of each reading."""
        return [bytes(raw) for raw in envelope.readings]

    def check_sender(self, gateways: Mapping[str, str]) -> None:
        """The topic must name an enrolled gateway under its own centre. Raises ``WireError``."""
        topic = self._topic
        if topic is None:
            detail = f"{self._delivery.topic!r} is no topic of contract v1"
            raise WireError(Reason.WRONG_TOPIC, detail, field="topic")
        centre = gateways.get(topic.gateway)
        if centre is None:
            detail = f"gateway {topic.gateway!r} is not enrolled: enrol it, then replay"
            raise WireError(Reason.UNKNOWN_GATEWAY, detail, field="topic")
        if centre != topic.centre:
            detail = f"gateway {topic.gateway!r} belongs to {centre!r}, not {topic.centre!r}"
            raise WireError(Reason.WRONG_TOPIC, detail, field="topic")

    def take(self, raws: Sequence[bytes]) -> None:
        """Accept or refuse each of these readings."""
        parsed: list[tuple[Reading, bytes]] = []
        contexts: list[tuple[GlucoseContext, bytes]] = []
        for raw in raws:
            try:
                item = _parse(raw)
            except WireError as error:
                self.refuse(raw, error, reading_id=_lenient_id(raw))
                continue
            if isinstance(item, GlucoseContext):
                contexts.append((item, raw))
            else:
                parsed.append((item, raw))
        if self._topic is not None:
            self._accept(parsed, contexts, self._topic)

    def _accept(
        self,
        parsed: Sequence[tuple[Reading, bytes]],
        contexts: Sequence[tuple[GlucoseContext, bytes]],
        topic: Topic,
    ) -> None:
        at = self._received_at
        if parsed:
            rows = build_rows(
                [reading for reading, _ in parsed],
                [raw for _, raw in parsed],
                [topic] * len(parsed),
                received_at=at,
            )
            self._accepted += [
                Accepted(row, raw) for row, (_, raw) in zip(rows, parsed, strict=True)
            ]
        self._accepted += [
            Accepted(build_context_row(context, raw, topic, received_at=at), raw)
            for context, raw in contexts
        ]

    def refuse(self, raw: bytes, error: WireError, *, reading_id: UUID | None) -> None:
        """File one item under its reason, with its bytes cut at the limit."""
        self._refused.append(
            refusal(
                raw,
                error,
                topic_text=self._delivery.topic,
                topic=self._topic,
                batch_id=self._batch_id,
                reading_id=reading_id,
                received_at=self._received_at,
            )
        )

    def done_unsettled(self) -> Decoded:
        """Filed, but not settled and without a receipt: the sender keeps it.

        Once the gateway is enrolled where it says it is, the same bytes are stored.
        """
        self._batch_id = None
        self._refused = [row._replace(settles=False) for row in self._refused]
        return self.done()

    def done(self) -> Decoded:
        return Decoded(
            delivery=self._delivery,
            topic=self._topic,
            batch_id=self._batch_id,
            accepted=tuple(self._accepted),
            refused=tuple(self._refused),
        )


def refusal(
    raw: bytes,
    error: WireError,
    *,
    topic_text: str,
    topic: Topic | None,
    batch_id: UUID | None,
    reading_id: UUID | None,
    received_at: datetime,
) -> QuarantineRow:
    """The quarantine row of one item; its hash makes it meet itself when it comes again."""
    reason, field, detail = error.reason, error.field, error.detail
    sender = topic.gateway if topic else topic_text  # Live once and backlog later: one item.
    return QuarantineRow(
        item_hash=hashlib.sha256(sender.encode() + b"\0" + raw).digest(),
        reading_id=reading_id,
        content_hash=content_hash(raw),
        settles=reading_id is not None,
        topic=topic_text,
        centre_id=topic.centre if topic else None,
        gateway_id=topic.gateway if topic else None,
        batch_id=batch_id,
        reason=str(reason),
        field=field[:_DETAIL_CHARACTERS_MAX].replace("\0", "\ufffd"),
        detail=detail[:_DETAIL_CHARACTERS_MAX].replace("\0", "\ufffd"),
        payload=raw[: limits.QUARANTINE_BYTES_MAX],
        payload_bytes=len(raw),
        received_at=received_at,
    )


def _parse(raw: bytes) -> Item:
    if len(raw) > limits.READING_BYTES_MAX:
        detail = f"{len(raw)} bytes, at most {limits.READING_BYTES_MAX}"
        raise WireError(Reason.INVALID_FIELD, detail)
    return parse_item(raw)


_HEAD: Final = re.compile(
    rb'\{"schema":1,"batch":"([0-9a-f-]{36})","sent_at":"[^"\\]{1,40}","readings":\['
)
_ID: Final = re.compile(rb'^\{"id":"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')
_SCANNER: Final = json.JSONDecoder()


def _split_as_built(payload: bytes) -> _Envelope | None:
    """Split a batch exactly as ``gateway.wire.batches`` writes it, one reading at a time.

    For payloads that the strict decoder refuses as a whole because of one reading.
    """
    head = _HEAD.match(payload)
    if head is None:
        return None
    raws: list[msgspec.Raw] = []
    try:
        batch, text = UUID(head[1].decode()), payload[head.end() :].decode()
        position = 0
        while True:
            _, end = _SCANNER.raw_decode(text, position)
            raws.append(msgspec.Raw(text[position:end].encode()))
            if text[end:] == "]}":
                return _Envelope(batch=batch, readings=raws, schema=SCHEMA_VERSION)
            if text[end] != "," or len(raws) == limits.READINGS_PER_BATCH_MAX:
                return None
            position = end + 1
    except (ValueError, IndexError, RecursionError):
        return None


def _lenient_id(raw: bytes) -> UUID | None:
    """The id of a reading that is otherwise wrong, so that conservation can be counted by id."""
    try:
        return _id.decode(raw).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = _ID.search(raw)  # The gateway writes it first, whatever the terminal wrote after.
        return UUID(found[1].decode()) if found else None


def _json_or_shape(payload: bytes) -> Reason:
    try:
        _any.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Reason.MALFORMED_JSON
    return Reason.INVALID_ENVELOPE
