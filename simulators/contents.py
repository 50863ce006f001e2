"""Whether readings are kept as they were truly measured: whose, what, when, in which context.

Rows stream past the ledger's truth. A reading that somebody amended is left to the evaluator
(``simulators.judged``), which sees whether the word put it right. Nothing here writes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from gateway.wire.times import parse_instant
from simulators.holdings import Kept, Snapshot, stream_kept
from simulators.ledger import Entry

_APART_MAX: Final = timedelta(minutes=15)  # A clock that was put right, from what was measured.
_VALUES: Final = ("systolic", "diastolic", "glucose")
_WORDS: Final = ("meal_context", "setting", "arm")


def compare_contents(entries: Sequence[Entry], snapshot: Snapshot) -> Counter[tuple[str, str]]:
    """What differs, by what it is and the id of the reading; memory grows with the ledgers."""
    truths = {
        entry.reading_id: entry.truth
        for entry in entries
        if entry.reading_id is not None and entry.truth is not None
    }
    return Counter(
        (name, str(kept.id))
        for kept in stream_kept(snapshot)
        if (truth := truths.get(kept.id)) is not None
        for name in _differing(kept, truth)
    )


def _differing(kept: Kept, truth: Mapping[str, Any]) -> Iterator[str]:
    if truth["resident_id"] is None:
        return  # The device made it up; whether anybody said so, the evaluator sees.
    fields: Mapping[str, Any] = truth["fields"]
    if kept.resident_id != truth["resident_id"]:
        yield "owner"
    if abs(kept.effective_at - parse_instant(truth["measured_at"])) > _APART_MAX:
        yield "time"
    for name in _VALUES:
        measured = fields.get(name)
        if (None if measured is None else Decimal(str(measured))) != getattr(kept, name):
            yield name
    for name in _WORDS:
        if name in fields and fields[name] != getattr(kept, name):
            yield name
