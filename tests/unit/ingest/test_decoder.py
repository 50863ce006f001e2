"""Whatever the gateway freezes, ingest gives every reading an item and the batch a receipt."""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import RefusedError
from gateway.freezer import Stamp, freeze_reading
from gateway.wire.batches import build_batch
from gateway.wire.ids import new_id
from ingest.db.readings import ReadingRow
from ingest.decoder import decode
from ingest.deliveries import Delivery
from tests.builders import AT, a_batch, a_glucose

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**30), max_value=10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(codec=None), max_size=8)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(alphabet=st.characters(codec=None), max_size=4), inner, max_size=3
        )
    ),
    max_leaves=8,
)
_LINES = st.dictionaries(
    st.sampled_from(
        [
            "kind",
            "glucose",
            "unit",
            "status",
            "measured_at",
            "device_id",
            "note",
            "é",
            "device_sequence",
        ]
    ),
    _VALUES,
    max_size=6,
).map(lambda fields: json.dumps(fields).encode())


@settings(max_examples=300)
@given(st.lists(_LINES, min_size=1, max_size=5))
def test_what_the_gateway_freezes_is_settled_reading_by_reading(lines: list[bytes]) -> None:
    frozen = []
    for line in lines:
        try:
            stamp = Stamp(id=new_id(AT), captured_at=AT, clock_synchronised=True)
            frozen.append(freeze_reading(line, stamp, key=None))
        except RefusedError:
            continue
    if not frozen:
        return
    batch = new_id(AT)
    payload = build_batch(batch, AT, frozen)
    delivery = Delivery("suifang/v1/east/gw-1/readings", payload, 1, 1, redelivered=False)

    decoded = decode(delivery, {"gw-1": "east"}, received_at=AT)

    assert decoded.batch_id == batch
    assert len(decoded.accepted) + len(decoded.refused) == len(frozen)
    assert all(row.reading_id is not None for row in decoded.refused)


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes_are_one_item_or_more_and_never_an_exception(payload: bytes) -> None:
    delivery = Delivery("suifang/v1/east/gw-1/readings", payload, 1, 1, redelivered=False)

    decoded = decode(delivery, {"gw-1": "east"}, received_at=AT)

    assert len(decoded.accepted) + len(decoded.refused) >= 1


def test_a_device_at_the_end_of_the_calendar_is_flagged_and_ends_nothing() -> None:
    late = a_glucose(measured_at="9999-12-31T23:59:59Z", device_now="2020-01-01T00:00:00Z")
    payload = a_batch(late, a_glucose(measured_at="0001-01-01T00:00:00Z"))
    delivery = Delivery("suifang/v1/east/gw-1/readings", payload, 1, 1, redelivered=False)

    decoded = decode(delivery, {"gw-1": "east"}, received_at=AT)

    rows = [accepted.row for accepted in decoded.accepted]
    assert [isinstance(row, ReadingRow) and row.time_suspect for row in rows] == [True, True]


def test_golden_batches_decode_whole() -> None:
    folder = Path(__file__).parents[2] / "contract" / "wire" / "v1"
    for path in sorted(folder.glob("*.json")):
        if path.name == "receipts.json":
            continue
        delivery = Delivery(
            "suifang/v1/east/gw-1/readings", path.read_bytes(), 1, 1, redelivered=False
        )
        decoded = decode(delivery, {"gw-1": "east"}, received_at=AT)
        assert decoded.accepted
        assert not decoded.refused
