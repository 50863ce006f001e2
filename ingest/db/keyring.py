"""Keys of the deployment, from files: they wrap the key of each resident, and name nobody.

A key file holds one key a line, ``id:64 hex characters``, the one in force first. Older ones stay
until everything is wrapped again (``suifang keys rotate``). Nothing here logs or shows a key.
"""

import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32  # AES-256.
NONCE_BYTES: Final = 12  # Source: NIST SP 800-38D, 5.2.1.1: 96 bits are recommended.
_LINE: Final = re.compile(r"([A-Za-z0-9_.-]{1,64}):([0-9a-fA-F]{64})")
_DOMAIN: Final = b"suifang/v1/resident-key\x00"
_OTHERS: Final = 0o077
_OTHERS_OF_MOUNT: Final = 0o027  # Kubernetes mounts secrets 0440, of root and of our own group.
_FILE_BYTES_MAX: Final = 65_536


class KeyFileError(Exception):
    """A key file cannot be used. Says which and what to do; never what is in it."""


class UnknownKeyError(Exception):
    """Something was sealed under a key that the key file does not hold (any more)."""


class BrokenSealError(Exception):
    """What is stored does not fit its key, its resident or its field: it was tampered with."""


def read_secret_file(path: Path, what: str) -> bytes:
    """The bytes of a file that only its owner may read. Raises ``KeyFileError``."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            content = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        msg = f"{what} {path}: {error.strerror}; name a readable file"
        raise KeyFileError(msg) from error
    mode = found.st_mode
    if not stat.S_ISREG(mode) or mode & _forbidden(found.st_uid, os.geteuid()):
        msg = f"{what} {path} is open to others (mode {mode & 0o777:o}); run: chmod 600 {path}"
        raise KeyFileError(msg)
    if len(content) > _FILE_BYTES_MAX:
        msg = f"{what} {path} is longer than {_FILE_BYTES_MAX} bytes: this is no key file"
        raise KeyFileError(msg)
    return content


def _forbidden(owner_uid: int, own_uid: int) -> int:
    return _OTHERS_OF_MOUNT if owner_uid == 0 and own_uid != 0 else _OTHERS


@dataclass(frozen=True, slots=True)
class Keyring:
    """The deployment's keys, the one in force first."""

    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def current_id(self) -> str:
        """Id of the key that wraps what is new."""
        return next(iter(self.keys))

    def wrap(self, resident_id: str, key: bytes) -> bytes:
        """A resident's key under the current one, bound to the resident."""
        return encrypt(self.keys[self.current_id], key, _bound(resident_id, self.current_id))

    def unwrap(self, resident_id: str, key_id: str, wrapped: bytes) -> bytes:
        """A resident's key again. Raises ``UnknownKeyError``, ``BrokenSealError``."""
        if key_id not in self.keys:
            msg = f"key {key_id!r} is not in the key file; put it back, below the current one"
            raise UnknownKeyError(msg)
        return decrypt(self.keys[key_id], wrapped, _bound(resident_id, key_id))


def _bound(resident_id: str, key_id: str) -> bytes:
    return _DOMAIN + key_id.encode() + b"\x00" + resident_id.encode()


def encrypt(key: bytes, plain: bytes, bound: bytes) -> bytes:
    """Nonce, ciphertext and tag by AES-256-GCM; ``bound`` must be the same when opened."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def decrypt(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    """The plain bytes. Raises ``BrokenSealError``."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError) as error:
        msg = "sealed under another key, for another resident or field, or damaged"
        raise BrokenSealError(msg) from error


def read_keyring(path: Path) -> Keyring:
    """Read a key file. Raises ``KeyFileError``, naming the line that is none."""
    keys: dict[str, bytes] = {}
    text = read_secret_file(path, "key file").decode("ascii", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            msg = f"key file {path}, line {number}: write id:64 hex characters"
            raise KeyFileError(msg)
        if found[1] in keys:
            msg = f"key file {path}, line {number}: key {found[1]} is there twice"
            raise KeyFileError(msg)
        keys[found[1]] = bytes.fromhex(found[2])
    if not keys:
        msg = f"key file {path} holds no key; run: suifang keys new {path}"
        raise KeyFileError(msg)
    return Keyring(keys)


def add_key(path: Path, key_id: str) -> None:
    """Put a new random key in front, in a file that only its owner may read; all or nothing.

    Raises:
        KeyFileError: The id is taken or no id, or the file cannot be written.
    """
    known = read_keyring(path).keys if path.exists() else {}
    line = f"{key_id}:{secrets.token_hex(KEY_BYTES)}"
    if _LINE.fullmatch(line) is None or key_id in known:
        msg = f"key id {key_id!r} is taken, or not 1 to 64 letters, digits, '-', '_' or '.'"
        raise KeyFileError(msg)
    lines = [line, *(f"{id_}:{key.hex()}" for id_, key in known.items())]
    written = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
    except OSError as error:
        msg = f"key file {path}: {error.strerror}; choose a folder that can be written"
        raise KeyFileError(msg) from error
