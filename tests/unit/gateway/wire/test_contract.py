"""Wire contract v1 does not drift: golden payloads, published schema, ids, topics, batches."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import batches, limits, publish, topics
from gateway.wire.errors import Reason
from gateway.wire.ids import PARTITION_MAX, PARTITION_MIN, new_id, partition_time_of, time_of
from gateway.wire.items import validate_item
from gateway.wire.readings import parse_json
from gateway.wire.receipts import parse_receipts
from gateway.wire.times import format_instant, parse_instant

_GOLDEN = Path(__file__).parents[3] / "contract" / "wire" / "v1"
_BATCHES = sorted(path for path in _GOLDEN.glob("*.json") if path.name != "receipts.json")


@pytest.mark.parametrize("path", _BATCHES, ids=lambda path: path.stem)
def test_golden_batches_are_still_valid(path: Path) -> None:
    batch = parse_json(path.read_bytes())

    jsonschema.validate(
        json.loads(path.read_text()),
        batches.batch_json_schema(),
        cls=jsonschema.Draft202012Validator,
    )
    for reading in batch["readings"]:
        assert validate_item(reading).kind == reading["kind"]


def test_golden_batches_are_there() -> None:
    assert len(_BATCHES) >= 5


def test_the_golden_receipt_is_still_valid() -> None:
    (receipt,) = parse_receipts((_GOLDEN / "receipts.json").read_bytes()).receipts

    assert (receipt.stored, receipt.duplicate) == (498, 1)
    assert receipt.quarantined[0].reason == Reason.MISSING_UNIT


@pytest.mark.parametrize("name", list(publish.schema_texts()))
def test_the_published_schema_is_the_models(name: str) -> None:
    assert (publish.FOLDER / name).read_text() == publish.schema_texts()[name]


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001 - made aware below
def test_an_id_carries_its_time_to_the_millisecond(moment: datetime) -> None:
    at = moment.replace(tzinfo=UTC)

    identifier = new_id(at)

    assert identifier.version == 7
    assert timedelta(0) <= at - time_of(identifier) < timedelta(milliseconds=1)
    assert PARTITION_MIN <= partition_time_of(identifier) <= PARTITION_MAX


def test_ids_do_not_collide() -> None:
    at = datetime(2026, 3, 2, tzinfo=UTC)

    assert len({new_id(at) for _ in range(10_000)}) == 10_000


def test_another_uuid_version_has_no_time() -> None:
    with pytest.raises(ValueError, match="version 4"):
        time_of(UUID("0193b0a0-5c00-4000-8000-000000000001"))


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001 - made aware below
def test_instants_survive_writing_and_reading_to_the_millisecond(moment: datetime) -> None:
    at = moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)

    assert parse_instant(format_instant(at).zfill(24)) == at


@pytest.mark.parametrize(
    "text",
    [
        "suifang/v1/east/gw-1/readings",
        "suifang/v1/east/gw-1/receipts",
    ],
)
def test_topics_survive_parsing(text: str) -> None:
    assert str(topics.parse_topic(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "suifang/v2/east/gw-1/readings",
        "suifang/v1/east/gw-1/secrets",
        "suifang/v1/east/gw-1/readings/x",
        "suifang/v1//gw-1/readings",
        "suifang/v1/East/gw-1/readings",
        "suifang/v1/east/gw+1/readings",
    ],
)
def test_other_topics_are_none_of_ours(text: str) -> None:
    assert topics.parse_topic(text) is None


def test_a_batch_is_spliced_from_frozen_bytes() -> None:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    frozen = [b'{"glucose":7.00}', b'{"glucose":7.10}']

    payload = batches.build_batch(new_id(at), at, frozen)

    assert b",".join(frozen) in payload
    assert json.loads(payload)["schema"] == 1


def test_a_batch_above_a_limit_is_never_built() -> None:
    at = datetime(2026, 3, 2, tzinfo=UTC)

    for readings in ([], [b"{}"] * 501, [b'"' + b"x" * limits.BATCH_BYTES_MAX + b'"']):
        with pytest.raises(ValueError, match="batch"):
            batches.build_batch(new_id(at), at, readings)


def test_what_fits_builds() -> None:
    at, size, count, frozen = datetime(2026, 3, 2, tzinfo=UTC), 0, 0, b"1" * 3_000
    while batches.fits(len(frozen), batch_bytes=size, readings=count):
        size, count = size + len(frozen) + 1, count + 1

    assert len(batches.build_batch(new_id(at), at, [frozen] * count)) <= limits.BATCH_BYTES_MAX
    assert count > 70
