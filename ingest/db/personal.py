"""SQL for ``resident_key`` and ``resident_sealed``: who a resident is, sealed.

Each field is sealed by AES-256-GCM under a key of the resident's own, bound to resident, field
and generation, so that no ciphertext can be moved to another place; that key is wrapped by a key
of the deployment. Erasing destroys the resident's key: the pseudonymous record stays, and no
backup of the sealed fields alone says who it was (ADR 0025). Opened is one resident at a time:
there is no function here that opens many.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from ingest.db import outbox, registry
from ingest.db.connections import Connection
from ingest.db.entities import Personal, Resident
from ingest.db.identity_numbers import compact, find_mistake
from ingest.db.keyring import KEY_BYTES, Keyring, decrypt, encrypt
from ingest.db.outbox import Event
from ingest.db.registry import Authorship, Outcome, Refusal, Wanted

ERASED: Final = "erased"
"""Stands for the generation in history once the key is destroyed."""
FIELDS: Final = ("name", "id_number")
_DOMAIN: Final = b"suifang/v1/personal\x00"


class _Row(NamedTuple):
    """What is stored of one resident; generation 0: nothing but a key, or not even that."""

    key_id: str
    wrapped: bytes | None
    erased_at: datetime | None
    generation: int
    name: bytes | None
    id_number: bytes | None


class _New(NamedTuple):
    """What is to be stored."""

    key_id: str | None  # None: the resident has a key already.
    wrapped: bytes | None
    generation: int
    name: bytes | None
    id_number: bytes | None


_FETCH: Final = """
SELECT k.resident_id, k.key_id, k.wrapped, k.erased_at, coalesce(s.generation, 0), s.name,
       s.id_number
FROM resident_key k LEFT JOIN LATERAL (
    SELECT generation, name, id_number FROM resident_sealed s
    WHERE s.resident_id = k.resident_id ORDER BY generation DESC LIMIT 1) AS s ON true
