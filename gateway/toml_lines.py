"""Where each key of a TOML file stands, which ``tomllib`` knows and does not tell.

``tomllib`` itself decides where a statement ends: lines are added until it can read them. TOML
is read from left to right and a statement ends with its line, so what parses alone is exactly
one statement of the whole; there is no second grammar here that could differ from the first.
A value inside a statement of several lines stands where its statement begins.

Cost: a statement of n lines is read n times, hence ``LINES_MAX``.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys from the top; a number is a place in an array, from 0."""

BYTES_MAX: Final = 262_144
LINES_MAX: Final = 5_000
_POSITION: Final = re.compile(r"\(at line (\d+), column \d+\)")


class TomlError(ValueError):
    """The text is no TOML.

    Attributes:
        line: Where, from 1.
        detail: What is wrong there.
    """

    def __init__(self, line: int, detail: str) -> None:
        self.line = line
        self.detail = detail
        super().__init__(f"line {line}: {detail}")


def decode(data: bytes) -> str:
    """The text of a file. Raises ``TomlError`` when it is not UTF-8 or above ``BYTES_MAX``."""
    if len(data) > BYTES_MAX:
        raise TomlError(1, f"more than {BYTES_MAX} bytes; is it the right file?")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise TomlError(data[: error.start].count(b"\n") + 1, "is not UTF-8") from error


class Document:
    """A TOML text: its values, and the line of each."""

    def __init__(self, text: str) -> None:
        """Read it; numbers with a point become ``Decimal``.

        Raises:
            TomlError: It is no TOML, or has more than ``LINES_MAX`` lines.
        """
        lines = text.replace("\r\n", "\n").split("\n")
        if len(lines) > LINES_MAX:
            raise TomlError(LINES_MAX, f"more than {LINES_MAX} lines; is it the right file?")
        self.values: Mapping[str, Any] = _parse(text, last_line=len(lines))
        self._lines: dict[Path, int] = {(): 1}
        self._sizes: Counter[Path] = Counter()
        self._table: Path = ()
        for line, statement in _statements(lines):
            self._note(line, statement)

    def line_of(self, path: Path) -> int:
        """The line of a key, from 1; of the nearest thing around it when it has none itself."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def _note(self, line: int, statement: str) -> None:
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            self._open_table(line, parsed)
        else:
            self._note_values(line, self._table, parsed)

    def _open_table(self, line: int, header: object) -> None:
        """Follow ``[a.b]`` or ``[[a.b]]``; a name of an array means its last table."""
        path: Path = ()
        while isinstance(header, dict) and header:
            ((name, header),) = header.items()
            path = (*path, name)
            if isinstance(header, list):
                self._sizes[path] += 1
            if self._sizes[path]:
                self._lines.setdefault(path, line)
                path = (*path, self._sizes[path] - 1)
            self._lines.setdefault(path, line)
        self._lines[path] = line
        self._table = path

    def _note_values(self, line: int, path: Path, value: object) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                self._lines.setdefault((*path, name), line)
                self._note_values(line, (*path, name), inner)


def _statements(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Each statement with the line where it begins, from 1; blank lines and comments left out."""
    begin, gathered = 0, ""
    for number, line in enumerate(lines, start=1):
        if not gathered:
            begin = number
            if not line.strip() or line.lstrip().startswith("#"):
                continue
        gathered += line + "\n"
        try:
            tomllib.loads(gathered)
        except tomllib.TOMLDecodeError:
            continue
        yield begin, gathered
        gathered = ""


def _parse(text: str, *, last_line: int) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        found = _POSITION.search(str(error))
        line = int(found[1]) if found else last_line
        detail = re.sub(r"\s*\(at [^)]*\)", "", str(error))
        raise TomlError(line, f"{detail[:1].lower()}{detail[1:]}; this is no TOML") from error
