"""Reads one profile file: its values, or every problem it has, each with its place.

Never stops at the first problem and never guesses: a value that does not fit is absent from
``Reading.values``. A file that ``extends`` another takes over whole tables from it, each with
its own source, and names only the tables in which it differs.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from importlib.resources.abc import Traversable
from typing import Any, Final, TypeGuard

from rules.errors import ProfileError
from rules.profiles.files import ProfileFile, find_files, list_ids, parse_name
from rules.profiles.findings import Finding, find_contradictions
from rules.profiles.positions import Position, dotted, locate_keys, numbered
from rules.profiles.problems import Problem, problem_text
from rules.profiles.shapes import BASE, CONTENT, NAMES, Key, Part, Rows, Table, Values

_START: Final = Position(line=1, column=1)
_PLACE: Final = re.compile(
    r"(?P<reason>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)",
    re.DOTALL,
)
_SHOWN_MAX: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one file says."""

    content: Mapping[str, Any]  # Tables of the base included.
    values: Values  # Only what fits; False for a table that is there but no table.
    positions: Mapping[str, Position]  # Of the keys that the text itself states.
    problems: Sequence[Problem]  # By place.

    @property
    def errors(self) -> list[Problem]:
        """Why the profile cannot be used; empty: it can."""
        return [problem for problem in self.problems if problem.severity == "error"]

    def warn(self, key: str, problem: str, remedy: str) -> Problem:
        """A warning about a key that the text states."""
        place = self.positions[key]
        return Problem(
            line=place.line,
            column=place.column,
            key=key,
            problem=problem,
            remedy=remedy,
            severity="warning",
        )


def read_text(text: str, *, directory: Traversable | None = None) -> Reading:
    """Read the text of a profile file.

    Args:
        text: TOML.
        directory: Where profiles that it extends are looked for, beside the package's own.
    """
    return _read(text, directory, ())


def _read(text: str, directory: Traversable | None, above: tuple[str, ...]) -> Reading:
    try:
        own = tomllib.loads(text, parse_float=_decimal)
    except (ValueError, RecursionError) as error:
        return Reading(content={}, values={}, positions={}, problems=[_syntax_problem(text, error)])
    sheet = _Sheet(locate_keys(text))
    shape: dict[str, Part] = {**NAMES, **CONTENT}
    content = own
    if any(name in own for name in BASE):
        base = _read_base(own, sheet, directory, above)
        own_only = {name: replace(part, required=False) for name, part in CONTENT.items()}
        shape = {**NAMES, **BASE, **(own_only if base is None else CONTENT)}
        content = {**(base or {}), **own}
    sheet.read_table(content, shape, "")
    for finding in find_contradictions(sheet.values):
        sheet.report_finding(finding)
    return Reading(
        content=content,
        values=sheet.values,
        positions=sheet.positions,
        problems=sorted(sheet.problems),
    )


def find_misnaming(reading: Reading, file: str) -> Problem | None:
    """A warning, if the profile is not found under its file's name."""
    promised_id, promised_version = parse_name(file) or (None, None)
    promised = {"id": promised_id, "version": promised_version or reading.values.get("version")}
    for key, name in promised.items():
        value = reading.values.get(key)
        if value is not None and value != name:
            problem = f"is {value}, which the file's name {file} does not promise"
            return reading.warn(key, problem, "name it <id>.toml or <id>-<version>.toml")
    return None


def _decimal(literal: str) -> Decimal:
    try:
        return Decimal(literal)
    except InvalidOperation:  # An exponent beyond the decimal module: no limit either.
        return Decimal("NaN")


def _syntax_problem(text: str, error: Exception) -> Problem:
    """Place and reason of what ``tomllib`` refused; it tells the place in words only."""
    found = _PLACE.fullmatch(str(error))
    place = _START
    if found and found["line"]:
        place = Position(line=int(found["line"]), column=int(found["column"]))
    elif found:
        place = Position(line=text.rstrip().count("\n") + 1, column=1)
    return Problem(
        line=place.line,
        column=place.column,
        key="",
        problem=f"is not TOML: {found['reason'] if found else error}",
        remedy="correct the syntax here or just above",
    )


