"""Promise: whatever is done to sealed entries or to seals, another hash comes out."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.audit.chain import Entry, Seal, find_fault, make_seal

AT = datetime(2026, 3, 16, 16, 30, 0, 123_456, tzinfo=UTC)
KEY = b"k" * 32


def entries_of(first: int, count: int) -> list[Entry]:
    return [
        Entry(n, AT + timedelta(microseconds=n), f"s{n % 3}", "read", "list", [n, n + 1], [])
        for n in range(first, first + count)
    ]


def a_chain(key: bytes | None = None) -> list[tuple[Seal, list[Entry]]]:
    """Three seals over nine entries."""
    chain: list[tuple[Seal, list[Entry]]] = []
    for group in range(3):
        entries = entries_of(group * 3, 3)
        last = chain[-1][0] if chain else None
        seal = make_seal(last, entries, sealed_at=AT + timedelta(hours=group), key=key)
        chain.append((seal, entries))
    return chain


def faults(chain: list[tuple[Seal, list[Entry]]], key: bytes | None = None) -> list[str]:
    found, last = [], None
    for seal, entries in chain:
        fault = find_fault(seal, last, entries, key=key, may_be_gone=False)
        found += [] if fault is None else [fault]
        last = seal
    return found


def another(value: Any) -> Any:  # noqa: ANN401 - of any field
    """A value of the same type that is not the same."""
    match value:
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


@pytest.mark.parametrize("key", [None, KEY])
def test_what_nobody_touched_holds(key: bytes | None) -> None:
    assert not faults(a_chain(key), key)


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
def test_any_field_of_a_seal_that_another_follows_changed_is_found(field: str, place: int) -> None:
    chain = a_chain()
    seal, entries = chain[place]
    value = getattr(seal, field)
    changed = another(value)
    chain[place] = (seal._replace(**{field: changed}), entries)

    assert faults(chain)


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


def test_a_chain_made_again_without_the_key_is_found() -> None:
    assert faults(a_chain(), KEY)
    assert faults(a_chain(b"x" * 32), KEY)


def test_old_entries_may_be_gone_whole_and_not_in_part() -> None:
    seal, entries = a_chain()[0]

    assert find_fault(seal, None, [], key=None, may_be_gone=True) is None
    assert find_fault(seal, None, [], key=None, may_be_gone=False)
    assert find_fault(seal, None, entries[:2], key=None, may_be_gone=True)


def test_one_entry_cannot_be_written_as_two() -> None:
    joined = [Entry(1, AT, 'a","b', "c", "d", [], [])]
    split = [Entry(1, AT, "a", 'b","c', "d", [], [])]

    assert (
        make_seal(None, joined, sealed_at=AT, key=None).content
        != make_seal(None, split, sealed_at=AT, key=None).content
    )
