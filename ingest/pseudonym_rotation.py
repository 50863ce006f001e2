"""A new pseudonym key: each resident's new name is joined to the one on record, while all runs.

A map says old and new name, made where the card numbers are (``suifang pseudonyms map``): here no
number is opened. A new name is merged into the old one (ADR 0033), so readings under either are
the same person's at once, whatever key a gateway has by then. It must never move, change or lose a
reading. Invariants: each resident is joined in a transaction of their own or not at all; what is
joined stays so, and a second run passes over it.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from ingest.db import merges, residents
from ingest.db.connections import Connection
from ingest.db.errors import SettledError, TakenError, translated
from ingest.db.registry import Authorship

COLUMNS: Final = ("old", "new")
REASON: Final = "new pseudonym key"
PAIRS_AT_ONCE: Final = 500
REFUSALS_SHOWN_MAX: Final = 100
_NAME_CHARACTERS_MAX: Final = 200


class MapError(Exception):
    """A map cannot be used; says which line and what would be right."""


class Pair(NamedTuple):
    """One resident's names."""

    old: str
    new: str


@dataclass(slots=True)
class Rotation:
    """What became of the residents of a map."""

    joined: int = 0
    already: int = 0  # Joined by a run before.
    unknown: int = 0  # Nobody has the old name: there is nothing to join.
    refused: int = 0  # Something has to be settled first.
    refusals: list[dict[str, str]] = field(default_factory=list)  # The first of them.

    def refuse(self, pair: Pair, problem: str) -> None:
        """Count one that was not joined, and say why."""
        self.refused += 1
        if len(self.refusals) < REFUSALS_SHOWN_MAX:
            self.refusals.append({**pair._asdict(), "problem": problem})


def read_map(path: Path) -> list[Pair]:
    """All pairs of a CSV file with the columns ``old`` and ``new``; memory for all of them.

    Raises:
        MapError: Not readable, a name is missing, or a new name would be two people's.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_read_pairs(csv.DictReader(file), str(path)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: {error}; write CSV in UTF-8 with the columns old,new"
        raise MapError(msg) from error


def _read_pairs(rows: "csv.DictReader[str]", path: str) -> Iterator[Pair]:
    if tuple(rows.fieldnames or ()) != COLUMNS:
        msg = f"{path}, line 1: write the columns {','.join(COLUMNS)}; suifang pseudonyms map does"
        raise MapError(msg)
    seen: dict[str, str] = {}
    for row in rows:
        old, new = row["old"], row["new"]
        where = f"{path}, line {rows.line_num}"
        for name in (old, new):
            if not name or name != name.strip() or len(name) > _NAME_CHARACTERS_MAX:
                msg = f"{where}: write an old and a new name, 1 to {_NAME_CHARACTERS_MAX} letters"
                raise MapError(msg)
        if None in row or old == new:
            msg = f"{where}: two names that differ belong there, and nothing else"
            raise MapError(msg)
        if seen.setdefault(new, old) != old:
            msg = f"{where}: {new} is the new name of {seen[new]}, too; make the map again"
            raise MapError(msg)
        yield Pair(old, new)


async def join_names(
    connection: Connection,
    pairs: Sequence[Pair],
    by: Authorship,
    *,
    today: date,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Rotation:
    """Join every new name to the person who has the old one. Commits each by itself.

    Whoever is merged already hands the new name on to their survivor. Cost: a few milliseconds a
    resident; a crash of the server may forget the last ones, which the next run joins.

    Args:
        connection: With autocommit, of the schema's owner.
        pairs: Of the map.
        by: Who says so, when.
        today: Local.
        on_progress: Told how many more are done.
    """
    found = Rotation()
    left = iter(pairs)
    with translated():
        await connection.execute("SET synchronous_commit = off")
        while page := list(islice(left, PAIRS_AT_ONCE)):
            into = (await merges.fetch_kin(connection, [n for pair in page for n in pair])).into
            known = await residents.fetch_people(connection, [pair.old for pair in page])
            for pair in page:
                person = into.get(pair.old, pair.old)
                if pair.old not in known:
                    found.unknown += 1
                elif into.get(pair.new) == person:
                    found.already += 1
                else:
                    await _join(connection, pair, person, by, today=today, found=found)
                on_progress(1)
    return found


async def _join(
    connection: Connection,
    pair: Pair,
    person: str,
    by: Authorship,
    *,
    today: date,
    found: Rotation,
) -> None:
    try:
        async with connection.transaction():
            await residents.insert_stubs(connection, [pair.new], at=by.at)
            await merges.merge(connection, pair.new, person, REASON, by, today=today)
    except (TakenError, SettledError) as error:
        found.refuse(pair, str(error))
    else:
        found.joined += 1
