"""The spool's file: locked, private, fsynced, watched by a witness; put aside when it is ruined.

SQLite with a write-ahead log and ``synchronous=FULL``: COMMIT returns after the log's fsync, and
a torn end of the log is cut off at the last whole transaction. That cut is silent when a disk
did not keep what it said it had; therefore a *witness* beside the file counts the transactions
that were said to be on disk (written after each, fsynced within seconds). A file that knows of
fewer has lost some: it is looked at before SQLite may touch it, put aside, and read back by
``salvage``.

Files: ``spool``, ``spool-wal``, ``spool-shm`` (SQLite's), ``spool.lock``, ``spool.witness``;
``spool.damaged-N`` is one that was put aside. Nothing here ever deletes a reading.
"""

import fcntl
import logging
import os
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from gateway.errors import DiskFullError, SpoolDamagedError, SpoolError
from gateway.spool_schema import VERSION

_LOG = logging.getLogger(__name__)
_BUSY_S: Final = 10.0
_WAL_BYTES_KEPT: Final = 16_777_216
_ASIDE_MAX: Final = 16
_FREE_BYTES_FEW: Final = 1_048_576  # An fsync that fails on a disk with less found no room.
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_WITNESS: Final = struct.Struct("<8s16sQQI")  # Magic, spool, steps, waiting, damaged; CRC-32.
_MAGIC: Final = b"SFWITN02"
_PRIMARY: Final = 0xFF  # SQLite's extended result codes keep the primary one in the low byte.
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_NO_FILE_YET: Final = bytes(16)
_GONE: Final = "spool %s is gone, and %d readings with it: stop the gateway and put it back"
_LOOK: Final = "SELECT spool, steps FROM tally"


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What a spool was said to hold."""

    spool: bytes = _NO_FILE_YET  # Which file; 16 bytes.
    steps: int = 0
    waiting: int = 0
    damaged: bool = False  # It was found ruined while it was in use.


class SpoolFile:
    """One locked file. Every method may raise ``SpoolError``."""

    def __init__(self, path: Path) -> None:
        """Lock it and make it, readable by its owner alone.

        Raises:
            SpoolError: In use by another process, or not in a writable place.
        """
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._unsynced = False
        self._lock = self._witness_file = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(f"{path}.lock", _FLAGS, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._make_private()
            self._witness_file = os.open(f"{path}.witness", _FLAGS, 0o600)
            self._sync_folder()
        except OSError as error:
            self._close_files()
            problem = (
                "is in use by another gateway process. Stop that one, or set another GATEWAY_SPOOL"
                if isinstance(error, BlockingIOError)
                else f"cannot be opened: {error.strerror}. Set GATEWAY_SPOOL to a writable place"
            )
            msg = f"spool {path} {problem}"
            raise SpoolError(msg) from error
        self.witnessed = self._read_witness()

    @property
    def connection(self) -> sqlite3.Connection:
        """SQLite's, once ``connect`` was called."""
        if self._connection is None:
            msg = f"spool {self.path} is not open. This is a fault of the program: report it"
            raise SpoolError(msg)
        return self._connection

    def find_damage(self) -> str | None:
        """What is wrong with the file, found without changing it; None: nothing that shows.

        A file that no witness knows is never called damaged: it may be anybody's.
        """
        known = self.witnessed
        if known.spool == _NO_FILE_YET:
            return None
        with self._readable():
            log = Path(f"{self.path}-wal")
            logged = log.exists() and log.stat().st_size > 0
            empty = self.path.stat().st_size == 0
        if empty:  # SQLite would delete the log beside it.
            if not logged and known.waiting and not known.damaged:  # Else it was put aside.
                _LOG.error(_GONE, self.path, known.waiting)
            return "it is empty" if logged else None
        return "it was found damaged while it was in use" if known.damaged else self._look(known)

    def _look(self, known: Witnessed) -> str | None:
        try:
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as looking:
                if looking.execute("PRAGMA user_version").fetchone() != (VERSION,):
                    return None  # Another release's: refused later, and left as it is.
                row = looking.execute(_LOOK).fetchone()
        except sqlite3.Error as error:
            return str(error) if _primary(error) in {*_DAMAGE, sqlite3.SQLITE_ERROR} else None
        if row is None or not isinstance(row[1], int):
            return "its counters are not what was written"
        spool, steps = row
        if spool != known.spool or steps >= known.steps:
            return None
        return f"its disk has lost the last {known.steps - steps} of {known.steps} transactions"

    def connect(self) -> None:
        """Open the database and bring all of it to its own file.

        The checkpoint writes again what an earlier process may have seen fail to reach the disk.
        """
        with self.explained():
            # One thread at a time, by `spool_thread`; not always the one that opened it.
            self._connection = connection = sqlite3.connect(
                self.path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
            with suppress(DiskFullError), self.explained():
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close everything; what waits stays."""
        try:
            self.sync_witness()
            if self._connection is not None:
                self._connection.close()
        finally:
            self._connection = None
            self._close_files()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and on disk at the end of the block."""
        connection = self.connection
        with self.explained():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:  # Whatever it is, it goes on; only not half written.
                if connection.in_transaction:  # SQLite ends it itself on some errors.
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Errors of SQLite as ours, with a remedy.

        Raises:
            DiskFullError: No room; nothing was changed, and it may be tried again.
            SpoolDamagedError: The file is ruined; the witness knows from here on.
            SpoolError: Anything else.
        """
        try:
            yield
        except sqlite3.Error as error:
            code = _primary(error)
            if code in _DAMAGE:
                self.refuse(str(error))
            if code == sqlite3.SQLITE_FULL or (
                code == sqlite3.SQLITE_IOERR and self.free_bytes() < _FREE_BYTES_FEW
            ):
                msg = f"spool {self.path} has no room: {error}. Free the disk"
                raise DiskFullError(msg) from error
            msg = (
                f"spool {self.path} cannot be used: {error}. Look at the disk (dmesg), then start "
                "again; nothing is lost"
            )
            raise SpoolError(msg) from error

    def refuse(self, problem: str) -> NoReturn:
        """The file is not what was written; whoever opens it next puts it aside.

        Raises:
            SpoolDamagedError: Always.
        """
        known = self.witnessed
        if known.spool == _NO_FILE_YET:
            msg = f"spool {self.path} is no spool: {problem}. Set GATEWAY_SPOOL to another file"
            raise SpoolDamagedError(msg)
        self.witness(Witnessed(known.spool, known.steps, known.waiting, damaged=True))
        self.sync_witness()
        msg = (
            f"spool {self.path} is damaged: {problem}. Start the gateway again: it puts the file "
            "aside, goes on with a new one and reads back what can be read"
        )
        raise SpoolDamagedError(msg)

    def free_bytes(self) -> int:
        """Room on the file system for an ordinary user."""
        with self._readable():
            found = os.statvfs(self.path.parent)
            return found.f_bavail * found.f_frsize

    def witness(self, said: Witnessed) -> None:
        """Remember what is on disk; call it after the transaction, before anybody is told."""
        body = _WITNESS.pack(_MAGIC, said.spool, said.steps, said.waiting, said.damaged)
        with self._readable():
            os.pwrite(self._witness_file, body + zlib.crc32(body).to_bytes(4, "little"), 0)
        self.witnessed = said
        self._unsynced = True

    def sync_witness(self) -> None:
        """Have the witness on disk as well."""
        if self._unsynced:
            with self._readable():
                os.fsync(self._witness_file)
            self._unsynced = False

    def set_aside(self) -> Path:
        """Move the ruined file, its log and its witness out of the way; return the new name.

        Killed anywhere in between, the next call goes on where this one stopped.
        """
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        for number in range(1, _ASIDE_MAX + 1):
            aside = Path(f"{self.path}.damaged-{number}")
            if not aside.exists():
                break
        else:
            msg = (
                f"{_ASIDE_MAX} damaged files lie beside spool {self.path}. Salvage them, move them "
                "away, and replace the disk"
            )
            raise SpoolError(msg)
        with self._readable():
            known = self.witnessed
            self.witness(Witnessed(known.spool, known.steps, known.waiting, damaged=True))
            self.sync_witness()
            waiting_of(aside).write_text(f"{known.waiting}\n", "ascii")
            # The log first: a new file beside the old log would be ruined by it.
            for suffix in ("-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    Path(f"{self.path}{suffix}").rename(f"{aside}{suffix}")
                self._sync_folder()
            self._make_private()
        self.witness(Witnessed())
        self.sync_witness()
        return aside

    def _read_witness(self) -> Witnessed:
        """What the last process left; one that is no witness's says nothing."""
        with self._readable():
            found = os.pread(self._witness_file, _WITNESS.size + 4, 0)
        body, check = found[: _WITNESS.size], found[_WITNESS.size :]
        if len(check) != 4 or zlib.crc32(body).to_bytes(4, "little") != check:  # noqa: PLR2004 - CRC-32
            return Witnessed()
        magic, spool, steps, waiting, damaged = _WITNESS.unpack(body)
        return Witnessed(spool, steps, waiting, bool(damaged)) if magic == _MAGIC else Witnessed()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            msg = (
                f"spool {self.path} cannot be used: {error.strerror}. Look at the disk (dmesg), "
                "then start again; nothing is lost"
            )
            raise SpoolError(msg) from error

    def _make_private(self) -> None:
        """Have the file exist, for its owner alone, and its name on disk."""
        database = os.open(self.path, _FLAGS, 0o600)
        try:
            os.fchmod(database, 0o600)
        finally:
            os.close(database)
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _close_files(self) -> None:
        for number in (self._lock, self._witness_file):
            if number >= 0:
                os.close(number)
        self._lock = self._witness_file = -1


def waiting_of(aside: Path) -> Path:
    """Where it stands how many readings a file put aside was said to hold."""
    return Path(f"{aside}.waiting")


def _primary(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & _PRIMARY
