"""What the gateway tells a Prometheus that can reach it: its status as numbers.

Written by hand, because a box installs no more than it must: the text format is a line a number.
It must never hold a reading up: an answer is made from the last status, without asking the spool.
Nothing personal is in it: no device, no resident. A scrape that is late or odd is cut off.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from gateway.errors import ListenError
from gateway.wire.status import Status

_REQUEST_S_MAX: Final = 5.0
_LINE_BYTES_MAX: Final = 4_096
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Family(NamedTuple):
    """One metric."""

    name: str
    kind: str
    help: str


FAMILIES: Final = (
    Family("suifang_gateway_connected", "gauge", "1 while connected to the broker."),
    Family("suifang_gateway_refusing", "gauge", "1 while terminals are told busy."),
    Family(
        "suifang_gateway_problems",
        "gauge",
        "1 for each problem that the status names (docs/gateway.md).",
    ),
    Family(
        "suifang_gateway_counted_total",
        "counter",
        "What the spool counted since it was made: readings accepted, confirmed, lost; batches,"
        " receipts.",
    ),
    Family("suifang_gateway_spool_readings", "gauge", "Readings without a receipt."),
    Family(
        "suifang_gateway_spool_used_ratio",
        "gauge",
        "How full the spool is, by the nearer of its two limits; at 1 terminals are told busy.",
    ),
    Family(
        "suifang_gateway_spool_oldest_seconds",
        "gauge",
        "How old the oldest reading without a receipt was at the last status.",
    ),
    Family("suifang_gateway_clock_known", "gauge", "1 while the time is known."),
    Family(
        "suifang_gateway_certificate_end_timestamp_seconds",
        "gauge",
        "When the certificate ends; absent without one.",
    ),
    Family(
        "suifang_gateway_status_timestamp_seconds",
        "gauge",
        "When all of this was gathered, by the gateway's clock.",
    ),
)


def describe_metrics(status: Status) -> str:
    """All of it in Prometheus' text format 0.0.4; what is not known is left out."""
    found = dict.fromkeys([family.name for family in FAMILIES], "")
    for name, labels, value in _samples(status):
        found[name] += f"{name}{labels} {float(value):.17g}\n"
    return "".join(
        f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n{found[name]}"
        for name, kind, meaning in FAMILIES
    )


def _samples(status: Status) -> Iterator[tuple[str, str, float]]:
    yield "suifang_gateway_connected", "", status.online
    yield "suifang_gateway_refusing", "", status.refusing is not None
    for problem in status.problems:
        yield "suifang_gateway_problems", f'{{problem="{problem}"}}', 1
    for what, number in sorted(status.counters.items()):
        yield "suifang_gateway_counted_total", f'{{what="{what}"}}', number
    if (spool := status.spool) is not None:
        used = max(spool.rows / max(spool.rows_max, 1), spool.bytes / max(spool.bytes_max, 1))
        yield "suifang_gateway_spool_readings", "", spool.rows
        yield "suifang_gateway_spool_used_ratio", "", used
        yield "suifang_gateway_spool_oldest_seconds", "", spool.oldest_age_s or 0
    if status.clock is not None:
        yield "suifang_gateway_clock_known", "", status.clock.known
    if (until := status.certificate_until) is not None:
        yield "suifang_gateway_certificate_end_timestamp_seconds", "", until.timestamp()
    if status.at is not None:
        yield "suifang_gateway_status_timestamp_seconds", "", status.at.timestamp()


async def serve_metrics(host: str, port: int, describe: Callable[[], str]) -> None:
    """Answer ``GET /metrics`` until cancelled; one answer a connection.

    Raises:
        ListenError: The port is taken or the host is not this machine's.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            async with asyncio.timeout(_REQUEST_S_MAX):
                request = await reader.readline()
                while (await reader.readline()).strip():
                    pass
                found = request.split()[:2] == [b"GET", b"/metrics"]
                body = (describe() if found else "the only path is /metrics\n").encode()
                code = "200 OK" if found else "404 Not Found"
                head = f"HTTP/1.1 {code}\r\nContent-Type: {_TYPE}\r\nContent-Length: {len(body)}"
                writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
                await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(answer, host, port, limit=_LINE_BYTES_MAX)
    except OSError as error:
        msg = f"metrics cannot be served on {host}:{port} ({error}); choose another [metrics] port"
        raise ListenError(msg) from error
    async with server:
        await server.serve_forever()
