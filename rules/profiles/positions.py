"""Where each key of a TOML text stands, which ``tomllib`` does not say.

Reads only text that ``tomllib`` has accepted, and so checks nothing: it follows headers,
dotted keys, arrays and inline tables, and steps over strings and comments.
"""

import json
import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      (?P<blank> [ \t\r]+ | \#[^\n]* )
    | (?P<line> \n )
    | (?P<mark> [\[\]{}=,.] )
    | (?P<text>
        \"{3}(?:\\.|[^\\])*?\"{3,5} | '{3}.*?'{3,5} | \"(?:\\.|[^\\"])*\" | '[^']*'
      )
    | (?P<bare> [^\s\[\]{}=,."'\#]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_END: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a text, both from 1; columns count characters."""

    line: int
    column: int


def dotted(table: str, name: str) -> str:
    """The key of ``name`` in ``table``, whose own key is empty at the root.

    >>> dotted(dotted("", "bp_office"), "unit")
    'bp_office.unit'
    >>> dotted("bp_office", "a.b")
    'bp_office."a.b"'
    """
    shown = name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    return f"{table}.{shown}" if table else shown


def numbered(key: str, row: int) -> str:
    """The key of one row of an array: ``bp_office.tier[0]``."""
    return f"{key}[{row}]"


def locate_keys(text: str) -> dict[str, Position]:
    """The first place at which each key is named, by dotted key; the root is ``""``.

    Args:
        text: Valid TOML.
    """
    walk = _Walk(text)
    walk.read_document()
    begins = [0, *(found.end() for found in re.finditer("\n", text))]
    positions = {}
    for key, offset in walk.offsets.items():
        line = bisect_right(begins, offset)
        positions[key] = Position(line=line, column=offset - begins[line - 1] + 1)
    return positions


class _Walk:
    """One pass over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self._tokens = [
            (found.group(), found.start())
            for found in _TOKEN.finditer(text)
            if found.lastgroup != "blank"
        ]
        self._tokens.append((_END, len(text)))
        self._at = 0
        self._rows: dict[str, int] = {}  # Latest row of each array of tables.
        self.offsets = {"": 0}

    def read_document(self) -> None:
        table = ""
        while self._next_after_lines() != _END:
            if self._next() == "[":
                table = self._read_header()
            else:
                self._read_pair(table)

    def _next(self) -> str:
        return self._tokens[self._at][0]

    def _next_after_lines(self) -> str:
        while self._next() == "\n":
            self._at += 1
        return self._next()

    def _skip(self, *marks: str) -> bool:
        if self._next_after_lines() not in marks:
            return False
        self._at += 1
        return True

    def _note(self, key: str, offset: int) -> None:
        self.offsets.setdefault(key, offset)

    def _read_header(self) -> str:
        self._skip("[")
        is_row = self._skip("[")
        names = self._read_names()
        key = ""
        for depth, (name, offset) in enumerate(names, start=1):
            key = dotted(key, name)
            self._note(key, offset)
            if is_row and depth == len(names):
                self._rows[key] = self._rows.get(key, -1) + 1
            if key in self._rows:
                key = numbered(key, self._rows[key])
                self._note(key, offset)
        while self._skip("]"):
            pass
        return key

    def _read_pair(self, table: str) -> None:
        for name, offset in self._read_names():
            table = dotted(table, name)
            self._note(table, offset)
        self._skip("=")
        self._read_value(table)

    def _read_names(self) -> list[tuple[str, int]]:
        names = []
        while True:
            token, offset = self._tokens[self._at]
            self._at += 1
            names.append((_name(token), offset))
            if not self._skip("."):
                return names

    def _read_value(self, key: str) -> None:
        if self._skip("["):
            row = 0
            while not self._skip("]"):
                self._note(numbered(key, row), self._tokens[self._at][1])
                self._read_value(numbered(key, row))
                self._skip(",")
                row += 1
        elif self._skip("{"):
            while not self._skip("}"):
                self._read_pair(key)
                self._skip(",")
        else:
            while self._next() not in {"\n", ",", "]", "}", _END}:
                self._at += 1


def _name(token: str) -> str:
    """A key as it is meant, without quotes and escapes."""
    return next(iter(tomllib.loads(f"{token} = 0")))
