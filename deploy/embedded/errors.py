"""What can go wrong with the private stack; every message says what to do next.

StackError
├── UnsupportedHostError   nothing to run here, and no way to fetch it
├── PackagesError          fetching or unpacking failed; trying again may work
├── UnsafeFolderError      a folder is not ours, or others may write to it
├── StateError             a remembered file cannot be understood, or does not fit the programs
├── BusyError              another command holds the stack's lock
├── NotReadyError          the stack was never started, or a service does not run
└── ServiceError           a service does not start, answer or stop
"""

from pathlib import Path
from typing import Final

CONTAINERS: Final = "docs/containers.md"


class StackError(Exception):
    """The private stack cannot do what was asked."""


class UnsupportedHostError(StackError):
    """This machine can neither run nor fetch the programs."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}. Use the same services from containers: {CONTAINERS}")


class PackagesError(StackError):
    """Fetching or unpacking the distribution's packages failed."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}. Run the command again, or use containers: {CONTAINERS}")


class UnsafeFolderError(StackError):
    """A folder that must be ours alone is not."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder = folder
        super().__init__(f"{folder} {reason}. Move it away, or set SUIFANG_HOME to another folder")


class StateError(StackError):
    """Something remembered from an earlier run cannot be used."""


class BusyError(StackError):
    """Another command is changing this stack."""

    def __init__(self, lock: Path, waited_s: float) -> None:
        super().__init__(
            f"Another command has held {lock} for {waited_s:.0f} s. Let it finish, then run again"
        )


class NotReadyError(StackError):
    """The stack, or one of its services, is not there yet."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}. Run: suifang stack up")


class ServiceError(StackError):
    """A service does not start, answer or stop.

    Args:
        service: Which one.
        problem: What it did, as the end of a sentence.
        log: Where it wrote why.
        tail: The last lines of that log.
    """

    def __init__(self, service: str, problem: str, log: Path, tail: str = "") -> None:
        self.service = service
        super().__init__(
            f"{service} {problem}. Read {log}" + (f"; it ends with:\n{tail}" * bool(tail))
        )
