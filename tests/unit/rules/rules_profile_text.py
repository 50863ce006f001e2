"""A profile's text with one line changed, and the line at which a key stands in it.

Knows nothing of TOML but that these files write one key a line below its table's header.
"""

from importlib.resources import files

from rules.profiles import check_profile, problem_text

_FOLDER = files("rules.profiles")


def shipped(name: str) -> str:
    """The text of a packaged profile."""
    return _FOLDER.joinpath(f"{name}.toml").read_text(encoding="utf-8")


WUZHOU = shipped("wuzhou")
NORM = shipped("cn_nbphs_2017")
HEARTS = shipped("who_hearts")


def line_of(text: str, table: str, name: str = "") -> int:
    """Line, from 1, of a key below a header such as ``[bp_home]``, or of the header itself."""
    lines = text.split("\n")
    start = next(n for n, line in enumerate(lines) if line.startswith(table))
    return next(n for n, line in enumerate(lines[start:], start + 1) if line.startswith(name))


def change(text: str, table: str, name: str, line: str | None) -> str:
    """The text with this line instead of the key's, or without it."""
    lines = text.split("\n")
    at = line_of(text, table, f"{name} =") - 1
    return "\n".join([*lines[:at], *([] if line is None else line.split("\n")), *lines[at + 1 :]])


def append(text: str, *lines: str) -> str:
    """The text with more lines at its end."""
    return text.rstrip("\n") + "\n" + "\n".join(lines) + "\n"


def rename(text: str, header: str, to: str) -> str:
    """The text with another header."""
    assert text.count(f"\n{header}") == 1
    return text.replace(f"\n{header}", f"\n{to}")


def said(text: str, file: str = "wuzhou.toml") -> list[str]:
    """All problems of a text, each as the command prints it."""
    return [problem_text(problem, file=file) for problem in check_profile(text, file=file)]


def drop(text: str, table: str) -> str:
    """The text without one table: from its header to the next."""
    begin = text.index(f"\n{table}")
    return text[:begin] + text[text.index("\n[", begin + 1) :]
