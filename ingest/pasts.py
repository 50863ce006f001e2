"""The folded pasts of some residents as the rules take them, from what is stored of each. Pure.

Who has no checkpoint has nothing folded, and everything that is stored of them is judged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from ingest.checkpoints import Facts, find_profiles, from_bytes
from ingest.columns import to_instants
from ingest.db.checkpoints import CheckpointRow
from rules.carried import Carried, join_carried, nothing_carried
from rules.codes import RecordKind
from rules.columns import BoolArray, IdArray, InstantArray, Int64Array, Records
from rules.limits import ProfileTable

_NOTHING = Facts()
_NEVER = datetime.min.replace(tzinfo=UTC)
_TURNS = (RecordKind.CLOSURE, RecordKind.RETURN)
_PARTITIONS = np.array(["2020-01-01", "2100-01-01"], "datetime64[ms]").astype(np.int64)
"""As ``gateway.wire.ids`` clamps the time inside an id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pasts:
    """Of m residents; only made where one of them has a checkpoint."""

    carried: Carried
    facts: tuple[Facts, ...]  # Shape (m,).
    edges: InstantArray  # Shape (m,): readings of the chunks before it are folded.


def read_profiles(rows: Iterable[CheckpointRow]) -> set[str]:
    """Ids of the profiles by which these pasts were judged."""
    return {id_ for row in rows for id_, _ in row.facts["profiles"]}


def read_pasts(
    ids: Sequence[str], stored: Mapping[str, CheckpointRow], limits: ProfileTable
) -> Pasts | None:
    """The pasts of residents in the order of their rows; None: nobody has one.

    Raises:
        UnreadableCheckpointError: One is damaged, or of another program.
        ProfileError: A profile by which one was judged is gone.
    """
    if not stored:
        return None
    facts = tuple(_read_facts(stored[id_]) if id_ in stored else _NOTHING for id_ in ids)
    parts = [
        find_profiles(from_bytes(stored[id_].state), each.profiles, limits)
        if id_ in stored
        else nothing_carried(1)
        for id_, each in zip(ids, facts, strict=True)
    ]
    edges = [stored[id_].edge if id_ in stored else _NEVER for id_ in ids]
    return Pasts(carried=join_carried(parts), facts=facts, edges=to_instants(edges))


def _read_facts(row: CheckpointRow) -> Facts:
    facts = dict(row.facts)
    return Facts(**{**facts, "profiles": [(id_, version) for id_, version in facts["profiles"]]})


def partition_times(ids: IdArray) -> InstantArray:
    """The time inside each id, as the store clamps it; shape (n,)."""
    halves = np.ascontiguousarray(ids).view(">u8").reshape(-1, 2)
    milliseconds = (halves[:, 0] >> np.uint64(16)).astype(np.int64)
    clamped = np.clip(milliseconds, *_PARTITIONS)
    return clamped.astype("datetime64[ms]").astype("datetime64[us]")


def is_let_go(pasts: Pasts, resident: Int64Array, ids: IdArray, held: IdArray) -> BoolArray:
    """Which readings are folded and may be dropped any time, though they may still be there."""
    gone: BoolArray = partition_times(ids) < pasts.edges[resident]
    return gone & ~np.isin(ids, held)


def take_turns(records: Records, pasts: Pasts) -> Records:
    """Closures and returns of the past that came too late to be folded count from its end.

    Whoever is thought gone is not watched, so a return must not be lost with the past.
    """
    carried = pasts.carried
    rows = np.flatnonzero(
        np.isin(records.kind, _TURNS) & carried.is_past(records.resident, records.at)
    )
    known = [{bytes.fromhex(each) for each in facts.turns} for facts in pasts.facts]
    late = [
        row
        for row in rows.tolist()
        if bytes(records.ids[row]).ljust(16, b"\0") not in known[records.resident[row]]
    ]
    if not late:
        return records
    at = records.at.copy()
    at[late] = carried.until[records.resident[late]]
    return replace(records, at=at)


def list_turns(records: Records, until: InstantArray) -> list[list[str]]:
    """Closures and returns before each resident's instant, as ``Facts.turns``; shape (m,)."""
    found: list[list[str]] = [[] for _ in until]
    mine = np.isin(records.kind, _TURNS) & (records.at < until[records.resident])
    for row in np.flatnonzero(mine).tolist():
        found[records.resident[row]].append(bytes(records.ids[row]).ljust(16, b"\0").hex())
    return [sorted(each) for each in found]
