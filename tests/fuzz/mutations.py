"""Valid bytes made wrong, in the ways of wires, disks, terminals and adversaries."""

import random
from collections.abc import Callable, Sequence
from typing import Final

_TOKENS: Final = (
    *(b"null", b"true", b"{}", b"[]", b'""', b"-1", b"0", b"1e999", b"NaN", b"9" * 400, b"1.0"),
    *(b'"id":', b'"kind":"glucose"', b'"unit":"kPa"', b'"readings":[', b"\\u0000", b"\\ud83d"),
    *(b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b" ", b"\n", b",", b":", b'"', b"\\", b"[" * 300),
)

Mutation = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def _flip(dice: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _replace(dice: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[dice.randrange(len(data))] = dice.randrange(256)


def _cut(dice: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.choice((1, 2, 8, 64, len(data)))]


def _repeat(dice: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    piece = data[at : at + dice.choice((1, 4, 32, 200))]
    data[at:at] = piece * dice.choice((1, 1, 2, 10))


def _insert(dice: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data) + 1)
    data[at:at] = dice.choice(_TOKENS)


def _splice(dice: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = dice.choice(others)
    at, start = dice.randrange(len(data)), dice.randrange(len(other))
    data[at:] = other[start:]


def _swap(dice: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    """Exchange two values between commas: still JSON, most often, and seldom a reading."""
    parts = bytes(data).split(b",")
    one, two = dice.randrange(len(parts)), dice.randrange(len(parts))
    parts[one], parts[two] = parts[two], parts[one]
    data[:] = b",".join(parts)


_MUTATIONS: Final[tuple[Mutation, ...]] = (
    *(_flip, _replace, _cut, _repeat, _insert, _splice, _swap),
)


def mutate(dice: random.Random, seeds: Sequence[bytes], *, bytes_max: int) -> bytes:
    """One of the seeds after one to four mutations; now and then as it is."""
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.randrange(5)):
        if data:
            dice.choice(_MUTATIONS)(dice, data, seeds)
    return bytes(data[:bytes_max])
