"""SQL for ``gateway_status`` and ``device_status``: what gateways said of themselves last.

Nothing of a resident goes in here. Invariant: only an enrolled gateway, under its own centre, has a
row that changes; a stranger's word is dropped.
"""

from datetime import datetime
from typing import Any, Final

from gateway.wire.status import DeviceStatus, Status
from ingest.db.connections import Connection
from ingest.db.errors import translated

DEVICES_MAX: Final = 256
"""Listed of one gateway, as many as one lists by itself. Source: gateway/fleet.py."""
_PROBLEMS_MAX: Final = 64  # There are a dozen codes.
_INT8_MAX: Final = 2**63 - 1
_ENROLLED: Final = """
FROM gateway g WHERE g.id = %(gateway)s AND g.centre_id = %(centre)s AND g.revoked_at IS NULL"""
_COLUMNS: Final = (
    *("online", "heard_at", "said_at", "version", "refusing", "problems"),
    *("spool_rows", "spool_rows_max", "spool_bytes", "spool_bytes_max", "spool_oldest_at"),
    *("clock_known", "clock_synchronised", "clock_error_ms", "clock_offset_ms"),
    *("certificate_until", "accepted", "lost", "devices_unlisted"),
)
_PUT: Final = f"""
INSERT INTO gateway_status (gateway_id, {", ".join(_COLUMNS)})
SELECT g.id, {", ".join(f"%({name})s" for name in _COLUMNS)} {_ENROLLED}
ON CONFLICT (gateway_id) DO UPDATE
SET ({", ".join(_COLUMNS)}) = ({", ".join(f"EXCLUDED.{name}" for name in _COLUMNS)})
RETURNING gateway_id"""
_GONE: Final = f"""
INSERT INTO gateway_status (gateway_id, online, heard_at, problems, devices_unlisted)
SELECT g.id, false, %(heard_at)s, '{{}}', 0 {_ENROLLED}
ON CONFLICT (gateway_id) DO UPDATE SET online = false, heard_at = EXCLUDED.heard_at
WHERE gateway_status.online"""
_FORGET: Final = "DELETE FROM device_status WHERE gateway_id = %s AND NOT device_id = ANY(%s)"
_DEVICES: Final = """
INSERT INTO device_status (gateway_id, device_id, name, last_seen, battery_percent,
    clock_offset_s, calibration_due)
SELECT %(gateway)s, * FROM unnest(%(ids)s::text[], %(names)s::text[], %(seen)s::timestamptz[],
    %(batteries)s::int2[], %(offsets)s::int8[], %(due)s::date[])
ON CONFLICT (gateway_id, device_id) DO UPDATE
SET (name, last_seen, battery_percent, clock_offset_s, calibration_due) = (EXCLUDED.name,
    EXCLUDED.last_seen, EXCLUDED.battery_percent, EXCLUDED.clock_offset_s,
    EXCLUDED.calibration_due)"""


async def put(
    connection: Connection, gateway: str, centre: str, status: Status, *, heard_at: datetime
) -> bool:
    """Keep a status. A last will changes only that the gateway is away. Commits.

    Args:
        connection: In autocommit mode.
        gateway: Whose topic it came by.
        centre: Likewise; another one than it is enrolled under is a stranger's.
        status: What it said.
        heard_at: When, by ingest's clock.

    Returns:
        Whether it was kept: the gateway is enrolled there.

    Raises:
        UnstorableError: The database refuses what it holds.
        DatabaseUnavailableError: Try again; the next status says it all once more.
    """
    names = {"gateway": gateway, "centre": centre, "heard_at": heard_at}
    with translated():
        async with connection.transaction():
            if status.at is None:
                return (await connection.execute(_GONE, names)).rowcount > 0
            cursor = await connection.execute(_PUT, {**names, **_values(status)})
            if cursor.rowcount == 0:
                return False
            await _put_devices(connection, gateway, status.devices[:DEVICES_MAX])
            return True


def _values(status: Status) -> dict[str, Any]:
    spool, clock, counters = status.spool, status.clock, status.counters
    return {
        "online": status.online,
        "said_at": status.at,
        "version": _clean(status.version),
        "refusing": _clean(status.refusing),
        "problems": [_clean(problem) for problem in status.problems[:_PROBLEMS_MAX]],
        "spool_rows": spool and _bounded(spool.rows),
        "spool_rows_max": spool and _bounded(spool.rows_max),
        "spool_bytes": spool and _bounded(spool.bytes),
        "spool_bytes_max": spool and _bounded(spool.bytes_max),
        "spool_oldest_at": spool and spool.oldest_captured_at,
        "clock_known": clock and clock.known,
        "clock_synchronised": clock and clock.synchronised,
        "clock_error_ms": clock and _bounded(clock.error_ms),
        "clock_offset_ms": clock and _bounded(clock.offset_ms),
        "certificate_until": status.certificate_until,
        "accepted": _bounded(counters.get("accepted")),
        "lost": _bounded(counters.get("lost")),
        "devices_unlisted": _bounded(status.devices_unlisted),
    }


async def _put_devices(connection: Connection, gateway: str, devices: list[DeviceStatus]) -> None:
    """These and no others; of one that is listed twice the last word."""
    listed = list({_clean(each.id): each for each in devices}.items())
    await connection.execute(_FORGET, (gateway, [name for name, _ in listed]))
    values = {
        "gateway": gateway,
        "ids": [name for name, _ in listed],
        "names": [_clean(each.name) for _, each in listed],
        "seen": [each.last_seen for _, each in listed],
        "batteries": [each.battery_percent for _, each in listed],
        "offsets": [_bounded(each.clock_offset_s) for _, each in listed],
        "due": [each.calibration_due for _, each in listed],
    }
    if listed:
        await connection.execute(_DEVICES, values)


def _clean(text: str | None) -> str | None:
    """PostgreSQL has no NUL in texts."""
    return None if text is None else text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _bounded(number: int | None) -> int | None:
    return None if number is None else min(max(number, -_INT8_MAX), _INT8_MAX)
