"""One table of a scenario's file at a time: strict, and every refusal names line, field and remedy.

A key that nobody asks for is refused by ``done``: a misspelt rate would be no rate at all.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any, Final, NoReturn

from gateway.toml_lines import Document
from gateway.toml_lines import Path as Place
from simulators.scenarios.errors import ScenarioError
from simulators.series import SHANGHAI

_SPAN: Final = re.compile(r"(-?)(\d{1,6}) ?(min|h|d)", re.ASCII)
_UNITS: Final = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_DAY_MIN: Final = date(1900, 1, 1)  # Nobody is older.
_DAY_MAX: Final = date(2199, 12, 31)
NAME: Final = r"[a-z0-9][a-z0-9-]{0,40}"


class Table:
    """The keys of one table; each may be asked for once or more, ``done`` when all were."""

    def __init__(self, file: Path, document: Document, place: Place, values: Any) -> None:  # noqa: ANN401 - TOML
        self._file, self._document, self._place = file, document, place
        self._asked: set[str] = set()
        self._values: dict[str, Any] = {}
        if not isinstance(values, dict):
            self.refuse("", f"is {values!r}; write a table")
        self._values = dict(values)

    @property
    def file(self) -> Path:
        """Where it stands."""
        return self._file

    @property
    def here(self) -> str:
        """File and line, for whoever has to look."""
        return f"{self._file.name}, line {self._document.line_of(self._place)}"

    def refuse(self, name: str, problem: str) -> NoReturn:
        """Raise ``ScenarioError`` with the place of a key; ``problem`` holds value and remedy."""
        place = (*self._place, name) if name else self._place
        line = self._document.line_of(place)
        field = ".".join(str(part + 1) if isinstance(part, int) else part for part in place)
        msg = f"{self._file}, line {line}: {field} {problem}"
        raise ScenarioError(msg)

    def has(self, name: str) -> bool:
        """Whether the key is there."""
        self._asked.add(name)
        return name in self._values

    def done(self) -> None:
        """Refuse what nobody asked for."""
        for name in self._values.keys() - self._asked:
            close = get_close_matches(name, self._asked, n=1)
            known = f"did you mean {close[0]}?" if close else f"known: {', '.join(self.asked)}"
            self.refuse(name, f"is no key of a scenario here; {known}")

    @property
    def asked(self) -> list[str]:
        """Every key that may stand here."""
        return sorted(self._asked)

    def text(
        self,
        name: str,
        default: str | None = None,
        *,
        pattern: str = r".{1,400}",
        example: str = "",
    ) -> str:
        """A text; without a default it must be there."""
        value = self._take(name, default)
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.DOTALL):
            self.refuse(
                name, f"is {value!r}; write a text{f' such as {example!r}' * bool(example)}"
            )
        return value

    def word(self, name: str, words: Sequence[str], default: str | None = None) -> str:
        """One of some words."""
        value = self._take(name, default)
        if value not in words:
            self.refuse(name, f"is {value!r}; write one of {', '.join(words)}")
        return str(value)

    def words(
        self, name: str, words: Sequence[str] | None, default: Sequence[str] = ()
    ) -> list[str]:
        """A list of words, of these if any are given; each once."""
        value = self._take(name, list(default))
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self.refuse(name, f"is {value!r}; write a list of texts")
        for number, each in enumerate(value):
            if words is not None and each not in words:
                self.refuse(name, f"holds {each!r}; known are {', '.join(words)}")
            if each in value[:number]:
                self.refuse(name, f"names {each!r} twice; say it once")
        return value

    def whole(self, name: str, default: int | None = None, *, low: int = 0, high: int) -> int:
        """A whole number within bounds."""
        value = self._take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.refuse(name, f"is {value!r}; write a whole number from {low} to {high}")
        return value

    def number(self, name: str, default: float | None = None, *, low: float, high: float) -> float:
        """A number within bounds."""
        value = self._take(name, default)
        good = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        if not good or not isfinite(value) or not low <= value <= high:
            shown = str(value) if isinstance(value, Decimal) else repr(value)
            self.refuse(name, f"is {shown}; write a number from {low:g} to {high:g}")
        return float(value)

    def exact(self, name: str) -> str:
        """A number as it was written, to the last digit."""
        value = self._take(name, None)
        good = isinstance(value, int | Decimal) and not isinstance(value, bool)
        if not good or not isfinite(value):
            self.refuse(name, f"is {value}; write a number")
        return str(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            self.refuse(name, f"is {value!r}; write true or false")
        return value

    def day(
        self,
        name: str,
        default: date | None = None,
        *,
        low: date = _DAY_MIN,
        high: date = _DAY_MAX,
    ) -> date:
        """A local calendar day within bounds."""
        value = self._take(name, default)
        if not isinstance(value, date) or isinstance(value, datetime):
            self.refuse(name, f"is {value!r}; write a day such as 2026-03-02")
        if not low <= value <= high:
            self.refuse(name, f"is {value}; write a day from {low} to {high}")
        return value

    def moment(self, name: str, default: datetime | None = None) -> datetime:
        """A local time of a day (Asia/Shanghai); aware."""
        value = self._take(name, default)
        if not isinstance(value, datetime):
            self.refuse(name, f"is {value!r}; write a local time such as 2026-03-02T09:00:00")
        if not _DAY_MIN <= value.date() <= _DAY_MAX:
            self.refuse(name, f"is {value}; write a time from {_DAY_MIN} to {_DAY_MAX}")
        if value.tzinfo is None:
            return value.replace(tzinfo=SHANGHAI)
        if default is None or value is not default:
            self.refuse(name, f"is {value}; write it without an offset: times are local")
        return value

    def span(
        self, name: str, default: timedelta | None = None, *, above: timedelta | None = None
    ) -> timedelta:
        """A length of time: ``"30min"``, ``"8h"``, ``"-3d"``; longer than ``above``, if given."""
        value = self._take(name, default)
        if isinstance(value, timedelta):
            return value
        found = _SPAN.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            self.refuse(name, f'is {value!r}; write a length such as "30min", "8h" or "-3d"')
        span = int(found[2]) * _UNITS[found[3]]
        span = -span if found[1] else span
        if above is not None and span <= above:
            self.refuse(name, f"is {value!r}; write a length above {above // _UNITS['min']} min")
        return span

    def pair(self, name: str, *, low: int, high: int) -> tuple[int, int]:
        """Two whole numbers."""
        value = self._take(name, None)
        if (
            not isinstance(value, list)
            or len(value) != 2  # noqa: PLR2004 - a pair
            or not all(type(each) is int and low <= each <= high for each in value)
        ):
            self.refuse(name, f"is {value!r}; write two whole numbers such as [146, 92]")
        return value[0], value[1]

    def table(self, name: str) -> "Table":
        """A table in it; an empty one where there is none."""
        return Table(self._file, self._document, (*self._place, name), self._take(name, {}))

    def tables(self, name: str) -> list["Table"]:
        """An array of tables."""
        value = self._take(name, [])
        if not isinstance(value, list):
            self.refuse(name, f"is {value!r}; write [[{name}]]")
        return [
            Table(self._file, self._document, (*self._place, name, number), each)
            for number, each in enumerate(value)
        ]

    def _take(self, name: str, default: Any) -> Any:  # noqa: ANN401 - TOML
        self._asked.add(name)
        if name in self._values:
            return self._values[name]
        if default is None:
            self.refuse(name, "is missing; it must stand here")
        return default
