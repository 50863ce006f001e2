"""Promise: who sees no measured values is told of an alert, and not of what was measured."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.alerts.measured import shown_event
from api.auth.permissions import Role
from api.auth.principal import Principal
from ingest.db.connections import Connection
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.alert_bench import PEOPLE, SIGNER, AlertBench, an_alert_bench

MEASURED = ("186", "112")


@pytest.fixture
async def bench(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[AlertBench]:
    """A judge and an API."""
    async with an_alert_bench(connection, database, clock, tmp_path) as opened:
        yield opened


async def _read(bench: AlertBench, path: str, who: str) -> str:
    at = int(bench.clock.now.timestamp())
    token = SIGNER.sign(SIGNER.claims(sub=who, iat=at - 1, exp=at + 600, **PEOPLE[who]))
    answer = await bench.client.get(path, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_supervisor_reads_of_an_alert_but_no_measured_value_wherever_it_is_shown(
    bench: AlertBench,
) -> None:
    await bench.measure(*MEASURED)
    await bench.number()
    alert = await bench.alert_of("BP_EMERGENCY")
    for path in (
        "/v1/alerts",
        "/v1/alerts?view=cases",
        "/v1/alerts?after=0",
        f"/v1/alerts/{alert}",
        "/fhir/DetectedIssue",
        f"/fhir/DetectedIssue/{alert}",
    ):
        told = await _read(bench, path, "supervisor")
        seen = await _read(bench, path, "doctor")
        assert "BP_EMERGENCY" in told
        assert all(value in seen for value in MEASURED), path
        assert not any(value in told for value in MEASURED), path


@pytest.mark.parametrize("kind", ["alert.raised", "alert.acknowledged"])
def test_the_stream_tells_a_supervisor_the_same_without_what_was_observed(kind: str) -> None:
    observed = {"observed": "186/112 mmHg"} if kind == "alert.raised" else {}
    event = json.dumps({"code": "BP_EMERGENCY", "source": "规范", **observed})
    supervisor = Principal(subject="s", kind="person", roles=frozenset({Role.SUPERVISOR}))
    doctor = Principal(subject="d", kind="person", roles=frozenset({Role.DOCTOR}))

    told = json.loads(shown_event(event, supervisor))

    assert shown_event(event, doctor) == event
    assert told == json.loads(event) | dict.fromkeys(observed, "(not shown)")
