"""Bytes to rows, or to a quarantine row with a reason: nothing in between, nothing missing.

A message yields one item per reading. One bad reading never takes its neighbours along: each
is validated on its own bytes. A message that cannot even be split is one item. The decoder
knows no database and no clock; the same bytes always give the same items.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec
import numpy as np
from psycopg.types.json import Jsonb

from gateway.wire import limits
from gateway.wire.batches import SCHEMA_VERSION
from gateway.wire.errors import Reason, WireError
from gateway.wire.ids import PARTITION_MIN, partition_time_of
from gateway.wire.readings import BloodPressure, Glucose, Reading, parse_reading
from gateway.wire.topics import Topic, parse_topic
from ingest.db.quarantine import QuarantineRow
from ingest.db.readings import ReadingRow
from ingest.deliveries import Accepted, Decoded, Delivery
from rules.effective_time import correct_times

_CLOCK_TOLERANCE: Final = timedelta(minutes=5)  # Source: clinical decision table 2.2 step 5.
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
_exact_json: Final = msgspec.json.Encoder(decimal_format="number")


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
        return work.done()
    parsed: list[tuple[Reading, bytes]] = []
    for raw in work.raw_readings(envelope):
        try:
            parsed.append((_parse(raw), raw))
        except WireError as error:
            work.refuse(raw, error, reading_id=_lenient_id(raw))
    work.accept(parsed)
    return work.done()


class _Message:
    """One delivery on its way through the decoder."""

    def __init__(self, delivery: Delivery, received_at: datetime) -> None:
        self._delivery = delivery
        self._received_at = received_at
        self._topic = parse_topic(delivery.topic)
        self._batch_id: UUID | None = None
        self._accepted: list[Accepted] = []
        self._refused: list[QuarantineRow] = []

    def open(self) -> _Envelope:
        """Split the batch into the bytes of its readings. Raises ``WireError``."""
        payload = self._delivery.payload
        try:
            version = _version.decode(payload).schema
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise WireError(_json_or_shape(payload), str(error)) from error
        if version != SCHEMA_VERSION:
            detail = f"schema is {version}, this program speaks {SCHEMA_VERSION}: update ingest"
            raise WireError(Reason.UNKNOWN_SCHEMA, detail, field="schema")
        try:
            envelope = _envelope.decode(payload)
        except msgspec.MsgspecError as error:
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

    def accept(self, parsed: Sequence[tuple[Reading, bytes]]) -> None:
        """Turn valid readings into rows; effective times are worked out together."""
        topic = self._topic
        if not parsed or topic is None:
            return
        readings = [reading for reading, _ in parsed]
        arrived = [_arrived_at(reading, self._received_at) for reading in readings]
        effective, suspect = correct_times(
            measured_at=_instants([reading.measured_at for reading in readings]),
            device_now=_instants([reading.device_now for reading in readings]),
            captured_at=_instants([reading.captured_at for reading in readings]),
            arrived_at=_instants(arrived),
        )
        for at, (reading, raw) in enumerate(parsed):
            row = _row(
                reading,
                raw,
                topic,
                received_at=self._received_at,
                arrived_at=arrived[at],
                effective_at=_datetime(effective[at]),
                time_suspect=bool(suspect[at]) or "time_fault" in reading.status,
            )
            self._accepted.append(Accepted(row, raw))

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
    # Not the channel: what was sent live may be sent again as backlog.
    sender = f"{topic.centre}/{topic.gateway}" if topic else topic_text
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


def content_hash(raw: bytes) -> int:
    """64 bits of the reading's frozen bytes, signed: tells a redelivery from a conflict."""
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), signed=True)