WHERE k.resident_id = ANY(%b::text[])"""


async def _fetch(connection: Connection, ids: Sequence[str]) -> dict[str, _Row]:
    cursor = await connection.execute(_FETCH, (list(ids),), binary=True)
    return {row[0]: _Row(*row[1:]) for row in await cursor.fetchall()}


def _bound(resident_id: str, name: str, generation: int) -> bytes:
    return _DOMAIN + f"{name}\x00{generation}\x00{resident_id}".encode()


def _seal(key: bytes, resident_id: str, generation: int, personal: Personal) -> list[bytes | None]:
    plain = [getattr(personal, name) for name in FIELDS]
    return [
        None if text is None else encrypt(key, text.encode(), _bound(resident_id, name, generation))
        for name, text in zip(FIELDS, plain, strict=True)
    ]


def _open(key: bytes, resident_id: str, row: _Row) -> Personal:
    opened = {
        name: decrypt(key, sealed, _bound(resident_id, name, row.generation)).decode()
        for name, sealed in (("name", row.name), ("id_number", row.id_number))
        if sealed is not None
    }
    return Personal(**opened)


@dataclass(slots=True)
class PersonalSealing:
    """Seals what comes with the residents of one transaction. Made anew for each."""

    keyring: Keyring
    pseudonym_keys: Sequence[bytes] = field(default=(), repr=False)  # Empty: ids are not checked.
    _new: dict[str, _New] = field(default_factory=dict, repr=False)

    async def prepare(
        self, connection: Connection, residents: Sequence[Resident]
    ) -> Mapping[str, int | Refusal | None]:
        """Which generation each would have; what differs is sealed and waits for ``store``.

        Raises:
            UnknownKeyError, BrokenSealError: What is stored cannot be compared.
        """
        rows = await _fetch(connection, [resident.id for resident in residents])
        return await asyncio.to_thread(self._prepare, residents, rows)

    def _prepare(
        self, residents: Sequence[Resident], rows: Mapping[str, _Row]
    ) -> dict[str, int | Refusal | None]:
        return {each.id: self._prepare_one(each, rows.get(each.id)) for each in residents}

    def _prepare_one(self, resident: Resident, row: _Row | None) -> int | Refusal | None:
        given = resident.personal or Personal()
        number = None if given.id_number is None else compact(given.id_number)
        personal = Personal(name=given.name, id_number=number)
        if row is not None and row.erased_at is not None:
            return Refusal(
                "erased",
                "personal",
                "",
                "was erased on request and is accepted no more: leave it out",
            )
        if number is not None:
            mistake = find_mistake(
                number,
                resident_id=resident.id,
                birth_date=resident.birth_date,
                sex=resident.sex,
                pseudonym_keys=self.pseudonym_keys,
            )
            if mistake is not None:
                where = "personal.id_number" if mistake[0] == "id_number" else mistake[0]
                return Refusal("unusable", where, "", mistake[1])
        if row is None and personal == Personal():
            return None
        return self._seal_new(resident.id, personal, row)

    def _seal_new(self, resident_id: str, personal: Personal, row: _Row | None) -> int:
        if row is None or row.wrapped is None:
            key = secrets.token_bytes(KEY_BYTES)
            key_id: str | None = self.keyring.current_id
            wrapped: bytes | None = self.keyring.wrap(resident_id, key)
            generation = 1
        else:
            key = self.keyring.unwrap(resident_id, row.key_id, row.wrapped)
            if _open(key, resident_id, row) == personal:
                return row.generation
            key_id, wrapped, generation = None, None, row.generation + 1
        sealed = _seal(key, resident_id, generation, personal)
        self._new[resident_id] = _New(key_id, wrapped, generation, sealed[0], sealed[1])
        return generation

    async def store(self, connection: Connection, ids: Sequence[str], by: Authorship) -> None:
        """Keep what ``prepare`` sealed of these."""
        rows = [(id_, self._new[id_]) for id_ in ids if id_ in self._new]
        keys = [(id_, new.key_id, new.wrapped) for id_, new in rows if new.key_id is not None]
        if keys:
            columns = [list(column) for column in zip(*keys, strict=True)]
            await connection.execute(_KEYS, (by.at, *columns))
        if rows:
            sealed = [(id_, new.generation, new.name, new.id_number) for id_, new in rows]
            columns = [list(column) for column in zip(*sealed, strict=True)]
            await connection.execute(_SEALED, columns)


_KEYS: Final = """
INSERT INTO resident_key (resident_id, key_id, wrapped, made_at)
SELECT n.*, %s::timestamptz FROM unnest(%b::text[], %b::text[], %b::bytea[]) AS n"""
_SEALED: Final = """
INSERT INTO resident_sealed (resident_id, generation, name, id_number)
SELECT * FROM unnest(%b::text[], %b::int[], %b::bytea[], %b::bytea[])"""


class Identity(NamedTuple):
    """Who a resident is, as far as that is known."""

    personal: Personal | None  # None: never told, or erased.
    erased_at: datetime | None


async def reveal(connection: Connection, resident_id: str, keyring: Keyring) -> Identity:
    """Open one resident's name and ID number, for somebody who may see them.

    Raises:
        UnknownKeyError: The key file lacks the key that it was sealed under.
        BrokenSealError: What is stored is not what was stored.
    """
    row = (await _fetch(connection, [resident_id])).get(resident_id)
    if row is None or row.wrapped is None:
        return Identity(None, None if row is None else row.erased_at)
    key = keyring.unwrap(resident_id, row.key_id, row.wrapped)
    return Identity(_open(key, resident_id, row), None)


_ERASE: Final = """
INSERT INTO resident_key (resident_id, key_id, made_at, erased_at, erased_by)
VALUES (%(id)s, '', %(at)s, %(at)s, %(by)s)
ON CONFLICT (resident_id) DO UPDATE
SET key_id = '', wrapped = NULL, erased_at = EXCLUDED.erased_at, erased_by = EXCLUDED.erased_by
WHERE resident_key.erased_at IS NULL"""
_FORGET: Final = "DELETE FROM resident_sealed WHERE resident_id = %s"


async def erase(connection: Connection, resident_id: str, by: Authorship) -> Outcome | None:
    """Destroy the key of a resident's name and ID number; None: the resident is not there.

    Both are unreadable from then on, in history too, and are accepted no more. The rest of the
    record stays under the pseudonym. Doing it twice changes nothing.
    """
    stored = (await registry.lock(connection, "resident", [resident_id]))[resident_id]
    if stored.content is None:
        return None
    wanted = {
        resident_id: Wanted(content={**stored.content, "personal": ERASED}, resident_id=resident_id)
    }
    outcomes = registry.decide({resident_id: stored}, wanted, by.permits)
    if await registry.append(connection, "resident", outcomes.values(), wanted, by):
        values = {"id": resident_id, "at": by.at, "by": by.author}
        await connection.execute(_ERASE, values)
        await connection.execute(_FORGET, (resident_id,))
        told = {"resident_id": resident_id, "author": by.author}
        await outbox.insert(connection, [Event("resident.erased", told)], at=by.at)
    return outcomes[resident_id]


_OTHER_KEYS: Final = """
SELECT key_id, count(*) FROM resident_key WHERE wrapped IS NOT NULL GROUP BY key_id"""
_OLD: Final = """
SELECT resident_id, key_id, wrapped FROM resident_key
WHERE key_id = %s AND wrapped IS NOT NULL AND resident_id > %s
ORDER BY resident_id LIMIT %s FOR UPDATE"""
_REWRAP: Final = """
UPDATE resident_key AS k SET key_id = %s, wrapped = n.wrapped
FROM unnest(%b::text[], %b::bytea[]) AS n (resident_id, wrapped)
WHERE k.resident_id = n.resident_id"""


async def count_by_key(connection: Connection) -> dict[str, int]:
    """How many residents' keys are wrapped by each key of the deployment."""
    cursor = await connection.execute(_OTHER_KEYS)
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def rewrap(
    connection: Connection, keyring: Keyring, key_id: str, *, after: str, rows_max: int
) -> list[str]:
    """Wrap some residents' keys again, from ``key_id`` to the current key; whose they were.

    Names and ID numbers are not touched, nor seen. Never commits.

    Args:
        connection: Inside a transaction.
        keyring: Holds both keys.
        key_id: Of the key to be left.
        after: The last pseudonym done; begin with an empty one.
        rows_max: At most so many.

    Raises:
        UnknownKeyError, BrokenSealError: Nothing of these is changed.
    """
    cursor = await connection.execute(_OLD, (key_id, after, rows_max), binary=True)
    rows = await cursor.fetchall()

    def wrap() -> list[bytes]:
        return [keyring.wrap(row[0], keyring.unwrap(*row)) for row in rows]

    wrapped = await asyncio.to_thread(wrap)
    ids = [row[0] for row in rows]
    await connection.execute(_REWRAP, (keyring.current_id, ids, wrapped))
    return ids
