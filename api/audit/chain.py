"""Seals: each holds the hash of a group of entries and of the seal before it.

Pure. An entry names residents by handles, which mean nothing without their row in
``audit_handle``: erasing that row leaves every seal true. With a key the seals cannot be made
again by somebody who has only the database. Invariant: any entry changed, added, taken away or
put elsewhere, and any seal changed, missing or put elsewhere, gives another hash.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

NOTHING: Final = bytes(32)
"""What the first seal names as the one before it."""
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


def hash_entries(entries: Iterable[Entry]) -> bytes:
    """The hash of entries in this order. Times to the microsecond, as PostgreSQL keeps them."""
    digest = hashlib.sha256()
    for entry in entries:
        plain = [entry.id, _micros(entry.at), *entry[2:]]
        digest.update(json.dumps(plain, ensure_ascii=True, separators=(",", ":")).encode())
        digest.update(b"\n")
    return digest.digest()


def hash_seal(seal: Seal, key: bytes | None) -> bytes:
    """What ``seal.hash`` must be."""
    plain = [
        seal.number,
        seal.entries,
        seal.content.hex(),
        seal.previous.hex(),
        _micros(seal.until),
        _micros(seal.sealed_at),
    ]
    content = json.dumps(plain, separators=(",", ":")).encode()
    if key is None:
        return hashlib.sha256(content).digest()
    return hmac.new(key, content, hashlib.sha256).digest()


def make_seal(
    last: Seal | None, entries: list[Entry], *, sealed_at: datetime, key: bytes | None
) -> Seal:
    """The seal after ``last`` over entries in order of id; at least one."""
    bare = Seal(
        number=1 if last is None else last.number + 1,
        entries=len(entries),
        content=hash_entries(entries),
        previous=NOTHING if last is None else last.hash,
        hash=b"",
        until=max(entry.at for entry in entries),
        sealed_at=sealed_at,
    )
    return bare._replace(hash=hash_seal(bare, key))


def find_fault(
    seal: Seal, last: Seal | None, entries: list[Entry], *, key: bytes | None, may_be_gone: bool
) -> str | None:
    """What is wrong with a seal, its place or its entries; None when all is as it was.

    Args:
        seal: The one to look at.
        last: The one found before it.
        entries: Those that belong to it, in order of id.
        key: As when it was made.
        may_be_gone: It is so old that its entries may have been let go, all of them.
    """
    if seal.number != (1 if last is None else last.number + 1):
        return "a seal before it is missing"
    if seal.previous != (NOTHING if last is None else last.hash):
        return "it does not follow the seal before it"
    if not hmac.compare_digest(seal.hash, hash_seal(seal, key)):
        return "the seal was changed, or made with another key"
    if may_be_gone and not entries:
        return None
    if hash_entries(entries) != seal.content:
        return f"its entries were changed: it had {seal.entries}, {len(entries)} are there"
    return None


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
