"""One value of a setting: from a variable's text or from TOML into the field's type.

Nothing is rounded, cut or guessed: a whole number is no text and no truth. A secret is never
quoted.
"""

import re
import types
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, Union, get_args, get_origin

_TRUTH: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_WHOLE: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_QUOTED_MAX: Final = 60


class Unfit(ValueError):  # noqa: N818 - not an error of its own: a setting's detail
    """The value does not fit the field.

    Attributes:
        detail: What is wrong with it.
    """

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)


def from_text(hint: object, text: str, *, secret: bool = False) -> Any:  # noqa: ANN401 - the field's type
    """Convert a variable's text; several values are parted by commas. Raises ``Unfit``."""
    if get_origin(hint) is tuple:
        kind = get_args(hint)[0]
        return tuple(from_text(kind, part.strip(), secret=secret) for part in text.split(","))
    kind = _bare(hint)
    shown = "" if secret else f", not {_quote(text)}"
    if kind is bool:
        if text.lower() not in _TRUTH:
            _refuse(f"must be yes or no{shown}")
        return _TRUTH[text.lower()]
    if kind is int:
        if not _WHOLE.fullmatch(text):
            _refuse(f"must be a whole number{shown}")
        return int(text)
    if kind in {float, Decimal}:
        return _number(kind, text, shown)
    if kind is date:
        try:
            return date.fromisoformat(text)
        except ValueError:
            _refuse(f"must be a day such as 2026-01-31{shown}")
    return _from_words(kind, text, shown)


def from_toml(hint: object, value: object, *, folder: Path, secret: bool = False) -> Any:  # noqa: ANN401 - as above
    """Convert a TOML value; a relative path counts from ``folder``. Raises ``Unfit``."""
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            _refuse(f"must be an array{_shown(value, secret=secret)}")
        kind = get_args(hint)[0]
        return tuple(from_toml(kind, part, folder=folder, secret=secret) for part in value)
    kind = _bare(hint)
    shown = _shown(value, secret=secret)
    expected, fits, words = _EXPECTED.get(kind, _EXPECTED[str])
    if not fits(value):
        _refuse(f"must be {words}{shown}")
    if kind is Path:
        if not value or "\0" in str(value):
            _refuse("must not be empty, nor hold a null character")
        return folder / str(value)
    if kind in {float, Decimal}:
        return _number(kind, str(value), shown)
    if expected is str:
        return _from_words(kind, str(value), shown)
    return value


def stand_in(hint: object) -> Any:  # noqa: ANN401 - as above
    """A value that passes every check, in place of a wrong one, to find what else is wrong."""
    kind = _bare(hint)
    return {int: 1, bool: False, Path: Path("x")}.get(kind, "x")


def _refuse(detail: str) -> NoReturn:
    raise Unfit(detail) from None


def _is(*kinds: type[Any]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool | datetime)


_EXPECTED: Final[Mapping[Any, tuple[type[Any], Callable[[object], bool], str]]] = {
    str: (str, _is(str), 'a text in "quotes"'),
    Path: (Path, _is(str), 'a path in "quotes"'),
    int: (int, _is(int), "a whole number"),
    float: (float, _is(int, Decimal), "a number"),
    Decimal: (Decimal, _is(int, Decimal), "a number"),
    bool: (bool, lambda value: isinstance(value, bool), "true or false"),
    date: (date, _is(date), "a day such as 2026-01-31, without quotes"),
}


def _bare(hint: object) -> Any:  # noqa: ANN401 - a type
    """The type without its ``| None``."""
    if get_origin(hint) in {Union, types.UnionType}:
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _from_words(kind: Any, text: str, shown: str) -> Any:  # noqa: ANN401 - a type, and a value of it
    if kind is Path:
        return Path(text)
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            _refuse(f"must be one of {', '.join(get_args(kind))}{shown}")
    elif isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(text)
        except ValueError:
            _refuse(f"must be one of {', '.join(str(m.value) for m in kind)}{shown}")
    return text


def _number(kind: type[Any], text: str, shown: str) -> Any:  # noqa: ANN401 - as above
    try:
        number = Decimal(text)
    except InvalidOperation:
        _refuse(f"must be a number{shown}")
    if not number.is_finite():
        _refuse(f"must be a finite number{shown}")
    return kind(number)


def _shown(value: object, *, secret: bool) -> str:
    return "" if secret else f", not {_quote(value)}"


def _quote(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    if isinstance(value, date | Decimal):
        text = str(value)
    return text if len(text) <= _QUOTED_MAX else f"{text[:_QUOTED_MAX]}…"
