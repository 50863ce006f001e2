"""Promise: a message is in the trace of its first reading, and who cannot tell says nothing."""

import re
from datetime import UTC, datetime

from gateway.wire.batches import build_batch
from gateway.wire.ids import new_id
from gateway.wire.traces import make_span, traceparent_of_batch, write_traceparent

AT = datetime(2026, 3, 2, 1, 5, tzinfo=UTC)
W3C = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")


def test_the_trace_is_the_first_readings_id_and_the_span_the_batchs() -> None:
    first, second, batch = new_id(AT), new_id(AT), new_id(AT)
    frozen = [f'{{"id":"{each}","kind":"glucose"}}'.encode() for each in (first, second)]
    payload = build_batch(batch, AT, frozen)

    said = traceparent_of_batch(batch, payload)

    assert said == f"00-{first.hex}-{batch.hex[16:]}-01"
    assert W3C.fullmatch(said)
    assert traceparent_of_batch(batch, payload) == said  # Sent again, the same.


def test_what_was_not_frozen_by_us_has_no_trace() -> None:
    batch = new_id(AT)
    foreign = build_batch(batch, AT, [b'{"kind":"glucose","id":"' + str(batch).encode() + b'"}'])
    assert traceparent_of_batch(batch, foreign) is None
    assert traceparent_of_batch(batch, b"") is None


def test_each_attempt_is_a_span_of_its_own() -> None:
    reading = new_id(AT)
    told = {write_traceparent(reading, make_span()) for _ in range(3)}
    assert len(told) == 3
    assert all(W3C.fullmatch(each) for each in told)
