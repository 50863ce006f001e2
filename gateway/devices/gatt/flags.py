"""Bit fields as words: the named bits in order, and what is reserved.

A receiver ignores bits that are reserved, and so do we when we read the layout; but they are
kept and shown, because a newer device may mean something by them.
"""

from collections.abc import Sequence


def words_of(bits: int, names: Sequence[str | None]) -> tuple[str, ...]:
    """Names of the bits that are set; bit i has ``names[i]``, None where it has no word."""
    return tuple(name for at, name in enumerate(names) if name is not None and bits >> at & 1)


def reserved_of(bits: int, known: int) -> int:
    """The bits that are set although nothing is defined for them."""
    return bits & ~((1 << known) - 1)
