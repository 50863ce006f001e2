"""Seals: each holds the hash of a group of entries and of the seal before it.

Pure. An entry names residents by handles, which mean nothing without their row in
``audit_handle``: erasing that row leaves every seal true. A seal made with a key names it, and
carries that key's mark over its hash: nobody can make it again who has only the database. Hashes
need no key, so a mark stands for everything before it, whichever keys that was made with.

Invariants: any entry changed, added, taken away or put elsewhere, and any seal changed, missing
or put elsewhere, gives another hash. Keys are used in the order of their age: one that a newer
one has taken over from, as one that got out, can add nothing and change nothing.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from ingest.db.keyring import Keyring

NOTHING: Final = bytes(32)
"""What the first seal names as the one before it."""
_MARK_DOMAIN: Final = b"suifang/v1/audit-seal\x00"  # So that a key's other uses never collide.
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Entry(NamedTuple):
    """One row of ``audit_entry``, in the order of its columns."""

    id: int
    at: datetime
    subject: str
    action: str
    object: str
    handles: list[int]
    things: list[str]


class Seal(NamedTuple):
    """One row of ``audit_seal``."""

    number: int
    entries: int
    content: bytes
    previous: bytes
    hash: bytes
    until: datetime
    sealed_at: datetime
    key_id: str | None = None  # None: made without a key, or before keys had names.
    mark: bytes | None = None  # By that key, over ``hash``.


def hash_entries(entries: Iterable[Entry]) -> bytes:
    """The hash of entries in this order. Times to the microsecond, as PostgreSQL keeps them."""
    digest = hashlib.sha256()
    for entry in entries:
        plain = [entry.id, _micros(entry.at), *entry[2:]]
        digest.update(json.dumps(plain, ensure_ascii=True, separators=(",", ":")).encode())
        digest.update(b"\n")
    return digest.digest()


def hash_seal(seal: Seal) -> bytes:
    """What ``seal.hash`` must be; before keys had names those with a key were ``_keyed`` by it."""
    return hashlib.sha256(_plain(seal)).digest()


def make_seal(
    last: Seal | None, entries: list[Entry], *, sealed_at: datetime, keys: Keyring | None
) -> Seal:
    """The seal after ``last``, by the key in force, over entries in order of id.

    None at all is possible after a seal: it is how a key takes over from the one before.
    """
    key_id = None if keys is None else keys.current_id
    bare = Seal(
        number=1 if last is None else last.number + 1,
        entries=len(entries),
        content=hash_entries(entries),
        previous=NOTHING if last is None else last.hash,
        hash=b"",
        until=max([entry.at for entry in entries] or [sealed_at if last is None else last.until]),
        sealed_at=sealed_at,
        key_id=key_id,
    )
    sealed = bare._replace(hash=hash_seal(bare))
    if keys is None or key_id is None:
        return sealed
    return sealed._replace(mark=_mark(sealed, keys.keys[key_id]))


def find_fault(
    seal: Seal, last: Seal | None, entries: list[Entry], *, keys: Keyring | None, may_be_gone: bool
) -> str | None:
    """What is wrong with a seal, its place or its entries; None when all is as it was.

    The order of keys is ``find_age``'s and the caller's.

    Args:
        seal: The one to look at.
        last: The one found before it.
        entries: Those that belong to it, in order of id.
        keys: Of the deployment, the one in force first.
        may_be_gone: It is so old that its entries may have been let go, all of them.
    """
    if seal.number != (1 if last is None else last.number + 1):
        return "a seal before it is missing"
    if seal.previous != (NOTHING if last is None else last.hash):
        return "it does not follow the seal before it"
    if not _is_as_made(seal, keys):
        return "the seal was changed, or made with another key"
    if may_be_gone and not entries:
        return None
    if hash_entries(entries) != seal.content:
        return f"its entries were changed: it had {seal.entries}, {len(entries)} are there"
    return None


def find_age(seal: Seal, keys: Keyring | None) -> int | None:
    """How many keys are newer than the one that made a seal; None: that key is not here.

    What has no key is older than every key.
    """
    known = [] if keys is None else list(keys.keys)
    if seal.key_id is not None:
        return known.index(seal.key_id) if seal.key_id in known else None
    return len(known) if seal.hash == hash_seal(seal) else max(len(known) - 1, 0)


def _is_as_made(seal: Seal, keys: Keyring | None) -> bool:
    known = {} if keys is None else keys.keys
    if seal.key_id is None:
        before_names = [_keyed(seal, key) for key in list(known.values())[-1:]]
        expected = [hash_seal(seal), *before_names]
        return seal.mark is None and any(hmac.compare_digest(seal.hash, one) for one in expected)
    if seal.mark is None or not hmac.compare_digest(seal.hash, hash_seal(seal)):
        return False
    key = known.get(seal.key_id)  # Without it nothing can be said of the mark: ``find_age``.
    return key is None or hmac.compare_digest(seal.mark, _mark(seal, key))


def _plain(seal: Seal) -> bytes:
    plain = [
        seal.number,
        seal.entries,
        seal.content.hex(),
        seal.previous.hex(),
        _micros(seal.until),
        _micros(seal.sealed_at),
        *([] if seal.key_id is None else [seal.key_id]),
    ]
    return json.dumps(plain, separators=(",", ":")).encode()


def _keyed(seal: Seal, key: bytes) -> bytes:
    return hmac.digest(key, _plain(seal), "sha256")


def _mark(seal: Seal, key: bytes) -> bytes:
    return hmac.digest(key, _MARK_DOMAIN + seal.hash, "sha256")


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
