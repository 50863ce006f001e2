"""Identifiers written in bulk are what the gateway would make of the same time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from gateway.wire.ids import time_of
from simulators.load.identifiers import RANDOM_BYTES, write_identifiers

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("fill", [b"\x00", b"\xff", None], ids=["zeros", "ones", "random"])
def test_each_is_a_uuid_of_version_7_and_of_its_instant(fill: bytes | None) -> None:
    instants = np.array([0, 1_772_413_200_123, 4_102_444_800_999], np.int64)
    size = len(instants) * RANDOM_BYTES
    random = np.random.default_rng(1).bytes(size) if fill is None else fill * size
    written = write_identifiers(instants, random)
    for text, instant in zip(written, instants.tolist(), strict=True):
        identifier = UUID(text)
        assert str(identifier) == text
        assert identifier.variant == "specified in RFC 4122"
        assert time_of(identifier) == EPOCH + timedelta(milliseconds=instant)
    assert len(set(written)) == len(instants)


def test_none_are_none() -> None:
    assert write_identifiers(np.array([], np.int64), b"") == []
