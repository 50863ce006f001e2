"""Settings from a TOML file and the environment into one frozen dataclass.

Generic: it knows dataclasses, not the gateway's. A field of a plain type is a key of a table
and a variable; a field that is a dataclass is a table of its own, and its plain keys are
variables too (``x.y`` is ``X_Y``); a tuple of dataclasses is an array of tables. The environment
wins over the file. Everything wrong is found in one go, each with its line; a value that is
wrong is replaced by a stand-in only to go on looking.

A secret (``repr=False``) may come from a file: ``X_FILE``, ``x_file``. No message quotes one.
"""

import dataclasses
import os
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from gateway.errors import ENVIRONMENT, ConfigurationError, Problem, SettingsError
from gateway.setting_values import Unfit, from_text, from_toml, stand_in
from gateway.toml_lines import BYTES_MAX, Document, TomlError, decode
from gateway.wire.environment import find_misspelt

_SECRET_BYTES_MAX: Final = 4_096
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Tables:
    """Which key of which table a plain field is.

    Attributes:
        fields: Table to its fields; a field that stands nowhere belongs to the table that its
            first word names, else to the first table.
        keys: Field to key, where the key is not the field without its table's name.
    """

    fields: Mapping[str, Sequence[str]]
    keys: Mapping[str, str] = field(default_factory=dict)

    def place(self, name: str) -> tuple[str, str]:
        """Table and key of a field."""
        table = next((t for t, names in self.fields.items() if name in names), None)
        if table is None:
            word = name.partition("_")[0]
            table = word if word in self.fields else next(iter(self.fields))
        return table, self.keys.get(name) or name.removeprefix(f"{table}_")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was found: what the operator calls it, and the line if it has one."""

    where: str
    name: str


class Reader:
    """Reads one settings dataclass; ``problems`` grows while it does."""

    def __init__(
        self, kind: type[Any], tables: Tables, *, prefix: str, environment: Mapping[str, str]
    ) -> None:
        self.problems: list[Problem] = []
        self.sources: dict[str, Source] = {}
        self._kind = kind
        self._tables = tables
        self._prefix = prefix
        self._environment = environment
        self._file: Path | None = None
        self._document = Document("")
        self._private = True

    def read(self, file: Path | None) -> Any:  # noqa: ANN401 - whatever dataclass was asked for
        """Build the settings.

        Raises:
            ConfigurationError: Something is wrong; everything that is.
        """
        if file is not None:
            self._open(file)
        self._find_strangers()
        given: dict[str, Any] = {}
        for setting in fields(self._kind):
            self._read_field(setting, given)
        bad = {problem.field for problem in self.problems}
        try:
            built = self._kind(**given)
        except ConfigurationError as error:
            self.problems += [self._located(p) for p in error.problems if p.field not in bad]
        else:
            if not self.problems:
                return built
        raise ConfigurationError(sorted(self.problems, key=self._place_of))

    def source_of(self, name: str) -> Source:
        """Where a field's value came from, or would have to be set."""
        if name in self.sources:
            return self.sources[name]
        head = name.partition(".")[0]
        if self._file is None:
            return Source(ENVIRONMENT, self._prefix + head.upper())
        path = self._path_of(head)
        return self._in_file(path, ".".join(map(str, path)))

    def _place_of(self, problem: Problem) -> tuple[bool, int]:
        line = problem.where.rpartition(":")[2]
        return problem.where == ENVIRONMENT, int(line) if line.isdigit() else 0

    def _located(self, problem: Problem) -> Problem:
        source = self.source_of(problem.field)
        return dataclasses.replace(problem, where=source.where, name=source.name)

    def _report(self, field_name: str, source: Source, detail: str) -> None:
        self.problems.append(Problem(field_name, detail, source.where, source.name))

    def _in_file(self, path: tuple[str | int, ...], name: str) -> Source:
        return Source(f"{self._file}:{self._document.line_of(path)}", name)

    def _open(self, file: Path) -> None:
        self._file = file
        try:
            with file.open("rb") as opened:
                data = opened.read(BYTES_MAX + 1)
                self._private = not os.fstat(opened.fileno()).st_mode & _OTHERS
            self._document = Document(decode(data))
        except OSError as error:
            self._report("", Source(str(file), "file"), f"cannot be read: {error.strerror}")
        except TomlError as error:
            self._report("", Source(f"{file}:{error.line}", "file"), error.detail)
        if self.problems:  # One fault at the root; what follows from it tells nothing.
            raise ConfigurationError(self.problems)

    def _find_strangers(self) -> None:
        plain = [f for f in fields(self._kind) if not _inner(self._hints[f.name])[0]]
        known = {self._prefix + f.name.upper() for f in plain}
        known |= {self._prefix + f.name.upper() + "_FILE" for f in plain if not f.repr}
        known.add(f"{self._prefix}CONFIG")
        for name, hint in self._hints.items():
            kind, many = _inner(hint)
            if kind is not None and not many:
                known |= set(self._variables(name, kind).values())
        for name, meant in find_misspelt(self._environment, self._prefix, known).items():
            self._report("", Source(ENVIRONMENT, name), f"is no setting; did you mean {meant}?")
        places = {self._path_of(f.name) for f in fields(self._kind)}
        places |= {self._path_of(f.name + "_file") for f in plain if not f.repr}
        tables = {path[0] for path in places}
        for table, content in self._document.values.items():
            if table not in tables:
                self._report_stranger((table,), tables, "table")
            elif (table,) not in places and isinstance(content, Mapping):
                keys = {path[1] for path in places if path[0] == table}
                for key in content.keys() - keys:
                    self._report_stranger((table, key), keys, "key")
            elif (table,) not in places:
                detail = f"must be a table: write [{table}] and its keys below"
                self._report("", self._in_file((table,), table), detail)

    def _report_stranger(
        self, path: tuple[str | int, ...], known: set[str], what: str, field_name: str = ""
    ) -> None:
        detail = f"unknown {what}{_suggestion(str(path[-1]), known)}"
        self._report(field_name, self._in_file(path, ".".join(map(str, path))), detail)

    @property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self._kind)

    def _path_of(self, name: str) -> tuple[str, ...]:
        """The path in the file: a table of its own, or a key of a table."""
        if name in self._hints and _inner(self._hints[name])[0]:
            return (name,)
        return self._tables.place(name)

    def _read_field(self, setting: Field[Any], given: dict[str, Any]) -> None:
        hint = self._hints[setting.name]
        dataclass_kind, many = _inner(hint)
        try:
            if dataclass_kind is not None:
                self._read_tables(setting.name, dataclass_kind, given, many=many)
            elif not self._read_plain(setting, hint, given) and _required(setting):
                detail = "is missing; set it" if self._file is not None else "is not set"
                self._report(setting.name, self.source_of(setting.name), detail)
                given[setting.name] = stand_in(hint)
        except Unfit as unfit:
            self._report(setting.name, self.source_of(setting.name), unfit.detail)
            if _required(setting):
                given[setting.name] = stand_in(hint)

    def _read_plain(self, setting: Field[Any], hint: object, given: dict[str, Any]) -> bool:
        """Find one value; False when nobody set it. Raises ``Unfit``."""
        name, secret = setting.name, not setting.repr
        found = self._find(name)
        file_found = self._find(f"{name}_file") if secret else None
        if found is not None and file_found is not None:
            self.sources[name] = file_found[1]
            detail = f"and {found[1].name} exclude each other: keep one"
            raise Unfit(detail)
        if file_found is not None:
            self.sources[name] = file_found[1]
            given[name] = _read_secret(self._to_path(*file_found))
            return True
        if found is None:
            return False
        value, source = found
        self.sources[name] = source
        if source.where == ENVIRONMENT:
            given[name] = from_text(hint, value, secret=secret)
        else:
            if secret and not self._private:
                detail = f"{self._file} is open to others. Run: chmod 600 {self._file}"
                raise Unfit(detail)
            given[name] = from_toml(hint, value, folder=self._folder, secret=secret)
        return True

    def _find(self, name: str) -> tuple[Any, Source] | None:
        text = self._environment.get(self._prefix + name.upper(), "")
        if text:
            return text, Source(ENVIRONMENT, self._prefix + name.upper())
        value: Any = self._document.values
        path = self._tables.place(name)
        for part in path:
            if not isinstance(value, Mapping) or part not in value:
                return None
            value = value[part]
        return value, self._in_file(path, ".".join(path))

    @property
    def _folder(self) -> Path:
        return self._file.parent if self._file is not None else Path()

    def _to_path(self, value: object, source: Source) -> Path:
        folder = Path() if source.where == ENVIRONMENT else self._folder
        found: Path = from_toml(Path, value, folder=folder)
        return found

    def _read_tables(
        self, name: str, kind: type[Any], given: dict[str, Any], *, many: bool
    ) -> None:
        said = not many and any(map(self._environment.get, self._variables(name, kind).values()))
        if name not in self._document.values and not said:
            return
        content = self._document.values.get(name, {})
        self.sources[name] = self._in_file((name,), name)
        if not many:
            built = self._build(kind, (name,), content)
            if built is not None:
                given[name] = built
            return
        if not isinstance(content, list):
            detail = f"must be an array of tables: write [[{name}]]"
            raise Unfit(detail)
        all_built = [self._build(kind, (name, i), table) for i, table in enumerate(content)]
        given[name] = tuple(built for built in all_built if built is not None)

    def _build(self, kind: type[Any], path: tuple[str | int, ...], content: object) -> Any:  # noqa: ANN401 - as ``read``
        """One dataclass of one table; None when something in it is wrong."""
        dotted = ".".join(map(str, path))
        known = {setting.name: setting for setting in fields(kind)}
        if not isinstance(content, Mapping):
            self._report(dotted, self._in_file(path, dotted), "must be a table")
            return None
        before = len(self.problems)
        for key in content.keys() - known.keys():
            self._report_stranger((*path, key), set(known), "key", f"{dotted}.{key}")
        hints = get_type_hints(kind)
        given: dict[str, Any] = {}
        variables = self._variables(str(path[0]), kind) if len(path) == 1 else {}
        for key, setting in known.items():
            source = self._in_file((*path, key), f"{dotted}.{key}")
            if text := self._environment.get(variables.get(key, ""), ""):
                self._read_variable(f"{dotted}.{key}", variables[key], hints[key], text, given)
                continue
            if key not in content:
                if _required(setting):
                    self._report(f"{dotted}.{key}", source, "is missing; set it")
                continue
            self.sources[f"{dotted}.{key}"] = source
            inner, many = _inner(hints[key])
            try:
                if inner is not None:
                    given[key] = self._build_inner(inner, (*path, key), content[key], many=many)
                else:
                    given[key] = from_toml(
                        hints[key], content[key], folder=self._folder, secret=not setting.repr
                    )
            except Unfit as unfit:
                self._report(f"{dotted}.{key}", source, unfit.detail)
        return self._construct(kind, given, path) if len(self.problems) == before else None

    def _variables(self, table: str, kind: type[Any]) -> dict[str, str]:
        """The variables that the plain keys of a table are, by key; secrets stay in files."""
        hints = get_type_hints(kind)
        return {
            setting.name: f"{self._prefix}{table}_{setting.name}".upper()
            for setting in fields(kind)
            if setting.repr and _inner(hints[setting.name])[0] is None
        }

    def _read_variable(
        self, dotted: str, variable: str, hint: object, text: str, given: dict[str, Any]
    ) -> None:
        self.sources[dotted] = Source(ENVIRONMENT, variable)
        try:
            given[dotted.rpartition(".")[2]] = from_text(hint, text)
        except Unfit as unfit:
            self._report(dotted, self.sources[dotted], unfit.detail)

    def _build_inner(
        self, kind: type[Any], path: tuple[str | int, ...], content: object, *, many: bool
    ) -> Any:  # noqa: ANN401 - as ``read``
        if not many:
            return self._build(kind, path, content)
        if not isinstance(content, list):
            detail = "must be an array of tables"
            raise Unfit(detail)
        return tuple(self._build(kind, (*path, i), table) for i, table in enumerate(content))

    def _construct(
        self, kind: type[Any], given: dict[str, Any], path: tuple[str | int, ...]
    ) -> Any:  # noqa: ANN401 - as ``read``
        """Let the dataclass judge itself; its word about a field is put on the field's line."""
        dotted = ".".join(map(str, path))
        try:
            return kind(**given)
        except ConfigurationError as error:
            for problem in error.problems:
                name = f"{dotted}.{problem.field}"
                place = tuple(int(p) if p.isdigit() else p for p in problem.field.split("."))
                self._report(name, self._in_file((*path, *place), name), problem.detail)
        except (SettingsError, ValueError) as error:
            first = str(error).partition(" ")[0].rstrip(":")
            key = first if first in given else None
            name = f"{dotted}.{key}" if key else dotted
            text = str(error).removeprefix(f"{key}").lstrip(": ") if key else str(error)
            source = self.sources.get(name) or self._in_file((*path, key) if key else path, name)
            self._report(name, source, text)
        return None


def _inner(hint: object) -> tuple[type[Any] | None, bool]:
    """The dataclass inside an annotation, and whether it is a tuple of them."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint, False
    arguments = [part for part in get_args(hint) if part not in {type(None), ...}]
    if len(arguments) == 1 and isinstance(arguments[0], type) and is_dataclass(arguments[0]):
        if get_origin(hint) is tuple:
            return arguments[0], True
        if get_origin(hint) in {Union, types.UnionType}:
            return arguments[0], False
    return None, False


def _required(setting: Field[Any]) -> bool:
    return setting.default is MISSING and setting.default_factory is MISSING


def _suggestion(name: str, known: set[str]) -> str:
    meant = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {meant[0]}?" if meant else f"; known are {', '.join(sorted(known))}"


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_SECRET_BYTES_MAX).decode().rstrip("\r\n")
    except OSError as error:
        detail = f"{path} cannot be read: {error.strerror}"
        raise Unfit(detail) from error
    except UnicodeDecodeError as error:
        detail = f"{path} is not UTF-8"
        raise Unfit(detail) from error