def _read_base(
    own: Mapping[str, Any], sheet: "_Sheet", directory: Traversable | None, above: tuple[str, ...]
) -> dict[str, Any] | None:
    """The tables that a file takes over, or None: there is a problem with them."""
    if not all(key.fits(own.get(name)) for name, key in BASE.items()):
        return None  # Reported with all other keys.
    above = (*above, f"{own.get('id')} {own.get('version')}")
    if f"{own['extends']} {own['extends_version']}" in above:
        sheet.report("extends", "leads back to this file", "extend a profile that stands alone")
        return None
    try:
        file = _find_base(own["extends"], own["extends_version"], sheet, directory)
    except ProfileError as error:
        sheet.report("extends", f"cannot be followed: {error}", "correct that first")
        return None
    if file is None:
        return None
    base = _read(file.text, directory, above)
    if base.errors:
        reason = problem_text(base.errors[0], file=file.file)
        sheet.report("extends", f"cannot be followed: {reason}", "correct that first")
        return None
    return {name: part for name, part in base.content.items() if name in CONTENT}


def _find_base(
    profile_id: str, version: str, sheet: "_Sheet", directory: Traversable | None
) -> ProfileFile | None:
    stated = {_stated_version(each.text): each for each in find_files(profile_id, directory)}
    if version in stated:
        return stated[version]
    if stated:
        there_are = ", ".join(sorted(filter(None, stated))) or "none that can be read"
        problem = f"is {version}, which {profile_id} does not have"
        sheet.report("extends_version", problem, f"there are {there_are}")
    else:
        there_are = ", ".join(list_ids(directory))
        sheet.report("extends", f"is {profile_id}, which is no profile", f"there are {there_are}")
    return None


def _stated_version(text: str) -> str | None:
    try:
        version = tomllib.loads(text).get("version")
    except (ValueError, RecursionError):
        return None
    return version if isinstance(version, str) else None


class _Sheet:
    """Values and problems of one file while it is read."""

    def __init__(self, positions: Mapping[str, Position]) -> None:
        self.positions = positions
        self.values: dict[str, Any] = {}
        self.problems: list[Problem] = []

    def report(self, key: str, problem: str, remedy: str, *, at: str = "") -> None:
        """An error at the key, or where it is not in this file, at another."""
        self.report_finding(Finding(keys=(key, at), problem=problem, remedy=remedy))

    def report_finding(self, finding: Finding) -> None:
        """At its first key that this file states. The base answers for what it states alone."""
        places = [self.positions[key] for key in finding.keys if key in self.positions]
        if places:
            self.problems.append(
                Problem(
                    line=places[0].line,
                    column=places[0].column,
                    key=finding.keys[0],
                    problem=finding.problem,
                    remedy=finding.remedy,
                    severity=finding.severity,
                )
            )

    def read_table(self, content: Mapping[str, Any], shape: Mapping[str, Part], key: str) -> None:
        missing = [name for name, part in shape.items() if part.required and name not in content]
        for name, value in content.items():
            if name in shape:
                self._read_part(value, shape[name], dotted(key, name))
                continue
            meant = get_close_matches(name, missing, 1) or get_close_matches(name, shape, 1)
            missing = [each for each in missing if each not in meant]
            if meant and not isinstance(shape[meant[0]], Key):
                self.values.setdefault(dotted(key, meant[0]), False)  # Present, though unreadable.
            remedy = f"did you mean {meant[0]}?" if meant else f"there may be {', '.join(shape)}"
            self.report(dotted(key, name), "is not a key the rules know", remedy)
        for name in missing:
            self.report(dotted(key, name), "is missing", _remedy(shape[name], name), at=key)

    def _read_part(self, value: object, part: Part, key: str) -> None:
        match part:
            case Key() if part.fits(value):
                self.values[key] = value
            case Table(parts=parts) if isinstance(value, dict):
                self.values[key] = True
                self.read_table(value, parts, key)
            case Rows(row=row) if _is_rows(value):
                self.values[key] = len(value)
                for number, content in enumerate(value):
                    self.read_table(content, row.parts, numbered(key, number))
            case Key():
                self.report(key, f"is {_shown(value)}, not {part.expected}", part.remedy)
            case Table() | Rows():
                self.values[key] = False
                expected = "a table" if isinstance(part, Table) else "a list of tables"
                self.report(key, f"is {_shown(value)}, not {expected}", _remedy(part, key))


def _is_rows(value: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _remedy(part: Part, key: str) -> str:
    match part:
        case Key():
            return part.remedy
        case Table():
            return f"write [{key}] with {_required(part)}"
        case Rows():
            return f"write [[{key}]] with {_required(part.row)}"


def _required(table: Table) -> str:
    return ", ".join(name for name, part in table.parts.items() if part.required)


def _shown(value: object) -> str:
    """A value as TOML writes it, cut."""
    match value:
        case bool() | str():
            text = json.dumps(value, ensure_ascii=False)
        case dict():
            text = "a table"
        case list():
            text = f"[{', '.join(_shown(item) for item in value)}]"
        case _:
            text = str(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
