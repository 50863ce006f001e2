"""Finds profile files: those of the package, and those of one further directory.

``<id>.toml`` or ``<id>-<version>.toml``; anything else is no profile. Reads text only, and only
below the two directories: a name of a profile is never used as a path.
"""

import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from rules.errors import ProfileError
from rules.profiles.shapes import ID, VERSION

_NAME: Final = re.compile(rf"({ID.pattern})(?:-({VERSION.pattern}))?\.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFile:
    """A file's name and its text."""

    file: str
    text: str


def parse_name(file: str) -> tuple[str, str | None] | None:
    """Id and version (None where it has none) of a file's name, or None: no profile."""
    found = _NAME.fullmatch(file)
    return None if found is None else (found[1], found[2])


def list_ids(directory: Traversable | None = None) -> list[str]:
    """Ids of the profiles there are, sorted.

    Raises:
        ProfileError: The directory cannot be read.
    """
    return sorted({name[0] for entry in _entries(directory) if (name := parse_name(entry.name))})


def find_files(profile_id: str, directory: Traversable | None = None) -> list[ProfileFile]:
    """All files of one profile, by name; the same file in both directories counts once.

    Raises:
        ProfileError: A file, or the directory, cannot be read.
    """
    found = [
        ProfileFile(file=entry.name, text=_read(entry))
        for entry in _entries(directory)
        if (name := parse_name(entry.name)) and name[0] == profile_id
    ]
    return sorted(dict.fromkeys(found), key=lambda each: each.file)


def _entries(directory: Traversable | None) -> list[Traversable]:
    own = list(files(__package__).iterdir())
    if directory is None:
        return own
    try:
        return [*own, *directory.iterdir()]
    except OSError as error:
        raise ProfileError(str(directory), "", f"cannot be listed: {error.strerror}") from error


def _read(entry: Traversable) -> str:
    try:
        return entry.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ProfileError(entry.name, "", "is not UTF-8; save it as UTF-8") from error
    except OSError as error:
        raise ProfileError(entry.name, "", f"cannot be read: {error.strerror}") from error
