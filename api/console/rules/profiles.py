"""Profiles as the page shows them: every number with its words and its source, and who uses it.

It must never change or round a number: they are the texts of ``rules.profiles``. Chinese words for
its English ones are exchanged by pattern; what no pattern knows stays as it is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

_USES: Final = """
SELECT profile, 'centre' AS kind, id, name FROM centre WHERE profile IS NOT NULL
UNION ALL
SELECT profile, 'package' AS kind, id, name FROM package WHERE profile IS NOT NULL
ORDER BY 1, 2, 3"""
_CHINESE: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r", from (\d+) years", r"，\1 岁起"),
        (r", at every age", "，不限年龄"),
        (r", recheck within (\d+) days", r"，\1 天内复测"),
        (r", confirmed within (\d+) days", r"，\1 天内确认"),
        (r"high on (\d+) local days within (\d+) days", r"\2 天内有 \1 天偏高"),
        (r"systolic between arms", "（两臂收缩压差）"),
        (r"not again within (\d+) hours", r"\1 小时内不重复"),
        (r"less than (\d+) hours", r"少于 \1 小时"),
        (r"more than (\d+) hours", r"超过 \1 小时"),
        (r"at most (\d+) minutes", r"至多 \1 分钟"),
        (r"^(\d+) minutes", r"\1 分钟"),
        (r"more than (\d+) days", r"超过 \1 天"),
        (r"more than (\d+) mmHg", r"超过 \1 mmHg"),
        (r"within (\d+) days", r"\1 天内"),
        (r"at least (\d+) visits", r"至少 \1 次"),
        (r"(\d+) in a row", r"连续 \1 次"),
        (r"from ([\d, ]+) overdue days on", r"逾期 \1 天起"),
        (r", (warn|info|high|critical)\b", r"，\1"),
        (r"\bwarn\b", "注意"),
        (r"\binfo\b", "提示"),
        (r"^none$", "无"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a profile: its rows are rule, age from which it holds, limit, source."""

    version: str
    valid_from: str
    rows: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One profile; the newest version first."""

    id: str
    versions: tuple[Version, ...]


def list_profiles(directory: Path | None) -> list[Listed]:
    """All there are. Reads files and loads numpy: call it in a thread.

    Raises:
        ProfileError: One cannot be used.
    """
    from rules import profiles  # noqa: PLC0415 - with numpy

    return [
        Listed(
            id=name,
            versions=tuple(
                Version(
                    version=each.version,
                    valid_from=str(each.valid_from),
                    rows=tuple(_rows(profiles.describe_profile(each))),
                )
                for each in reversed(profiles.load_versions(name, directory))
            ),
        )
        for name in profiles.list_profiles(directory)
    ]


def _rows(described: list[tuple[str, str, str]]) -> Iterator[tuple[str, str, str, str]]:
    for rule, limit, source in described:
        name, _, age = rule.partition(", from ")
        yield name, age.removesuffix(" years"), limit.replace(">=", "≥").replace("<=", "≤"), source


def in_chinese(limit: str) -> str:
    """The words of a limit.

    >>> in_chinese("> 140/90 mmHg, from 18 years, warn, recheck within 14 days")
    '> 140/90 mmHg，18 岁起，注意，14 天内复测'
    """
    for pattern, words in _CHINESE:
        limit = pattern.sub(words, limit)
    return limit


async def list_uses(connection: AsyncConnection[DictRow]) -> dict[str, list[dict[str, Any]]]:
    """Which centres and packages say which profile."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in await (await connection.execute(_USES)).fetchall():
        found.setdefault(row["profile"], []).append(row)
    return found
