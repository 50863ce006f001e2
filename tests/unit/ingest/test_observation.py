"""Metrics and health over real HTTP."""

import asyncio
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingest.metrics import IngestMetrics, JudgeMetrics
from ingest.observation import Observation, ObservationSettings

_HOST = ObservationSettings().host


@contextmanager
def _served(observation: Observation) -> Iterator[str]:
    address = observation.start(_HOST, 0)
    assert address is not None
    try:
        yield address
    finally:
        observation.stop()


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_without_a_port_nothing_is_served() -> None:
    assert Observation(IngestMetrics().registry, list).start(_HOST, None) is None


def test_readiness_says_why_not_and_health_does_not_depend_on_it() -> None:
    problems = ["database: gone"]
    with _served(Observation(IngestMetrics().registry, lambda: problems)) as address:
        status, body = _get(f"{address}/readyz")
        assert (status, json.loads(body)["problems"]) == (503, ["database: gone"])
        assert _get(f"{address}/healthz")[0] == 200
        problems.clear()
        assert _get(f"{address}/readyz")[0] == 200
        assert _get(f"{address}/elsewhere")[0] == 404


@contextmanager
def _turning() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_health_is_the_event_loop_s_own_and_comes_back_with_it() -> None:
    now_s = [0.0]
    observation = Observation(IngestMetrics().registry, list, monotonic=lambda: now_s[0])

    async def follow() -> None:
        observation.follow()

    def turn() -> None:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()

    released = threading.Event()
    with _served(observation) as address:
        with _turning() as loop:
            asyncio.run_coroutine_threadsafe(follow(), loop).result()
            assert _get(f"{address}/healthz")[0] == 200
            turn()
            loop.call_soon_threadsafe(released.wait)
            for now_s[0], status in ((100.0, 200), (160.0, 200), (161.0, 503)):
                assert _get(f"{address}/healthz")[0] == status
            assert _get(f"{address}/readyz")[0] == 200
            released.set()
            turn()
            assert _get(f"{address}/healthz")[0] == 200
        assert _get(f"{address}/healthz")[0] == 503


def test_a_scrape_sees_the_law_and_the_state_of_each_channel() -> None:
    metrics = IngestMetrics()
    metrics.watch(
        "readings", waiting=lambda: 3, unacknowledged=lambda: 5, window=10, connected=lambda: True
    )
    metrics.received.labels("readings").inc(7)
    metrics.book({"stored": 4, "duplicate": 1, "quarantined": 2})
    with _served(Observation(metrics.registry, list)) as address:
        status, text = _get(f"{address}/metrics")
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert status == 200
    assert values["suifang_ingest_messages_received_total", "readings"] == 7
    assert values["suifang_ingest_readings_total", "stored"] == 4
    assert values["suifang_ingest_readings_total", "quarantined"] == 2
    assert values["suifang_ingest_messages_waiting", "readings"] == 3
    assert values["suifang_ingest_window_used_ratio", "readings"] == 0.5
    assert values["suifang_ingest_broker_connected", "readings"] == 1


@pytest.mark.parametrize("metrics", [IngestMetrics(), JudgeMetrics()])
def test_every_metric_says_what_it_is_and_starts_with_its_process(
    metrics: IngestMetrics | JudgeMetrics,
) -> None:
    for family in metrics.registry.collect():
        assert family.name.startswith(("suifang_ingest_", "suifang_judge_"))
        assert family.documentation.endswith(".")


def test_a_reader_that_says_nothing_does_not_hold_the_next_one_up() -> None:
    with _served(Observation(IngestMetrics().registry, list)) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))):
            assert _get(f"{address}/healthz")[0] == 200
