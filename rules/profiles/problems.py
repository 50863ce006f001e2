"""What is wrong with a profile file, and at which line. Says it; never raises it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Gravity: TypeAlias = Literal["error", "warning"]
"""An error keeps the profile from being loaded; a warning asks a physician to look."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One finding, ordered by its place in the file."""

    line: int  # From 1.
    column: int  # From 1, in characters.
    key: str  # Dotted, as ``bp_home.tier[0].age_min``; empty for the whole file.
    severity: Gravity = "error"
    problem: str
    remedy: str

    @property
    def sentence(self) -> str:
        """The problem and its remedy."""
        return f"{self.problem}; {self.remedy}"


def problem_text(problem: Problem, *, file: str) -> str:
    """One line as compilers write it, so that editors can jump to it.

    >>> missing = Problem(line=31, column=1, key="a.unit", problem="is missing", remedy="add it")
    >>> problem_text(missing, file="x.toml")
    'x.toml:31: a.unit: is missing; add it'
    """
    gravity = "" if problem.severity == "error" else f"{problem.severity}: "
    key = f"{problem.key}: " if problem.key else ""
    return f"{file}:{problem.line}: {gravity}{key}{problem.sentence}"
