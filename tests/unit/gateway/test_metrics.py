"""Promise: a Prometheus that reaches the box reads the last status, and can do nothing else."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.errors import ListenError
from gateway.metrics import FAMILIES, describe_metrics, serve_metrics
from gateway.wire.status import ClockStatus, DeviceStatus, SpoolStatus, Status
from tests.unit.gateway.gateway_builders import NOON

STATUS = Status(
    online=True,
    at=NOON,
    problems=["spool_old", "clock_unknown"],
    spool=SpoolStatus(rows=50, bytes=900, rows_max=100, bytes_max=1_000, oldest_age_s=90_000),
    clock=ClockStatus(known=False, synchronised=False),
    certificate_until=NOON + timedelta(days=10),
    counters={"accepted": 70, "confirmed_stored": 20},
    devices=[DeviceStatus(id="cuff-1")],
)


def test_every_number_of_the_status_is_there_and_no_device_is() -> None:
    text = describe_metrics(STATUS)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    assert found == {
        ("suifang_gateway_connected",): 1,
        ("suifang_gateway_refusing",): 0,
        ("suifang_gateway_problems", "spool_old"): 1,
        ("suifang_gateway_problems", "clock_unknown"): 1,
        ("suifang_gateway_counted_total", "accepted"): 70,
        ("suifang_gateway_counted_total", "confirmed_stored"): 20,
        ("suifang_gateway_spool_readings",): 50,
        ("suifang_gateway_spool_used_ratio",): 0.9,
        ("suifang_gateway_spool_oldest_seconds",): 90_000,
        ("suifang_gateway_clock_known",): 0,
        ("suifang_gateway_certificate_end_timestamp_seconds",): (
            NOON + timedelta(days=10)
        ).timestamp(),
        ("suifang_gateway_status_timestamp_seconds",): NOON.timestamp(),
    }


def test_before_the_first_status_there_are_families_and_few_numbers() -> None:
    text = describe_metrics(Status(online=False))
    families = list(text_string_to_metric_families(text))
    assert len(families) == len(FAMILIES)
    assert sum(len(family.samples) for family in families) == 2


@asynccontextmanager
async def a_server() -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    serving = asyncio.create_task(serve_metrics("127.0.0.1", port, lambda: "x 1\n"))
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                break
    yield port
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    if not request.endswith(b"\r\n\r\n"):
        writer.write_eof()
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


async def test_one_path_answers_others_do_not_and_odd_clients_are_let_go() -> None:
    async with a_server() as port:
        scraped = await ask(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        elsewhere = await ask(port, b"GET /spool HTTP/1.1\r\n\r\n")
        posted = await ask(port, b"POST /metrics HTTP/1.1\r\n\r\n")
        endless = await ask(port, b"GET " + b"x" * 20_000)
        silent = await asyncio.open_connection("127.0.0.1", port)
        again = await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        silent[1].close()

    assert scraped.startswith(b"HTTP/1.1 200 OK\r\n")
    assert scraped.endswith(b"\r\n\r\nx 1\n")
    assert elsewhere.startswith(b"HTTP/1.1 404 ")
    assert posted.startswith(b"HTTP/1.1 404 ")
    assert b"200" not in endless
    assert again == scraped


async def test_a_port_that_is_taken_is_said_with_the_remedy() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ListenError, match=r"choose another \[metrics\] port"),
    ):
        await serve_metrics("127.0.0.1", taken.getsockname()[1], str)
