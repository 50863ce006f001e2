"""What the doctor found: one line each, with the command that mends it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # It works, and will hurt one day.
    FAILED = "failed"  # Something does not work, or somebody can read what is not theirs.


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. Never a password, a key or anything of a resident."""

    area: str  # machine, settings, files, ports, database, broker.
    check: str  # Stable: scripts name it.
    verdict: Verdict
    found: str
    remedy: str = ""  # What to do; empty when all is well.


def fine(area: str, check: str, found: str) -> Finding:
    """All is well."""
    return Finding(area=area, check=check, verdict=Verdict.OK, found=found)


def warned(area: str, check: str, found: str, remedy: str) -> Finding:
    """It works today."""
    return Finding(area=area, check=check, verdict=Verdict.WARNING, found=found, remedy=remedy)


def failed(area: str, check: str, found: str, remedy: str) -> Finding:
    """It does not."""
    return Finding(area=area, check=check, verdict=Verdict.FAILED, found=found, remedy=remedy)


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.verdict is not Verdict.FAILED for finding in findings)
