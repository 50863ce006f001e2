"""Quarantined items as a person or a program reads them: tables, one item, JSON records."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ingest.db.quarantine import Item
from ingest.db.quarantine_items import Group, Listed
from ingest.outcomes import Outcome, Tally
from ingest.remedies import REMEDIES, remedy_of

_WORDS = {
    Outcome.STORED: "stored",
    Outcome.DUPLICATE: "duplicates of another reading",
    Outcome.KNOWN: "known already, nothing to do",
    Outcome.SPLIT: "whole messages, split into their readings",
    Outcome.REFUSED: "refused again, still in quarantine",
    Outcome.SKIPPED: "skipped: resolved before, or in the hands of another replay",
}


def listed_record(line: Listed) -> dict[str, Any]:
    """JSON types only."""
    return {
        "number": line.number,
        "reason": line.reason,
        "field": line.field,
        "detail": line.detail,
        "centre": line.centre_id,
        "gateway": line.gateway_id,
        "device": line.device_id,
        "reading_id": None if line.reading_id is None else str(line.reading_id),
        "settles": line.settles,
        "payload_bytes": line.payload_bytes,
        "received_at": _text(line.received_at),
        "replayed_at": _text(line.replayed_at),
        "resolution": line.resolution,
        "resolved_at": _text(line.resolved_at),
    }


def summary_record(groups: Sequence[Group]) -> dict[str, Any]:
    """JSON types only."""
    return {
        "items": sum(group.items for group in groups),
        "settling": sum(group.settling for group in groups),
        "oldest": _text(min((group.oldest for group in groups), default=None)),
        "newest": _text(max((group.newest for group in groups), default=None)),
        "groups": [
            {
                "reason": group.reason,
                "gateway": group.gateway_id,
                "items": group.items,
                "settling": group.settling,
                "oldest": _text(group.oldest),
                "newest": _text(group.newest),
            }
            for group in groups
        ],
    }


def item_record(item: Item, disposition: str | None) -> dict[str, Any]:
    """JSON types only; with the payload as text, or as hexadecimal digits if it is none."""
    text = _as_text(item.payload)
    remedy = remedy_of(item.reason)
    return {
        "number": item.number,
        "reason": item.reason,
        "field": item.field,
        "detail": item.detail,
        "meaning": remedy.meaning,
        "remedy": remedy.remedy,
        "topic": item.topic,
        "centre": item.centre_id,
        "gateway": item.gateway_id,
        "batch": None if item.batch_id is None else str(item.batch_id),
        "reading_id": None if item.reading_id is None else str(item.reading_id),
        "settles": item.settles,
        "disposition": disposition,
        "received_at": _text(item.received_at),
        "replayed_at": _text(item.replayed_at),
        "resolution": item.resolution,
        "resolved_at": _text(item.resolved_at),
        "dropped_by": item.dropped_by,
        "dropped_because": item.dropped_because,
        "item_hash": item.item_hash.hex(),
        "payload_bytes": item.payload_bytes,
        "payload_text": text,
        "payload_hex": item.payload.hex() if text is None else None,
    }


def print_list(lines: Sequence[Listed], next_after: int | None) -> None:
    """One line an item, and how to go on."""
    if not lines:
        sys.stdout.write("nothing in quarantine that fits\n")
        return
    rows = [
        (
            str(line.number),
            f"{line.received_at:%Y-%m-%d %H:%M:%S}",
            line.reason,
            line.gateway_id or "-",
            line.device_id or "-",
            "yes" if line.settles else "no",
            line.resolution or ("tried" if line.replayed_at else "open"),
            printable(": ".join(part for part in (line.field, line.detail) if part)),
        )
        for line in lines
    ]
    names = ("number", "received", "reason", "gateway", "device", "settles", "now", "detail")
    _print(names, rows)
    if next_after is not None:
        sys.stdout.write(f"more: --after {next_after}\n")


def print_groups(groups: Sequence[Group]) -> None:
    """How many of each, and since when."""
    if not groups:
        sys.stdout.write("nothing in quarantine that fits\n")
        return
    rows = [
        (
            group.reason,
            group.gateway_id or "-",
            f"{group.items:,}",
            f"{group.settling:,}",
            f"{group.oldest:%Y-%m-%d %H:%M}",
            f"{group.newest:%Y-%m-%d %H:%M}",
        )
        for group in groups
    ]
    _print(("reason", "gateway", "items", "settling", "oldest", "newest"), rows)


def print_item(item: Item, disposition: str | None) -> None:
    """All there is, the payload last."""
    record = item_record(item, disposition)
    text, digits = record.pop("payload_text"), record.pop("payload_hex")
    for name, value in record.items():
        if value is not None and value != "":
            said = ("no", "yes")[value] if isinstance(value, bool) else value
            sys.stdout.write(f"{name.replace('_', ' '):16} {printable(str(said))}\n")
    kind = "text" if digits is None else "hexadecimal"
    sys.stdout.write(f"payload as {kind}; health data, show it to nobody who need not see it:\n")
    sys.stdout.write((printable(text) if digits is None else digits) + "\n")


def print_tally(tally: Tally, *, dry_run: bool) -> None:
    """What became of the items, and why some stay."""
    for outcome, words in _WORDS.items():
        if count := tally.count(outcome):
            sys.stdout.write(f"{count:>9,} {'would be ' if dry_run else ''}{words}\n")
    for refusal in tally.refusals():
        numbers = ", ".join(map(str, refusal["numbers"]))
        numbers += ", ..." if refusal["items"] > len(refusal["numbers"]) else ""
        sys.stdout.write(f"{refusal['items']:>9,} {refusal['reason']}: items {numbers}\n")
        sys.stdout.write(f"{'':10}{printable(refusal['example'])}\n")
        sys.stdout.write(f"{'':10}{remedy_of(refusal['reason']).remedy}\n")
    if not any(tally.count(outcome) for outcome in Outcome):
        sys.stdout.write("nothing in quarantine that fits\n")


def print_reasons() -> None:
    """The table of remedies."""
    rows = [(reason.value, each.meaning, each.remedy) for reason, each in REMEDIES.items()]
    _print(("reason", "means", "do"), rows)


def printable(text: str) -> str:
    """Text of a stranger without what would steer a terminal."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def _print(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; a stranger's words in it are no markup."""
    table = Table(*(Column(name, overflow="fold") for name in names))
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _as_text(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
