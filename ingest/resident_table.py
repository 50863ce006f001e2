"""A register of residents as a table (CSV), under the headings that contract systems export.

From lines to ``TableRow``: which fields a line gives, and what each is. Pure. A column that is not
in the table says nothing about its field, which then stays as it is; an empty cell says that the
field is empty. No message repeats a name, an ID number or a date of birth.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple, cast

from ingest.db.entities import (
    CONDITIONS,
    ID_PATTERN,
    ConditionName,
    DatedCondition,
    Personal,
    Resident,
    Sex,
)

_CHINESE: Final[Mapping[str, tuple[str, ...]]] = {
    "hypertension": ("高血压",),
    "diabetes": ("糖尿病", "2型糖尿病", "II型糖尿病"),
    "pregnant": ("孕期", "妊娠", "怀孕"),
    "lactating": ("哺乳", "哺乳期"),
    "prediabetes": ("糖尿病前期",),
    "tuberculosis": ("结核病", "肺结核"),
    "severe_mental_disorder": ("严重精神障碍",),
    "disability": ("残疾",),
}
_SINCE: Final = ("确诊日期", "开始日期", "开始")
_UNTIL: Final = ("结束日期", "结束", "解除日期")
_PLAIN: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("居民编号", "居民假名", "假名", "编号"),
    "name": ("姓名", "居民姓名"),
    "id_number": ("身份证号", "身份证号码", "身份证", "公民身份号码"),
    "birth_date": ("出生日期", "出生年月日"),
    "sex": ("性别",),
    "team_id": ("团队编号", "签约团队编号", "家庭医生团队编号"),
    "enrolled_on": ("管理日期", "建档日期", "纳入管理日期"),
}


def _headings() -> dict[str, str]:
    """Every heading that is understood, and the field it stands for."""
    known = {name: field for field, names in _PLAIN.items() for name in (field, *names)}
    for condition in CONDITIONS:
        for bound, endings in (("since", _SINCE), ("until", _UNTIL)):
            field = f"{condition}_{bound}"
            known[field] = field
            known |= {name + end: field for name in _CHINESE[condition] for end in endings}
    return known


HEADINGS: Final = _headings()
_SEXES: Final[Mapping[str, Sex]] = {
    **dict.fromkeys(("男", "男性", "male", "m", "1"), "male"),  # 1, 2: GB/T 2261.1.
    **dict.fromkeys(("女", "女性", "female", "f", "2"), "female"),
}
_DATE: Final = re.compile(r"(\d{4})(?:[-/.年](\d{1,2})[-/.月](\d{1,2})日?|(\d{2})(\d{2}))")
_ID: Final = re.compile(ID_PATTERN)
_PRIVATE: Final = frozenset({"name", "id_number", "birth_date"})


class TableError(Exception):
    """The table itself cannot be read: its headings or its bytes."""


class LineError(NamedTuple):
    """One cell, or one line, that cannot be used."""

    line: int
    column: str  # As the table calls it; empty: the whole line.
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """What one line says. ``given`` holds only the fields that the table has."""

    line: int
    given: Mapping[str, Any]

    def merge(self, resident_id: str, stored: Mapping[str, Any] | None) -> Resident:
        """The whole resident: this line over what stands, as history keeps it.

        Raises:
            ValueError: A condition ends before it begins.
        """
        before = stored or {}
        plain = {
            name: self.given[name] if name in self.given else _read(name, before.get(name))
            for name in ("team_id", "birth_date", "sex", "enrolled_on")
        }
        personal = None
        if {"name", "id_number"} & self.given.keys():
            personal = Personal(name=self.given.get("name"), id_number=self.given.get("id_number"))
        conditions = [_dated(each) for each in before.get("conditions", ())]
        for condition in CONDITIONS:
            if f"{condition}_since" in self.given:
                conditions = self._replace(conditions, cast("ConditionName", condition))
        return Resident(id=resident_id, personal=personal, conditions=conditions, **plain)

    def _replace(
        self, conditions: Sequence[DatedCondition], condition: ConditionName
    ) -> list[DatedCondition]:
        """What is over stays on record; what is open becomes what the line says."""
        since, until = (self.given.get(f"{condition}_{bound}") for bound in ("since", "until"))
        kept = [
            each
            for each in conditions
            if each.condition != condition or (each.until is not None and each.since != since)
        ]
        if since is None:
            return kept
        return [*kept, DatedCondition(condition=condition, since=since, until=until)]


def _read(name: str, value: str | None) -> Any:  # noqa: ANN401 - a date or a word
    is_date = name in ("birth_date", "enrolled_on")
    return date.fromisoformat(value) if is_date and value is not None else value


def _dated(content: Mapping[str, Any]) -> DatedCondition:
    until = content["until"]
    return DatedCondition(
        condition=content["condition"],
        since=date.fromisoformat(content["since"]),
        until=None if until is None else date.fromisoformat(until),
    )


class Table:
    """Lines of text as rows. Raises ``TableError`` for headings that cannot be used."""

    def __init__(self, lines: Iterable[str], skipped: Sequence[str] = ()) -> None:
        iterator = iter(lines)
        first = next(iterator, "")
        delimiter = "\t" if "\t" in first and "," not in first else ","
        names = next(csv.reader([first], delimiter=delimiter), [])
        self._names = [_normal(name) for name in names]
        self._fields = _map_headings(self._names, {_normal(name) for name in skipped})
        self._reader = csv.reader(iterator, delimiter=delimiter)

    @property
    def fields(self) -> set[str]:
        """Fields that the table has."""
        return {field for field in self._fields if field}

    def __iter__(self) -> Iterator[TableRow | list[LineError]]:
        """Each line, or what is wrong with it; blank lines are left out."""
        begins = 2
        for cells in self._reader:
            if any(cell.strip() for cell in cells):
                yield self._read_line(begins, cells)
            begins = self._reader.line_num + 2

    def _read_line(self, line: int, cells: Sequence[str]) -> TableRow | list[LineError]:
        if len(cells) != len(self._names):
            problem = f"{len(cells)} cells, but there are {len(self._names)} headings"
            return [LineError(line, "", problem)]
        given: dict[str, Any] = {}
        errors = []
        for name, field, cell in zip(self._names, self._fields, cells, strict=True):
            if field:
                try:
                    given[field] = _parse(field, _normal(cell))
                except ValueError as error:
                    errors.append(LineError(line, name, str(error)))
        return errors or TableRow(line=line, given=given)


def _map_headings(names: Sequence[str], skipped: set[str]) -> list[str]:
    """The field of each column; empty: skipped."""
    fields = ["" if name in skipped else HEADINGS.get(name, "?") for name in names]
    unknown = [name for name, field in zip(names, fields, strict=True) if field == "?"]
    if unknown:
        msg = (
            f"line 1: no field is called {', '.join(map(repr, unknown))}; rename the column, or "
            "leave it out by --skip-column"
        )
        raise TableError(msg)
    twice = sorted({field for field in fields if field and fields.count(field) > 1})
    if twice:
        msg = f"line 1: two columns are {', '.join(twice)}; leave one out by --skip-column"
        raise TableError(msg)
    if not {"id", "id_number"} & {*fields}:
        msg = "line 1: no column says who it is: 居民编号 (id), or 身份证号 with --pseudonym-key"
        raise TableError(msg)
    alone = [
        field
        for field in fields
        if field.endswith("_until") and f"{field.removesuffix('until')}since" not in fields
    ]
    if alone:
        msg = f"line 1: {alone[0]} needs the column of its beginning beside it"
        raise TableError(msg)
    if ("name" in fields) != ("id_number" in fields):
        lacking = "身份证号 (id_number)" if "name" in fields else "姓名 (name)"
        msg = f"line 1: {lacking} is missing: name and ID number are replaced together"
        raise TableError(msg)
    return fields


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().lstrip("\ufeff")


def _parse(field: str, cell: str) -> Any:  # noqa: ANN401 - text or a date
    if not cell:
        return None
    if field == "sex":
        if cell.lower() not in _SEXES:
            msg = f"{cell!r} is neither 男 nor 女"
            raise ValueError(msg)
        return _SEXES[cell.lower()]
    if field in ("id", "team_id"):
        if not _ID.fullmatch(cell):
            msg = "an id holds no blanks and none of / ? # % \\"
            raise ValueError(msg)
        return cell
    if field in ("name", "id_number"):
        return cell
    return _parse_day(cell, private=field in _PRIVATE)


def _parse_day(cell: str, *, private: bool) -> date:
    found = _DATE.fullmatch(cell)
    if found is not None:
        year, month, day, short_month, short_day = found.groups()
        try:
            return date(int(year), int(month or short_month), int(day or short_day))
        except ValueError:
            pass
    shown = "it" if private else repr(cell)
    msg = f"{shown} is no day; write 2026-01-05, 2026/1/5, 20260105 or 2026年1月5日"
    raise ValueError(msg)
