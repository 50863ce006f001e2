"""The key by which card numbers become pseudonyms; nothing here keeps or logs a number.

Whoever holds the key can test a guessed number, so the key file is readable by the
gateway's user alone. The same key and card give the same pseudonym on every gateway of a
deployment, and in the contract system (``gateway.wire.pseudonyms``).
"""

import os
import stat
from pathlib import Path
from typing import Final

from gateway.errors import SettingsError
from gateway.wire.pseudonyms import pseudonym

__all__ = ["KEY_BYTES_MIN", "load_key", "pseudonym"]

KEY_BYTES_MIN: Final = 32
_KEY_BYTES_MAX: Final = 4_096
_OTHERS: Final = 0o077


def load_key(path: Path) -> bytes:
    """Read the deployment's key; line ends after it do not belong to it.

    Raises:
        SettingsError: Not a readable file, open to others, or shorter than 32 bytes.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            key = file.read(_KEY_BYTES_MAX + 1).rstrip(b"\r\n")
    except OSError as error:
        msg = f"pseudonym key {path}: {error.strerror}. Name a readable key file"
        raise SettingsError(msg) from error
    if not stat.S_ISREG(mode) or mode & _OTHERS:
        msg = (
            f"pseudonym key {path} is open to others (mode {mode & 0o777:o}). Run: chmod 600 {path}"
        )
        raise SettingsError(msg)
    if not KEY_BYTES_MIN <= len(key) <= _KEY_BYTES_MAX:
        msg = (
            f"pseudonym key {path} holds {len(key)} bytes, needed are {KEY_BYTES_MIN} to "
            f"{_KEY_BYTES_MAX}. Use the deployment's key, never a new one"
        )
        raise SettingsError(msg)
    return key
