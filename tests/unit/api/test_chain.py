"""Promise: whatever is done to sealed entries or to seals, another hash comes out.

With keys that follow each other, too: one that got out and was replaced is worth nothing.
"""

import hashlib
import hmac
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.audit.chain import Entry, Seal, find_age, find_fault, hash_seal, make_seal
from ingest.db.keyring import Keyring

AT = datetime(2026, 3, 16, 16, 30, 0, 123_456, tzinfo=UTC)
OLD = Keyring({"old": b"o" * 32})
BOTH = Keyring({"new": b"n" * 32, **OLD.keys})


def entries_of(first: int, count: int) -> list[Entry]:
    return [
        Entry(n, AT + timedelta(microseconds=n), f"s{n % 3}", "read", "list", [n, n + 1], [])
        for n in range(first, first + count)
    ]


def a_chain(*keyrings: Keyring | None) -> list[tuple[Seal, list[Entry]]]:
    """Three seals over nine entries, each made with the key in force of its keyring."""
    chain: list[tuple[Seal, list[Entry]]] = []
    for group, keys in enumerate(keyrings or (None, None, None)):
        entries = entries_of(group * 3, 3)
        last = chain[-1][0] if chain else None
        seal = make_seal(last, entries, sealed_at=AT + timedelta(hours=group), keys=keys)
        chain.append((seal, entries))
    return chain


def faults(chain: list[tuple[Seal, list[Entry]]], keys: Keyring | None = None) -> list[str]:
    found, last = [], None
    for seal, entries in chain:
        fault = find_fault(seal, last, entries, keys=keys, may_be_gone=False)
        found += [] if fault is None else [fault]
        last = seal
    return found


def another(value: Any) -> Any:  # noqa: ANN401 - of any field
    """A value of the same type that is not the same."""
    match value:
        case None:
            return "x"
        case int():
            return value + 1
        case str():
            return value + "x"
        case bytes():
            return bytes(32) if value != bytes(32) else b"x" * 32
        case datetime():
            return value + timedelta(microseconds=1)
        case _:
            return [*value, 1]


@pytest.mark.parametrize(
    "keyrings", [(None,) * 3, (OLD,) * 3, (None, OLD, BOTH), (OLD, BOTH, BOTH)]
)
def test_what_nobody_touched_holds(keyrings: tuple[Keyring | None, ...]) -> None:
    assert not faults(a_chain(*keyrings), keyrings[-1])


@pytest.mark.parametrize("field", Entry._fields)
@pytest.mark.parametrize("place", [0, 4, 8])
def test_any_field_of_any_entry_changed_is_found(field: str, place: int) -> None:
    chain = a_chain()
    entries = chain[place // 3][1]
    value = getattr(entries[place % 3], field)
    changed = another(value)
    entries[place % 3] = entries[place % 3]._replace(**{field: changed})

    assert faults(chain)


@pytest.mark.parametrize("field", Seal._fields)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("keyrings", [(None, None, None), (OLD, BOTH, BOTH)])
def test_any_field_of_a_seal_that_another_follows_changed_is_found(
    field: str, place: int, keyrings: tuple[Keyring | None, ...]
) -> None:
    chain = a_chain(*keyrings)
    seal, entries = chain[place]
    value = getattr(seal, field)
    changed = another(value)
    chain[place] = (seal._replace(**{field: changed}), entries)

    assert faults(chain, keyrings[-1])


@given(seed=st.integers(0, 10**6))
def test_entries_taken_away_added_or_put_elsewhere_are_found(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    chain = a_chain()
    groups = [entries for _, entries in chain]
    one, other = dice.sample(range(3), 2)
    match dice.randrange(4):
        case 0:
            groups[one].pop(dice.randrange(3))
        case 1:
            groups[one].insert(dice.randrange(4), entries_of(100, 1)[0])
        case 2:
            groups[one][0], groups[one][2] = groups[one][2], groups[one][0]
        case _:
            groups[one].append(groups[other].pop())

    assert faults(chain)


@pytest.mark.parametrize("places", [[1, 2], [0, 2], [0, 2, 1], [1, 0, 2], [0, 1, 1, 2]])
def test_seals_missing_doubled_or_reordered_are_found(places: list[int]) -> None:
    chain = a_chain()

    assert faults([chain[place] for place in places])


def test_a_chain_made_again_with_another_key_of_the_same_name_is_found() -> None:
    forged = Keyring({"new": b"x" * 32})

    assert faults(a_chain(forged, forged, forged), BOTH)


def test_a_seal_made_again_with_a_replaced_key_breaks_what_follows_it() -> None:
    """Whoever has the old key and the database: the new key's seal holds what was before it."""
    chain = a_chain(OLD, OLD, BOTH)
    entries = entries_of(50, 3)
    chain[1] = (make_seal(chain[0][0], entries, sealed_at=AT, keys=OLD), entries)

    assert faults(chain, BOTH) == ["it does not follow the seal before it"]


def test_keys_have_an_age_and_what_has_none_is_older() -> None:
    chain = a_chain(None, OLD, BOTH)

    assert [find_age(seal, BOTH) for seal, _ in chain] == [2, 1, 0]
    assert [find_age(seal, OLD) for seal, _ in chain] == [1, 0, None]
    assert [find_age(seal, None) for seal, _ in chain] == [0, None, None]


def test_a_seal_of_before_keys_had_names_is_the_oldest_keys() -> None:
    """As version 0.1 made them: the hash itself was keyed."""
    bare = make_seal(None, entries_of(0, 3), sealed_at=AT, keys=None)
    plain = [1, 3, bare.content.hex(), bare.previous.hex()]
    plain += [
        (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        for at in (bare.until, bare.sealed_at)
    ]
    content = json.dumps(plain, separators=(",", ":")).encode()
    assert hashlib.sha256(content).digest() == hash_seal(bare) == bare.hash
    seal = bare._replace(hash=hmac.digest(OLD.keys["old"], content, "sha256"))

    assert faults([(seal, entries_of(0, 3))], BOTH) == []
    assert find_age(seal, BOTH) == 1
    assert faults([(seal, entries_of(0, 3))], Keyring({"x": b"x" * 32}))
    assert faults([(seal, entries_of(0, 3))], None)


def test_a_key_takes_over_without_an_entry() -> None:
    chain = a_chain(OLD, OLD)
    seal = make_seal(chain[-1][0], [], sealed_at=AT + timedelta(days=1), keys=BOTH)
    chain.append((seal, []))

    assert faults(chain, BOTH) == []
    assert (seal.entries, seal.until) == (0, chain[1][0].until)


def test_old_entries_may_be_gone_whole_and_not_in_part() -> None:
    seal, entries = a_chain()[0]

    assert find_fault(seal, None, [], keys=None, may_be_gone=True) is None
    assert find_fault(seal, None, [], keys=None, may_be_gone=False)
    assert find_fault(seal, None, entries[:2], keys=None, may_be_gone=True)


def test_one_entry_cannot_be_written_as_two() -> None:
    joined = [Entry(1, AT, 'a","b', "c", "d", [], [])]
    split = [Entry(1, AT, "a", 'b","c', "d", [], [])]

    assert (
        make_seal(None, joined, sealed_at=AT, keys=None).content
        != make_seal(None, split, sealed_at=AT, keys=None).content
    )