def _row(
    reading: Reading,
    raw: bytes,
    topic: Topic,
    *,
    received_at: datetime,
    arrived_at: datetime,
    effective_at: datetime,
    time_suspect: bool,
) -> ReadingRow:
    pressure = reading if isinstance(reading, BloodPressure) else None
    sugar = reading if isinstance(reading, Glucose) else None
    values = _values_text(reading)
    extra = reading.model_extra
    return ReadingRow(
        id=reading.id,
        partition_at=partition_time_of(reading.id),
        content_hash=content_hash(raw),
        kind=reading.kind,
        resident_id=reading.resident_id,
        centre_id=topic.centre,
        gateway_id=topic.gateway,
        device_id=reading.device_id,
        device_sequence=reading.device_sequence,
        boot_id=reading.boot_id,
        measured_at=reading.measured_at,
        stored_record=reading.stored_record,
        captured_at=reading.captured_at,
        clock_synchronised=reading.clock_synchronised,
        device_now=reading.device_now,
        received_at=received_at,
        arrived_at=arrived_at,
        effective_at=effective_at,
        time_suspect=time_suspect,
        setting=reading.setting,
        status=list(reading.status),
        systolic=pressure.systolic if pressure else None,
        diastolic=pressure.diastolic if pressure else None,
        pulse=pressure.pulse if pressure else None,
        arm=pressure.arm if pressure else None,
        posture=pressure.posture if pressure else None,
        glucose=sugar.glucose if sugar else None,
        meal_context=sugar.meal_context if sugar else None,
        sample=sugar.sample if sugar else None,
        unit=reading.unit,
        extra=Jsonb(extra, dumps=_exact_json.encode) if extra else None,
        rule_key=_rule_key(reading, values),
        values_hash=content_hash(values.encode()),
    )


def _parse(raw: bytes) -> Reading:
    if len(raw) > limits.READING_BYTES_MAX:
        detail = f"{len(raw)} bytes, at most {limits.READING_BYTES_MAX}"
        raise WireError(Reason.INVALID_FIELD, detail)
    return parse_reading(raw)


def _values_text(reading: Reading) -> str:
    """What was measured, as text that is equal when the values are (7.0 and 7.00 are)."""
    if isinstance(reading, BloodPressure):
        values: Sequence[Decimal | None] = (reading.systolic, reading.diastolic, reading.pulse)
        context = f"{reading.unit}:{reading.arm or ''}"
    else:
        values = (reading.glucose, None, None)
        context = f"{reading.unit or ''}:{','.join(sorted(reading.status))}"
    numbers = ":".join("" if value is None else f"{value.normalize():f}" for value in values)
    return f"{reading.kind}:{numbers}:{context}"


def _rule_key(reading: Reading, values: str) -> str | None:
    """What makes two ids one measurement; None: only the id does.

    Source: clinical decision table 2.6, architecture 8.9.
    """
    if reading.device_sequence is not None:
        return f"sequence:{reading.boot_id or ''}:{reading.device_sequence}"
    if reading.measured_at is not None:
        return f"time:{reading.measured_at.isoformat()}:{values}"
    return None


def _arrived_at(reading: Reading, received_at: datetime) -> datetime:
    """The gateway's clock where it can be believed, else ours: an outage changes no judgement.

    A "synchronised" clock ahead of ours, or before this system existed, is not believed.
    Source: architecture 8.7.
    """
    latest = received_at + _CLOCK_TOLERANCE
    if reading.clock_synchronised and PARTITION_MIN <= reading.captured_at <= latest:
        return min(reading.captured_at, received_at)
    return received_at


def _instants(
    times: Sequence[datetime | None],
) -> "np.ndarray[tuple[int], np.dtype[np.datetime64]]":
    """Aware UTC datetimes to datetime64[us]; None becomes NaT."""
    naive = [None if at is None else at.replace(tzinfo=None) for at in times]
    return np.array(naive, dtype="datetime64[us]")


def _datetime(instant: np.datetime64) -> datetime:
    return instant.astype("datetime64[us]").item().replace(tzinfo=UTC)  # type: ignore[no-any-return]


def _lenient_id(raw: bytes) -> UUID | None:
    """The id of a reading that is otherwise wrong, so that conservation can be counted by id."""
    try:
        return _id.decode(raw).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _json_or_shape(payload: bytes) -> Reason:
    try:
        _any.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Reason.MALFORMED_JSON
    return Reason.INVALID_ENVELOPE
