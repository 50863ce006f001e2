"""When the last row of a table became visible, without counting all the time.

Counting a table costs the more the larger it is, on the cores that are measured. So the
write-ahead log is watched: as long as it grows somebody writes; the table is counted when it
stands still. The moment that counts is the one when it last grew.
"""

import time
from typing import Final

import psycopg

_STILL_S: Final = 0.06
_COUNT_SHARE: Final = 10  # Counting may take one part in so many of the time.
_LOG_END: Final = "SELECT pg_current_wal_insert_lsn()::text"
_COUNT: Final = "SELECT count(*) FROM {}"


class StillTable:
    """A table that a peer writes to, and nobody else in its database server."""

    def __init__(self, connection: "psycopg.Connection[tuple[object, ...]]", table: str) -> None:
        self._connection = connection
        self._count = _COUNT.format(table).encode()
        self._log_end = ""
        self._grew_at_s = self._seen_at_s = time.monotonic()
        self._next_count_s = 0.0
        self._visible = 0

    def visible(self) -> int:
        """The rows counted last; counted anew when the log stands still."""
        row = self._connection.execute(_LOG_END).fetchone()
        now, log_end = time.monotonic(), str(row[0]) if row else ""
        if log_end != self._log_end:
            self._log_end, self._grew_at_s = log_end, now
        still = now - self._grew_at_s >= _STILL_S or now - self._next_count_s > 1.0
        if still and now >= self._next_count_s:
            counted = self._connection.execute(self._count).fetchone()
            self._visible = int(str(counted[0])) if counted else 0
            took_s = time.monotonic() - now
            self._seen_at_s = min(self._grew_at_s, now)
            self._next_count_s = now + max(_STILL_S, _COUNT_SHARE * took_s)
        return self._visible

    def seen_at_s(self) -> float:
        """When the log last grew before the last count."""
        return self._seen_at_s
