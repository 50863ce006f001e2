"""Card number -> pseudonym, by a keyed hash; nothing here keeps or logs the number.

Whoever holds the key can test a guessed number, so the key file is readable by the
gateway's user alone. The same key and card give the same pseudonym on every gateway of a
deployment: the contract system computes it with the same two lines. It must never change,
or every resident becomes a stranger; a golden value in the tests guards it.
"""

import hashlib
import hmac
import os
import stat
import unicodedata
from pathlib import Path
from typing import Final

from gateway.errors import SettingsError

KEY_BYTES_MIN: Final = 32
_KEY_BYTES_MAX: Final = 4_096
_DOMAIN: Final = b"suifang/v1/resident\x00"  # So that the key's other uses never collide.
_HEX_CHARACTERS: Final = 32  # 128 bits: no two of a billion residents meet.
_OTHERS: Final = 0o077


def pseudonym(key: bytes, card_number: str) -> str:
    """Turn a card number into ``r-`` and 32 lower-case hex characters.

    Full-width digits, a lower-case check letter and blanks around make no difference.

    >>> pseudonym(b"k" * 32, " 99000019490101001x") == pseudonym(b"k" * 32, "99000019490101001X")
    True
    """
    number = unicodedata.normalize("NFKC", card_number).strip().upper()
    # An unpaired surrogate is no text, yet must not become an error that quotes it.
    digest = hmac.new(key, _DOMAIN + number.encode(errors="surrogatepass"), hashlib.sha256)
    return f"r-{digest.hexdigest()[:_HEX_CHARACTERS]}"


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
