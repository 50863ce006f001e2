"""A table of residents into the database: checked whole, then written by the one write function.

Without ``keep_going`` the whole table is one transaction, and one wrong line writes nothing. A dry
run does the same work and takes it back. Memory: one batch, and eight bytes a resident to find the
same one twice.
"""

import codecs
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.wire.pseudonyms import pseudonym
from ingest.db import merges, registry
from ingest.db.connections import Connection
from ingest.db.entities import Content, Resident
from ingest.db.errors import translated
from ingest.db.identity_numbers import compact
from ingest.db.keyring import Keyring
from ingest.db.personal import PersonalSealing
from ingest.db.registry import Authorship, Outcome
from ingest.db.resident_writes import save_residents
from ingest.resident_table import LineError, Table, TableError, TableRow

ROWS_OF_BATCH: Final = 1_000
ERRORS_MAX: Final = 100  # Told; the others are counted.
_ENCODINGS: Final = ("utf-8-sig", "gb18030")  # What Excel writes here.
_CHUNK_BYTES: Final = 1 << 20


class NotWrittenError(Exception):
    """Something was refused and nothing was written; the report says what."""


@dataclass(slots=True)
class Report:
    """What became of a table, or would."""

    dry_run: bool
    lines: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)  # How many residents change in each.
    errors: list[LineError] = field(default_factory=list)
    errors_left_off: int = 0

    def refuse(self, errors: Sequence[LineError]) -> None:
        """Count a line as refused, and keep its errors while there are not too many."""
        self.outcomes["refused"] += 1
        room = ERRORS_MAX - len(self.errors)
        self.errors += errors[:room]
        self.errors_left_off += len(errors[room:])

    def as_record(self) -> dict[str, Any]:
        """JSON types only."""
        words = ("created", "changed", "unchanged", "refused")
        return {
            "dry_run": self.dry_run,
            "lines": self.lines,
            **{word: self.outcomes[word] for word in words},
            "fields": dict(sorted(self.fields.items())),
            "errors": [error._asdict() for error in self.errors],
            "errors_left_off": self.errors_left_off,
        }


@contextmanager
def open_table(path: Path, skipped: Sequence[str]) -> Iterator[Table]:
    """A table in UTF-8 or GB 18030. Raises ``TableError``."""
    with path.open(encoding=_find_encoding(path), newline="") as file:
        yield Table(file, skipped)


def _find_encoding(path: Path) -> str:
    for encoding in _ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    msg = f"{path} is neither UTF-8 nor GB 18030 (GBK); save it as CSV UTF-8"
    raise TableError(msg)


