"""The tables of a spool, and every statement that touches them; no other module names them.

A row of ``reading`` carries its own check (``crc``, right before ``raw``), so that one that a
disk has changed is never sent, and so that one can be told from the bytes of a ruined file alone
(``salvage``). ``number`` has no gaps: what is missing between two numbers was lost.
"""

from typing import Final

from gateway import fetched

VERSION: Final = 2

TABLES: Final = (
    """CREATE TABLE reading (
        number      INTEGER PRIMARY KEY,  -- Capture order; never given twice.
        id          BLOB NOT NULL,        -- 16 bytes.
        captured_ms INTEGER NOT NULL,     -- Unix milliseconds.
        crc         BLOB NOT NULL,        -- CRC-32 of raw, 4 bytes, little-endian.
        raw         BLOB NOT NULL         -- As it goes over the wire.
    )""",
    """CREATE TABLE held (                             -- Captured before the time was known.
        number      INTEGER PRIMARY KEY,                -- Of the reading.
        boot        BLOB NOT NULL,                      -- The machine's boot, 16 bytes.
        boottime_ms INTEGER NOT NULL                    -- Since that boot, at capture.
    )""",
    """CREATE TABLE batch (                            -- Built, and without a receipt.
        id       BLOB PRIMARY KEY,
        sent_at  TEXT NOT NULL,
        first    INTEGER NOT NULL,                      -- Readings first..last, and no other.
        last     INTEGER NOT NULL,
        readings INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE tally (                            -- One row.
        gateway               TEXT NOT NULL,
        spool                 BLOB NOT NULL,            -- Which file the witness speaks of.
        steps                 INTEGER NOT NULL DEFAULT 0,  -- Transactions so far.
        accepted              INTEGER NOT NULL DEFAULT 0,
        confirmed_stored      INTEGER NOT NULL DEFAULT 0,
        confirmed_duplicate   INTEGER NOT NULL DEFAULT 0,
        confirmed_quarantined INTEGER NOT NULL DEFAULT 0,
        lost                  INTEGER NOT NULL DEFAULT 0,  -- Accepted, and not kept by the disk.
        batches_sent          INTEGER NOT NULL DEFAULT 0,
        batches_resent        INTEGER NOT NULL DEFAULT 0,
        receipts_unknown      INTEGER NOT NULL DEFAULT 0,
        receipts_refused      INTEGER NOT NULL DEFAULT 0,
        waiting_rows          INTEGER NOT NULL DEFAULT 0,
        waiting_bytes         INTEGER NOT NULL DEFAULT 0,
        last                  INTEGER NOT NULL DEFAULT 0,  -- Number of the last reading taken.
        frozen_to             INTEGER NOT NULL DEFAULT 0,  -- Last number that a batch has held.
        confirmed_ms          INTEGER NOT NULL DEFAULT 0,  -- Newest capture when last confirmed.
        newest_ms             INTEGER NOT NULL DEFAULT 0,  -- Latest capture at a known time.
        id_ms                 INTEGER NOT NULL DEFAULT 0,  -- The time inside the last id.
        clock_boot            BLOB,                     -- When the time was last known:
        clock_boottime_ms     INTEGER NOT NULL DEFAULT 0,  -- in which boot, how long after it,
        clock_wall_ms         INTEGER NOT NULL DEFAULT 0,  -- what time it was,
        clock_error_ms        INTEGER NOT NULL DEFAULT 0   -- and how far that may be wrong.
    )""",
    *fetched.TABLES,
)

CREATE_TALLY: Final = "INSERT INTO tally (gateway, spool) VALUES (?, ?)"
STEP: Final = "UPDATE tally SET steps = steps + 1"
PUT: Final = "INSERT INTO reading (number, id, captured_ms, crc, raw) VALUES (?, ?, ?, ?, ?)"
HOLD: Final = "INSERT INTO held (number, boot, boottime_ms) VALUES (?, ?, ?)"
COUNT_PUT: Final = """UPDATE tally SET accepted = accepted + :rows,
    waiting_rows = waiting_rows + :rows, waiting_bytes = waiting_bytes + :bytes,
    last = last + :rows, newest_ms = :newest_ms, id_ms = max(id_ms, :id_ms)"""
NEXT: Final = """SELECT number, captured_ms, crc, raw FROM reading
    WHERE number > ? AND number < ? ORDER BY number LIMIT ?"""
FREEZE: Final = "INSERT INTO batch (id, sent_at, first, last, readings) VALUES (?, ?, ?, ?, ?)"
COUNT_FROZEN: Final = "UPDATE tally SET batches_sent = batches_sent + 1, frozen_to = ?"
FROZEN: Final = "SELECT id, sent_at, first, last, readings FROM batch ORDER BY first"
MEMBERS: Final = """SELECT captured_ms, crc, raw FROM reading
    WHERE number BETWEEN ? AND ? ORDER BY number"""
FIND: Final = "SELECT first, last, readings FROM batch WHERE id = ?"
MEMBER_BYTES: Final = (
    "SELECT coalesce(sum(length(raw)), 0) FROM reading WHERE number BETWEEN ? AND ?"
)
FORGET: Final = "DELETE FROM reading WHERE number BETWEEN ? AND ?"
FORGET_BATCH: Final = "DELETE FROM batch WHERE id = ?"
COUNT_CONFIRMED: Final = """UPDATE tally SET
    confirmed_stored = confirmed_stored + :stored,
    confirmed_duplicate = confirmed_duplicate + :duplicate,
    confirmed_quarantined = confirmed_quarantined + :quarantined,
    waiting_rows = waiting_rows - :rows, waiting_bytes = waiting_bytes - :bytes,
    confirmed_ms = newest_ms"""
COUNT_LOST: Final = "UPDATE tally SET accepted = accepted + :rows, lost = lost + :rows"
IDS: Final = "SELECT id FROM reading"
OLDEST: Final = "SELECT captured_ms FROM reading ORDER BY number LIMIT 1"
HELD: Final = """SELECT held.number, boot, boottime_ms, crc, raw
    FROM held JOIN reading USING (number) ORDER BY held.number LIMIT ?"""
RESTAMP: Final = "UPDATE reading SET captured_ms = ?, crc = ?, raw = ? WHERE number = ?"
RELEASE: Final = "DELETE FROM held WHERE number <= ?"
COUNT_RESTAMPED: Final = "UPDATE tally SET waiting_bytes = waiting_bytes + ?"
FIRST_HELD: Final = "SELECT min(number) FROM held"
REMEMBER_CLOCK: Final = """UPDATE tally SET clock_boot = ?, clock_boottime_ms = ?,
    clock_wall_ms = ?, clock_error_ms = ?"""
RECALL_CLOCK: Final = """SELECT newest_ms, id_ms, clock_boot, clock_boottime_ms, clock_wall_ms,
    clock_error_ms FROM tally"""
RESUME: Final = """SELECT gateway, spool, steps, waiting_rows, waiting_bytes, last, frozen_to,
    newest_ms, confirmed_ms, (SELECT coalesce(sum(readings), 0) FROM batch) FROM tally"""
