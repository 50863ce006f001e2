"""Window, batch, bytes and shares are one object, and it refuses what could never work."""

from typing import Any

import pytest
from pydantic import ValidationError

from ingest.settings import IngestSettings

_NEEDED: dict[str, Any] = {"db_dsn": "postgresql://u:p@127.0.0.1/x", "broker_password": "p"}


def test_the_defaults_fit_together() -> None:
    settings = IngestSettings(**_NEEDED)
    assert settings.broker.receive_window >= settings.batch.messages_max
    ids = [*settings.broker.live_ids, settings.broker.backlog_id]
    assert ids == ["ingest-0", "ingest-0-1", "ingest-0-backlog"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"broker": {"receive_window": 100}}, "receive_window (100)"),
        ({"batch": {"messages_max": 70_000}}, "batch.messages_max (70000)"),
        ({"batch": {"bytes_max": 1_000}}, "batch.bytes_max (1000)"),
        ({"broker": {"bytes_waiting_max": 1_000_000}}, "bytes_waiting_max (1000000)"),
        ({"broker": {"bytes_waiting_max": 100_000}}, "bytes_waiting_max (100000)"),
        ({"batch": {"age_ms_max": 40}}, "busy_age_ms_max (30)"),
        ({"throttle": {"burst_readings": 1_999}}, "burst_readings (1999)"),
        ({"throttle": {"delay_s_max": 60}}, "delay_s_max"),
        ({"observation": {"port": 70_000}}, "port"),
        ({"broker": {"client_id": "worker-1"}}, "client_id"),
    ],
)
def test_what_could_never_work_is_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        IngestSettings(**_NEEDED, **wrong)
    assert named in str(refused.value)