@dataclass(slots=True, kw_only=True)
class ResidentImport:
    """One run over one table."""

    path: Path
    by: Authorship
    skipped: Sequence[str] = ()
    keyring: Keyring | None = None
    pseudonym_keys: Sequence[bytes] = field(default=(), repr=False)  # The one in force first.
    dry_run: bool = False
    keep_going: bool = False
    progress: Callable[[int], None] = lambda _: None
    _lines: dict[int, int] = field(default_factory=dict)

    def check(self) -> Report:
        """Read all of it and write nothing: lines, cells, the same resident twice."""
        report = Report(dry_run=self.dry_run)
        self._lines.clear()
        for row in self._rows(report):
            del row
        return report

    async def run(self, connection: Connection) -> Report:
        """Write the table, or find out what that would do.

        Args:
            connection: Outside a transaction.

        Raises:
            NotWrittenError: A line was refused, and ``keep_going`` is not set: nothing is written.
            TableError: The table cannot be read.
            DatabaseUnavailableError: Try the whole table again; what stands is unchanged.
        """
        report = Report(dry_run=self.dry_run)
        self._lines.clear()
        with translated():
            if self.keep_going and not self.dry_run:
                for batch in self._batches(report):
                    async with connection.transaction():
                        await self._write(connection, batch, report)
                return report
            async with connection.transaction(force_rollback=self.dry_run):
                for batch in self._batches(report):
                    await self._write(connection, batch, report)
                if report.outcomes["refused"] and not (self.keep_going or self.dry_run):
                    raise NotWrittenError(report)
        return report

    def _batches(self, report: Report) -> Iterator[list[tuple[str, TableRow]]]:
        batch: list[tuple[str, TableRow]] = []
        for row in self._rows(report):
            batch.append(row)
            if len(batch) == ROWS_OF_BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _rows(self, report: Report) -> Iterator[tuple[str, TableRow]]:
        """Usable lines with the pseudonym each is about; the others are refused."""
        with open_table(self.path, self.skipped) as table:
            for row in table:
                report.lines += 1
                self.progress(1)
                if isinstance(row, list):
                    report.refuse(row)
                    continue
                found = self._find_id(row)
                if isinstance(found, LineError):
                    report.refuse([found])
                else:
                    yield found, row

    def _find_id(self, row: TableRow) -> str | LineError:
        id_, number = row.given.get("id"), row.given.get("id_number")
        if id_ is None and number is not None and self.pseudonym_keys:
            id_ = pseudonym(self.pseudonym_keys[0], compact(number))
        if id_ is None:
            remedy = "give 居民编号 (id), or 身份证号 with --pseudonym-key"
            return LineError(row.line, "", f"says not who it is: {remedy}")
        before = self._lines.setdefault(hash(id_), row.line)
        if before != row.line:
            return LineError(row.line, "", f"is the same resident as line {before}")
        return str(id_)

    async def _write(
        self, connection: Connection, batch: Sequence[tuple[str, TableRow]], report: Report
    ) -> None:
        batch = await self._under_known_names(connection, batch)
        stored = await registry.lock(connection, "resident", {id_ for id_, _ in batch})
        residents: list[Resident] = []
        lines: dict[str, int] = {}
        for id_, row in batch:
            try:
                if id_ in lines:
                    report.refuse(
                        [LineError(row.line, "", f"is the same resident as line {lines[id_]}")]
                    )
                    continue
                residents.append(row.merge(id_, stored[id_].content))
                lines[id_] = row.line
            except ValueError as error:
                name, _, problem = str(error).partition(": ")
                report.refuse([LineError(row.line, name, problem)])
        sealing = self._sealing()
        outcomes = await save_residents(connection, residents, self.by, sealing)
        for resident, outcome in zip(residents, outcomes, strict=True):
            if outcome.refusal is not None:
                report.refuse([_as_error(lines[resident.id], outcome)])
                continue
            report.outcomes[outcome.status] += 1
            if outcome.status == "changed":
                report.fields.update(_changed_fields(stored[resident.id].content, resident))

    async def _under_known_names(
        self, connection: Connection, batch: Sequence[tuple[str, TableRow]]
    ) -> Sequence[tuple[str, TableRow]]:
        """Who was registered before a new pseudonym key keeps the name they had (ADR 0049)."""
        made = [id_ for id_, row in batch if row.given.get("id") is None]
        into = (await merges.fetch_kin(connection, made)).into if made else {}
        return [(id_ if row.given.get("id") else into.get(id_, id_), row) for id_, row in batch]

    def _sealing(self) -> PersonalSealing | None:
        return None if self.keyring is None else PersonalSealing(self.keyring, self.pseudonym_keys)


def _as_error(line: int, outcome: Outcome) -> LineError:
    refusal = outcome.refusal
    if refusal is None:  # pragma: no cover - only refused ones come here
        return LineError(line, "", "")
    shown = f"{refusal.value!r}: " if refusal.value else ""
    return LineError(line, refusal.field, f"{shown}{refusal.remedy}")


def _changed_fields(before: Content | None, resident: Resident) -> list[str]:
    now = resident.content()
    names = [name for name in now if name != "personal" and (before or {}).get(name) != now[name]]
    return names or ["personal"]
