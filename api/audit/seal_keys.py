"""The keys of the audit log's seals: a file, read again when it changes, so that nothing stops.

The same form as the key file of names (``ingest.db.keyring``): one key a line, the one in force
first. Older ones stay for ever, for the seals they made. It must never fall back to sealing
without a key: what was read last goes on while the file cannot be used.
"""

from dataclasses import dataclass, field
from pathlib import Path

import structlog

from ingest.db.keyring import KeyFileError, Keyring, read_keyring

_log = structlog.get_logger()


@dataclass(slots=True)
class SealKeys:
    """``API_AUDIT__KEY_FILE``; without one seals have no key."""

    file: Path | None
    _keyring: Keyring | None = field(default=None, repr=False)
    _seen: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Raises ``KeyFileError``: a file that is named must be one from the start."""
        if self.file is not None:
            self._keyring = read_keyring(self.file)

    def current(self) -> Keyring | None:
        """The keys of now, the one in force first."""
        if self.file is None:
            return None
        try:
            status = self.file.stat()
            seen = (status.st_mtime_ns, status.st_ino)
            if seen != self._seen:
                self._keyring, self._seen = read_keyring(self.file), seen
        except (OSError, KeyFileError) as error:
            _log.warning(
                "the audit key file cannot be used; its keys of before go on", reason=str(error)
            )
        return self._keyring
